"""What reading and writing a Responses answer share: the server's items, and the items that the client
was told of.

An item of the server is a `Source`, an item of the client is an `Item`. Mostly they correspond. But text
after a call is a new item, even if the server continues the old one; an item that was nothing but a call
is never sent; and calls that were found in text have no source.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from ..schema.json_read import Json, text_in
from ..schema.json_write import quoted
from .base import Asked, Reading, ServerCall, new_id
from .json_edit import Edits, span

PartKey = tuple[str, int]  # the member of the item that the part stands in, and its place there
Texts = list[str] | None  # the texts for the slices of a frame; None: all as they came

ARGUMENTS: PartKey = ("arguments", 0)  # the key of a call's arguments
# By the type of a part: the member of its item that it stands in
TEXT_PARTS = {"output_text": "content", "reasoning_text": "content", "summary_text": "summary"}


@dataclass(slots=True, eq=False)
class Source:
    """An item as the server announces it. `number` counts them, because some servers send no
    output_index."""

    number: int
    id: str
    type: str
    named: bool = False  # the name of the call has come
    read: set[PartKey] = field(default_factory=set)  # the parts whose text was read, at least a piece of it

    def unread(self, key: PartKey, text: str) -> str:
        """What still has to be read of a text that should only repeat a part: all of it, if no piece has
        come."""
        if key in self.read:
            return ""
        if text:
            self.read.add(key)
        return text


@dataclass(slots=True)
class Part:
    """A part of an item, as far as the client was told of it."""

    number: int  # its content_index or summary_index
    type: str  # output_text, reasoning_text, summary_text
    pieces: list[str] = field(default_factory=list)
    ours: bool = False  # the server has not announced it
    text_is_done: bool = False
    is_done: bool = False

    @property
    def text(self) -> str:
        self.pieces = ["".join(self.pieces)]
        return self.pieces[0]

    @property
    def json(self) -> Json:
        if self.type == "output_text":
            return {"type": self.type, "text": self.text, "annotations": [], "logprobs": []}
        return {"type": self.type, "text": self.text}


@dataclass(slots=True, eq=False)
class Item:
    """An item that the client was told of."""

    number: int  # its output_index
    type: str
    head: Json  # as it was announced
    parts: dict[PartKey, Part] = field(default_factory=dict)  # by the server's number of the part
    pieces: list[str] = field(default_factory=list)  # of a call's arguments
    arguments_are_done: bool = False
    open: bool = True
    done: str = ""  # the data of the event that said it is done

    @property
    def id(self) -> str:
        return text_in(self.head, "id")

    @property
    def arguments(self) -> str:
        self.pieces = ["".join(self.pieces)]
        return self.pieces[0]

    @property
    def json(self) -> Json:
        """The item as it is now. Its `status` is still the announced one."""
        if self.type == "function_call":
            return self.head | {"arguments": self.arguments}
        members: Json = {member: [] for member in ("content", "summary") if member in self.head}
        for part in self.parts_in_order:
            members.setdefault(TEXT_PARTS[part.type], []).append(part.json)
        return self.head | members

    @property
    def parts_in_order(self) -> list[Part]:
        """The parts by their numbers."""
        return sorted(self.parts.values(), key=lambda part: part.number)

    def next_part(self, member: str) -> int:
        """The first number that no part has."""
        taken = [part.number for (other, _), part in self.parts.items() if other == member]
        return max(taken, default=-1) + 1


def new_message() -> Json:
    """The head of a message of our own."""
    return {
        "type": "message",
        "id": new_id("msg_"),
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }


def new_call(asked: Asked, call_id: str, name: str) -> Json:
    """The head of a call of our own."""
    head = {"type": "function_call", "id": new_id("fc_"), "call_id": call_id, "name": name}
    head |= {"arguments": "", "status": "in_progress"}
    if name in asked.namespaces:
        head["namespace"] = asked.namespaces[name]
    return head


def head_changes(asked: Asked, item: Json, call: ServerCall, taken: Collection[str]) -> Json:
    """The members that have to be changed in the item of a server's call. Its id must not be one of those
    that are `taken`."""
    if not call.id:
        return {}
    wanted = {"call_id": call.id, "name": call.name}
    if (own := text_in(item, "id")) in taken or not own:
        wanted["id"] = new_id("fc_")
    if call.name in asked.namespaces and not item.get("namespace"):
        wanted["namespace"] = asked.namespaces[call.name]
    return {key: value for key, value in wanted.items() if item.get(key) != value}


# Frames


def source_of(reading: Reading) -> Source | None:
    source = reading.facts.get("source")
    return source if isinstance(source, Source) else None


# JSON


def event_type(json: Json) -> str:
    """The type of an event. llama.cpp's errors have none."""
    return text_in(json, "type") or ("error" if json.get("error") else "")


def array(texts: Iterable[str]) -> str:
    """A JSON array of values that are JSON texts."""
    return f"[{','.join(texts)}]"


def edited(text: str, edits: Edits) -> str:
    """The JSON text with the values at these paths replaced. A missing member is added to its object."""
    for path, new in edits:
        if where := span(text, path):
            text = text[: where[0]] + new + text[where[1] :]
        elif (outer := span(text, path[:-1])) and text[outer[0]] == "{":
            end = outer[1] - 1
            comma = "," if text[outer[0] + 1 : end].strip() else ""
            text = f"{text[:end]}{comma}{quoted(str(path[-1]))}:{new}{text[end:]}"
    return text


def with_more(text: str, members: str) -> str:
    """The JSON object, not empty, with further members at its end, each written after a comma."""
    end = text.rfind("}")
    return text[:end] + members + text[end:] if members else text
