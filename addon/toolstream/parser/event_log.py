"""The events so far, and which of them may still be taken back.

A mark is a place in the log and in the buffer. Events since an open mark wait here. When the mark is
committed, they are certain. When it is rolled back, they are dropped, and the raw text that they stood
for becomes text, without being read again. This is the only way to be unsure for long, so pending text
and the limit on it are in one place.
"""

from dataclasses import dataclass

from ..events import ArgumentsDelta, CallEnd, CallStart, Event, Repaired, Text
from ..grammar.text import trailing
from ..ledger import Ledger
from ..limits import EXCERPT, HELD
from ..repairs import Refused, Repair
from .buffer import Buffer

# Repairs that are not allowed in a call that only its completeness makes certain
_DAMAGE = frozenset(
    {Repair.MISSING_PARAMETER_CLOSE, Repair.MISSING_FUNCTION_CLOSE, Repair.MISSING_TOOL_CALL_CLOSE}
    | {Repair.MISSING_PARAMETER_OPEN, Repair.JSON_REPAIRED, Repair.NAME_INFERRED}
)
# Repairs that are allowed in a call as the template asks for it: <tool_call> is optional, and the others
# concern what is around the call, or its values
_HARMLESS = frozenset(
    {Repair.MISSING_TOOL_CALL_OPEN, Repair.ORPHAN_THINK_CLOSE, Repair.THINK_CLOSED, Repair.PARALLEL_DROPPED}
    | {Repair.REPEATED_PARAMETER, Repair.COERCION_FAILED, Repair.JSON_BODY}
    | {Repair.RULE_DEFAULT, Repair.RULE_CONVERTED, Repair.RULE_REMOVED, Repair.RULE_TOOL}
)


@dataclass(slots=True, eq=False)
class Mark:
    """From this `position` of the message, and this `index` in the log, on, nothing is certain.

    `why`: the refusal to report if what follows turns out to be text; None to report nothing.
    `at_end`: it is only certain once the message ends after it; otherwise once it is complete.
    """

    position: int
    index: int
    why: Refused | None = None
    at_end: bool = False


class EventLog:
    """The `events` of one message that were not given out yet, and the open `marks`, the oldest first.
    Without `parallel`, only the first call is emitted. `most`: characters that may be read after a mark."""

    __slots__ = ("_buffer", "_most", "events", "ledger", "marks", "parallel")

    def __init__(self, buffer: Buffer, ledger: Ledger, parallel: bool = True, most: int = HELD) -> None:
        self.ledger, self.parallel = ledger, parallel
        self._buffer, self._most = buffer, most
        self.events: list[Event] = []
        self.marks: list[Mark] = []

    def emit(self, event: Event) -> None:
        """Add an event. Events of a call that is not asked for are dropped."""
        if self.parallel or isinstance(event, (Text, Repaired)) or event.index == 0:
            self.events.append(event)

    def text(self, text: str) -> None:
        """Emit text, if there is any."""
        if text:
            self.events.append(Text(text))

    def repair(self, repair: Repair, excerpt: str) -> None:
        """Emit that something was repaired."""
        self.events.append(Repaired(repair, excerpt[:EXCERPT]))

    # Being unsure

    @property
    def sure(self) -> bool:
        """Whether events are now certain at once."""
        return not self.marks

    def mark(self, why: Refused | None = None, at_end: bool = False) -> Mark:
        """Nothing from here on is certain, including the text that is not understood yet."""
        mark = Mark(self._buffer.pin(), len(self.events), why, at_end)
        self.marks.append(mark)
        return mark

    def commit(self, mark: Mark) -> None:
        """The events since the mark are certain, unless an older mark is open."""
        self._drop(mark)

    def rollback(self, mark: Mark, why: Refused | None = None, end: int | None = None) -> str:
        """Take back the events since the mark. The text since then is emitted as it came, up to the
        position `end`, except for whitespace at its end, which is read again with what follows. Return
        that text. `why` is reported instead of the mark's own reason, if that has one."""
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
        """Take back the events since the mark, and remove the text too. Return that text."""
        del self.events[mark.index :]
        raw = self._buffer.since(mark.position) + self._buffer.unread
        self._drop(mark)
        return raw

    def damaged_since(self, mark: Mark) -> bool:
        """Whether tags were missing since the mark; or damaged, if the tool is undeclared."""
        repairs = {event.repair for event in self.events[mark.index :] if isinstance(event, Repaired)}
        unknown = mark.why is Refused.UNDECLARED and Repair.DAMAGED_TAG in repairs
        return unknown or not repairs.isdisjoint(_DAMAGE)

    def mended_since(self, mark: Mark) -> bool:
        """Whether tags since the mark differ from what the template asks for."""
        return any(isinstance(e, Repaired) and e.repair not in _HARMLESS for e in self.events[mark.index :])

    @property
    def overdue(self) -> Mark | None:
        """The oldest mark, if too much was read since it was set."""
        oldest = self.marks[0] if self.marks else None
        return oldest if oldest and self._buffer.position - oldest.position > self._most else None

    @property
    def pending(self) -> str:
        """The text that was received and is in no event that was given out."""
        return (self._buffer.since(self.marks[0].position) if self.marks else "") + self._buffer.unread

    @property
    def held(self) -> int:
        """The number of characters of that text."""
        read = self._buffer.position - self.marks[0].position if self.marks else 0
        return read + self._buffer.size

    def take(self) -> list[Event]:
        """The events that can no longer be taken back, with adjacent pieces joined."""
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
    """The events with adjacent pieces of text, or of the arguments of one call, joined."""
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
