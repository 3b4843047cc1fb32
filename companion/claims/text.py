"""Claims and results as text, in the units the papers print."""

from __future__ import annotations

import html
from collections import Counter
from typing import Any

import pandas as pd

from companion.claims.rows import Claim, registry
from companion.claims.rules import Verdict

# What a reader looks for first.
ORDER = (Verdict.DIFFERS, Verdict.INCONCLUSIVE, Verdict.AGREES, Verdict.NOT_ATTEMPTED)


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


def verdict_table(entries: dict[str, dict[str, Any]], *, lines: int = 25) -> str:
    """Return the claims of a record as an HTML table, the refuted first, below a sentence that counts the verdicts.

    Parameters
    ----------
    entries : dict
        The claims of a record, by id.
    lines : int
        The most claims that are listed; the report has all of them.
    """
    if not entries:
        return "<p>No claim is judged here.</p>"
    rows = registry()
    counts = Counter(entry["verdict"] for entry in entries.values())
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ORDER if counts[verdict])
    ranked = sorted(entries, key=lambda name: (ORDER.index(Verdict(entries[name]["verdict"])), name))
    listed = [
        {
            "claim": f"<code>{html.escape(name)}</code><br>{html.escape(rows[name].statement)}",
            "reported": reported(rows[name]),
            "reproduced": result(rows[name], judged),
            "variant": variant + (" (headline)" if variant == entries[name]["variant"] else ""),
            "verdict": f"<b>{judged['verdict']}</b>",
            "reason": html.escape(judged["reason"]),
        }
        for name in ranked[:lines]
        for variant, judged in entries[name]["variants"].items()
    ]
    rest = f" Listed are {lines} of them; REPORT.md beside the figures lists all." if len(ranked) > lines else ""
    with pd.option_context("display.max_colwidth", None):
        table = pd.DataFrame(listed).to_html(index=False, escape=False, border=0)
    return f"<p>{len(entries)} claims: {told or 'none'}.{rest}</p>\n{table}"
