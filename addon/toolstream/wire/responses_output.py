"""What the client of a Responses answer was told, and how anything more is sent to it.

Every event is accounted for here, the server's and our own: the items in the order of their announcement,
their contents, and the last sequence number. So each event fits the events before it, whoever has written
them.
"""

from collections.abc import Iterable
from typing import Any

from ..schema.json_read import Json, loads_object, object_in, objects_in, text_in
from ..schema.json_write import compact, quoted
from .base import Reading, new_id
from .json_edit import Edits, value_at
from .responses_items import (
    TEXT_PARTS,
    Item,
    Part,
    Source,
    array,
    edited,
    new_message,
    with_more,
)
from .sse import read_data, replace_data

# By the type of a part: the name of its text events
TEXT_EVENT = {
    "output_text": "output_text",
    "reasoning_text": "reasoning_text",
    "summary_text": "reasoning_summary_text",
}
# By the member that a part is in: the name of its own events, and of its index
PART_EVENT = {"content": "content_part", "summary": "reasoning_summary_part"}
NUMBER = {"content": "content_index", "summary": "summary_index"}
READ = ("message", "reasoning", "function_call")  # the types of items that we can write
END = b"}\n\n"  # of most frames
LOGPROBS: dict[str, Json] = {"output_text": {"logprobs": []}}


class Output:
    def __init__(self) -> None:
        self.items: list[Item] = []
        self.current: dict[Source | None, Item] = {}  # the item that events about this source are about now
        self.sequence: int | None = None  # the last sequence number that was sent; None if there are none
        self.changed = False  # the client gets another answer than the server's
        self.completing = False  # the client also gets what the server leaves out

    @property
    def altered(self) -> bool:
        """Whether we number the events, and add those that are missing."""
        return self.changed or self.completing

    @property
    def next_number(self) -> int:
        """The first output_index that no item has."""
        return max((item.number for item in self.items), default=-1) + 1

    @property
    def ids(self) -> set[str]:
        """The ids of items."""
        return {item.id for item in self.items}

    # Frames of the server's

    def add(self, reading: Reading, source: Source | None, changes: Json | None = None) -> Item:
        """An item that the server announces, or should have announced."""
        number = reading.json.get("output_index")
        if self.changed or not isinstance(number, int):
            number = self.next_number
        head = {"id": source.id} if source and source.id else {}
        head |= object_in(reading.json, "item") | (changes or {})
        item = self.current[source] = Item(number, source.type if source else "", head)
        self.items.append(item)
        return item

    def send(
        self,
        reading: Reading,
        edits: Edits,
        item: Item | None = None,
        part: Part | None = None,
        done: bool = False,  # it says that the item is done
    ) -> bytes:
        """A frame of the server, with its numbers corrected."""
        frame, missing = reading.frame, ""
        if self.altered:
            missing, wrong = self._renumbered(reading.json, item, part)
            edits = [*edits, *wrong]
        elif isinstance(sequence := reading.json.get("sequence_number"), int):
            self.sequence = sequence
        if edits or missing:
            frame = _changed(reading, edits, missing)
        if done and item:
            item.open, item.done = False, read_data(frame) or ""
        return frame

    def _renumbered(self, json: Json, item: Item | None, part: Part | None) -> tuple[str, Edits]:
        """The members for the place of an event that it lacks, as JSON text, and edits to the wrong ones."""
        missing, edits = "", Edits()
        for key, value in self._numbers(json, item, part).items():
            if key not in json:
                missing += f',"{key}":{compact(value)}'
            elif json[key] != value:
                edits.append(((key,), compact(value)))
        return missing, edits

    def _numbers(self, json: Json, item: Item | None, part: Part | None) -> Json:
        """The members that give the place of an event."""
        found: Json = {}
        if self.sequence is not None and json:
            self.sequence += 1
            found["sequence_number"] = self.sequence
        if item:
            found["output_index"] = item.number
        if item and "item_id" in json:
            found["item_id"] = item.id
        if part:
            found[NUMBER[TEXT_PARTS[part.type]]] = part.number
        return found

    # Events of our own

    def event(self, kind: str, **members: Any) -> bytes:
        """An event of our own."""
        head: Json = {"type": kind}
        if self.sequence is not None:
            self.sequence += 1
            head["sequence_number"] = self.sequence
        return f"event: {kind}\ndata: {compact(head | members)}\n\n".encode()

    # Of texts

    def begin_text(self, source: Source | None, kind: str, is_first: bool) -> tuple[Item, bytes]:
        """A new item for text of this type. The first one for an item of the server has its id."""
        head = new_message()
        if kind != "output_text":
            head = {"type": "reasoning", "id": new_id("rs_"), "summary": []}
        if source and source.id and is_first and source.id not in self.ids:
            head["id"] = source.id
        return self.announce(head)

    def announce(self, head: Json) -> tuple[Item, bytes]:
        """A new item of our own."""
        item = Item(self.next_number, text_in(head, "type"), head)
        self.items.append(item)
        return item, self.event("response.output_item.added", output_index=item.number, item=head)

    def begin_part(self, item: Item, part: Part) -> bytes:
        part.ours = True
        return self._part_event(f"{PART_EVENT[TEXT_PARTS[part.type]]}.added", item, part, part=part.json)

    def say(self, item: Item, part: Part, text: str) -> bytes:
        """Send a further piece of a text."""
        part.pieces.append(text)
        more = LOGPROBS.get(part.type, {})
        return self._part_event(f"{TEXT_EVENT[part.type]}.delta", item, part, delta=text, **more)

    def end_parts(self, item: Item, ours_only: bool = False) -> bytes:
        """End the open parts."""
        out = b""
        for part in item.parts_in_order:
            if ours_only and not part.ours:
                continue
            out += self.end_text(item, part)
            if not part.is_done:
                event = f"{PART_EVENT[TEXT_PARTS[part.type]]}.done"
                out += self._part_event(event, item, part, part=part.json)
            part.is_done = True
        return out

    def end_text(self, item: Item, part: Part) -> bytes:
        """End the text of a part, if it is open."""
        if part.text_is_done:
            return b""
        part.text_is_done = True
        more = LOGPROBS.get(part.type, {})
        return self._part_event(f"{TEXT_EVENT[part.type]}.done", item, part, text=part.text, **more)

    def _part_event(self, kind: str, item: Item, place: Part, /, **members: Any) -> bytes:
        number = {NUMBER[TEXT_PARTS[place.type]]: place.number}
        return self.event(f"response.{kind}", item_id=item.id, output_index=item.number, **number, **members)

    # Of calls

    def say_arguments(self, item: Item, text: str) -> bytes:
        """Send a further piece of a call's arguments."""
        item.pieces.append(text)
        kind, number = "response.function_call_arguments.delta", ""
        if self.sequence is not None:
            self.sequence += 1
            number = f'"sequence_number":{self.sequence},'
        where = f'"item_id":{quoted(item.id)},"output_index":{item.number}'  # as `event` does, but at once
        return f'event: {kind}\ndata: {{"type":"{kind}",{number}{where},"delta":{quoted(text)}}}\n\n'.encode()

    def end_arguments(self, item: Item) -> bytes:
        item.arguments_are_done = True
        where = {"item_id": item.id, "output_index": item.number}
        name, arguments = text_in(item.head, "name"), item.arguments
        return self.event("response.function_call_arguments.done", **where, name=name, arguments=arguments)

    # Of ends

    def end_messages(self) -> bytes:
        """End the open messages."""
        return b"".join(self.end(item) for item in self.items if item.type == "message" and item.open)

    def end_all(self) -> bytes:
        """End everything that is open and of a known type."""
        return b"".join(self.end(item) for item in self.items if item.type in READ and item.open)

    def end(self, item: Item) -> bytes:
        """End an item. An unfinished call is `incomplete`, so that nobody runs it."""
        status, out = "completed", self.end_parts(item)
        if item.type == "function_call":
            out += b"" if item.arguments_are_done else self.end_arguments(item)
            status = "completed" if is_object(item.arguments) else "incomplete"
        item.open = False
        said = item.json | {"status": status}
        item.done = compact({"item": said})
        return out + self.event("response.output_item.done", output_index=item.number, item=said)

    def as_json(self, data: str, response: Json) -> str:
        """All items as the events that ended them have them. Items of unknown types are taken from the
        server's own `response`, which is in `data`."""
        theirs = {
            text_in(item, "id"): number
            for number, item in enumerate(objects_in(response, "output"))
            if text_in(item, "type") not in READ
        }
        return array(filter(None, self._items(data, theirs)))

    def _items(self, data: str, theirs: dict[str, int]) -> Iterable[str]:
        for item in self.items:
            if item.done:  # its event may have had no item
                yield value_at(item.done, ("item",)) or compact(item.json)
            elif item.id in theirs:
                yield value_at(data, ("response", "output", theirs[item.id]))


def _changed(reading: Reading, edits: Edits, missing: str) -> bytes:
    """The frame with these edits, and members that it lacks at its end."""
    frame = reading.frame
    if not edits and frame.endswith(END):  # the quick way
        return frame[: -len(END)] + missing.encode() + END
    return replace_data(frame, with_more(edited(reading.data or read_data(frame) or "", edits), missing))


def is_object(arguments: str) -> bool:
    """Whether these arguments are a complete JSON object."""
    return loads_object(arguments) is not None
