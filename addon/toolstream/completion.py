"""A chat completion that was not streamed: the same parser, over the whole text at once.

The body is edited in place: what no call was found in keeps every byte, and a body in which
nothing changed is returned as the same object. A truncated call stays text here, for nothing
of it has been sent (P9).
"""

import traceback

from .arguments import quoted
from .chunks import (
    Json,
    Path,
    choices_of,
    content_of,
    finish_reason,
    native_calls,
    new_call_id,
    read_chunk,
    span,
    splice,
)
from .events import ArgumentsDelta, CallStart, Event, Text
from .parser import ToolCallParser
from .repairs import Ledger
from .requests import Toolset, parallel_calls


def rewrite_completion(
    request_body: Json, response_body: bytes, recovery: str = "tolerant"
) -> tuple[bytes, Ledger]:
    """The body to send for a chat.completion, and what was done to it.

    Takes the decoded request and the raw body of the answer. Never raises: what cannot be read
    is returned as it came, with `ledger.failure` set if the fault was ours.
    """
    ledger = Ledger()
    if not Toolset(request_body.get("tools"), request_body.get("tool_choice")).tools:
        return response_body, ledger
    try:
        return _rewrite(request_body, response_body, recovery, ledger), ledger
    except Exception:
        ledger.failure = traceback.format_exc()
        return response_body, ledger


def _rewrite(request: Json, body: bytes, recovery: str, ledger: Ledger) -> bytes:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return body
    edits: list[tuple[Path, str]] = []
    for at, choice in choices_of(read_chunk(text) or {}):
        if isinstance(choice.get("message"), dict):
            edits += _edit_choice(text, at, choice, _parse(request, choice, recovery, ledger))
    return splice(text, edits).encode() if edits else body


def _parse(request: Json, choice: Json, recovery: str, ledger: Ledger) -> list[Event]:
    parser = ToolCallParser(
        request.get("tools"),
        request.get("tool_choice"),
        recovery,
        parallel=parallel_calls(request),
        live=False,
        ledger=ledger,
    )
    return parser.feed(content_of(choice["message"])) + parser.close(choice.get("finish_reason"))


def _edit_choice(text: str, at: int, choice: Json, events: list[Event]) -> list[tuple[Path, str]]:
    """The edits that move the calls in one choice's content to its tool_calls."""
    edits: list[tuple[Path, str]] = []
    path: Path = ("choices", at, "message")
    where = span(text, path)
    calls = _calls(events)
    if where and not all(isinstance(e, Text) for e in events):
        edits.append((path, _edit_message(text[slice(*where)], events, calls)))
    called = bool(calls or native_calls(choice["message"]))
    reason = finish_reason(choice.get("finish_reason"), called)
    if reason != choice.get("finish_reason"):
        edits.append((("choices", at, "finish_reason"), quoted(reason)))
    return edits


def _edit_message(message: str, events: list[Event], calls: list[str]) -> str:
    content = "".join(e.text for e in events if isinstance(e, Text))
    message = splice(message, [(("content",), quoted(content) if content else "null")])
    where = span(message, ("tool_calls",))
    if not calls:
        return message
    if where is None:
        return f'{message[:-1].rstrip()},"tool_calls":[{",".join(calls)}]}}'
    native = message[slice(*where)].strip("[] \n") if message[where[0]] == "[" else ""
    return splice(message, [(("tool_calls",), f"[{','.join(filter(None, [native, *calls]))}]")])


def _calls(events: list[Event]) -> list[str]:
    """The calls as JSON, in order."""
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for event in events:
        match event:
            case CallStart(index, name):
                names[index], arguments[index] = name, ""
            case ArgumentsDelta(index, fragment):
                arguments[index] += fragment
    return [
        f'{{"id":"{new_call_id()}","type":"function","function":'
        f'{{"name":{quoted(names[i])},"arguments":{quoted(arguments[i])}}}}}'
        for i in names
    ]
