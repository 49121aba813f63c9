"""Writes a chat completion that is not streamed: edits in place, so that all the rest keeps every byte."""

from collections.abc import Iterator
from typing import Any

from ..repairs import Ledger, Repair
from ..schema.json_read import Json, object_in
from ..schema.json_write import dump, quoted
from .base import Found, Kind, Reading, ServerCall, Slice, finish_reason
from .chat_json import choices_of, new_call_id
from .json_edit import Path, span, splice

WORDS = ("stop", "tool_calls", "length")
Part = tuple[Slice, str | None, list[tuple[str, str]]]  # a slice, what is left of it, the calls found there


def write_whole(reading: Reading, found: Found, ledger: Ledger) -> str:
    """The body to send."""
    edits: list[tuple[Path, str]] = []
    parts = list(zip(reading.slices, found.texts, found.calls, strict=True))
    for at, choice in choices_of(reading.json):
        if isinstance(choice.get("message"), dict):
            ours = [part for part in parts if part[0].paths and part[0].paths[0][1] == at]
            edits += _edit_choice(reading.data, at, choice, ours, ledger)
    return splice(reading.data, edits) if edits else reading.data


def _edit_choice(
    text: str, at: int, choice: Json, parts: list[Part], ledger: Ledger
) -> Iterator[tuple[Path, str]]:
    """The edits that move the calls in one choice's texts to its tool_calls, and mend those there."""
    path: Path = ("choices", at, "message")
    where = span(text, path)
    natives = [p[0].lane.call for p in parts if p[0].piece and p[0].lane and p[0].lane.call]
    natives = [call for call in natives if not call.dropped]
    calls = _found(parts, Kind.CONTENT) or _found(parts, Kind.REASONING)
    if where:
        message = text[slice(*where)]
        edited = _edit_texts(message, parts)
        if calls and choice["message"].get("content") == "":
            edited = splice(edited, [(("content",), "null")])
        edited = _edit_calls(edited, choice["message"], parts, [_call(*call) for call in calls], ledger)
        if edited != message:
            yield path, edited
    sent = choice.get("finish_reason")
    meant = "tool_calls" if sent == "function_call" and natives else sent
    reason = finish_reason(meant, bool(natives or calls), any(call.broken for call in natives), WORDS)
    if reason != sent:
        if not calls and reason != "length":
            ledger.repaired(Repair.FINISH_REASON)
        yield ("choices", at, "finish_reason"), quoted(str(reason))


def _found(parts: list[Part], kind: Kind) -> list[tuple[str, str]]:
    """The calls found in the text of this kind."""
    return [call for piece, _, calls in parts if piece.lane and piece.lane.kind is kind for call in calls]


def _edit_texts(message: str, parts: list[Part]) -> str:
    """The message without calls in its texts. Reasoning that was a string stays one, if empty."""
    instead = "".join(_text_of_call(piece, left) for piece, left, _ in parts if piece.piece)
    content = [part for part in parts if part[0].lane and part[0].lane.kind is Kind.CONTENT]
    for piece, left, _ in parts:
        if piece.lane and piece.lane.kind is Kind.REASONING and left is not None:
            message = splice(message, [(path[3:], quoted(left)) for path in piece.paths])
    changed = [left for _, left, _ in content if left is not None]
    if changed or instead:
        kept = (changed[0] if changed else "".join(piece.text for piece, _, _ in content)) + instead
        message = splice(message, [(("content",), quoted(kept) if kept else "null")])
    return message


def _text_of_call(piece: Slice, left: str | None) -> str:
    """What a call leaves in the text: what stands for one that is dropped, or stood behind its arguments."""
    call = _call_of(piece)
    return left or "" if call.dropped else call.beside


def _edit_calls(message: str, json: Json, parts: list[Part], calls: list[str], ledger: Ledger) -> str:
    """The message with its calls put right, and these added."""
    natives = [part for part in parts if part[0].piece]
    swallowed = [_call(*call) for _, _, more in natives for call in more]
    kept = [_element(message, json, part, ledger) for part in natives]
    same = all(raw for raw, _ in kept) and isinstance(json.get("tool_calls"), list | None)
    if same and not (swallowed or calls):
        return message
    if natives and span(message, ("function_call",)):
        message = splice(message, [(("function_call",), "null")])
    where = span(message, ("tool_calls",))
    if where is None:
        message = f'{message[:-1].rstrip()},"tool_calls":[]}}'
    elements = [text for _, text in kept]
    if same and where and natives:  # as the server spaced them
        elements = [message[slice(*where)].strip("[] \n")]
    return splice(
        message, [(("tool_calls",), f"[{','.join(filter(None, [*elements, *swallowed, *calls]))}]")]
    )


def _element(message: str, json: Json, part: Part, ledger: Ledger) -> tuple[bool, str]:
    """Whether an element of `tool_calls` stays as it is, and its text."""
    piece, left, _ = part
    call = _call_of(piece)
    assert piece.piece
    if call.dropped:
        return False, ""
    path = piece.paths[0][3:]  # of the arguments
    where = span(message, path[:-2]) if path[0] == "tool_calls" else None
    old = _value(json, path[:-2]) if where else {"function": json.get("function_call")}
    raw = message[slice(*where)] if where else ""
    if piece.piece.foreign:
        return bool(raw), raw or dump(old)
    right = bool(raw) and len(path) > 3 and _is_right(old, call)
    if not right:
        call.reshape(ledger)
    inner = dict(object_in(old, "function"))
    if right and left is None and inner.get("name") == call.name:
        return True, raw
    outer = {k: v for k, v in old.items() if k not in ("index", "id", "type", "function")}
    for key in ("name", "arguments"):
        inner.pop(key, None)
    arguments = piece.text if left is None else left
    function = {"name": call.name, "arguments": arguments} | inner
    return False, dump({"id": call.id, "type": "function", "function": function} | outer)


def _is_right(json: Json, call: ServerCall) -> bool:
    """Whether an element is as every known client expects it, the name apart."""
    function = object_in(json, "function")
    named = bool(function.get("name")) and isinstance(function.get("arguments"), str)
    return named and json.get("id") == call.id and json.get("type") == "function"


def _call_of(piece: Slice) -> ServerCall:
    assert piece.lane
    assert piece.lane.call
    return piece.lane.call


def _value(json: Any, path: Path) -> Any:
    for step in path:
        json = json[step]
    return json


def _call(name: str, arguments: str) -> str:
    return (
        f'{{"id":"{new_call_id()}","type":"function","function":'
        f'{{"name":{quoted(name)},"arguments":{quoted(arguments)}}}}}'
    )
