"""The verdict: a sentence for each model that says whether calls leak or are damaged."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .report import Kind
from .stats import Counts


class Level(StrEnum):
    """How bad it is."""

    GOOD = "good"
    WARN = "warn"  # repaired
    BAD = "bad"
    NONE = "none"  # nothing can be said yet


@dataclass(frozen=True, slots=True)
class Verdict:
    """One sentence about a model, or about a client if `model` is empty."""

    model: str
    text: str
    level: Level

    def as_json(self) -> dict[str, Any]:
        return {"model": self.model, "text": self.text, "level": str(self.level)}


def verdicts(models: Mapping[str, Counts]) -> list[Verdict]:
    return [_verdict(model, counts) for model, counts in models.items()]


def _verdict(model: str, counts: Counts) -> Verdict:
    answers, leaked, damaged = counts.answers, counts.flags["leaked"], counts.flags["damaged"]
    errors = counts.kinds[Kind.BACKEND_ERROR]
    failed = f" {_of(errors, counts.chats)} chats failed at the server." if errors else ""
    if errors == counts.chats:
        return Verdict(model, f"{model}: the server gave no answer to {_counted(errors, 'chat')}.", Level.BAD)
    if not answers:
        return Verdict(
            model, f"{model}: no request had tools, so there was nothing to repair.{failed}", Level.NONE
        )
    if not leaked and not damaged:
        return _healthy(model, counts, failed)
    faulty, how = (leaked, "leaked calls as text") if leaked else (damaged, "had damaged calls")
    what = f"{percent(faulty, answers)} of the answers of {model} {how} ({_of(faulty, answers)})"
    more = f"; {damaged} more had damaged calls" if leaked and damaged else ""
    is_bad = counts.fates[Kind.LEFT] or counts.kinds[Kind.FAILED_OPEN] or errors
    level = Level.BAD if is_bad else Level.WARN
    return Verdict(model, f"{what}{more}: {_fates(counts)}.{failed}", level)


def _healthy(model: str, counts: Counts, failed: str) -> Verdict:
    level = Level.BAD if failed else Level.GOOD
    if counts.calls:
        text = f"Your server parses the tool calls of {model} itself: 0 of {counts.answers} needed repair."
        return Verdict(model, text + failed, level)
    text = f"No tool call of {model} yet, in {_counted(counts.answers, 'answer')}.{failed}"
    return Verdict(model, text, Level.BAD if failed else Level.NONE)


def _fates(counts: Counts) -> str:
    kinds = counts.fates
    fates = (
        ("repaired", kinds[Kind.REPAIRED]),
        ("would be repaired", kinds[Kind.WOULD_REPAIR]),
        ("left", kinds[Kind.LEFT]),
        ("broke off", kinds[Kind.BROKEN_OFF]),
        ("failed open", kinds[Kind.FAILED_OPEN]),
    )
    return ", ".join(f"{fate} {n}" for fate, n in fates if n or fate == "left")


def percent(part: int, whole: int) -> str:
    """Round a share, but only to 0 or 100 if it is exactly that."""
    if 0 < part < whole:
        return f"{min(99, max(1, round(100 * part / whole)))} %"
    return f"{round(100 * part / whole)} %"


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
