"""The result of one answer, for recordings, the user interface and the log."""

from dataclasses import dataclass, field

from toolstream import Ledger


@dataclass(slots=True)
class Outcome:
    """What was received, after content decoding, and what it became.

    Each of `chunks` has its time in `times`, in seconds since the headers came.
    """

    chunks: list[bytes] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    out: list[bytes] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    aborted: str = ""  # why the answer broke off; empty if it did not


def pass_whole(body: bytes) -> Outcome:
    """Return the outcome of a body that stays unchanged."""
    return Outcome(chunks=[body], times=[0.0], out=[body]) if body else Outcome()
