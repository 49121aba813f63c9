"""Writes a chat completion that is not streamed. It is edited in place, so that everything else keeps its
bytes.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..ledger import Ledger
from ..schema.json_read import Json, object_in
from ..schema.json_write import dump, quoted
from .base import Found, Kind, Reading, ServerCall, Slice
from .chat_calls import others_in
from .chat_json import choices_of, new_call_id, reason_to_send
from .json_edit import Edit, Edits, Path, extended, splice, value_at, with_members


class Part(NamedTuple):
    """A slice, what is left of its text (None: all of it), and the (name, arguments) of the calls that were
    found in it."""

    slice: Slice
    left: str | None
    calls: list[tuple[str, str]]

    def is_of(self, kind: Kind) -> bool:
        """Whether it is text of this kind."""
        return self.slice.kind is kind

    @property
    def text(self) -> str:
        """Its text, as it leaves."""
        return self.slice.text if self.left is None else self.left

    @property
    def call(self) -> ServerCall:
        """The call that the server parsed, whose arguments it is."""
        assert self.slice.call
        return self.slice.call

    @property
    def is_foreign(self) -> bool:
        """Whether it is a call of another type than function."""
        return self.slice.call_piece is not None and self.slice.call_piece.foreign


class Parts:
    """The parts of one message, by what they hold."""

    def __init__(self, parts: list[Part]) -> None:
        self.content = [part for part in parts if part.is_of(Kind.CONTENT)]
        self.reasoning = [part for part in parts if part.is_of(Kind.REASONING)]
        self.native = [part for part in parts if part.slice.call_piece]  # calls that the server parsed

    @property
    def calls(self) -> list[tuple[str, str]]:
        """The calls that were found in its texts: those of the content, or else those of the reasoning."""
        return _calls(self.content) or _calls(self.reasoning)


def write_whole(reading: Reading, found: Found, ledger: Ledger) -> str:
    """The body to send."""
    edits: Edits = []
    parts = list(map(Part, reading.slices, found.texts, found.calls))
    for at, choice in choices_of(reading.json):
        if isinstance(choice.get("message"), dict):
            own = [part for part in parts if part.slice.paths and part.slice.paths[0][1] == at]
            edits += _edit_choice(reading.data, at, choice, Parts(own), ledger)
    return splice(reading.data, edits)


def _edit_choice(text: str, at: int, choice: Json, parts: Parts, ledger: Ledger) -> Iterator[Edit]:
    """The edits that move the calls in one choice's texts to its `tool_calls`, and correct the calls
    there."""
    path: Path = ("choices", at, "message")
    native = [part.call for part in parts.native if not part.call.dropped]
    if message := value_at(text, path):
        edited = _edit_calls(_edit_texts(message, choice["message"], parts), choice["message"], parts, ledger)
        if edited != message:
            yield path, edited
    sent, cut = choice.get("finish_reason"), any(call.broken for call in native)
    reason = reason_to_send(sent, bool(native), bool(parts.calls), cut, ledger)
    if reason != sent:
        yield ("choices", at, "finish_reason"), quoted(str(reason))


def _calls(parts: list[Part]) -> list[tuple[str, str]]:
    """The calls that were found in these parts."""
    return [call for part in parts for call in part.calls]


def _edit_texts(message: str, json: Json, parts: Parts) -> str:
    """The message without the calls in its texts. Reasoning stays a string, even if nothing is left of it."""
    edits = [(path[3:], new) for part in parts.reasoning for path, new in part.slice.edits(part.text)]
    added = "".join(map(_text_of_call, parts.native))
    if added or any(part.left is not None for part in parts.content):
        kept = "".join(part.text for part in parts.content) + added
        edits.append((("content",), quoted(kept) if kept else "null"))
    elif parts.calls and json.get("content") == "":
        edits.append((("content",), "null"))
    return splice(message, edits)


def _text_of_call(part: Part) -> str:
    """What a call adds to the content: the text that takes its place if it is dropped, else the prose that
    came after its arguments."""
    return part.left or "" if part.call.dropped else part.call.beside


def _edit_calls(message: str, json: Json, parts: Parts, ledger: Ledger) -> str:
    """The message with its calls put right, and the calls that were found in its texts added."""
    elements = [_element(message, json, part, ledger) for part in parts.native]
    added = [_new_element(*call) for call in _calls(parts.native) + parts.calls]
    if not _may_stay(elements, json):
        changed = extended("[]", [text for _, text in elements if text] + added)
    elif added:
        changed = extended(value_at(message, ("tool_calls",)) if elements else "[]", added)
    else:
        return message
    changes = {"tool_calls": changed}
    if parts.native and "function_call" in json:
        changes["function_call"] = "null"
    return with_members(message, changes)


def _may_stay(elements: list[tuple[bool, str]], json: Json) -> bool:
    """Whether a message may keep its calls as they are written: all elements are right, and in a list, or
    there are none."""
    return all(is_right for is_right, _ in elements) and isinstance(json.get("tool_calls"), list | None)


def _element(message: str, json: Json, part: Part, ledger: Ledger) -> tuple[bool, str]:
    """Whether an element of `tool_calls` stays as it is, and its text."""
    call = part.call
    if call.dropped:
        return False, ""
    path = part.slice.paths[0][3:-2]  # of the element; () for a legacy `function_call`
    raw, old = "", {"function": json.get("function_call")}
    if path:
        raw, old = value_at(message, path), _value(json, path)
    if part.is_foreign:
        return True, raw
    right = len(path) > 1 and _is_right(old, call)
    if not right:
        call.reshape(ledger)
    if right and part.left is None and object_in(old, "function").get("name") == call.name:
        return True, raw
    return False, _mended_element(old, call, part.text)


def _is_right(json: Json, call: ServerCall) -> bool:
    """Whether an element is as every known client expects it, the name apart."""
    function = object_in(json, "function")
    named = bool(function.get("name")) and isinstance(function.get("arguments"), str)
    return named and json.get("id") == call.id and json.get("type") == "function"


def _mended_element(old: Json, call: ServerCall, arguments: str) -> str:
    """The element in the right shape, with what else stood in the old one and in its function."""
    outer, inner = others_in(old)
    function = {"name": call.name, "arguments": arguments} | inner
    return dump({"id": call.id, "type": "function", "function": function} | outer)


def _new_element(name: str, arguments: str) -> str:
    """An element for a call that the server did not parse."""
    function = f'{{"name":{quoted(name)},"arguments":{quoted(arguments)}}}'
    return f'{{"id":"{new_call_id()}","type":"function","function":{function}}}'


def _value(json: Any, path: Path) -> Any:
    for step in path:
        json = json[step]
    return json
