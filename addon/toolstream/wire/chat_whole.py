"""Writes a chat completion that is not streamed. It is edited in place, so that everything else keeps its
bytes.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ..ledger import Ledger
from ..repairs import Repair
from ..schema.json_read import Json, object_in
from ..schema.json_write import dump, quoted
from .base import Found, Kind, Reading, ServerCall, Slice
from .chat_json import choices_of, new_call_id, reason_to_send
from .json_edit import Edit, Edits, Path, span, splice, value_at


class Part(NamedTuple):
    """A slice, what is left of its text (None: all of it), and the (name, arguments) of the calls that were
    found in it."""

    slice: Slice
    left: str | None
    calls: list[tuple[str, str]]

    def is_of(self, kind: Kind) -> bool:
        """Whether it is text of this kind."""
        return self.slice.lane is not None and self.slice.lane.kind is kind

    @property
    def call(self) -> ServerCall:
        """The call that the server parsed, whose arguments it is."""
        assert self.slice.lane
        assert self.slice.lane.call
        return self.slice.lane.call


def write_whole(reading: Reading, found: Found, ledger: Ledger) -> str:
    """The body to send."""
    edits: Edits = []
    parts = list(map(Part, reading.slices, found.texts, found.calls))
    for at, choice in choices_of(reading.json):
        if isinstance(choice.get("message"), dict):
            own = [part for part in parts if part.slice.paths and part.slice.paths[0][1] == at]
            edits += _edit_choice(reading.data, at, choice, own, ledger)
    return splice(reading.data, edits) if edits else reading.data


def _edit_choice(text: str, at: int, choice: Json, parts: list[Part], ledger: Ledger) -> Iterator[Edit]:
    """The edits that move the calls in one choice's texts to its `tool_calls`, and correct the calls
    there."""
    path: Path = ("choices", at, "message")
    native = [part.call for part in parts if part.slice.call_piece and not part.call.dropped]
    calls = _found(parts, Kind.CONTENT) or _found(parts, Kind.REASONING)
    if message := value_at(text, path):
        edited = _edit_texts(message, parts)
        if calls and choice["message"].get("content") == "":
            edited = splice(edited, [(("content",), "null")])
        edited = _edit_calls(
            edited, choice["message"], parts, [_new_element(*call) for call in calls], ledger
        )
        if edited != message:
            yield path, edited
    sent = choice.get("finish_reason")
    reason = reason_to_send(sent, bool(native), bool(calls), any(call.broken for call in native))
    if reason != sent:
        if not calls and reason != "length":
            ledger.repaired(Repair.FINISH_REASON)
        yield ("choices", at, "finish_reason"), quoted(str(reason))


def _found(parts: list[Part], kind: Kind) -> list[tuple[str, str]]:
    """The calls found in the text of this kind."""
    return [call for part in parts if part.is_of(kind) for call in part.calls]


def _edit_texts(message: str, parts: list[Part]) -> str:
    """The message without the calls in its texts. Reasoning stays a string, even if nothing is left of it."""
    for part in parts:
        if part.is_of(Kind.REASONING) and part.left is not None:
            left = quoted(part.left)
            message = splice(message, [(path[3:], left) for path in part.slice.paths])
    added = "".join(_text_of_call(part) for part in parts if part.slice.call_piece)
    content = [part for part in parts if part.is_of(Kind.CONTENT)]
    changed = [part.left for part in content if part.left is not None]
    if changed or added:
        kept = (changed[0] if changed else "".join(part.slice.text for part in content)) + added
        message = splice(message, [(("content",), quoted(kept) if kept else "null")])
    return message


def _text_of_call(part: Part) -> str:
    """What a call adds to the content: the text that takes its place if it is dropped, else the prose that
    came after its arguments."""
    return part.left or "" if part.call.dropped else part.call.beside


def _edit_calls(message: str, json: Json, parts: list[Part], added: list[str], ledger: Ledger) -> str:
    """The message with its calls put right, and these elements of `tool_calls` added."""
    native = [part for part in parts if part.slice.call_piece]
    swallowed = [_new_element(*call) for part in native for call in part.calls]
    kept = [_element(message, json, part, ledger) for part in native]
    same = all(is_same for is_same, _ in kept) and isinstance(json.get("tool_calls"), list | None)
    if same and not (swallowed or added):
        return message
    if native and span(message, ("function_call",)):
        message = splice(message, [(("function_call",), "null")])
    elements = [text for _, text in kept]
    if span(message, ("tool_calls",)) is None:
        message = f'{message[:-1].rstrip()},"tool_calls":[]}}'
    elif same and native:  # as the server spaced them
        elements = [value_at(message, ("tool_calls",)).strip("[] \n")]
    listed = ",".join(filter(None, [*elements, *swallowed, *added]))
    return splice(message, [(("tool_calls",), f"[{listed}]")])


def _element(message: str, json: Json, part: Part, ledger: Ledger) -> tuple[bool, str]:
    """Whether an element of `tool_calls` stays as it is, and its text."""
    own, call = part.slice, part.call
    assert own.call_piece
    if call.dropped:
        return False, ""
    path = own.paths[0][3:]  # of the arguments
    listed = path[0] == "tool_calls"
    raw = value_at(message, path[:-2]) if listed else ""
    old = _value(json, path[:-2]) if raw else {"function": json.get("function_call")}
    if own.call_piece.foreign:
        return bool(raw), raw or dump(old)
    right = bool(raw) and len(path) > 3 and _is_right(old, call)
    if not right:
        call.reshape(ledger)
    if right and part.left is None and object_in(old, "function").get("name") == call.name:
        return True, raw
    return False, _mended_element(old, call, own.text if part.left is None else part.left)


def _is_right(json: Json, call: ServerCall) -> bool:
    """Whether an element is as every known client expects it, the name apart."""
    function = object_in(json, "function")
    named = bool(function.get("name")) and isinstance(function.get("arguments"), str)
    return named and json.get("id") == call.id and json.get("type") == "function"


def _mended_element(old: Json, call: ServerCall, arguments: str) -> str:
    """The element in the right shape, with what else stood in the old one and in its function."""
    outer = {k: v for k, v in old.items() if k not in ("index", "id", "type", "function")}
    inner = {k: v for k, v in object_in(old, "function").items() if k not in ("name", "arguments")}
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
