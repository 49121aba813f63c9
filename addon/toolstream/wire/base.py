"""What a wire API and the rewriter say to each other.

A *wire* is one API, for one answer: it reads a frame (an event, a line) into slices of lanes, and its
*encoder* writes frames. The rewriter knows neither JSON paths nor names of events. A *lane* is one text that
grows: the content or the reasoning of a message, a content block, a part of an output item, the arguments
of one call that the server parsed.

Frames are encoded when they leave the rewriter's queue, in the order of the output. So what an encoder
knows (numbers, open blocks, what was said, whether a call is complete) is what the client was sent.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from secrets import token_hex
from typing import Any, Protocol

from ..events import OVER as OVER  # one of the reasons in `Reading.ends`
from ..events import ArgumentsDelta, CallEnd, CallStart, Event, Repaired, Text
from ..repairs import Ledger, Repair
from ..schema.json_read import Json
from ..schema.json_write import escaped
from .json_edit import Path


class Kind(Enum):
    """Who reads a lane."""

    CONTENT = auto()  # a parser
    REASONING = auto()  # a parser that knows it
    ARGUMENTS = auto()  # of a call that the server parsed: a mender
    OTHER = auto()  # nobody: it passes

    __hash__ = object.__hash__  # an enum's own is no C function


class At(Enum):
    """What a slice is to its lane, and so what its frame waits for."""

    OPEN = auto()  # it opens the lane: for the first character that is released (of a call: until it is one)
    TEXT = auto()  # for its own text
    CLOSE = auto()  # it closes or repeats the lane: for all text before it


class ServerCall:
    """A call that the server parsed, as an encoder needs it. `id` and `name` are those to send; they are
    final when the frame that opens the call leaves."""

    __slots__ = ("announced", "beside", "broken", "dropped", "id", "name")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.announced = False  # the client is or will be told of it
        self.dropped = False  # it leaves the answer: a copy, or one too many
        self.beside = ""  # prose that stood behind its arguments
        self.broken = False  # over, and its arguments are no JSON object: nobody may be told to run it

    def reshape(self, ledger: Ledger) -> None:
        """Count that its shape had to be put right; once, whoever does it."""
        ledger.repaired(Repair.CALL_SHAPE)

    @property
    def settled(self) -> bool:
        """Whether it is known what becomes of it."""
        return self.announced or self.dropped

    @property
    def decided(self) -> bool:
        """Whether nothing more can come of it, so that its end may be sent."""
        return True


class LaneId:
    """The name of a lane. Compared by identity: a wire makes each once (`Names`)."""

    __slots__ = ("call", "group", "key", "kind")

    def __init__(self, group: int, kind: Kind, key: Hashable, call: ServerCall | None = None) -> None:
        self.group = group  # lanes of one group are one message: they take turns and end together
        self.kind = kind
        self.key = key
        self.call = call  # whose arguments it is


class Names(dict[tuple[int, Kind, Hashable], LaneId]):
    """The names of lanes that a wire has given out."""

    def of(self, group: int, kind: Kind, key: Hashable) -> LaneId:
        """The name of a lane, a new one if it is the first time."""
        if (name := self.get((group, kind, key))) is None:
            name = self[group, kind, key] = LaneId(group, kind, key)
        return name


@dataclass(slots=True)
class CallPiece:
    """What one frame says of one call that the server parsed. To which call it belongs is found out by the
    rewriter: some servers leave the index out, or send always the same."""

    group: int = 0
    index: int | None = None  # the server's number of the call; None if the frame has none
    id: str = ""  # as far as the frame says it
    name: str = ""  # the same; perhaps only a piece of it
    text: str = ""  # of the arguments: JSON text, also where the API has an object
    foreign: bool = False  # a call of another type than function: it passes
    whole: bool = False  # nothing more comes of it


@dataclass(slots=True)
class Slice:
    """A part of a frame: text of a lane, or its beginning or end. Of a call that the server parsed `piece`
    is given in place of `lane`, and the rewriter sets `lane`."""

    lane: LaneId | None
    text: str = ""
    paths: Sequence[Path] = ()  # where the text stands in the frame; several if it is repeated
    at: At = At.TEXT
    piece: CallPiece | None = None


@dataclass(slots=True)
class Reading:
    """What one frame holds."""

    frame: bytes
    data: str = ""  # its JSON text; "" if it was not needed, and then `json` is that of a frame like it
    json: Json = field(default_factory=dict)
    slices: list[Slice] = field(default_factory=list)
    # (group, finish_reason in the words of chat completions); group None: every lane that is open
    ends: Sequence[tuple[int | None, str | None]] = ()
    facts: dict[Any, Any] = field(default_factory=dict)  # an encoder's, of this frame and its like
    aside: bool = False  # a ping or a comment: it overtakes frames that are held
    error: Any = None  # that the frame reports, as the server wrote it
    # Where in the frame the only text stands, without its quotes; both 0 if that is not known
    start: int = 0
    end: int = 0

    def with_text(self, text: str) -> bytes:
        """The frame with another text there."""
        return self.frame[: self.start] + escaped(text).encode() + self.frame[self.end :]


@dataclass(slots=True)
class Asked:
    """A request in the words of chat completions, whatever API it came by."""

    tools: Any = None  # a list of {"type": "function", "function": {"name", "parameters", …}}
    tool_choice: Any = "auto"
    parallel: bool = True
    model: Any = ""
    stream: bool = False
    limit: int | None = None  # of output tokens
    ids: Collection[str] = frozenset()  # of the calls in its history
    namespaces: Mapping[str, str] = field(default_factory=dict)  # of tools, where the API has them
    aliases: Mapping[str, str] = field(default_factory=dict)  # other names of tools, as servers write them
    unread: str = ""  # why its answer has to pass unread; "" if it need not


@dataclass(slots=True)
class Found:
    """What the rewriter made of a whole answer: for each slice of its reading, in order."""

    # What is left of a text, or the arguments of a call; None: as it came. Of a call that is dropped: the
    # text that takes its place
    texts: list[str | None]
    calls: list[list[tuple[str, str]]]  # (name, arguments) of the calls that were found there

    @property
    def nothing(self) -> bool:
        """Whether all is as it came; a call's id, name and shape apart."""
        return not any(self.calls) and all(text is None for text in self.texts)


class Framer(Protocol):
    """Cuts a body into frames, at any cut, raw bytes kept."""

    pending: bytearray  # of the frame that is not complete

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes."""
        ...


class Encoder(Protocol):
    """Writes what the client gets. Called in the order of the output, never ahead of it."""

    def frame(self, reading: Reading, texts: list[str] | None) -> bytes:
        """The server's frame with these texts in its slices; None: all as they came. The text of a slice
        that opens or closes a lane is `SAID`, or "" if the lane has nothing to open. b"" drops the frame."""
        ...

    def events(self, lane: LaneId, events: list[Event], near: Reading) -> bytes:
        """Frames of our own; `near` is a frame of the server's whose envelope they copy. In a lane of
        arguments `Text` is a piece of the arguments, and `CallStart` begins `lane.call`."""
        ...

    def end(self, near: Reading, group: int) -> bytes:
        """The frames that end a message with calls, where the server has sent an error in their place; b""
        if this API cannot."""
        ...

    def close(self) -> bytes:
        """The server's bytes are over."""
        ...


SAID = "\x00said"  # the text of a slice that opens or closes a lane, and leaves


class Wire(Protocol):
    """One answer of one API."""

    name: str
    path: str  # regular expression for the path of its requests
    media_type: str  # of a streamed answer
    keep_alive: bytes  # a frame that means nothing; b"" if there is none
    pieces: bool  # arguments may be sent in pieces; else a call is held until it is complete
    blocks: bool  # a lane never goes on once another one of its group has begun
    solid: bool  # whitespace alone is no text
    asked: Asked

    def __init__(self, request: Json) -> None: ...

    def framer(self) -> Framer: ...
    def read(self, frame: bytes) -> Reading: ...
    def encoder(self, ledger: Ledger) -> Encoder: ...

    def read_whole(self, body: str) -> Reading:
        """The slices of an answer that is not streamed."""
        ...

    def write_whole(self, reading: Reading, found: Found, ledger: Ledger) -> str:
        """The body to send; `reading.data` itself if nothing has changed."""
        ...

    def written_whole(self, text: str, calls: list[tuple[str, str]]) -> str:
        """An answer of our own that is not streamed: text, and calls as (name, arguments)."""
        ...

    def new_id(self) -> str:
        """A new id for a call."""
        ...

    def disarmed(self, data: bytes) -> bytes:
        """Whole frames that pass unread while a call is half sent: none of them may say that it can run."""
        ...


def new_id(prefix: str) -> str:
    """An id that nothing else has, so that no client takes a call for one it has run."""
    return prefix + token_hex(12)


def finish_reason(sent: str | None, called: bool, cut: bool, words: tuple[str, str, str]) -> str | None:
    """The reason to send for the one that the server sent (P12, P9); `words`: stop, tool_calls, length in
    the API's words. `called`: the answer has calls; `cut`: one of them is not complete."""
    stop, calls, length = words
    if sent not in (stop, calls):
        return sent
    return length if cut else calls if called else stop


def joined(events: list[Event]) -> list[Event]:
    """Adjacent texts, and adjacent arguments of one call, made one; repairs left out."""
    if len(events) == 1 and type(events[0]) is not Repaired:
        return events
    out: list[Event] = []
    for event in events:
        match out[-1] if out else None, event:
            case Text(before), Text(text):
                out[-1] = Text(before + text)
            case ArgumentsDelta(i, before), ArgumentsDelta(j, fragment) if i == j:
                out[-1] = ArgumentsDelta(i, before + fragment)
            case _, Text() | CallStart() | ArgumentsDelta() | CallEnd():
                out.append(event)
    return out
