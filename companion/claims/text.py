"""Claims and results as text, in the units the papers print."""

from __future__ import annotations

from typing import Any

from companion.claims.rows import Claim


def reported(claim: Claim) -> str:
    """Return what the paper reports."""
    if claim.rule == "order":
        return "the order stated"
    if claim.rule == "trend" or isinstance(claim.reported, str):
        return str(claim.reported)
    number = f"{claim.reported:,.{claim.digits or 0}f}" + (" %" if claim.unit == "percent" else "")
    return {"below": f"< {number}", "above": f"> {number}"}.get(claim.rule, number)


def result(claim: Claim, judged: dict[str, Any]) -> str:
    """Return what came out: mean with its 95 % interval and n.

    Parameters
    ----------
    judged : dict
        One variant of a claim in a record.
    """
    text = claim.shown(judged["mean"])
    if judged["low"] is not None and judged["high"] is not None and judged["low"] < judged["high"]:
        text += f" [{claim.shown(judged['low'])}, {claim.shown(judged['high'])}]"
    return text if judged["n"] is None else f"{text}, n = {judged['n']}"
