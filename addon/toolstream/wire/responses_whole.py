"""Writes a Responses answer that is not streamed; and events that nobody reads.

The items of a body that do not change keep every byte. The calls that were found in a text become items
after it, and the rest of a message becomes a new message after them.
"""

from collections.abc import Iterator, Sequence

from ..ledger import Ledger
from ..schema.json_read import Json, loads_object, object_in, objects_in, text_in
from ..schema.json_write import compact, quoted
from .base import Asked, Found, Reading, new_id
from .json_edit import Edits, members, span, value_at
from .responses_items import (
    TEXT_PARTS,
    array,
    edited,
    head_changes,
    new_call,
    new_message,
)
from .sse import read_data, replace_data

Calls = list[tuple[str, str]]


def write_whole(asked: Asked, reading: Reading, found: Found, ledger: Ledger) -> str:
    """The body with what was found in its texts; the body itself if nothing has changed."""
    writer = _Writer(asked, reading, found, ledger)
    items = [text for number in range(len(writer.items)) for text in writer.item(number)]
    if not writer.changed:
        return reading.data
    return edited(reading.data, [(("output",), array(items))])


def written_whole(asked: Asked, text: str, calls: Calls) -> str:
    """An answer of our own."""
    done = {"status": "completed"}
    content = [{"type": "output_text", "text": text, "annotations": []}]
    output = [new_message() | done | {"content": content}] if text else []
    for name, arguments in calls:
        output.append(new_call(asked, new_id("call_"), name) | done | {"arguments": arguments})
    head = {"id": new_id("resp_"), "object": "response", "created_at": 0}
    return compact(head | done | {"model": asked.model, "output": output, "error": None, "usage": None})


class _Writer:
    def __init__(self, asked: Asked, reading: Reading, found: Found, ledger: Ledger) -> None:
        self.items = objects_in(reading.json, "output")
        self.changed = False
        self._asked, self._reading, self._found, self._ledger = asked, reading, found, ledger
        self._slices: dict[int, list[int]] = {}  # by the number of their item
        for at, piece in enumerate(reading.slices):
            number = piece.call_piece.index if piece.call_piece else piece.paths[0][1]
            if isinstance(number, int):
                self._slices.setdefault(number, []).append(at)
        self._ids: set[str] = set()  # of the items that are written
        self._written = members(value_at(reading.data, ("output",))) if self.items else {}  # as they came

    def item(self, number: int) -> Iterator[str]:
        """The items that replace one of the server's, as JSON texts."""
        slices = self._slices.get(number, [])
        is_call = any(self._reading.slices[at].call_piece for at in slices)
        found = self._call(number, slices[0]) if is_call else self._texts(number, slices)
        yield from found

    def _as_it_came(self, number: int) -> str:
        return self._written[number]

    # Calls

    def _call(self, number: int, at: int) -> Iterator[str]:
        item, piece = self.items[number], self._reading.slices[at]
        if piece.call and piece.call.dropped:
            self.changed = True
            if text := self._found.texts[at]:  # it was no call after all
                content = [{"type": "output_text", "text": text, "annotations": []}]
                yield compact(new_message() | {"status": "completed", "content": content})
            return
        changes = self._call_changes(item, at)
        self._ids.add(text_in(item, "id"))
        self.changed = self.changed or bool(changes)
        edits: Edits = [((key,), compact(value)) for key, value in changes.items()]
        yield edited(self._as_it_came(number), edits)
        yield from self._found_calls(at)

    def _call_changes(self, item: Json, at: int) -> Json:
        """The members that have to be changed in an item of the server."""
        piece, text = self._reading.slices[at], self._found.texts[at]
        call = piece.call
        if call is None or item.get("type") != "function_call":
            return {}
        changes = head_changes(self._asked, item, call, self._ids)
        arguments = piece.text if text is None else text
        status = item.get("status")
        if "status" not in item:
            changes["status"] = status = "completed"
        if changes.keys() - {"name"}:
            call.reshape(self._ledger)
        if text is not None:
            changes["arguments"] = arguments
        if status == "completed" and (call.broken or loads_object(arguments) is None):
            changes["status"] = "incomplete"
        return changes

    def _found_calls(self, at: int) -> Iterator[str]:
        for name, arguments in self._found.calls[at]:
            self.changed = True
            head = new_call(self._asked, new_id("call_"), name)
            yield compact(head | {"arguments": arguments, "status": "completed"})

    # Texts

    def _texts(self, number: int, slices: Sequence[int]) -> Iterator[str]:
        texts, calls = self._found.texts, self._found.calls
        if all(texts[at] is None and not calls[at] for at in slices):
            yield self._as_it_came(number)
            return
        self.changed = True
        parts = self._parts(number, slices)
        if self.items[number].get("type") != "message":
            yield self._with_parts(number, parts)
            yield from (call for at in slices for call in self._found_calls(at))
            return
        yield from self._message(number, parts)

    def _parts(self, number: int, slices: Sequence[int]) -> list[tuple[str, str, int | None]]:
        """The parts of an item that are left: (member, JSON text, index of its slice)."""
        by_place = {self._reading.slices[at].paths[0][2:4]: at for at in slices}
        parts: list[tuple[str, str, int | None]] = []
        for member in dict.fromkeys(TEXT_PARTS.values()):
            for place, said in enumerate(objects_in(self.items[number], member)):
                at = by_place.get((member, place))
                text = value_at(self._written[number], (member, place))
                parts.append((member, text if at is None else self._part(text, said, at), at))
        return parts

    def _part(self, text: str, said: Json, at: int) -> str:
        """A part as it is now; "" if nothing is left of it."""
        left = self._found.texts[at]
        if left is None or left == said.get("text"):
            return text
        logprobs: Edits = [(("logprobs",), "[]")] if said.get("logprobs") else []
        return edited(text, [(("text",), quoted(left)), *logprobs]) if left else ""

    def _with_parts(self, number: int, parts: Sequence[tuple[str, str, int | None]]) -> str:
        item = self.items[number]
        left = [(member, text) for member, text, _ in parts if text]
        edits: Edits = []
        for member in dict.fromkeys(TEXT_PARTS.values()):
            if objects_in(item, member):
                edits.append(((member,), array(text for other, text in left if other == member)))
        edits += _edit_copy(item, [text for _, text in left])
        return edited(self._as_it_came(number), edits)

    def _message(self, number: int, parts: Sequence[tuple[str, str, int | None]]) -> Iterator[str]:
        """A message, divided after each part in which calls were found."""
        said: list[tuple[str, str, int | None]] = []
        is_first = True
        for place, part in enumerate(parts):
            said += [part] if part[1] else []
            at, is_last = part[2], place == len(parts) - 1
            calls = list(self._found_calls(at)) if at is not None else []
            if said and (calls or is_last):
                text = self._with_parts(number, said)
                yield text if is_first else edited(text, [(("id",), quoted(new_id("msg_")))])
                said, is_first = [], False
            yield from calls


def _edit_copy(item: Json, parts: Sequence[str]) -> Edits:
    """The edit to `encrypted_content`, where Ollama repeats the summary."""
    said = "".join(text_in(part, "text") for part in objects_in(item, "summary"))
    if not said or item.get("encrypted_content") != said:
        return []
    left = "".join(text_in(loads_object(part) or {}, "text") for part in parts)
    return [(("encrypted_content",), quoted(left))]


# Unread


def disarmed(data: bytes) -> bytes:
    """Lines of events, changed so that none of them says that a call with truncated arguments can run."""
    if b"function_call" not in data:
        return data
    return b"".join(map(_disarmed, data.splitlines(keepends=True)))


def _disarmed(line: bytes) -> bytes:
    data = read_data(line) or ""
    json = loads_object(data, strict=False) or {}
    items = [(("item",), object_in(json, "item"))]
    output = objects_in(object_in(json, "response"), "output")
    items += [(("response", "output", number), item) for number, item in enumerate(output)]  # type: ignore[misc]
    edits: Edits = [((*path, "status"), '"incomplete"') for path, item in items if _is_cut(item)]
    edits = [(path, new) for path, new in edits if span(data, path)]
    return replace_data(line, edited(data, edits)) if edits else line


def _is_cut(item: Json) -> bool:
    done = item.get("type") == "function_call" and item.get("status") == "completed"
    return done and loads_object(text_in(item, "arguments")) is None
