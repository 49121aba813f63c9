"""A lane has a reader for its text, and an account of how much of the text is decided.

`fed` counts the characters that came in. A lane is *aligned* while everything that came out of its reader
is exactly the text that went in. Then `passed` is an offset in that text, and a frame can leave once its
slices end before it. If anything else comes out, the lane *diverges*, and its text is rewritten into the
frames. It is aligned again once its reader holds nothing.
"""

from collections.abc import Collection
from typing import Protocol

from ..events import CallEnd, CallStart, Event, Repaired, Text
from ..wire.base import LaneId


class Reader(Protocol):
    """A parser, or a call that the server parsed."""

    @property
    def pending(self) -> str: ...

    @property
    def held(self) -> int: ...

    def feed(self, text: str) -> list[Event]: ...

    def close(self, finish_reason: str | None = None) -> list[Event]: ...

    def interrupt(self, calls: Collection[str] | None = None) -> list[Event]: ...

    def forget_thinking(self) -> None: ...


class Unread:
    """A reader that passes its text on unread."""

    pending = ""
    held = 0

    def feed(self, text: str) -> list[Event]:
        return [Text(text)]

    def close(self, _finish_reason: str | None = None) -> list[Event]:
        return []

    def interrupt(self, _calls: Collection[str] | None = None) -> list[Event]:
        return []

    def forget_thinking(self) -> None: ...


class Solid:
    """Wraps a reader for APIs in which a text may not be whitespace alone. Whitespace at the beginning of
    a text waits for more; a call drops it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._blank = ""
        self._begun = False

    @property
    def pending(self) -> str:
        return self._blank + self._reader.pending

    @property
    def held(self) -> int:
        return len(self._blank) + self._reader.held

    def feed(self, text: str) -> list[Event]:
        events = self._reader.feed(text)
        return events if self._begun or not events else self._begin(events)

    def close(self, finish_reason: str | None = None) -> list[Event]:
        return self._end(self._reader.close(finish_reason))

    def interrupt(self, calls: Collection[str] | None = None) -> list[Event]:
        return self._end(self._reader.interrupt(calls))

    def forget_thinking(self) -> None:
        self._reader.forget_thinking()

    def _begin(self, events: list[Event]) -> list[Event]:
        kept: list[Event] = []
        for at, event in enumerate(events):
            if isinstance(event, Repaired):
                kept.append(event)
            elif isinstance(event, Text) and not event.text.strip():
                self._blank += event.text
            else:
                self._begun = True
                blank = self._blank if isinstance(event, Text) else ""
                self._blank = ""
                return [*kept, *([Text(blank)] if blank else []), *events[at:]]
        return kept

    def _end(self, events: list[Event]) -> list[Event]:
        events = events if self._begun else self._begin(events)
        blank, self._blank = self._blank, ""
        return [*events, Text(blank)] if blank else events


class Lane:
    """One lane of an answer."""

    __slots__ = (
        *("after_calls", "aligned", "called", "came", "fed", "id", "in_call"),
        *("over", "passed", "reader", "sealed"),
    )

    def __init__(self, lane_id: LaneId, reader: Reader) -> None:
        self.id, self.reader = lane_id, reader
        self.fed = 0  # characters that came in
        self.passed = 0  # characters that came out unchanged; only while it is aligned
        self.aligned = True
        self.in_call = False  # in a call that was found in its text
        self.called = False  # a call was found in its text
        self.sealed = False  # most likely nothing more comes, so no frame waits for its next character
        self.over = False  # the reader is closed
        self.after_calls = False  # calls of the server came before its text, or within
        # The texts that came in and have not passed; once it has diverged, all of them. None: an interruption
        self.came: list[str | None] = []

    def feed(self, text: str) -> list[Event]:
        """Give text to the reader."""
        self.fed += len(text)
        self.came.append(text)
        return self.reader.feed(text)

    def go_on(self, text: str) -> list[Event] | None:
        """Give text to the reader. None if this text is all that waited, and came back unchanged."""
        self.fed += len(text)
        if self.came or not self.aligned:
            self.came.append(text)
            return self.reader.feed(text)
        events = self.reader.feed(text)
        if len(events) == 1 and type(only := events[0]) is Text and only.text == text:
            self.passed = self.fed
            return None
        self.came = [text]
        return events

    def interrupt(self, calls: Collection[str] | None = None) -> list[Event]:
        """Tell the reader that something else follows. `calls`: it is calls of the server with these
        names."""
        self.came.append(None)
        self.after_calls = self.after_calls or calls is not None
        return self.reader.interrupt(calls)

    def begin_after_calls(self) -> None:
        """The lane begins after calls of the server."""
        self.after_calls = True
        self.reader.interrupt(())

    @property
    def raw(self) -> str:
        """The text that came in and has not come out yet. Only while the lane is aligned."""
        if len(self.came) != 1 or self.came[0] is None:
            self.came = ["".join(filter(None, self.came))]
        return self.came[0] or ""

    def account(self, events: list[Event]) -> bool:
        """Count events. False, with nothing counted, if they are anything but the text as it came."""
        if not events:  # after a call, and in a call's arguments, text can be dropped without an event
            return not (self.called or self.id.call) or self.fed - self.passed == self.reader.held
        first, raw = events[0], self.raw
        text = first.text if len(events) == 1 and type(first) is Text else _only_text(events)
        if text is None or not raw.startswith(text):
            return False
        left = len(raw) - len(text)
        if left and left != self.reader.held:
            return False
        self.passed += len(text)
        self.came = [raw[len(text) :]] if left else []
        return True

    @property
    def lost(self) -> bool:
        """Whether the reader has dropped text without an event."""
        return self.aligned and self.fed > self.passed and self.fed - self.passed != self.reader.held

    def let_pass(self, text: str) -> None:
        """Count text that came out unchanged."""
        self.passed += len(text)
        self.came = [rest] if (rest := self.raw[len(text) :]) else []

    @property
    def decided(self) -> int:
        """How many of the characters that came in are not held by the reader any more."""
        return self.passed if self.aligned else self.fed - self.reader.held

    @property
    def waits(self) -> str:
        """The text that came in and is in nothing that was written."""
        return self.raw if self.aligned else self.reader.pending

    def settle(self, events: list[Event], over: bool) -> None:
        """Note what follows from events that were rewritten: the lane may be over, or aligned again."""
        for event in events:
            if isinstance(event, CallStart | CallEnd):
                self.in_call, self.called = isinstance(event, CallStart), True
        self.over = self.over or over
        if not (self.in_call or self.over or self.reader.held):
            self.aligned, self.passed, self.came = True, self.fed, []


class Output:
    """What came out of lanes, by lane and in this order, and which of the lanes are over after it."""

    __slots__ = ("events", "over")

    def __init__(self) -> None:
        self.events: dict[Lane, list[Event]] = {}
        self.over: set[Lane] = set()

    def add(self, lane: Lane, events: list[Event]) -> None:
        """Add events to those of a lane. A lane that was read is in the output, even if nothing came out."""
        before = self.events.get(lane)
        self.events[lane] = [*before, *events] if before else events


def _only_text(events: list[Event]) -> str | None:
    """The text of events that are all text; None if one is not."""
    texts = [event.text for event in events if type(event) is Text]
    return "".join(texts) if len(texts) == len(events) else None


def leading_text(events: list[Event]) -> tuple[str, list[Event]]:
    """The text at the beginning of the events, and the events after it."""
    text = ""
    for at, event in enumerate(events):
        if not isinstance(event, Text):
            return text, events[at:]
        text += event.text
    return text, []
