"""Writes the calls of a Responses answer: those that the server parsed, and those that were found in its
text.

A client runs a call as soon as its item is done. So an event that says so waits while the arguments are
not a JSON object yet, because the rest may still come, at the latest with the end of the answer. If it
does not, the item is `incomplete`. Servers say `completed` even of a call that the token limit cut off.

A call that the server does not announce, or only when it is done, is announced by us once anything in the
answer is altered.
"""

from typing import Any

from ..ledger import Ledger
from ..repairs import Repair
from ..schema.json_read import Json, loads, object_in, text_in
from ..schema.json_write import compact, quoted
from .base import Asked, At, LaneId, Reading, ServerCall, new_id, texts_of
from .json_edit import Edits, Path
from .responses_items import (
    Item,
    Source,
    Texts,
    head_changes,
    new_call,
    source_of,
)
from .responses_output import Output, is_object


class CallWriter:
    def __init__(self, asked: Asked, ledger: Ledger, out: Output) -> None:
        self._asked, self._ledger, self._out = asked, ledger, out
        self._calls: dict[LaneId, Item] = {}  # a lane's call: its own, or the last one in its text
        self._unsent: dict[LaneId, Json] = {}  # the items of calls that were not announced
        self._lanes: dict[Source, LaneId] = {}
        self._waiting: dict[Item, list[Reading]] = {}  # events that end a call which is not complete yet

    def is_overtaken_by(self, reading: Reading) -> bool:
        """Whether this event leaves before an earlier one that waits."""
        if not self._waiting:
            return False
        current = self._out.current.get(source_of(reading))
        return any(item is not current for item in self._waiting)

    # The server's frames

    def item_added(self, reading: Reading, source: Source, texts: Texts) -> bytes:
        head, lane = object_in(reading.json, "item"), reading.slices[0].lane
        if lane:
            self._lanes[source] = lane
        if lane and texts is not None and not texts[0]:
            self._unsent[lane] = head
            return b""
        changes = self._put_right(head, reading.slices[0].call)
        item = self._add(reading, source, lane, changes)
        edits: Edits = [(("item", key), compact(value)) for key, value in changes.items()]
        for piece, text in list(texts_of(reading, texts))[1:]:  # it already has arguments
            item.pieces.append(text)
            edits += piece.edits(text)
        return self._out.send(reading, edits, item)

    def _put_right(self, head: Json, call: ServerCall | None) -> Json:
        """The members that have to be changed in the item of a server's call."""
        if call is None:
            return {}
        changes = head_changes(self._asked, head, call, self._out.ids)
        if changes:
            self._out.changed = True
        if changes.keys() - {"name"}:
            call.reshape(self._ledger)
        return changes

    def arguments_delta(self, reading: Reading, texts: Texts) -> bytes:
        piece = reading.slices[0]
        text = texts[0] if texts else piece.text
        if piece.text and not text:
            return b""
        before, item = self._call_of(reading, text)
        if self._out.changed and (item is None or not item.open):
            return before
        if item:
            item.pieces.append(text)
        edits: Edits = [] if text == piece.text else [(("delta",), quoted(text))]
        return before + self._out.send(reading, edits, item)

    def arguments_done(self, reading: Reading, texts: Texts) -> bytes:
        before, item = self._late_arguments(reading, texts)
        if item is None or not item.open:
            return before if self._out.changed else before + self._out.send(reading, [], item)
        if not is_object(item.arguments):
            self._waiting.setdefault(item, []).append(reading)
            return before
        return before + self._send_arguments_done(reading, item)

    def _send_arguments_done(self, reading: Reading, item: Item) -> bytes:
        item.arguments_are_done = True
        said, name = reading.json, item.head.get("name")
        edits = self._repeat_arguments(said, item, ())
        if name and said.get("name", name) != name:
            edits.append((("name",), compact(name)))
        self._out.changed = self._out.changed or bool(edits)
        return self._out.send(reading, edits, item)

    def _repeat_arguments(self, said: Json, item: Item, where: Path) -> Edits:
        """The edits to an object that repeats arguments. Some servers spell them differently there."""
        text, arguments = text_in(said, "arguments"), item.arguments
        if text == arguments or (text and loads(text) == loads(arguments) is not None):
            return []
        return [((*where, "arguments"), quoted(arguments))]

    def item_done(self, reading: Reading, texts: Texts) -> bytes:
        piece, said = reading.slices[0], object_in(reading.json, "item")
        if piece.call_piece and piece.call_piece.whole and piece.lane and piece.call:
            return self._whole_call(reading, piece.lane, piece.call, texts)
        before, item = self._late_arguments(reading, texts)
        if item is None or not item.open:
            return before if self._out.changed else before + self._out.send(reading, [], item)
        if said.get("status") in ("completed", None) and not is_object(item.arguments):
            self._waiting.setdefault(item, []).append(reading)
            return before
        return before + self.end_waiting(item) + self._send_item_done(reading, item)

    def _send_item_done(self, reading: Reading, item: Item) -> bytes:
        said = object_in(reading.json, "item")
        head = {k: item.head[k] for k in ("id", "call_id", "name", "namespace") if item.head.get(k)}
        wanted = head | {"status": self._status(said, item)}
        edits: Edits = [(("item", k), compact(v)) for k, v in wanted.items() if said.get(k) != v]
        edits += self._repeat_arguments(said, item, ("item",))
        self._out.changed = self._out.changed or bool(edits)
        before = b""
        if self._out.altered and not item.arguments_are_done:
            before = self._out.end_arguments(item)
        return before + self._out.send(reading, edits, item, done=True)

    def _status(self, said: Json, item: Item) -> Any:
        status = said.get("status")
        if status in ("completed", None) and not is_object(item.arguments):
            return "incomplete"
        if status is None:
            self._ledger.repaired(Repair.CALL_SHAPE)
        return status or "completed"

    def _whole_call(self, reading: Reading, lane: LaneId, call: ServerCall, texts: Texts) -> bytes:
        """A call that only this event announces. If anything is altered, it gets the other events as
        well."""
        head, piece = object_in(reading.json, "item"), reading.slices[0]
        if call.dropped or (piece.text and texts == [""]):
            self._unsent[lane] = head
            return b""
        changes = self._put_right(head, call)
        if not self._out.altered and is_object(piece.text):
            item = self._calls[lane] = self._out.add(reading, source_of(reading))
            item.pieces.append(piece.text)
            return self._send_item_done(reading, item)
        self._out.changed = True
        out = self.begin(lane, head | changes) + self.say(lane, texts[0] if texts else piece.text)
        return out + (self.end(lane) if is_object(self._calls[lane].arguments) else b"")

    def _late_arguments(self, reading: Reading, texts: Texts) -> tuple[bytes, Item | None]:
        """The item of an event that repeats arguments. If only this event has them, they are sent before
        it."""
        piece = reading.slices[0]
        text = (texts[0] if texts else piece.text) if piece.at is At.TEXT else ""
        before, item = self._call_of(reading, text)
        if item is None or not item.open or not text:
            return before, item
        if self._out.altered:
            return before + self._out.say_arguments(item, text), item
        item.pieces.append(text)
        return before, item

    def _call_of(self, reading: Reading, text: str) -> tuple[bytes, Item | None]:
        """The item of a call, and the events that announce it, if nothing has yet and there is `text`."""
        source = source_of(reading)
        lane = self._lane_of(source, reading.slices[0].lane)
        item = self._calls.get(lane) if lane else self._out.current.get(source)
        if item or source is None:
            return b"", item
        if self._out.altered and lane and lane.call:
            begun = self.begin(lane) if text and not lane.call.dropped else b""
            return begun, self._calls.get(lane)
        return b"", None if self._out.changed else self._add(reading, source, lane)

    def _lane_of(self, source: Source | None, lane: LaneId | None) -> LaneId | None:
        """The lane of an event; if it has none, that of earlier events from its source."""
        if source and lane:
            self._lanes[source] = lane
        return lane or (self._lanes.get(source) if source else None)

    def _add(
        self, reading: Reading, source: Source, lane: LaneId | None, changes: Json | None = None
    ) -> Item:
        """The item that a server's event announces; it is the call of its lane."""
        item = self._out.add(reading, source, changes)
        if lane:
            self._calls[lane] = item
        return item

    # Calls that no frame of the server's begins

    def begin(self, lane: LaneId, head: Json | None = None) -> bytes:
        """Begin a server's call that was not announced. `head` is its item, as far as the server has sent
        it."""
        call = lane.call
        assert call
        source = next((source for source, known in self._lanes.items() if known is lane), None)
        head = head or self._unsent.pop(lane, None)
        if head:
            head = head | self._put_right(head, call)
        else:
            self._ledger.repaired(Repair.CALL_SHAPE)
            head = new_call(self._asked, call.id, call.name)
            if source and source.id and source.id not in self._out.ids:
                head["id"] = source.id
        out = self._announce(lane, head | {"arguments": "", "status": "in_progress"})
        if source:
            self._out.current[source] = self._calls[lane]
        return out

    def begin_own(self, lane: LaneId, name: str) -> bytes:
        """Begin a call that was found in a text."""
        head = new_call(self._asked, new_id("call_"), name)
        return self._out.end_messages() + self._announce(lane, head)

    def _announce(self, lane: LaneId, head: Json) -> bytes:
        self._calls[lane], out = self._out.announce(head)
        return out

    def say(self, lane: LaneId, text: str) -> bytes:
        """Send a further piece of the arguments."""
        out = b""
        if lane.call and lane not in self._calls and not lane.call.dropped:
            out = self.begin(lane)
        item = self._calls.get(lane)
        return out + (self._out.say_arguments(item, text) if item and item.open and text else b"")

    def end(self, lane: LaneId) -> bytes:
        """Send the end of a complete call."""
        item = self._calls.get(lane)
        if item is None:
            return b""
        waited = self.end_waiting(item)
        return waited + (self._out.end(item) if item.open else b"")

    def end_waiting(self, only: Item | None = None) -> bytes:
        """Send the events that wait, of one call or of all: nothing more comes of its arguments."""
        out = b""
        for item in [only] if only else list(self._waiting):
            for reading in self._waiting.pop(item, ()):
                is_end = text_in(reading.json, "type") == "response.output_item.done"
                send = self._send_item_done if is_end else self._send_arguments_done
                out += send(reading, item)
        return out
