"""The ledger of one answer: which repairs were made, how often, and which candidates were left as text.

A refusal says why, so that a user can see what was not repaired.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from .limits import EXCERPT, REFUSALS
from .repairs import Refused, Repair


@dataclass(frozen=True, slots=True)
class Refusal:
    """One candidate left as text."""

    reason: Refused
    excerpt: str


class Ledger:
    """The counts of repairs and calls in one answer, and its refused candidates."""

    __slots__ = ("calls", "failure", "refusals", "refused", "repairs")

    def __init__(self) -> None:
        self.repairs: Counter[Repair] = Counter()
        self.refused: Counter[Refused] = Counter()
        self.refusals: list[Refusal] = []  # the first REFUSALS of them
        self.calls = 0  # calls that were found in text and emitted
        self.failure = ""  # the traceback of the exception that ended the rewriting (fail open)

    def repaired(self, repair: Repair) -> None:
        self.repairs[repair] += 1

    def add(self, other: "Ledger") -> None:
        """Add the counts of another ledger."""
        self.repairs.update(other.repairs)
        self.refused.update(other.refused)
        self.refusals += other.refusals[: REFUSALS - len(self.refusals)]
        self.calls += other.calls

    def refuse(self, reason: Refused, excerpt: str) -> None:
        """Count a candidate that stays text, and keep an excerpt."""
        self.refused[reason] += 1
        if len(self.refusals) < REFUSALS:
            self.refusals.append(Refusal(reason, excerpt[:EXCERPT]))

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON data: repairs and refused as {name: count}, refusals as [reason, excerpt]."""
        return {
            "calls": self.calls,
            "repairs": {str(k): n for k, n in sorted(self.repairs.items())},
            "refused": {str(k): n for k, n in sorted(self.refused.items())},
            "refusals": [[str(r.reason), r.excerpt] for r in self.refusals],
            "failure": self.failure,
        }
