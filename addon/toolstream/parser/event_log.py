"""What was said, and what may still be taken back.

A mark is a place in the log and in the buffer. Until it is committed, what was said since waits here.
Rolled back, those events are gone, and the raw text they stood for is text, which is not read again. This
is the only way to be unsure for long: so what is pending, and the limit on it, are found in one place.
"""

from dataclasses import dataclass

from ..events import ArgumentsDelta, CallEnd, CallStart, Event, Repaired, Text
from ..grammar.text import trailing
from ..limits import EXCERPT, HELD
from ..repairs import Ledger, Refused, Repair
from .buffer import Buffer

# What a call must not need that is certain only because it is complete
_DAMAGE = frozenset(
    {Repair.MISSING_PARAMETER_CLOSE, Repair.MISSING_FUNCTION_CLOSE, Repair.MISSING_TOOL_CALL_CLOSE}
    | {Repair.MISSING_PARAMETER_OPEN, Repair.JSON_REPAIRED, Repair.NAME_INFERRED}
)
# What a call may need that is written as the template asks: <tool_call> is optional, and these are
# about what stands around it, or what its values say
_HARMLESS = frozenset(
    {Repair.MISSING_TOOL_CALL_OPEN, Repair.ORPHAN_THINK_CLOSE, Repair.THINK_CLOSED, Repair.PARALLEL_DROPPED}
    | {Repair.REPEATED_PARAMETER, Repair.COERCION_FAILED, Repair.JSON_BODY}
    | {Repair.RULE_DEFAULT, Repair.RULE_CONVERTED, Repair.RULE_REMOVED, Repair.RULE_TOOL}
)


@dataclass(slots=True, eq=False)
class Mark:
    """Since `position` of the message, and the event of this `index` in the log, nothing is certain.

    `why`: the refusal, if what follows turns out to be text; None if that is no news.
    `at_end`: certain only if the message ends after it; else once it is complete.
    """

    position: int
    index: int
    why: Refused | None = None
    at_end: bool = False


class EventLog:
    """The `events` of one message that were not given out, and the `marks` that are open, the oldest
    first. Without `parallel` only the first call is emitted."""

    __slots__ = ("_buffer", "events", "ledger", "marks", "parallel")

    def __init__(self, buffer: Buffer, ledger: Ledger, parallel: bool = True) -> None:
        self.ledger, self.parallel = ledger, parallel
        self._buffer = buffer
        self.events: list[Event] = []
        self.marks: list[Mark] = []

    def emit(self, event: Event) -> None:
        """Say that this happened; events of a call that is not asked for are dropped."""
        if self.parallel or isinstance(event, (Text, Repaired)) or event.index == 0:
            self.events.append(event)

    def text(self, text: str) -> None:
        """Emit text, if there is any."""
        if text:
            self.events.append(Text(text))

    def repair(self, repair: Repair, excerpt: str) -> None:
        """Emit that something was mended."""
        self.events.append(Repaired(repair, excerpt[:EXCERPT]))

    # Being unsure

    @property
    def sure(self) -> bool:
        """Whether what is said now is said for good."""
        return not self.marks

    def mark(self, why: Refused | None = None, at_end: bool = False) -> Mark:
        """From here on, what is not understood yet included, nothing is certain."""
        mark = Mark(self._buffer.pin(), len(self.events), why, at_end)
        self.marks.append(mark)
        return mark

    def commit(self, mark: Mark) -> None:
        """What was said since the mark is certain, unless an older one is open."""
        self._drop(mark)

    def rollback(self, mark: Mark, why: Refused | None = None, end: int | None = None) -> str:
        """Take back what was said since the mark: the text since is emitted as it came, up to the position
        `end`, but for the whitespace at its end, which is read again with what follows. Returns that text.
        `why` is told to the user, unless that is no news."""
        del self.events[mark.index :]
        raw = self._buffer.since(mark.position)
        if end is not None:
            raw = raw[: end - mark.position]
        if mark.why:
            self.ledger.refuse(why or mark.why, raw)
        raw = raw[: trailing(raw, 0, len(raw))]
        self._buffer.rewind(mark.position + len(raw))
        self._drop(mark)
        self.text(raw)
        return raw

    def cancel(self, mark: Mark) -> str:
        """Take back what was said since the mark, and the text with it, which is returned."""
        del self.events[mark.index :]
        raw = self._buffer.since(mark.position) + self._buffer.unread
        self._drop(mark)
        return raw

    def damaged_since(self, mark: Mark) -> bool:
        """Whether tags were missing; or broken, in a call of a tool that nobody knows."""
        repairs = {event.repair for event in self.events[mark.index :] if isinstance(event, Repaired)}
        unknown = mark.why is Refused.UNDECLARED and Repair.DAMAGED_TAG in repairs
        return unknown or not repairs.isdisjoint(_DAMAGE)

    def mended_since(self, mark: Mark) -> bool:
        """Whether tags are not what the template asks for."""
        return any(isinstance(e, Repaired) and e.repair not in _HARMLESS for e in self.events[mark.index :])

    @property
    def overdue(self) -> Mark | None:
        """The oldest mark, if too much was read since."""
        oldest = self.marks[0] if self.marks else None
        return oldest if oldest and self._buffer.position - oldest.position > HELD else None

    @property
    def pending(self) -> str:
        """What was received, and is in no event that was given out."""
        return (self._buffer.since(self.marks[0].position) if self.marks else "") + self._buffer.unread

    @property
    def held(self) -> int:
        """How many characters that are."""
        read = self._buffer.position - self.marks[0].position if self.marks else 0
        return read + self._buffer.size

    def take(self) -> list[Event]:
        """What nothing can take back any more, pieces that belong together joined."""
        count = self.marks[0].index if self.marks else len(self.events)
        if not count:
            return []
        taken, self.events = self.events[:count], self.events[count:]
        for mark in self.marks:
            mark.index -= count
        if count > 1:
            taken = _merged(taken)
        for event in taken:
            if isinstance(event, Repaired):
                self.ledger.repaired(event.repair)
            elif isinstance(event, CallEnd):
                self.ledger.calls += 1
        return taken

    def _drop(self, mark: Mark) -> None:
        del self.marks[self.marks.index(mark) :]
        if not self.marks:
            self._buffer.unpin()


def _merged(events: list[Event]) -> list[Event]:
    """The same with adjacent pieces of text, or of the arguments of one call, joined."""
    merged: list[Event] = []
    pieces: list[str] = []
    for i, event in enumerate(events):
        if isinstance(event, (CallStart, CallEnd, Repaired)):
            merged.append(event)
            continue
        after = events[i + 1] if i + 1 < len(events) else None
        if isinstance(event, Text):
            pieces.append(event.text)
            if not isinstance(after, Text):
                merged.append(Text("".join(pieces)))
                pieces.clear()
        else:
            pieces.append(event.fragment)
            if not (isinstance(after, ArgumentsDelta) and after.index == event.index):
                merged.append(ArgumentsDelta(event.index, "".join(pieces)))
                pieces.clear()
    return merged
