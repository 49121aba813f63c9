"""What a client reads from an answer of any API: texts, calls, the reason why it ended, an error.

The wire of the API reads the answer, frame by frame or as a whole, and says which text belongs to which
lane. Here the lanes are joined: all content of a message is one text, and so is all its reasoning. The words
for the end are those of chat completions. Ids are left out, because they differ from run to run.

A frame may repeat a text that came before in pieces. It counts only if nothing came before.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from toolstream.wire.base import OVER, At, Kind, LaneId, Reading, Slice

from ..apis import CHAT, Api, error_text

Json = dict[str, Any]

_TAIL = 1 << 16  # bytes that hold the end of a stream: its finish_reasons, usage, [DONE]
_NAME = b'"name"'  # inside a string it would have backslashes


@dataclass(frozen=True, slots=True)
class Call:
    """A call as a client gets it. `arguments` is JSON with sorted keys, or whatever came instead."""

    name: str
    arguments: str

    @property
    def values(self) -> Json | None:
        """Return the arguments; None if they are not a JSON object."""
        return _object(self.arguments)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of an answer: in chat completions a choice."""

    content: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()
    finish_reason: str | None = None


def messages_of(body: bytes, is_stream: bool, api: Api = CHAT) -> tuple[Message, ...]:
    """Return the messages that a client reads from a body."""
    return read(body, is_stream, api)[0]


def read(body: bytes, is_stream: bool, api: Api = CHAT) -> tuple[tuple[Message, ...], str]:
    """Return the messages and the error."""
    wire = api.wire({})
    reader = _Reader()
    readings = (
        map(wire.read, api.frames(body)) if is_stream else [wire.read_whole(body.decode("utf-8", "replace"))]
    )
    for reading in readings:
        reader.read(reading)
    return reader.messages(), reader.error


def outline_of(body: bytes, is_stream: bool, api: Api = CHAT) -> tuple[tuple[Message, ...], str]:
    """Return the messages of a body with the names of their calls and their finish_reasons, and its error.
    Everything else may be missing, so only a small part of a long stream is read."""
    return read(b"".join(telling_lines(body)) if is_stream else body, is_stream, api)


def telling_lines(body: bytes) -> Iterator[bytes]:
    tail = max(0, len(body) - _TAIL)
    at = 0
    while (found := body.find(_NAME, at, tail)) >= 0:
        end = body.find(b"\n", found) + 1 or len(body)
        yield body[max(at, body.rfind(b"\n", at, found) + 1) : end] + b"\n"
        at = end
    yield body[max(at, body.rfind(b"\n", at, tail) + 1) :]


@dataclass(slots=True)
class _Said:
    """One message so far."""

    texts: dict[LaneId, list[str]] = field(default_factory=dict)
    calls: dict[int, tuple[list[str], list[str]]] = field(default_factory=dict)  # number: name, arguments
    finish_reason: str | None = None

    def message(self) -> Message:
        calls = tuple(
            Call("".join(name), _sorted("".join(text))) for _, (name, text) in sorted(self.calls.items())
        )
        return Message(self._joined(Kind.CONTENT), self._joined(Kind.REASONING), calls, self.finish_reason)

    def _joined(self, kind: Kind) -> str:
        return "".join(text for lane, texts in self.texts.items() if lane.kind is kind for text in texts)


class _Reader:
    """Joins what the readings of an answer say."""

    def __init__(self) -> None:
        self.error = ""
        self._said: dict[int, _Said] = {}

    def messages(self) -> tuple[Message, ...]:
        return tuple(said.message() for _, said in sorted(self._said.items()))

    def read(self, reading: Reading) -> None:
        self.error = error_text(reading.error or reading.json.get("error")) or self.error
        numbers: dict[int, int] = {}  # by message: how many calls this frame has told of
        for part in reading.slices:
            if part.call_piece:
                self._read_call(part, numbers)
            elif part.lane:
                _add(self._of(part.lane.group).texts.setdefault(part.lane, []), part)
        for group, reason in reading.ends:
            if reason:
                for said in self._ended(group):
                    said.finish_reason = "stop" if reason == OVER else reason

    def _ended(self, group: int | None) -> list[_Said]:
        """Return the messages that are over. An answer without a word is one, too."""
        known = list(self._said.values()) if group is None else []
        return known or [self._of(group or 0)]

    def _of(self, group: int) -> _Said:
        return self._said.setdefault(group, _Said())

    def _read_call(self, part: Slice, numbers: dict[int, int]) -> None:
        piece = part.call_piece
        assert piece
        at = numbers[piece.group] = numbers.get(piece.group, -1) + 1
        calls = self._of(piece.group).calls
        name, texts = calls.setdefault(at if piece.index is None else piece.index, ([], []))
        if piece.name and (part.at is not At.CLOSE or not name):
            name.append(piece.name)
        _add(texts, part, piece.text)


def _add(texts: list[str], part: Slice, text: str | None = None) -> None:
    if part.at is not At.CLOSE or not texts:
        texts += filter(None, [part.text if text is None else text])


def _sorted(arguments: str) -> str:
    values = _object(arguments)
    return arguments if values is None else json.dumps(values, ensure_ascii=False, sort_keys=True)


def _object(text: str) -> Json | None:
    try:
        value = json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _distinct(pairs: Iterable[tuple[str, Any]]) -> Json:
    found = list(pairs)
    if len({key for key, _ in found}) < len(found):
        raise ValueError("a key twice")
    return dict(found)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
