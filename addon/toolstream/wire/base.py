"""The interface between an API and the rewriter.

A *wire* is one API, for one answer. It reads a frame (an event or a line) into slices of lanes, and its
*encoder* writes frames. The rewriter knows neither JSON paths nor names of events. A *lane* is one text
that grows: the content or the reasoning of a message, a content block, a part of an output item, or the
arguments of one call that the server parsed.

Frames are encoded when they leave the rewriter's queue, in the order of the output. So whatever an
encoder knows (numbers, open blocks, whether a call is complete) describes exactly what the client was
sent.
"""

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from secrets import token_hex
from typing import Any, Protocol

from ..events import OVER as OVER  # one of the reasons in `Reading.ends`
from ..events import ArgumentsDelta, CallEnd, CallStart, Event, Repaired, Text
from ..ledger import Ledger
from ..repairs import Repair
from ..schema.json_read import Json
from ..schema.json_write import escaped, quoted
from .json_edit import Edits, Path


class Kind(Enum):
    """What a lane holds, and so what reads it."""

    CONTENT = auto()  # text, for a parser
    REASONING = auto()  # text, for a parser of reasoning
    ARGUMENTS = auto()  # the arguments of a call that the server parsed, for a mender
    OTHER = auto()  # nothing that is read

    __hash__ = object.__hash__  # members are compared by identity: this one is quick


class At(Enum):
    """The role of a slice in its lane, and so what its frame waits for."""

    OPEN = auto()  # it opens the lane: for the first released character, or the decision about a call
    TEXT = auto()  # for its own text
    CLOSE = auto()  # it closes or repeats the lane: for all text before it


class ServerCall:
    """A call that the server parsed, as an encoder needs it. `id` and `name` are the ones to send. They
    are final when the frame that opens the call leaves."""

    __slots__ = ("announced", "beside", "broken", "dropped", "id", "name")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.announced = False  # the client is or will be told of it
        self.dropped = False  # it leaves the answer: a copy, or one too many
        self.beside = ""  # prose that came after its arguments
        self.broken = False  # it is over and its arguments are not a JSON object, so no client may run it

    def reshape(self, ledger: Ledger) -> None:
        """Count, once, that the shape of this call had to be corrected."""
        ledger.repaired(Repair.CALL_SHAPE)

    @property
    def settled(self) -> bool:
        """Whether it is decided what becomes of this call."""
        return self.announced or self.dropped

    @property
    def decided(self) -> bool:
        """Whether nothing more can come out of this call, so that its end may be sent."""
        return True


class LaneId:
    """The identity of a lane. It is compared by identity, because a wire makes each only once (`Names`)."""

    __slots__ = ("call", "group", "key", "kind")

    def __init__(self, group: int, kind: Kind, key: Hashable, call: ServerCall | None = None) -> None:
        self.group = group  # lanes of one group are one message: they take turns and end together
        self.kind = kind
        self.key = key
        self.call = call  # the call whose arguments the lane holds


class Names(dict[tuple[int, Kind, Hashable], LaneId]):
    """The identities of lanes that a wire has made so far."""

    def of(self, group: int, kind: Kind, key: Hashable) -> LaneId:
        """The identity of a lane, a new one the first time."""
        if (name := self.get((group, kind, key))) is None:
            name = self[group, kind, key] = LaneId(group, kind, key)
        return name


@dataclass(slots=True)
class CallPiece:
    """What one frame says about one call that the server parsed. The rewriter finds out which call that
    is, because some servers leave out the index or always send the same."""

    group: int = 0
    index: int | None = None  # the server's number of the call; None if the frame has none
    id: str = ""  # "" if the frame has none
    name: str = ""  # the same; it may be only a piece of the name
    text: str = ""  # a piece of the arguments, as JSON text, even if the API has an object
    foreign: bool = False  # a call of another type than function, which is passed on unread
    whole: bool = False  # this is all of the call


@dataclass(slots=True)
class Slice:
    """A part of a frame: text of a lane, or the beginning or the end of a lane. For a call that the
    server parsed, `call_piece` is given instead of `lane`, and the rewriter sets `lane`."""

    lane: LaneId | None
    text: str = ""
    paths: Sequence[Path] = ()  # where the text stands in the frame; several if it is repeated
    at: At = At.TEXT
    call_piece: CallPiece | None = None

    @property
    def group(self) -> int:
        """The message that it belongs to."""
        if self.call_piece:
            return self.call_piece.group
        assert self.lane
        return self.lane.group

    @property
    def kind(self) -> Kind:
        """What its lane holds."""
        if self.call_piece:
            return Kind.ARGUMENTS
        assert self.lane
        return self.lane.kind

    @property
    def is_solid(self) -> bool:
        """Whether it is more than whitespace: a word, a piece of a call, or the beginning of a lane."""
        return self.at is At.OPEN or self.call_piece is not None or bool(self.text.strip())

    @property
    def call(self) -> ServerCall | None:
        """The call that the server parsed, if it is one and was assigned to its lane."""
        return self.lane.call if self.lane else None

    def edits(self, text: str) -> Edits:
        """What changes in the frame if it says this text; nothing if it does so already."""
        return [] if text == self.text else [(path, quoted(text)) for path in self.paths]


@dataclass(slots=True)
class Reading:
    """What one frame holds."""

    frame: bytes
    data: str = ""  # its JSON text; "" if only its envelope was compared: then `json` is a similar frame's
    json: Json = field(default_factory=dict)
    slices: list[Slice] = field(default_factory=list)
    # (group, finish_reason in the words of chat completions); group None: every lane that is open
    ends: Sequence[tuple[int | None, str | None]] = ()
    facts: dict[Any, Any] = field(default_factory=dict)  # what an encoder notes about frames of this envelope
    says_more: bool = False  # besides its texts and ends
    aside: bool = False  # a ping or a comment: it overtakes frames that are held
    error: Any = None  # the error that the frame reports, as the server wrote it
    # Where in the frame its only text is, without the quotes; both 0 if unknown
    start: int = 0
    end: int = 0

    def with_text(self, text: str) -> bytes:
        """The frame, with another text in place of its only one."""
        return self.frame[: self.start] + escaped(text).encode() + self.frame[self.end :]


@dataclass(slots=True)
class Asked:
    """A request in the terms of chat completions, whatever its API is."""

    tools: Any = None  # a list of {"type": "function", "function": {"name", "parameters", …}}
    tool_choice: Any = "auto"
    parallel: bool = True
    model: Any = ""
    stream: bool = False
    limit: int | None = None  # of output tokens
    ids: Collection[str] = frozenset()  # of the calls in its history
    namespaces: Mapping[str, str] = field(default_factory=dict)  # of tools, where the API has them
    aliases: Mapping[str, str] = field(default_factory=dict)  # other names of tools, as servers write them
    unread: str = ""  # why the answer has to be passed on unread; "" if it need not


@dataclass(slots=True)
class Found:
    """What the rewriter made of a whole answer, for each slice of its reading, in order."""

    # What is left of a text, or the arguments of a call; None: as it came. For a dropped call, the text that
    # takes its place
    texts: list[str | None]
    calls: list[list[tuple[str, str]]]  # (name, arguments) of the calls that were found there

    @property
    def nothing(self) -> bool:
        """Whether everything stays as it came, apart from ids, names and shapes of calls."""
        return not any(self.calls) and all(text is None for text in self.texts)


def texts_of(reading: Reading, texts: Sequence[str] | None) -> Iterator[tuple[Slice, str]]:
    """The slices of a frame with these texts; None: all texts as they came."""
    left = [part.text for part in reading.slices] if texts is None else texts
    return zip(reading.slices, left, strict=True)


class Framer(Protocol):
    """Cuts a body into frames. The body arrives in pieces cut anywhere; frames keep their raw bytes."""

    pending: bytearray  # of the frame that is not complete

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes."""
        ...


class Encoder(Protocol):
    """Writes what the client gets. It is called in the order of the output, never ahead of it."""

    def frame(self, reading: Reading, texts: list[str] | None) -> bytes:
        """The server's frame with these texts in its slices; None: all texts as they came. For a slice
        that opens or closes a lane the text is `SAID`, or "" if the lane has nothing to open. Returns b""
        to drop the frame."""
        ...

    def events(self, lane: LaneId, events: list[Event], near: Reading) -> bytes:
        """Frames of our own. `near` is a frame of the server whose envelope they copy. In a lane of
        arguments, `Text` is a piece of the arguments and `CallStart` begins `lane.call`."""
        ...

    def end(self, near: Reading, group: int) -> bytes:
        """The frames that end a message with calls after which the server sent an error instead of an
        end; b"" if this API has none."""
        ...

    def close(self) -> bytes:
        """The server's body is over; return what is still to be sent."""
        ...


SAID = "\x00said"  # stands for the text of a slice that opens or closes a lane and is sent
NO_TEXT = [""]  # the texts of a frame that says nothing in its only slice


class Wire(Protocol):
    """One answer of one API."""

    name: str
    path: str  # regular expression for the path of its requests
    media_type: str  # of a streamed answer
    keep_alive: bytes  # a frame that clients ignore; b"" if there is none
    pieces: bool  # arguments may be sent in pieces; otherwise a call is held until it is complete
    blocks: bool  # a lane never continues once another lane of its group has begun
    solid: bool  # a text may not consist of whitespace alone
    takes_prose: bool  # an answer that is not streamed can take the prose after a call's arguments
    asked: Asked

    def __init__(self, request: Json) -> None: ...

    def framer(self) -> Framer: ...
    def read(self, frame: bytes) -> Reading: ...
    def encoder(self, ledger: Ledger) -> Encoder: ...

    def read_whole(self, body: str) -> Reading:
        """Read an answer that is not streamed into slices."""
        ...

    def write_whole(self, reading: Reading, found: Found, ledger: Ledger) -> str:
        """The body to send; `reading.data` itself if nothing has changed."""
        ...

    def written_whole(self, text: str, calls: list[tuple[str, str]]) -> str:
        """An answer of our own that is not streamed: a text, and calls as (name, arguments)."""
        ...

    def new_id(self) -> str:
        """A new id for a call."""
        ...

    def disarmed(self, data: bytes) -> bytes:
        """Whole frames that nobody reads, while a call is half sent. They are changed so that none of
        them says that this call can run."""
        ...


def new_id(prefix: str) -> str:
    """A unique id, so that no client takes a call for one that it has already run."""
    return prefix + token_hex(12)


def finish_reason(sent: str | None, called: bool, cut: bool, words: tuple[str, str, str]) -> str | None:
    """The reason to send in place of the server's (P12, P9). `words` are the API's words for stop,
    tool_calls and length. `called`: the answer has calls; `cut`: one of them is not complete."""
    stop, calls, length = words
    if sent not in (stop, calls):
        return sent
    return length if cut else calls if called else stop


def joined(events: list[Event]) -> list[Event]:
    """The events without repairs, with adjacent texts and adjacent arguments of one call joined."""
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
