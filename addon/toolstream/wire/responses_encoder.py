"""Writes a streamed Responses answer: a text is the same every time it is sent, and numbers have no gap.

As long as nothing has changed, frames leave as they came and are only accounted for. From the first
change on, the numbers are our own, and so is the output that the end event repeats.

A message is announced once it has text. A call that was found in text ends the open messages, and text
after it is a new message. From then on, the server's events about the old message are about the new one,
or are dropped. Whatever an event repeats is what the client was sent.

llama.cpp always leaves out what the helpers of the SDKs rely on: indexes, sequence numbers, members of
the announced response, the end of arguments, the beginning of a part of reasoning. If its first event
shows this (`Repair.ENVELOPE`), whatever is missing is added to all events. What is there stays.
"""

from collections.abc import Callable

from ..events import ArgumentsDelta, CallEnd, CallStart, Event, Text
from ..ledger import Ledger
from ..repairs import Repair
from ..schema.json_read import Json, loads, object_in, objects_in, text_in
from ..schema.json_write import compact, quoted
from .base import Asked, At, Kind, LaneId, Reading, joined, new_id, texts_of
from .json_edit import Edits, Path
from .responses_calls import CallWriter
from .responses_items import (
    TEXT_PARTS,
    Item,
    Part,
    PartKey,
    Source,
    Texts,
    array,
    event_type,
    source_of,
)
from .responses_output import Output


class ResponsesEncoder:
    def __init__(self, asked: Asked, ledger: Ledger) -> None:
        self._asked, self._ledger = asked, ledger
        self._out = Output()
        self._calls = CallWriter(asked, ledger, self._out)
        self._response: Json = {}  # as it was announced

    # The server's frames

    def frame(self, reading: Reading, texts: Texts) -> bytes:
        self._out.changed = self._out.changed or texts is not None
        sequence = reading.json.get("sequence_number")
        if self._out.sequence is None and isinstance(sequence, int):
            self._out.sequence = sequence - 1
        kind = event_type(reading.json)
        if kind not in ENDS and self._calls.is_overtaken_by(reading):
            self._out.changed = True
        return WRITERS.get(kind, ResponsesEncoder._other)(self, reading, texts)

    def _created(self, reading: Reading, _: Texts) -> bytes:
        response = object_in(reading.json, "response")
        if "output" not in response:
            if self._out.sequence is None and not self._out.items:
                self._out.sequence = -1
            self._repair_envelope()
        missing: Json = {}
        if self._out.completing:
            wanted = {"created_at": 0, "model": self._asked.model, "output": []}
            missing = {key: value for key, value in wanted.items() if key not in response}
        self._response = response | missing
        edits: Edits = [(("response", key), compact(value)) for key, value in missing.items()]
        return self._out.send(reading, edits)

    def _item_added(self, reading: Reading, texts: Texts) -> bytes:
        source = source_of(reading)
        if "output_index" not in reading.json:
            self._repair_envelope()
        if source and source.type == "function_call":
            return self._calls.item_added(reading, source, texts)
        if texts is not None and not any(texts):
            return b""
        item = self._out.add(reading, source)
        return self._out.send(reading, self._begin_with(item, reading, texts), item)

    def _begin_with(self, item: Item, reading: Reading, texts: Texts) -> Edits:
        """Note the texts that an announcement already has. Return the edits to them."""
        edits: Edits = []
        for piece, text in texts_of(reading, texts):
            if piece.at is At.TEXT and piece.lane:
                self._part(item, piece.lane).pieces.append(text)
                edits += piece.edits(text)
        return edits

    def _part_added(self, reading: Reading, texts: Texts) -> bytes:
        lane = _lane_of(reading)
        if lane is None:
            return self._other(reading, texts)
        item = self._item_of(lane)
        known = item.parts.get(_key_of(lane)) if item else None
        if self._out.changed and (texts == [""] or item is None or not item.open or known):
            return b""  # it will be announced once there is text
        item = item or self._out.add(reading, source_of(reading))
        part = self._part(item, lane)
        return self._out.send(reading, self._begin_with(item, reading, texts), item, part)

    def _text_delta(self, reading: Reading, texts: Texts) -> bytes:
        piece, lane = reading.slices[0], reading.slices[0].lane
        text = texts[0] if texts else piece.text
        if lane is None or (piece.text and not text):
            return b""
        before, item, part = self._place(lane, reading)
        part.pieces.append(text)
        edits: Edits = [] if text == piece.text else [(("delta",), quoted(text))]
        return before + self._out.send(reading, edits, item, part)

    def _text_done(self, reading: Reading, texts: Texts) -> bytes:
        before, item, part = self._repeated(reading, texts)
        if self._out.changed and (part is None or part.text_is_done):
            return before
        edits: Edits = []
        if part:
            part.text_is_done = True
            edits = self._repeat(part, reading.json, ())
        return before + self._out.send(reading, edits, item, part)

    def _part_done(self, reading: Reading, texts: Texts) -> bytes:
        if not reading.slices:
            return self._other(reading, texts)
        before, item, part = self._repeated(reading, texts)
        if self._out.changed and (part is None or part.is_done):
            return before
        edits: Edits = []
        if item and part:
            before += self._out.end_text(item, part) if self._out.altered else b""
            part.is_done = True
            edits = self._repeat(part, object_in(reading.json, "part"), ("part",))
        return before + self._out.send(reading, edits, item, part)

    def _item_done(self, reading: Reading, texts: Texts) -> bytes:
        source = source_of(reading)
        if source and source.type == "function_call":
            return self._calls.item_done(reading, texts)
        before, item = self._say_late(reading, texts), self._out.current.get(source)
        if self._out.changed and reading.slices and (item is None or not item.open):
            return before
        item = item or self._out.add(reading, source)
        if self._out.altered:
            before += self._out.end_parts(item, ours_only=True)
        edits = self._cleaned(object_in(reading.json, "item"), item) if self._out.changed else []
        return before + self._out.send(reading, edits, item, done=True)

    def _arguments_delta(self, reading: Reading, texts: Texts) -> bytes:
        return self._calls.arguments_delta(reading, texts)

    def _arguments_done(self, reading: Reading, texts: Texts) -> bytes:
        return self._calls.arguments_done(reading, texts)

    def _end(self, reading: Reading, _: Texts) -> bytes:
        before, edits = self._calls.end_waiting(), Edits()
        if self._out.changed:
            before += self._out.end_all()
            if response := object_in(reading.json, "response"):
                edits = [(("response", "output"), self._out.as_json(reading.data, response))]
        return before + self._out.send(reading, edits)

    def _other(self, reading: Reading, texts: Texts) -> bytes:
        """An event without text: about an item, about the answer, or unknown."""
        source = source_of(reading)
        item = self._out.current.get(source) if source else None
        if texts == [""] or (self._out.changed and source and (item is None or not item.open)):
            return b""
        edits: Edits = []
        for piece, text in texts_of(reading, texts):
            edits += piece.edits(text)
        return self._out.send(reading, edits, item)

    # Texts

    def _item_of(self, lane: LaneId) -> Item | None:
        """The item that text of this lane goes into now."""
        return self._out.current.get(_text_key(lane)[0])

    def _place(self, lane: LaneId, reading: Reading | None = None) -> tuple[bytes, Item, Part]:
        """The item and the part of a text, and the events that announce them to the client, if it does
        not know them. An item that has ended begins again. If nothing is altered, nothing is added that
        `reading` leaves out."""
        source, kind, _ = _text_key(lane)
        item, out = self._out.current.get(source), b""
        if self._out.altered or reading is None:
            if item is None or not item.open:
                item, out = self._out.begin_text(source, kind, is_first=item is None)
                self._out.current[source] = item
            if (part := item.parts.get(_key_of(lane))) is None:
                part = self._part(item, lane)
                out += self._out.begin_part(item, part)
            return out, item, part
        item = item or self._out.add(reading, source)
        return b"", item, self._part(item, lane)

    def _part(self, item: Item, lane: LaneId) -> Part:
        """The part of a text in its item, a new one the first time."""
        _, kind, index = _text_key(lane)
        key = TEXT_PARTS[kind], index
        part = item.parts.get(key)
        if part is None:
            number = item.next_part(key[0]) if self._out.changed else key[1]
            part = item.parts[key] = Part(number, kind)
        return part

    def _say(self, lane: LaneId, text: str) -> bytes:
        before, item, part = self._place(lane)
        return before + self._out.say(item, part, text)

    def _say_late(self, reading: Reading, texts: Texts) -> bytes:
        """Send texts that only the event that ends them has."""
        out = b""
        for piece, text in texts_of(reading, texts):
            if piece.at is not At.TEXT or piece.lane is None or not text:
                continue
            if self._out.altered:
                out += self._say(piece.lane, text)
            else:
                self._place(piece.lane, reading)[2].pieces.append(text)
        return out

    def _repeated(self, reading: Reading, texts: Texts) -> tuple[bytes, Item | None, Part | None]:
        """The item and the part of an event that repeats a text; None if for the client they have ended
        or were never announced. Text that only this event has is sent before it."""
        before, lane = self._say_late(reading, texts), _lane_of(reading)
        item = self._item_of(lane) if lane else None
        if lane is None or item is None or (self._out.changed and not item.open):
            return before, None, None
        return before, item, item.parts.get(_key_of(lane))

    def _repeat(self, part: Part, said: Json, where: Path) -> Edits:
        """The edits to an object that repeats the text of a part."""
        if not self._out.changed or said.get("text") == part.text:
            return []
        logprobs: Edits = [((*where, "logprobs"), "[]")] if said.get("logprobs") else []
        return [((*where, "text"), quoted(part.text)), *logprobs]

    def _cleaned(self, said: Json, item: Item) -> Edits:
        """The edits to the server's item: its id and its texts."""
        edits: Edits = []
        if "id" in said and said["id"] != item.id:
            edits.append((("item", "id"), quoted(item.id)))
        for member in ("content", "summary"):
            edits += self._cleaned_parts(objects_in(said, member), item, member)
        hidden = said.get("encrypted_content")  # Ollama repeats the text there
        if hidden and hidden == "".join(text_in(part, "text") for part in objects_in(said, "summary")):
            text = "".join(part.text for part in item.parts_in_order)
            edits.append((("item", "encrypted_content"), quoted(text)))
        return edits

    def _cleaned_parts(self, parts: list[Json], item: Item, member: str) -> Edits:
        left: list[str] = []
        edits: Edits = []
        for number, said in enumerate(parts):
            part = item.parts.get((member, number))
            if part:
                edits += self._repeat(part, said, ("item", member, number))
                left.append(compact(said | {"text": part.text}))
            elif text_in(said, "type") not in TEXT_PARTS:
                left.append(compact(said))
        if len(left) < len(parts):
            return [(("item", member), array(left))]
        return edits

    # Frames of our own

    def events(self, lane: LaneId, events: list[Event], near: Reading) -> bytes:
        self._out.changed = True
        return b"".join([self._own(lane, event) for event in joined(events)])

    def _own(self, lane: LaneId, event: Event) -> bytes:
        match event:
            case Text(text) if lane.kind is not Kind.ARGUMENTS:
                return self._say(lane, text)
            case Text(text) | ArgumentsDelta(_, text):
                return self._calls.say(lane, text)
            case CallStart() if lane.call:
                return self._calls.begin(lane)
            case CallStart(_, name):
                return self._calls.begin_own(lane, name)
            case CallEnd():
                return self._calls.end(lane)
        return b""

    def end(self, near: Reading, group: int) -> bytes:
        self._out.changed = True
        out = self._calls.end_waiting() + self._out.end_all()
        response = {"id": new_id("resp_"), "object": "response", "created_at": 0}
        response |= {"model": self._asked.model} | self._response | {"status": "completed"}
        items = loads(self._out.as_json("", {}))
        return out + self._out.event("response.completed", response=response | {"output": items})

    def close(self) -> bytes:
        return b""  # without an end event nobody takes the answer for complete

    # The envelope

    def _repair_envelope(self) -> None:
        if not self._out.completing:
            self._out.completing = True
            self._ledger.repaired(Repair.ENVELOPE)


WRITERS: dict[str, Callable[[ResponsesEncoder, Reading, Texts], bytes]] = {
    "response.created": ResponsesEncoder._created,
    "response.queued": ResponsesEncoder._created,
    "response.in_progress": ResponsesEncoder._created,
    "response.output_item.added": ResponsesEncoder._item_added,
    "response.content_part.added": ResponsesEncoder._part_added,
    "response.reasoning_summary_part.added": ResponsesEncoder._part_added,
    "response.output_text.delta": ResponsesEncoder._text_delta,
    "response.reasoning_text.delta": ResponsesEncoder._text_delta,
    "response.reasoning_summary_text.delta": ResponsesEncoder._text_delta,
    "response.output_text.done": ResponsesEncoder._text_done,
    "response.reasoning_text.done": ResponsesEncoder._text_done,
    "response.reasoning_summary_text.done": ResponsesEncoder._text_done,
    "response.content_part.done": ResponsesEncoder._part_done,
    "response.reasoning_summary_part.done": ResponsesEncoder._part_done,
    "response.function_call_arguments.delta": ResponsesEncoder._arguments_delta,
    "response.function_call_arguments.done": ResponsesEncoder._arguments_done,
    "response.output_item.done": ResponsesEncoder._item_done,
    "response.completed": ResponsesEncoder._end,
    "response.incomplete": ResponsesEncoder._end,
    "response.failed": ResponsesEncoder._end,
    "response.cancelled": ResponsesEncoder._end,
    "error": ResponsesEncoder._end,
}
ENDS = {kind for kind, write in WRITERS.items() if write is ResponsesEncoder._end}


def _lane_of(reading: Reading) -> LaneId | None:
    return reading.slices[0].lane if reading.slices else None


def _text_key(lane: LaneId) -> tuple[Source | None, str, int]:
    """The item, the type and the index of a part. A lane that belongs to no item of the server is a
    message."""
    if isinstance(lane.key, tuple):
        source, kind, index = lane.key
        return source, kind, index
    return None, "output_text", 0


def _key_of(lane: LaneId) -> PartKey:
    _, kind, index = _text_key(lane)
    return TEXT_PARTS[kind], index
