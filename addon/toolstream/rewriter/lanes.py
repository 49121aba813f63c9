"""What is known of each choice of a streamed answer, and the events that wait for its texts.

A choice has two texts, its reasoning and its content, each a `TextStream` with a parser of its
own. A `Part` is what one event brought of one text, and what the parser made of that. An event
is `Held` until all its parts have come back as text; if a text diverges before that, the event is
cut: it keeps what came back so far.

A call in the reasoning counts only at the end of a message that has no content and no other call. So the
parser of the reasoning reads on until something else comes, and is closed by that.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from ..events import ArgumentsDelta, CallEnd, Event, Text
from ..native.calls import Entry, NativeCall, NativeCalls
from ..native.swallowed import NewParser
from ..parser.parser import ToolCallParser
from ..schema.json_read import Json
from ..schema.toolset import Toolset
from ..wire.chat_completions import (
    REASONING_FIELDS,
    Synthesis,
    content_in,
    fields_of,
    reasoning_in,
)
from ..wire.envelope import CONTENT, REASONING
from ..wire.json_edit import Path

Find = Callable[[Json], tuple[str, list[Path]]]
Write = Callable[[list[str]], bytes]  # an event with other texts; b"" if that leaves nothing in it


class Whose(Enum):
    """Who found a call: each counts its own from 0."""

    OURS = auto()  # found in the text
    SERVERS = auto()  # parsed by the server
    SWALLOWED = auto()  # found in an argument of one of those


OURS, SERVERS, SWALLOWED = Whose


class TextStream:
    """One text of a choice, as its deltas bring it. `find` says what a delta has of it, and where."""

    __slots__ = ("choice", "diverged", "fed", "fields", "find", "finished", "parser", "passed", "read_text")

    def __init__(self, choice: "Choice", parser: ToolCallParser, find: Find, field: str) -> None:
        self.choice = choice
        self.parser = parser
        self.find = find
        self.fields = [field]  # of a delta: where text of our own goes
        self.fed = 0  # characters given to the parser, and
        self.passed = 0  # given back as text, until the stream diverged
        self.diverged = False
        self.finished = False  # the parser is closed
        self.read_text: list[str | None] = []  # what the parser was fed, should it fail; None interrupted it

    @property
    def only_whitespace(self) -> bool:
        """Whether something waits, and it is whitespace."""
        return self.fed != self.passed and not self.diverged and self.parser.pending.isspace()

    def read(self, at: int, delta: Json, finish_reason: Any) -> "Part":
        """Feed what a delta brings to the parser, and close it if there is a finish_reason. `at`: where
        the choice stands in its chunk."""
        part = Part(self, "", [], role=bool(delta.get("role")))
        if self.finished:
            return part
        part.text, places = self.find(delta)
        if part.text:
            part.paths = [("choices", at, "delta", *place) for place in places]
            part.fields = fields_of(delta, places)
            self.fields = [str(place[0]) for place in places if len(place) == 1] or self.fields
        part.events = self._parse(part.text, finish_reason)
        return part

    def _parse(self, text: str, finish_reason: Any) -> list[Event]:
        events = self.feed(text) if text else []
        if finish_reason is not None:
            try:
                events = events + self.parser.close(finish_reason)
            except Exception:
                if text:  # it leaves in the event that brought it
                    self.read_text.pop()
                raise
            self.finished = True
        return events

    def feed(self, text: str) -> list[Event]:
        """Give text to the parser."""
        events = self.parser.feed(text)
        self.read_text.append(text)
        return events

    def held_by(self, parser: ToolCallParser) -> str:
        """What is held after all that was read without a failure, by a new parser that reads it again: the
        one that failed may have lost hold of it."""
        for text in self.read_text:
            if text is None:
                parser.interrupt()
            else:
                parser.feed(text)
        return "" if self.finished else parser.pending

    def end(self) -> list[Event]:
        """No more of it is read: a call in it does not go on."""
        events, self.finished = self.parser.close(None), True
        return events

    def cut_off(self, in_call: bool) -> list[Event]:
        """A call that the server parsed follows. `in_call`: a call in the text has begun to leave."""
        if in_call:
            return self.end()
        return self.interrupt() if self.parser.pending.strip() else []

    def interrupt(self) -> list[Event]:
        """Something that is no text follows; more text may come."""
        events = self.parser.interrupt()
        self.read_text.append(None)
        return events

    def leave(self) -> list[Event]:
        """The same, because something else follows it."""
        events, self.finished = self.parser.interrupt(), True
        return events


class Choice:
    """What is known of one choice of the answer."""

    __slots__ = (
        *("calls", "chunk", "content", "index", "natives", "numbers", "reasoning", "role", "synthesis"),
        "texts",
    )

    def __init__(
        self,
        index: int,
        reasoning: ToolCallParser,
        content: ToolCallParser,
        request: Json,
        toolset: Toolset,
        new_parser: NewParser,
    ) -> None:
        self.index = index
        self.reasoning = TextStream(self, reasoning, reasoning_in, REASONING_FIELDS[0])
        self.content = TextStream(self, content, content_in, "content")
        self.texts = {REASONING: self.reasoning, CONTENT: self.content}
        self.chunk: Json = {}  # the last one read in full
        self.synthesis: Synthesis | None = None  # writes chunks like it
        self.role = False  # the client has been told the role
        self.calls = 0  # calls of ours that are complete
        self.numbers: dict[tuple[Whose, int], int] = {}  # (whose, its index) -> index in the answer
        self.natives = NativeCalls(request, toolset, new_parser, content.ledger, self._number_native)

    @property
    def finished(self) -> bool:
        """Whether no more of its content is read."""
        return self.content.finished

    def read(self, at: int, delta: Json, finish_reason: Any) -> Iterator["Part"]:
        """What a delta brings of the texts, the content in any case and last."""
        thought = self.reasoning.read(at, delta, finish_reason)
        if thought.text or thought.events:
            yield thought
        yield self.content.read(at, delta, finish_reason)

    def count(self, events: list[Event]) -> None:
        """Note the calls, and count those that are complete."""
        self.natives.note(events)
        self.calls += sum(isinstance(e, CallEnd) for e in events)

    def number(self, whose: Whose, index: int) -> int:
        """The index a call has in the answer: contiguous, whoever found it."""
        return self.numbers.setdefault((whose, index), len(self.numbers))

    def _number_native(self, at: int) -> int:
        return self.number(SERVERS, at)

    def finish_reason(self, sent: Any) -> Any:
        """The finish_reason to send for the one the server sent."""
        return self.natives.finish_reason(sent, found=bool(self.calls))

    @property
    def half_sent(self) -> bool:
        """Whether the client was told of a call that is not complete, and of which what comes is no part."""
        return self.natives.open_in_text or any(not call.mender.complete for call in self.mended_calls)

    @property
    def mended_calls(self) -> list[NativeCall]:
        """The calls of the server's that the client does not get as they came."""
        calls = self.natives.calls
        return [call for call in calls if call.announced and (call.diverged or call.mender.changed)]

    def writer(self) -> Synthesis:
        """Writes chunks of our own for this choice."""
        if self.synthesis is None:
            self.synthesis = Synthesis(self.chunk, self.index)
        return self.synthesis

    def first_role(self) -> bool:
        """Whether the next delta has to name the role."""
        first, self.role = not self.role, True
        return first


@dataclass(slots=True)
class Part:
    """What one event brought of one text, and what the parser made of it."""

    stream: TextStream
    text: str
    events: list[Event]
    paths: Sequence[Path] = ()  # where the text stands in its chunk, and
    fields: Collection[str | int] = ()  # of the delta that hold nothing else
    role: bool = False  # the event names the role
    end: int = 0  # of the text in all the text of the stream

    def count(self) -> None:
        """Count the text that went to the parser, and what came back."""
        stream = self.stream
        self.end = stream.fed = stream.fed + len(self.text)
        for event in self.events:
            if isinstance(event, Text):
                stream.passed += len(event.text)

    def settle(self) -> bool:
        """Count the text. Whether all of the stream so far came back unchanged: then its events can stay."""
        stream = self.stream
        back = sum(len(event.text) for event in self.events if isinstance(event, Text))
        if stream.diverged or not is_text(self) or stream.fed + len(self.text) != stream.passed + back:
            return False
        self.count()
        return True

    @property
    def missing(self) -> int:
        """Characters the parser has not given back."""
        return max(0, self.end - self.stream.passed)

    @property
    def kept(self) -> str:
        """The text that it has given back."""
        return self.text[: max(0, len(self.text) - self.missing)]


@dataclass(slots=True)
class Held:
    """An event that waits for its text to come back."""

    raw: bytes
    parts: list[Part]
    write: Write
    entries: Sequence[Entry] = ()  # of calls the server parsed
    out: bytes | None = None  # what it became when a choice diverged

    @property
    def _pieces(self) -> list[Part | Entry]:
        return [*self.parts, *self.entries]

    @property
    def ready(self) -> bool:
        if self.out is None:
            for part in self.parts:
                if part.end > part.stream.passed:
                    return False
            for entry in self.entries:
                if entry.missing:
                    return False
        return True

    def cut(self) -> None:
        """A text of it has diverged: only what came back so far is text of this event."""
        if self.out is None:
            kept = [piece.kept for piece in self._pieces]
            passes = self.ready and not any(entry.doubtful for entry in self.entries)
            self.out = self.raw if passes else self.write(kept)


def is_text(part: Part) -> bool:
    """Whether all that came of a text is text, and nothing of it was joined."""
    return all(isinstance(e, Text) for e in part.events) and not any(
        "\ud800" <= c <= "\udfff" for c in part.text
    )


def leading_text(events: list[Event]) -> tuple[str, list[Event]]:
    """The text the events begin with, and the events after it."""
    text = ""
    for at, event in enumerate(events):
        if not isinstance(event, Text):
            return text, events[at:]
        text += event.text
    return text, []


def joined(events: list[Event]) -> list[Event]:
    """The events with adjacent texts, and adjacent arguments of one call, made one."""
    joined: list[Event] = []
    for event in events:
        match joined[-1:], event:
            case [Text(before)], Text(text):
                joined[-1] = Text(before + text)
            case [ArgumentsDelta(i, before)], ArgumentsDelta(j, fragment) if i == j:
                joined[-1] = ArgumentsDelta(i, before + fragment)
            case _:
                joined.append(event)
    return joined
