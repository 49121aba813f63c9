"""The verdict: a sentence for each model that says whether calls leak or are damaged."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .report import Kind
from .stats import Counts

NOT_REPAIRED = "not repaired"


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
    kinds, notes = counts.kinds, "".join(f" {note}" for note in _notes(counts))
    if kinds[Kind.BACKEND_ERROR] == counts.chats:
        return Verdict(model, f"{model}: {_failed(counts)}.", Level.BAD)
    if not counts.answers:
        nothing = "" if kinds[Kind.NOT_READ] else " no request had tools, so there was nothing to repair."
        return Verdict(model, f"{model}:{nothing}{notes}", Level.BAD if kinds[Kind.NOT_READ] else Level.NONE)
    if not (counts.flags["leaked"] or counts.flags["damaged"]):
        return _healthy(model, counts, notes)
    return _faulty(model, counts, notes)


def _faulty(model: str, counts: Counts, notes: str) -> Verdict:
    answers, leaked, damaged = counts.answers, counts.flags["leaked"], counts.flags["damaged"]
    faulty, how = (leaked, "leaked calls as text") if leaked else (damaged, "had damaged calls")
    what = f"{percent(faulty, answers)} of the answers of {model} {how} ({_of(faulty, answers)})"
    more = f"; {damaged} more had damaged calls" if leaked and damaged else ""
    is_bad = counts.fates[Kind.LEFT] or counts.kinds[Kind.FAILED_OPEN] or _is_failing(counts)
    level = Level.BAD if is_bad else Level.WARN
    return Verdict(model, f"{what}{more}: {_fates(counts)}.{notes}", level)


def _notes(counts: Counts) -> Iterator[str]:
    """Say what else went wrong, in sentences."""
    kinds = counts.kinds
    if kinds[Kind.BACKEND_ERROR]:
        said = _failed(counts)
        yield f"{said[0].upper()}{said[1:]}."
    if unread := kinds[Kind.NOT_READ]:
        yield f"{_of(unread, counts.chats)} answers could not be read, the last: {counts.last_unread}."
    if broken := kinds[Kind.BROKEN_OFF] - counts.fates[Kind.BROKEN_OFF]:
        yield f"{_of(broken, counts.chats)} answers broke off."


def _failed(counts: Counts) -> str:
    errors = counts.kinds[Kind.BACKEND_ERROR]
    if counts.silent == errors:
        return f"the server gave no answer to {_counted(errors, 'chat')}"
    return f"{_of(errors, counts.chats)} chats failed at the server, the last with {counts.last_error}"


def _is_failing(counts: Counts) -> bool:
    return bool(counts.kinds[Kind.BACKEND_ERROR] or counts.kinds[Kind.NOT_READ])


def _healthy(model: str, counts: Counts, notes: str) -> Verdict:
    level = Level.BAD if _is_failing(counts) else Level.WARN if notes else None
    if counts.calls:
        text = f"Your server parses the tool calls of {model} itself: 0 of {counts.answers} needed repair."
        return Verdict(model, text + notes, level or Level.GOOD)
    text = f"No tool call of {model} yet, in {_counted(counts.answers, 'answer')}.{notes}"
    return Verdict(model, text, level or Level.NONE)


def _fates(counts: Counts) -> str:
    kinds = counts.fates
    fates = (
        ("repaired", kinds[Kind.REPAIRED]),
        ("would be repaired", kinds[Kind.WOULD_REPAIR]),
        (NOT_REPAIRED, kinds[Kind.LEFT]),
        ("broke off", kinds[Kind.BROKEN_OFF]),
        ("client left", kinds[Kind.CLIENT_LEFT]),
        ("failed open", kinds[Kind.FAILED_OPEN]),
    )
    return ", ".join(f"{fate} {n}" for fate, n in fates if n or fate == NOT_REPAIRED)


def percent(part: int, whole: int) -> str:
    """Round a share, but only to 0 or 100 if it is exactly that."""
    if 0 < part < whole:
        return f"{min(99, max(1, round(100 * part / whole)))} %"
    return f"{round(100 * part / whole)} %"


def _of(part: int, whole: int) -> str:
    return f"{part} of {whole}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
