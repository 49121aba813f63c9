"""OpenAI Responses, `POST /v1/responses`. An answer is a list of items, and each text is sent several
times.

Messages and reasoning have parts, and each part is a lane. A call is an item of its own. A streamed text
comes in pieces, and again as a whole when its part is done, when its item is done, and in the event that
ends the answer. Only the pieces are read. But if none has come, the whole text is read: some servers only
send that.

Events name their item by `item_id` and `output_index`. llama.cpp sends no indexes, and other servers have
sent ids that no item has. So an item is searched by its id first, and then by its index.

If a tool is in a namespace, a call has its bare name, and the namespace in a member of its own. Servers
that do not know namespaces join the two.
"""

from collections.abc import Callable

from ..events import OVER
from ..ledger import Ledger
from ..schema.json_read import Json, loads_object, object_in, objects_in, text_in
from .base import At, CallPiece, Found, Kind, LaneId, Names, Reading, Slice, new_id
from .responses_encoder import ResponsesEncoder
from .responses_items import ARGUMENTS, TEXT_PARTS, Source, event_type
from .responses_request import read_request
from .responses_whole import disarmed, write_whole, written_whole
from .sse import EventSplitter, is_aside, read_data

OPEN, TEXT, CLOSE = At

# The finish_reason for a `status`, or for the name of the event that ends the answer
ENDS = {"completed": "stop", "incomplete": "length", "failed": None, "cancelled": None}
INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}
FOREIGN = ("custom_tool_call",)  # items that are calls of other tools than functions
# The type of a text's parts by the name of its events
TEXT_EVENTS = {
    "output_text": "output_text",
    "reasoning_text": "reasoning_text",
    "reasoning_summary_text": "summary_text",
}
KINDS = {"output_text": Kind.CONTENT, "reasoning_text": Kind.REASONING, "summary_text": Kind.REASONING}


class Responses:
    name = "responses"
    path = r"/responses$"
    media_type = "text/event-stream"
    keep_alive = b": keep-alive\n\n"
    pieces = True
    blocks = True
    solid = False
    takes_prose = False

    def __init__(self, request: Json) -> None:
        self.asked = read_request(request)
        self._names = Names()
        self._sources: list[Source] = []
        self._by_id: dict[str, Source] = {}
        self._by_index: dict[int, Source] = {}

    def framer(self) -> EventSplitter:
        return EventSplitter()

    def encoder(self, ledger: Ledger) -> ResponsesEncoder:
        return ResponsesEncoder(self.asked, ledger)

    def new_id(self) -> str:
        return new_id("call_")

    def disarmed(self, data: bytes) -> bytes:
        return disarmed(data)

    # Streamed

    def read(self, frame: bytes) -> Reading:
        data = read_data(frame)
        if data is None:
            return _without_data(frame)
        json = loads_object(data, strict=False)
        reading = Reading(frame, data, json or {})
        if json:
            READERS.get(event_type(json), Responses._other)(self, reading)
        return reading

    def _item_added(self, reading: Reading) -> None:
        item = object_in(reading.json, "item")
        source = self._new_source(reading, text_in(item, "id"), text_in(item, "type"))
        match source.type:
            case "function_call":
                self._call_added(reading, source, item)
            case "message":
                texts = self._texts(source, item, ("item",))
                said = any(piece.text for piece in texts)
                lane = self._lane(source, "output_text", 0)
                reading.slices = texts if said else [Slice(lane, at=OPEN)]
            case kind if kind in FOREIGN:
                piece = CallPiece(
                    index=source.number, id=text_in(item, "call_id"), name=text_in(item, "name"), foreign=True
                )
                reading.slices = [Slice(None, at=OPEN, call_piece=piece)]

    def _call_added(self, reading: Reading, source: Source, item: Json) -> None:
        name = self._tool_name(source, item)
        head = CallPiece(index=source.number, id=text_in(item, "call_id"), name=name)
        reading.slices = [Slice(None, at=OPEN, call_piece=head)]
        if text := source.unread(ARGUMENTS, text_in(item, "arguments")):
            reading.slices.append(_arguments(source, text, TEXT, ("item", "arguments")))

    def _part_added(self, reading: Reading) -> None:
        part = object_in(reading.json, "part")
        if (kind := text_in(part, "type")) not in KINDS:
            self._other(reading)
            return
        source, index = self._source(reading, kind), _part_index(reading.json)
        lane = self._lane(source, kind, index)
        text = source.unread((TEXT_PARTS[kind], index), text_in(part, "text"))
        reading.slices = [Slice(lane, text, [("part", "text")]) if text else Slice(lane, at=OPEN)]

    def _text_delta(self, reading: Reading) -> None:
        json = reading.json
        kind = _kind_of_text(json)
        source, index, text = self._source(reading, kind), _part_index(json), text_in(json, "delta")
        if text:
            source.read.add((TEXT_PARTS[kind], index))
        reading.slices = [Slice(self._lane(source, kind, index), text, [("delta",)])]

    def _text_done(self, reading: Reading) -> None:
        kind = _kind_of_text(reading.json)
        source, index = self._source(reading, kind), _part_index(reading.json)
        reading.slices = [self._repeated(source, kind, index, text_in(reading.json, "text"), ("text",))]

    def _part_done(self, reading: Reading) -> None:
        part = object_in(reading.json, "part")
        if (kind := text_in(part, "type")) not in KINDS:
            self._other(reading)
            return
        source, index = self._source(reading, kind), _part_index(reading.json)
        reading.slices = [self._repeated(source, kind, index, text_in(part, "text"), ("part", "text"))]

    def _refusal_delta(self, reading: Reading) -> None:
        source = self._source(reading, "output_text")
        lane = self._names.of(0, Kind.OTHER, (source, "refusal", _part_index(reading.json)))
        reading.slices = [Slice(lane, text_in(reading.json, "delta"), [("delta",)])]

    def _arguments_delta(self, reading: Reading) -> None:
        source, text = self._source(reading, "function_call"), text_in(reading.json, "delta")
        if text:
            source.read.add(ARGUMENTS)
        reading.slices = [_arguments(source, text, TEXT, ("delta",))]

    def _arguments_done(self, reading: Reading) -> None:
        json = reading.json
        source = self._source(reading, "function_call")
        text = source.unread(ARGUMENTS, text_in(json, "arguments"))
        reading.slices = [_arguments(source, text, TEXT if text else CLOSE, ("arguments",))]
        self._name_late(reading, source, json)

    def _item_done(self, reading: Reading) -> None:
        item = object_in(reading.json, "item")
        source = self._known(reading.json)
        is_new = source is None
        if source is None:
            source = self._new_source(reading, text_in(item, "id"), text_in(item, "type"))
        reading.facts["source"] = source
        if source.type == "function_call":
            text = source.unread(ARGUMENTS, text_in(item, "arguments"))
            piece = _arguments(source, text, TEXT if text or is_new else CLOSE, ("item", "arguments"))
            reading.slices = [piece]
            if is_new and piece.call_piece:
                piece.call_piece.id, piece.call_piece.whole = text_in(item, "call_id"), True
            self._name_late(reading, source, item)
        elif source.type in ("message", "reasoning"):
            reading.slices = self._texts(source, item, ("item",))
            if source.type == "message" and not reading.slices:
                reading.slices = [Slice(self._lane(source, "output_text", 0), at=CLOSE)]

    def _name_late(self, reading: Reading, source: Source, json: Json) -> None:
        """Read the name of a call that was announced without one, or not at all."""
        piece = reading.slices[0].call_piece
        if piece and not source.named:
            piece.name = self._tool_name(source, json)

    def _end(self, reading: Reading) -> None:
        response = object_in(reading.json, "response")
        word = text_in(reading.json, "type").removeprefix("response.")
        reading.ends = [(None, self._reason(word, response))]
        reading.error = response.get("error")

    def _error(self, reading: Reading) -> None:
        reading.ends = [(None, None)]
        reading.error = reading.json.get("error") or reading.json

    def _other(self, reading: Reading) -> None:
        """An event without text; it may belong to an item."""
        of_item = {"item_id", "item", "output_index"} & reading.json.keys()
        if of_item and (source := self._known(reading.json)):
            reading.facts["source"] = source

    # Items, parts and calls

    def _new_source(self, reading: Reading, item_id: str, kind: str) -> Source:
        source = Source(len(self._sources), item_id, kind)
        self._sources.append(source)
        if item_id:
            self._by_id[item_id] = source
        if isinstance(index := reading.json.get("output_index"), int):
            self._by_index[index] = source
        reading.facts["source"] = source
        return source

    def _known(self, json: Json) -> Source | None:
        item_id = text_in(json, "item_id") or text_in(object_in(json, "item"), "id")
        found = self._by_id.get(item_id)
        index = json.get("output_index")
        if found is None and isinstance(index, int):
            found = self._by_index.get(index)
        if found is None and not item_id and self._sources and "output_index" not in json:
            found = self._sources[-1]
        return found

    def _source(self, reading: Reading, kind: str) -> Source:
        """The item of an event; a new one if none was announced."""
        source = self._known(reading.json)
        if source is None:
            owner = {"output_text": "message", "function_call": "function_call"}.get(kind, "reasoning")
            source = self._new_source(reading, text_in(reading.json, "item_id"), owner)
        reading.facts["source"] = source
        return source

    def _lane(self, source: Source, kind: str, index: int) -> LaneId:
        return self._names.of(0, KINDS[kind], (source, kind, index))

    def _texts(self, source: Source, item: Json, where: tuple[str | int, ...]) -> list[Slice]:
        """The texts of all parts of an item."""
        found: list[Slice] = []
        for member in ("content", "summary"):
            for index, part in enumerate(objects_in(item, member)):
                if (kind := text_in(part, "type")) in KINDS:
                    path = (*where, member, index, "text")
                    found.append(self._repeated(source, kind, index, text_in(part, "text"), path))
        return found

    def _repeated(
        self, source: Source, kind: str, index: int, text: str, path: tuple[str | int, ...]
    ) -> Slice:
        """A text that only repeats its pieces. If none has come, it is read here."""
        lane = self._lane(source, kind, index)
        text = source.unread((TEXT_PARTS[kind], index), text)
        return Slice(lane, text, [path], TEXT) if text else Slice(lane, at=CLOSE)

    def _tool_name(self, source: Source, item: Json) -> str:
        """The tool that a call names, without the namespace that a server may have joined to it."""
        name = text_in(item, "name")
        source.named = bool(name)
        return name if item.get("namespace") else self.asked.aliases.get(name, name)

    def _reason(self, word: str, response: Json) -> str | None:
        """The finish_reason of an end. llama.cpp says `completed` even if the limit or the end of its
        context cut the answer off, and leaves out `incomplete_details`."""
        spent, limit = object_in(response, "usage").get("output_tokens"), self.asked.limit
        if word == "completed" and limit and isinstance(spent, int) and spent >= limit:
            return "length"
        if word == "completed" and "incomplete_details" not in response:
            return OVER
        if word == "incomplete":
            return INCOMPLETE.get(text_in(object_in(response, "incomplete_details"), "reason"), "length")
        return ENDS.get(word)

    # Not streamed

    def read_whole(self, body: str) -> Reading:
        json = loads_object(body, strict=False)
        reading = Reading(body.encode(errors="surrogatepass"), body, json or {})
        for number, item in enumerate(objects_in(reading.json, "output")):
            source = Source(number, text_in(item, "id"), text_in(item, "type"))
            if source.type == "function_call":
                reading.slices.append(self._whole_call(source, item))
            elif source.type in FOREIGN:
                piece = CallPiece(index=number, id=text_in(item, "call_id"), foreign=True, whole=True)
                reading.slices.append(Slice(None, call_piece=piece))
            elif source.type in ("message", "reasoning"):
                texts = self._texts(source, item, ("output", number))
                reading.slices += [piece for piece in texts if piece.at is TEXT]
        if json:
            reading.ends = [(None, self._reason(text_in(json, "status"), json))]
            reading.error = json.get("error")
        return reading

    def _whole_call(self, source: Source, item: Json) -> Slice:
        text = text_in(item, "arguments")
        piece = _arguments(source, text, TEXT, ("output", source.number, "arguments"))
        if piece.call_piece:
            piece.call_piece.id, piece.call_piece.whole = text_in(item, "call_id"), True
            piece.call_piece.name = self._tool_name(source, item)
        return piece

    def write_whole(self, reading: Reading, found: Found, ledger: Ledger) -> str:
        return write_whole(self.asked, reading, found, ledger)

    def written_whole(self, text: str, calls: list[tuple[str, str]]) -> str:
        return written_whole(self.asked, text, calls)


READERS: dict[str, Callable[[Responses, Reading], None]] = {
    "response.output_item.added": Responses._item_added,
    "response.content_part.added": Responses._part_added,
    "response.reasoning_summary_part.added": Responses._part_added,
    "response.output_text.delta": Responses._text_delta,
    "response.reasoning_text.delta": Responses._text_delta,
    "response.reasoning_summary_text.delta": Responses._text_delta,
    "response.output_text.done": Responses._text_done,
    "response.reasoning_text.done": Responses._text_done,
    "response.reasoning_summary_text.done": Responses._text_done,
    "response.content_part.done": Responses._part_done,
    "response.reasoning_summary_part.done": Responses._part_done,
    "response.refusal.delta": Responses._refusal_delta,
    "response.function_call_arguments.delta": Responses._arguments_delta,
    "response.function_call_arguments.done": Responses._arguments_done,
    "response.output_item.done": Responses._item_done,
    "response.completed": Responses._end,
    "response.incomplete": Responses._end,
    "response.failed": Responses._end,
    "response.cancelled": Responses._end,
    "error": Responses._error,
}


def _arguments(source: Source, text: str, at: At, path: tuple[str | int, ...]) -> Slice:
    return Slice(None, text, [path] if text else (), at, CallPiece(index=source.number, text=text))


def _without_data(frame: bytes) -> Reading:
    """A comment, half an event, or an error as older builds of llama.cpp send it: a line `error: {…}`."""
    if not frame.startswith(b"error:"):
        return Reading(frame, aside=is_aside(frame))
    error = loads_object(frame[6:].decode(errors="replace").strip(), strict=False)
    return Reading(frame, ends=[(None, None)], error=error)


def _part_index(json: Json) -> int:
    index = json.get("content_index", json.get("summary_index", 0))
    return index if isinstance(index, int) else 0


def _kind_of_text(json: Json) -> str:
    """The type of the part that a text event is about."""
    return TEXT_EVENTS[text_in(json, "type").split(".")[1]]
