"""Writes a streamed Responses answer: each text the same every time it is said, and numbers without a gap.

As long as nothing has changed, frames leave as they came, and are only taken account of. From the first
change on the numbers, and the output that the end event repeats, are our own.

A message is announced once it has text. A call that was found in text ends the messages that are open, and
text after it is a new message. From then on the server's events about the old message speak of the new one,
or of nothing. What an event repeats is what the client was sent.

A client runs a call as soon as its item is done. So events that say so wait if the arguments are no JSON
object yet: the rest may still come, at the latest with the end. Without it the item is `incomplete`. Servers
say `completed` even of a call that the limit has cut.

llama.cpp leaves out of every answer what the helpers of the SDKs rely on: indexes, sequence numbers, members
of the response that is announced, the end of arguments, the beginning of a reasoning's part. The first event
shows it (`Repair.ENVELOPE`), and what is missing is added to all. What is there stays.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..events import ArgumentsDelta, CallEnd, CallStart, Event, Text
from ..repairs import Ledger, Repair
from ..schema.json_read import Json, loads
from ..schema.json_write import quoted
from .base import Asked, At, Kind, LaneId, Reading, ServerCall, Slice, joined
from .json_edit import Path
from .responses_items import (
    TEXT_PARTS,
    Edits,
    Item,
    Part,
    PartKey,
    Source,
    array,
    compact,
    edited,
    event_type,
    head_changes,
    new_call,
    new_id,
    object_in,
    objects_in,
    text_in,
)
from .responses_output import NUMBER, Output, is_object
from .sse import replace_data

Texts = list[str] | None


class ResponsesEncoder:
    def __init__(self, asked: Asked, ledger: Ledger) -> None:
        self._asked, self._ledger = asked, ledger
        self._output = Output()
        self._changed = False  # the client gets another answer than the server's
        self._repairing = False  # the server leaves members out
        self._created_at = int(time.time())
        self._response: Json = {}  # as it was announced
        self._current: dict[Source | None, Item] = {}  # the item that the server's events speak of now
        self._calls: dict[LaneId, Item] = {}  # whose arguments a lane is, or the last call found in its text
        self._unsent: dict[LaneId, Json] = {}  # the items of the server's calls that were not announced
        self._call_lanes: dict[Source, LaneId] = {}
        self._waiting: dict[
            Item, list[Reading]
        ] = {}  # events that say that a call is done, and come too soon

    @property
    def _altered(self) -> bool:
        return self._changed or self._repairing

    # The server's frames

    def frame(self, reading: Reading, texts: Texts) -> bytes:
        self._changed = self._changed or texts is not None
        sequence = reading.json.get("sequence_number")
        if self._output.sequence is None and isinstance(sequence, int):
            self._output.sequence = sequence - 1
        kind = event_type(reading.json)
        if self._waiting and kind not in ENDS:
            source = _source_of(reading)
            self._changed |= any(item is not self._current.get(source) for item in self._waiting)
        return WRITERS.get(kind, ResponsesEncoder._other)(self, reading, texts)

    def _created(self, reading: Reading, _: Texts) -> bytes:
        response = object_in(reading.json, "response")
        if "output" not in response:
            if self._output.sequence is None and not self._output.items:
                self._output.sequence = -1
            self._repair_envelope()
        missing: Json = {}
        if self._repairing:
            wanted = {"created_at": self._created_at, "model": self._asked.model, "output": []}
            missing = {key: value for key, value in wanted.items() if key not in response}
        self._response = response | missing
        edits: Edits = [(("response", key), compact(value)) for key, value in missing.items()]
        return self._send(reading, edits)

    def _item_added(self, reading: Reading, texts: Texts) -> bytes:
        source = _source_of(reading)
        if "output_index" not in reading.json:
            self._repair_envelope()
        if source and source.type == "function_call":
            return self._call_added(reading, source, texts)
        if texts is not None and not any(texts):
            return b""
        item, edits = self._add(reading, source), []
        for piece, text in _texts_of(reading, texts):  # it is more than announced
            if piece.at is At.TEXT and piece.lane:
                self._part(item, piece.lane).pieces.append(text)
                edits += [(path, quoted(text)) for path in piece.paths if text != piece.text]
        return self._send(reading, edits, item)

    def _part_added(self, reading: Reading, texts: Texts) -> bytes:
        lane = _lane_of(reading)
        if lane is None:
            return self._other(reading, texts)
        item = self._item_of(lane)
        known = item.parts.get(_key_of(lane)) if item else None
        if self._changed and (texts == [""] or item is None or not item.open or known):
            return b""  # it is announced once there is text
        item = item or self._add(reading, _source_of(reading))
        part, edits = self._part(item, lane), []
        for piece, text in _texts_of(reading, texts):
            if piece.at is At.TEXT:
                part.pieces.append(text)
                edits += [(path, quoted(text)) for path in piece.paths if text != piece.text]
        return self._send(reading, edits, item, part)

    def _text_delta(self, reading: Reading, texts: Texts) -> bytes:
        piece, lane = reading.slices[0], reading.slices[0].lane
        text = texts[0] if texts else piece.text
        if lane is None or (piece.text and not text):
            return b""
        before, item, part = self._place(lane, reading)
        part.pieces.append(text)
        edits: Edits = [] if text == piece.text else [(("delta",), quoted(text))]
        return before + self._send(reading, edits, item, part)

    def _text_done(self, reading: Reading, texts: Texts) -> bytes:
        before, item, part = self._repeated(reading, texts)
        if self._changed and (part is None or part.text_is_done):
            return before
        edits: Edits = []
        if part:
            part.text_is_done = True
            edits = self._repeat(part, reading.json, ())
        return before + self._send(reading, edits, item, part)

    def _part_done(self, reading: Reading, texts: Texts) -> bytes:
        if not reading.slices:
            return self._other(reading, texts)
        before, item, part = self._repeated(reading, texts)
        if self._changed and (part is None or part.is_done):
            return before
        edits: Edits = []
        if item and part:
            before += self._output.end_text(item, part) if self._altered else b""
            part.is_done = True
            edits = self._repeat(part, object_in(reading.json, "part"), ("part",))
        return before + self._send(reading, edits, item, part)

    def _item_done(self, reading: Reading, texts: Texts) -> bytes:
        source = _source_of(reading)
        if source and source.type == "function_call":
            return self._call_done(reading, texts)
        before, item = self._say_late(reading, texts), self._current.get(source)
        if self._changed and reading.slices and (item is None or not item.open):
            return before
        item = item or self._add(reading, source)
        if self._altered:
            before += self._output.end_parts(item, ours_only=True)
        edits = self._cleaned(object_in(reading.json, "item"), item) if self._changed else []
        item.open = False
        return before + self._send(reading, edits, item, done=True)

    def _end(self, reading: Reading, _: Texts) -> bytes:
        before, edits = self._end_waiting(), Edits()
        if self._changed:
            before += self._output.end_all()
            if response := object_in(reading.json, "response"):
                edits = [(("response", "output"), self._output.as_json(reading.data, response))]
        return before + self._send(reading, edits)

    def _other(self, reading: Reading, texts: Texts) -> bytes:
        """An event that has no text: of an item, of the answer, or of nothing that is known."""
        source = _source_of(reading)
        item = self._current.get(source) if source else None
        if texts == [""] or (self._changed and source and (item is None or not item.open)):
            return b""
        edits: Edits = []
        for piece, text in _texts_of(reading, texts):
            edits += [(path, quoted(text)) for path in piece.paths if text != piece.text]
        return self._send(reading, edits, item)

    # Texts

    def _item_of(self, lane: LaneId) -> Item | None:
        """The item that a text goes into now."""
        return self._current.get(_text_key(lane)[0])

    def _place(self, lane: LaneId, reading: Reading | None = None) -> tuple[bytes, Item, Part]:
        """The item and the part of a text, and what tells the client of them, if it does not know them. An
        item that has ended begins again. Where nothing is altered, what `reading` leaves out is left out."""
        source, kind, _ = _text_key(lane)
        item, out = self._current.get(source), b""
        if self._altered or reading is None:
            if item is None or not item.open:
                item, out = self._output.begin_text(source, kind, is_first=item is None)
                self._current[source] = item
            if (part := item.parts.get(_key_of(lane))) is None:
                part = self._part(item, lane)
                out += self._output.begin_part(item, part)
            return out, item, part
        item = item or self._add(reading, source)
        return b"", item, self._part(item, lane)

    def _part(self, item: Item, lane: LaneId) -> Part:
        """The part of a text in its item, a new one if there is none."""
        key, kind = _key_of(lane), _text_key(lane)[1]
        part = item.parts.get(key)
        if part is None:
            number = item.next_part(key[0]) if self._changed else key[1]
            part = item.parts[key] = Part(number, kind)
        return part

    def _say(self, lane: LaneId, text: str) -> bytes:
        before, item, part = self._place(lane)
        return before + self._output.say(item, part, text)

    def _say_late(self, reading: Reading, texts: Texts) -> bytes:
        """Texts that only the event that ends them has."""
        out = b""
        for piece, text in _texts_of(reading, texts):
            if piece.at is not At.TEXT or piece.lane is None or not text:
                continue
            if self._altered:
                out += self._say(piece.lane, text)
            else:
                self._place(piece.lane, reading)[2].pieces.append(text)
        return out

    def _repeated(self, reading: Reading, texts: Texts) -> tuple[bytes, Item | None, Part | None]:
        """The item and the part of an event that repeats a text, unless the client takes them for ended or
        has not heard of them. Text that only this event has is said before it."""
        before, lane = self._say_late(reading, texts), _lane_of(reading)
        item = self._item_of(lane) if lane else None
        if lane is None or item is None or (self._changed and not item.open):
            return before, None, None
        return before, item, item.parts.get(_key_of(lane))

    def _repeat(self, part: Part, said: Json, where: Path) -> Edits:
        """The edits to an object that repeats the text of a part."""
        if not self._changed or said.get("text") == part.text:
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
            elif said.get("type") not in TEXT_PARTS:
                left.append(compact(said))
        if len(left) < len(parts):
            return [(("item", member), array(left))]
        return edits

    # The server's calls

    def _call_added(self, reading: Reading, source: Source, texts: Texts) -> bytes:
        head, lane = object_in(reading.json, "item"), reading.slices[0].lane
        if lane:
            self._call_lanes[source] = lane
        if lane and texts is not None and not texts[0]:
            self._unsent[lane] = head
            return b""
        changes = self._put_right(head, lane.call if lane else None)
        item = self._add(reading, source, changes)
        edits: Edits = [(("item", key), compact(value)) for key, value in changes.items()]
        for piece, text in list(_texts_of(reading, texts))[1:]:  # it is more than announced
            item.pieces.append(text)
            edits += [(path, quoted(text)) for path in piece.paths if text != piece.text]
        if lane:
            self._calls[lane] = item
        return self._send(reading, edits, item)

    def _put_right(self, head: Json, call: ServerCall | None) -> Json:
        """The members that the item of a server's call must get."""
        if call is None or not call.id:
            return {}
        changes = head_changes(self._asked, head, call, self._output.ids)
        if changes:
            self._changed = True
        if changes.keys() - {"name"}:
            self._ledger.repaired(Repair.CALL_SHAPE)
        return changes

    def _arguments_delta(self, reading: Reading, texts: Texts) -> bytes:
        piece = reading.slices[0]
        text = texts[0] if texts else piece.text
        if piece.text and not text:
            return b""
        before, item = self._call_of(reading, text)
        if self._changed and (item is None or not item.open):
            return before
        if item:
            item.pieces.append(text)
        edits: Edits = [] if text == piece.text else [(("delta",), quoted(text))]
        return before + self._send(reading, edits, item)

    def _arguments_done(self, reading: Reading, texts: Texts) -> bytes:
        before, item = self._late_arguments(reading, texts)
        if item is None or not item.open:
            return before if self._changed else before + self._send(reading, [], item)
        if not is_object(item.arguments):
            self._waiting.setdefault(item, []).append(reading)
            return before
        return before + self._send_arguments_done(reading, item)

    def _send_arguments_done(self, reading: Reading, item: Item) -> bytes:
        item.arguments_are_done = True
        said, edits = reading.json, self._repeat_arguments(reading.json, item, ())
        if "name" in said and said["name"] != item.head.get("name"):
            edits.append((("name",), compact(item.head.get("name"))))
        return self._send(reading, edits, item)

    def _repeat_arguments(self, said: Json, item: Item, where: Path) -> Edits:
        """The edits to an object that repeats arguments. Some servers spell them in another way there."""
        text = text_in(said, "arguments")
        if text == item.arguments or (
            text and loads(text) is not None and loads(text) == loads(item.arguments)
        ):
            return []
        return [((*where, "arguments"), quoted(item.arguments))]

    def _call_done(self, reading: Reading, texts: Texts) -> bytes:
        piece, said = reading.slices[0], object_in(reading.json, "item")
        if piece.piece and piece.piece.whole and piece.lane and piece.lane.call:
            return self._whole_call(reading, piece.lane, piece.lane.call, texts)
        before, item = self._late_arguments(reading, texts)
        if item is None or not item.open:
            return before if self._changed else before + self._send(reading, [], item)
        if said.get("status") in ("completed", None) and not is_object(item.arguments):
            self._waiting.setdefault(item, []).append(reading)
            return before
        return before + self._end_waiting(item) + self._send_call_done(reading, item)

    def _send_call_done(self, reading: Reading, item: Item) -> bytes:
        said = object_in(reading.json, "item")
        head = {k: item.head[k] for k in ("id", "call_id", "name", "namespace") if item.head.get(k)}
        wanted = head | {"status": self._status(said, item)}
        edits: Edits = [(("item", k), compact(v)) for k, v in wanted.items() if said.get(k) != v]
        edits += self._repeat_arguments(said, item, ("item",))
        self._changed = self._changed or bool(edits)
        before = b""
        if self._altered and not item.arguments_are_done:
            before = self._output.end_arguments(item)
        item.open = False
        return before + self._send(reading, edits, item, done=True)

    def _status(self, said: Json, item: Item) -> Any:
        status = said.get("status")
        if status in ("completed", None) and not is_object(item.arguments):
            return "incomplete"
        if status is None:
            self._ledger.repaired(Repair.CALL_SHAPE)
        return status or "completed"

    def _whole_call(self, reading: Reading, lane: LaneId, call: ServerCall, texts: Texts) -> bytes:
        """A call that no event but this one tells of. If anything is altered it gets the others as well."""
        head, piece = object_in(reading.json, "item"), reading.slices[0]
        if call.dropped or (piece.text and texts == [""]):
            self._unsent[lane] = head
            return b""
        changes = self._put_right(head, call)
        if not self._altered and is_object(piece.text):
            item = self._calls[lane] = self._add(reading, _source_of(reading))
            item.pieces.append(piece.text)
            return self._send_call_done(reading, item)
        self._changed = True
        out = self._begin(lane, head | changes)
        out += self._say_arguments(lane, texts[0] if texts else piece.text)
        return out + (self._output.end(self._calls[lane]) if is_object(self._calls[lane].arguments) else b"")

    def _late_arguments(self, reading: Reading, texts: Texts) -> tuple[bytes, Item | None]:
        """The item of an event that repeats arguments. Those that only this event has are said before it."""
        piece = reading.slices[0]
        text = (texts[0] if texts else piece.text) if piece.at is At.TEXT else ""
        before, item = self._call_of(reading, text)
        if item is None or not item.open or not text:
            return before, item
        if self._altered:
            return before + self._output.say_arguments(item, text), item
        item.pieces.append(text)
        return before, item

    def _call_of(self, reading: Reading, text: str) -> tuple[bytes, Item | None]:
        """The item of a call, and what tells the client of it, if the server has not done so."""
        source, lane = _source_of(reading), reading.slices[0].lane
        if source and lane:
            self._call_lanes[source] = lane
        elif source:
            lane = self._call_lanes.get(source)
        item = self._calls.get(lane) if lane else self._current.get(source)
        if item or source is None or (lane and lane in self._unsent):
            return b"", item
        if self._altered and lane and lane.call:
            begun = b"" if lane.call.dropped or not text else self._begin(lane, {})
            return begun, self._calls.get(lane)
        if self._changed:
            return b"", None
        item = self._add(reading, source)
        if lane:
            self._calls[lane] = item
        return b"", item

    # Frames of our own

    def events(self, lane: LaneId, events: Iterable[Event], near: Reading) -> bytes:
        self._changed = True
        return b"".join(self._own(lane, event) for event in joined(events))

    def _own(self, lane: LaneId, event: Event) -> bytes:
        match event:
            case Text(text) if lane.kind is not Kind.ARGUMENTS:
                return self._say(lane, text)
            case Text(text) | ArgumentsDelta(_, text):
                return self._say_arguments(lane, text)
            case CallStart() if lane.call:
                return self._begin(lane, self._unsent.pop(lane, {}))
            case CallStart(_, name):
                ended = self._output.end_messages()
                return ended + self._announce(lane, new_call(self._asked, new_id("call_"), name))
            case CallEnd():
                item = self._calls.get(lane)
                waited = self._end_waiting(item) if item else b""
                return waited + (self._output.end(item) if item and item.open else b"")
        return b""

    def end(self, near: Reading, group: int) -> bytes:
        self._changed = True
        out = self._end_waiting() + self._output.end_all()
        response = {"id": new_id("resp_"), "object": "response", "created_at": self._created_at}
        response |= {"model": self._asked.model} | self._response | {"status": "completed"}
        items = loads(self._output.as_json("", {}))
        return out + self._output.event("response.completed", response=response | {"output": items})

    def close(self) -> bytes:
        return b""  # without an end event nobody takes the answer for whole

    def _begin(self, lane: LaneId, head: Json) -> bytes:
        """Begin a call of the server's that was not announced; `head` is what it has said of it."""
        call = lane.call
        assert call
        source = next((source for source, known in self._call_lanes.items() if known is lane), None)
        if head:
            head = head | self._put_right(head, call)
        else:
            self._ledger.repaired(Repair.CALL_SHAPE)
            head = new_call(self._asked, call.id, call.name)
            if source and source.id and source.id not in self._output.ids:
                head["id"] = source.id
        out = self._announce(lane, head | {"arguments": "", "status": "in_progress"})
        if source:
            self._current[source] = self._calls[lane]
        return out

    def _announce(self, lane: LaneId, head: Json) -> bytes:
        self._calls[lane], out = self._output.announce(head)
        return out

    def _say_arguments(self, lane: LaneId, text: str) -> bytes:
        out = b""
        if lane.call and lane not in self._calls and not lane.call.dropped:
            out = self._begin(lane, self._unsent.pop(lane, {}))
        item = self._calls.get(lane)
        return out + (self._output.say_arguments(item, text) if item and item.open and text else b"")

    def _end_waiting(self, only: Item | None = None) -> bytes:
        """Send the events that wait, or those of one call: nothing more comes of it."""
        out = b""
        for item in [only] if only else list(self._waiting):
            for reading in self._waiting.pop(item, ()):
                is_end = text_in(reading.json, "type") == "response.output_item.done"
                send = self._send_call_done if is_end else self._send_arguments_done
                out += send(reading, item)
        return out

    # What every frame of the server's needs

    def _add(self, reading: Reading, source: Source | None, changes: Json | None = None) -> Item:
        """An item that the server announces, or should have announced."""
        number = reading.json.get("output_index")
        if self._changed or not isinstance(number, int):
            number = self._output.next_number
        head = {"id": source.id} if source and source.id else {}
        head |= object_in(reading.json, "item") | (changes or {})
        item = self._current[source] = Item(number, source.type if source else "", head)
        self._output.items.append(item)
        return item

    def _repair_envelope(self) -> None:
        if not self._repairing:
            self._repairing = True
            self._ledger.repaired(Repair.ENVELOPE)

    def _send(
        self,
        reading: Reading,
        edits: Edits,
        item: Item | None = None,
        part: Part | None = None,
        done: bool = False,  # it says that the item is done
    ) -> bytes:
        """A frame of the server's, with its numbers put right."""
        if not self._altered:
            self._output.sequence = reading.json.get("sequence_number", self._output.sequence)
        elif reading.json:
            edits = edits + self._numbers(reading.json, item, part)
        data = edited(reading.data, edits)
        if done and item:
            item.done = data
        return replace_data(reading.frame, data) if edits else reading.frame

    def _numbers(self, json: Json, item: Item | None, part: Part | None) -> Edits:
        wanted: Json = {}
        if self._output.sequence is not None:
            self._output.sequence += 1
            wanted["sequence_number"] = self._output.sequence
        if item:
            wanted["output_index"] = item.number
        if item and "item_id" in json:
            wanted["item_id"] = item.id
        if part:
            wanted[NUMBER[TEXT_PARTS[part.type]]] = part.number
        return [((key,), compact(value)) for key, value in wanted.items() if json.get(key) != value]


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


def _source_of(reading: Reading) -> Source | None:
    source = reading.facts.get("source")
    return source if isinstance(source, Source) else None


def _lane_of(reading: Reading) -> LaneId | None:
    return reading.slices[0].lane if reading.slices else None


def _texts_of(reading: Reading, texts: Texts) -> Iterator[tuple[Slice, str]]:
    """The slices of a frame and their texts."""
    left = [piece.text for piece in reading.slices] if texts is None else texts
    return zip(reading.slices, left, strict=True)


def _text_key(lane: LaneId) -> tuple[Source | None, str, int]:
    """The item, the type and the number of a part. A lane that no item of the server's has is a message."""
    if isinstance(lane.key, tuple):
        source, kind, index = lane.key
        return source, kind, index
    return None, "output_text", 0


def _key_of(lane: LaneId) -> PartKey:
    _, kind, index = _text_key(lane)
    return TEXT_PARTS[kind], index
