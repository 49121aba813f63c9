"""Ollama's native API, `POST /api/chat`: a line of JSON for each piece of the answer.

The `message` of a line may hold a piece of `thinking`, a piece of `content`, and `tool_calls`. The last
line has `"done": true` and measurements, and sometimes text or calls as well. A call comes whole, and its
arguments are an object, not JSON text. So a call that was found in text is held until it is complete, and
leaves in a line of its own. For the client a call that is cut off has not begun, and its text is given
back.

`function.index` counts the calls of an answer. The server's numbers stay until a call of ours comes
before them. `id` is optional: a missing one is added only to a call that is rewritten for another reason.

`done_reason` says nothing about calls, and stays. A done line may hold calls, but some gateways do not
look for them there. So if its calls have to be rewritten, or follow a call of ours, its message leaves in
a line before it.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from ..events import ArgumentsDelta, CallEnd, CallStart, Event, Text
from ..ledger import Ledger
from ..repairs import Repair
from ..schema.json_read import Json, loads, loads_object, object_in, text_in
from ..schema.json_write import dump, encodable, quoted
from .base import Asked, CallPiece, Found, Kind, LaneId, Names, Reading, ServerCall, Slice, joined
from .chat_completions import used_ids
from .chat_json import new_call_id
from .json_edit import Edits, Path, members, splice, value_at
from .ndjson import LineSplitter

TEXTS = {"thinking": Kind.REASONING, "content": Kind.CONTENT}  # of a message, in the order of what it says
COPIED = ("model", "created_at")  # into lines of our own
_MORE, _DONE = ',"done":false', ',"done":true,"done_reason":"stop"'
# Some clients take these for the end of a line, but in JSON they are ordinary characters
_BREAKS = str.maketrans({ord(c): f"\\u{ord(c):04x}" for c in "\x85\u2028\u2029"})
_IN_LINE = str.maketrans("\r\n", "  ")
MESSAGE: Path = ("message",)
CALLS: Path = ("message", "tool_calls")

Key = str | int
Elements = dict[Key, str]  # JSON texts: of the elements of `tool_calls` by position, of members by key
Texts = Sequence[str | None] | None  # for the slices of a reading; None: as they came


class OllamaChat:
    """One answer of `/api/chat`."""

    name = "ollama"
    path = r"/api/chat$"
    media_type = "application/x-ndjson"
    keep_alive = b""  # clients read every line as JSON, an empty one too
    pieces, blocks, solid, takes_prose = False, False, False, False

    def __init__(self, request: Json) -> None:
        self.asked = _asked(request)
        self._names = Names()
        self._calls = 0  # that the server has sent

    def framer(self) -> LineSplitter:
        return LineSplitter()

    def encoder(self, ledger: Ledger) -> "OllamaEncoder":
        return OllamaEncoder(ledger)

    def read(self, frame: bytes) -> Reading:
        try:
            return self._read(frame, frame.decode())
        except UnicodeDecodeError:
            return Reading(frame)

    def read_whole(self, body: str) -> Reading:
        return self._read(body.encode(errors="surrogatepass"), body)

    def write_whole(self, reading: Reading, found: Found, ledger: Ledger) -> str:
        encoder = OllamaEncoder(ledger)
        before = _elements(reading)
        calls = encoder.mended(reading, found.texts, before)
        for name, arguments in (call for listed in found.calls for call in listed):
            calls[f"ours {len(calls)}"] = encoder.call(name, arguments)
        data = _edited(reading, found.texts, before, calls)
        dropped = [text for part, text in zip(reading.slices, found.texts, strict=True) if _is_dropped(part)]
        return _with_text(data, "".join(filter(None, dropped)))

    def written_whole(self, text: str, calls: list[tuple[str, str]]) -> str:
        encoder = OllamaEncoder(Ledger())
        listed = ",".join(encoder.call(name, arguments) for name, arguments in calls)
        message = _message({"content": quoted(text)} | ({"tool_calls": f"[{listed}]"} if listed else {}))
        head = f'"model":{dump(self.asked.model)},"created_at":"1970-01-01T00:00:00Z"'
        return f'{{{head},"message":{message}{_DONE}}}'

    def new_id(self) -> str:
        return new_call_id()

    def disarmed(self, data: bytes) -> bytes:
        return data  # no call is ever half sent

    def _read(self, frame: bytes, data: str) -> Reading:
        reading = Reading(frame, data, aside=not data.strip())
        reading.json = json = loads_object(data, strict=False) or {}
        if message := object_in(json, "message"):
            reading.slices = [*self._text_slices(message), *self._call_slices(data, message)]
        if json.get("error") is not None:
            reading.error, reading.ends = json["error"], [(None, None)]
        elif json.get("done") is True:
            reading.ends = [(0, self._reason(json))]
        return reading

    def _text_slices(self, message: Json) -> Iterator[Slice]:
        for member, kind in TEXTS.items():
            if text := text_in(message, member):
                yield Slice(self._names.of(0, kind, member), text, [(*MESSAGE, member)])

    def _call_slices(self, data: str, message: Json) -> Iterator[Slice]:
        calls = message.get("tool_calls")
        if not calls or not isinstance(calls, list):
            return
        for (at, source), call in zip(members(value_at(data, CALLS)).items(), calls, strict=True):
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict):
                piece = _piece(self._calls, call, function, source)
                self._calls += 1
                yield Slice(None, piece.text, [(*CALLS, at, "function", "arguments")], call_piece=piece)

    def _reason(self, json: Json) -> str:
        """Why the model stopped. Older servers do not say it."""
        reason, limit, written = json.get("done_reason"), self.asked.limit, json.get("eval_count")
        if isinstance(reason, str) and reason:
            return reason
        return "length" if limit and type(written) is int and written >= limit else "stop"


# The request


def _asked(body: Json) -> Asked:
    limit = object_in(body, "options").get("num_predict")
    return Asked(
        tools=body.get("tools"),
        model=body.get("model", ""),
        stream=body.get("stream") is not False,
        limit=limit if type(limit) is int and limit > 0 else None,
        ids=used_ids(body),
    )


# Reading


def _piece(number: int, call: Json, function: Json, source: str) -> CallPiece:
    arguments = function.get("arguments")
    if arguments is None:
        text = ""
    elif isinstance(arguments, str):
        text = arguments
    else:
        text = members(members(source)["function"])["arguments"]
    return CallPiece(
        index=number,
        id=text_in(call, "id"),
        name=text_in(function, "name"),
        text=text,
        foreign=call.get("type") not in (None, "", "function"),
        whole=True,
    )


def _elements(reading: Reading) -> Elements:
    """The elements of `tool_calls` of a line or body; {} if none of them is a call."""
    called = any(part.call_piece for part in reading.slices)
    return members(value_at(reading.data, CALLS)) if called else {}


# Writing


class OllamaEncoder:
    """Writes the lines of one answer."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._number = 0  # of the next call
        self._ours = False  # a call of ours has a lower number
        self._begun: dict[LaneId, list[str]] = {}  # incomplete calls: id, name, fragments
        self._near: Json = {}  # the last line that had an envelope
        self._in_line = False  # the last bytes that were sent had no line end

    def frame(self, reading: Reading, texts: list[str] | None) -> bytes:
        if "model" in reading.json:
            self._near = reading.json
        if texts is None and not any(part.call_piece for part in reading.slices):
            return self._sent(reading.frame)
        return self._sent(self._changed(reading, texts))

    def _changed(self, reading: Reading, texts: Texts) -> bytes:
        """A line with these texts and with its calls put right; b"" if nothing is left of it."""
        reading.data = reading.data or reading.frame.decode()
        before = _elements(reading)
        calls = self.mended(reading, texts, before)
        if _is_bare(reading, texts, calls):
            return b""
        data = _edited(reading, texts, before, calls)
        if calls and (self._ours or calls != before) and reading.json.get("done") is True:
            return self._in_two(reading, data)
        return reading.frame if data is reading.data else _encoded(data)

    def events(self, lane: LaneId, events: list[Event], near: Reading) -> bytes:
        begun = self._begun.get(lane)
        size = len(begun or ())
        try:
            return self._sent(b"".join(self._own(lane, event, near) for event in joined(events)))
        except Exception:
            if begun:  # the same events may come again
                del begun[size:]
                self._begun[lane] = begun
            raise

    def end(self, near: Reading, group: int) -> bytes:
        return self._sent(self._line(near, _message({}), _DONE))

    def close(self) -> bytes:
        return b""

    # Lines

    def _own(self, lane: LaneId, event: Event, near: Reading) -> bytes:
        match event:
            case CallStart(_, name):
                self._begun[lane] = [lane.call.id, lane.call.name] if lane.call else ["", name]
            case Text(text) if lane.kind is not Kind.ARGUMENTS:
                return self._line(near, _message({str(lane.key): quoted(text)}))
            case ArgumentsDelta(_, text) | Text(text) if lane in self._begun:
                self._begun[lane].append(text)
            case CallEnd() if lane in self._begun:
                id_, name, *fragments = self._begun[lane]
                call = self.call(name, "".join(fragments), id_)
                line = self._line(near, _message({"tool_calls": f"[{call}]"}))
                del self._begun[lane]
                return line
        return b""

    def _line(self, near: Reading, message: str, end: str = _MORE) -> bytes:
        json = near.json if "model" in near.json else self._near
        envelope = "".join(f"{quoted(key)}:{dump(json[key])}," for key in COPIED if key in json)
        return _encoded(f'{{{envelope}"message":{message}{end}}}\n')

    def _in_two(self, reading: Reading, data: str) -> bytes:
        """A done line whose message leaves in a line before it."""
        message = value_at(data, MESSAGE)
        rest = {key: text for key, text in members(message).items() if key not in ("thinking", "tool_calls")}
        last = splice(data, [(MESSAGE, _object(rest | {"content": '""'}))])
        return self._line(reading, message) + _encoded(last)

    def _sent(self, lines: bytes) -> bytes:
        """The lines, at the start of a new line even if the server did not end its last one."""
        if not lines:
            return b""
        before, self._in_line = self._in_line, not lines.endswith(b"\n")
        return b"\n" + lines if before else lines

    # Calls

    def call(self, name: str, arguments: str, id_: str = "") -> str:
        """The next call of ours, as an element of `tool_calls`."""
        number, self._number, self._ours = self._number, self._number + 1, True
        function = {"index": str(number), "name": quoted(name), "arguments": _in_line(arguments)}
        return _object({"id": quoted(id_ or new_call_id()), "function": _object(function)})

    def mended(self, reading: Reading, texts: Texts, before: Elements) -> Elements:
        """The elements of `tool_calls` to send, by their old positions."""
        after = dict(before)
        for part, text in zip_longest(reading.slices, texts or ()):
            if (piece := part.call_piece) is None:
                continue
            place, call = part.paths[0][len(CALLS)], part.call
            if _is_dropped(part):
                del after[place]
                continue
            if not (piece.foreign or (call and call.broken)):
                after[place] = self._element(before[place], piece, call, piece.text if text is None else text)
            self._number += 1
        return after

    def _element(self, element: str, piece: CallPiece, call: ServerCall | None, text: str) -> str:
        outer = members(element)
        before = members(outer["function"])
        after, id_ = dict(before), {}
        if self._ours and "index" in before:
            after["index"] = str(self._number)
        if call:
            after |= self._changes(before, call, piece, text)
            if call.id != piece.id and (piece.id or after != before):
                id_["id"] = quoted(call.id)
        if after == before and not id_:
            return element
        # an id that the element has already keeps its place
        return _object(id_ | outer | id_ | {"function": _object(after)})

    def _changes(self, before: Elements, call: ServerCall, piece: CallPiece, text: str) -> Elements:
        """The members that have to be changed in the function of a server's call."""
        changes: Elements = {}
        if call.name != piece.name:
            changes["name"] = quoted(call.name)
        if arguments := self._arguments(before.get("arguments", "null"), piece.text, text):
            changes["arguments"] = arguments
        return changes

    def _arguments(self, written: str, said: str, text: str) -> str:
        """The object to write in place of the server's arguments; "" if they stay. `said` is their text,
        from which `text` was made."""
        is_object = written.startswith("{")
        if is_object and text == said:
            return ""
        text = text or ("" if said else "{}")
        if loads_object(text) is None:  # no client could read it anyway
            return ""
        if said and not is_object:  # missing ones are counted elsewhere
            self._ledger.repaired(Repair.CALL_SHAPE)
        return _in_line(text)


def _in_line(arguments: str) -> str:
    """Arguments in one line. JSON strings contain no line breaks, so every line break is whitespace."""
    return encodable(arguments).translate(_IN_LINE)


def _encoded(lines: str) -> bytes:
    return (lines if lines.isascii() else lines.translate(_BREAKS)).encode()


def _is_dropped(part: Slice) -> bool:
    return bool(part.call and part.call.dropped)


def _edited(reading: Reading, texts: Texts, before: Elements, after: Elements) -> str:
    """The line or body with these texts and calls; `reading.data` itself if nothing changes."""
    data, edits = reading.data, Edits()
    for part, text in zip_longest(reading.slices, texts or ()):
        if not part.call_piece and text is not None:
            edits += part.edits(text)
    if edits:
        data = splice(data, edits)
    return data if before == after else _with_calls(data, after.values())


def _with_calls(data: str, calls: Iterable[str]) -> str:
    message = members(value_at(data, MESSAGE))
    listed = ",".join(calls)
    message.pop("tool_calls", None)
    return splice(data, [(MESSAGE, _object(message | ({"tool_calls": f"[{listed}]"} if listed else {})))])


def _with_text(data: str, more: str) -> str:
    """The line or body with more text at the end of the content."""
    if not more:
        return data
    message = members(value_at(data, MESSAGE))
    content = loads(message.get("content", ""), strict=False) or ""
    return splice(data, [(MESSAGE, _object(message | {"content": quoted(f"{content}{more}")}))])


def _is_bare(reading: Reading, texts: Texts, calls: Elements) -> bool:
    """Whether nothing is left of what a line said."""
    if not texts or any(texts) or calls or reading.ends:
        return False
    said = {path[1] for part in reading.slices for path in part.paths} | {"role"}
    message = object_in(reading.json, "message")
    return _is_empty(message, said) and _is_empty(reading.json, (*COPIED, "message", "done"))


def _is_empty(json: Json, besides: Collection[Key]) -> bool:
    """Whether an object says nothing besides these members."""
    return all(value in (None, "", []) for key, value in json.items() if key not in besides)


def _message(said: dict[str, str]) -> str:
    return _object({"role": '"assistant"', "content": '""'} | said)


def _object(parts: Mapping[Any, str]) -> str:
    """An object whose values are JSON texts."""
    return f"{{{','.join(f'{quoted(key)}:{text}' for key, text in parts.items())}}}"
