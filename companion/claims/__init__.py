"""The registry of what the papers report and the rules that judge it."""

from companion.claims.rows import SOURCES, Claim, claim, read, registry, reported
from companion.claims.rules import Judgement, Verdict, gate, judge

__all__ = ["SOURCES", "Claim", "Judgement", "Verdict", "claim", "gate", "judge", "read", "registry", "reported"]
