"""What was done to an answer, in words and as a marker: for the flow list and the log."""

from collections.abc import Mapping
from typing import Any

from ..answer import Outcome
from ..terminal import printable

FAILED = ":red_circle:"
REPAIRED = ":wrench:"
REFUSED = ":eyes:"


def comment(outcome: Outcome) -> str:
    """Say what was done; empty if the answer passed unchanged."""
    said = (_converted(outcome), _refused(outcome), _failed(outcome), _aborted(outcome))
    return printable("; ".join(filter(None, said)))


def marker(outcome: Outcome) -> str:
    """The marker that stands for it, the gravest first; empty if there is nothing to see."""
    if outcome.ledger.failure:
        return FAILED
    if outcome.ledger.repairs or outcome.ledger.calls:
        return REPAIRED
    return REFUSED if outcome.ledger.refused else ""


def word(outcome: Outcome, status: int = 200) -> str:
    """One word for the name of a recording."""
    if outcome.aborted:
        return "aborted"
    if status >= 400:
        return "error"
    return {FAILED: "failed", REPAIRED: "repaired", REFUSED: "refused"}.get(marker(outcome), "passed")


def _converted(outcome: Outcome) -> str:
    calls, repairs = outcome.ledger.calls, outcome.ledger.repairs
    if not calls and not repairs:
        return ""
    what = (
        f"{calls} call{'' if calls == 1 else 's'} {'repaired' if repairs else 'converted'}"
        if calls
        else "repaired"
    )
    return f"{what}: {counts(repairs)}" if repairs else what


def _refused(outcome: Outcome) -> str:
    return f"left as text: {counts(outcome.ledger.refused)}" if outcome.ledger.refused else ""


def _failed(outcome: Outcome) -> str:
    lines = outcome.ledger.failure.strip().splitlines()
    return f"failed, the rest passed as it came: {lines[-1]}" if lines else ""


def _aborted(outcome: Outcome) -> str:
    return f"broke off: {outcome.aborted}" if outcome.aborted else ""


def counts(counter: Mapping[Any, int]) -> str:
    """`missing-tool-call-open, stray-closer x2`."""
    return ", ".join(f"{name} x{n}" if n > 1 else str(name) for name, n in sorted(counter.items()))
