"""Errors of an engine that hold the very call it could not parse (B11, B16).

llama.cpp parses what the model wrote once more when it is complete, and if its grammar does not
fit it throws "Failed to parse input at pos N: " with the text from there on (common/chat.cpp).
The client gets HTTP 500 with `{"error": {"code": 500, "message": …}}`, or in a stream an event
with the same object (older builds: a line `error: {…}`) and no finish_reason. That text is what
any server without a parser would have sent as content, so it is read as such: if it holds
complete calls the answer goes on with them, if not the error stays as it is.
"""

import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from ..events import Text, calls_of
from ..repairs import Ledger, Repair
from ..schema.json_read import Json, loads
from ..schema.json_write import dump
from ..schema.rules import Rules
from ..schema.toolset import Toolset
from ..wire.chat_completions import new_call_id, read_chunk
from .whole import Task, parse_whole

_MESSAGE = re.compile(r"Failed to parse input at pos \d+: (.*)", re.DOTALL)
_BARE = b"error:"


@dataclass(frozen=True, slots=True)
class Unparsed:
    """What the model wrote, where the engine gave up: text, and complete calls as (name, arguments)."""

    text: str
    calls: list[tuple[str, str]]
    ledger: Ledger


def error_in(event: bytes, chunk: Json | None) -> Any:
    """The error an event of a stream reports; None if it reports none."""
    if chunk is not None:
        return chunk.get("error")
    return loads(event[len(_BARE) :].decode(errors="replace")) if event.startswith(_BARE) else None


def read_unparsed(request: Json, error: Any, recovery: str, rules: Rules | None = None) -> Unparsed | None:
    """The calls in an error, after the user's rules; None if it holds none that is complete."""
    message = error.get("message") if isinstance(error, dict) else error
    found = _MESSAGE.search(message) if isinstance(message, str) else None
    if found is None:
        return None
    ledger = Ledger()
    events = parse_whole(Task(request, recovery, rules, ledger), found[1], None)
    calls = calls_of(events)
    if not calls:
        return None
    ledger.repaired(Repair.ENGINE_ERROR)
    return Unparsed("".join(e.text for e in events if isinstance(e, Text)), calls, ledger)


def recover_error(
    request_body: Json, error_body: bytes, recovery: str = "tolerant", *, rules: Rules | None = None
) -> tuple[bytes, Ledger] | None:
    """The chat.completion that an error body should have been, and its repairs; None if it is a real
    error, or the request asked for a stream. Send it with status 200 and as application/json."""
    if (
        request_body.get("stream")
        or not Toolset(request_body.get("tools"), request_body.get("tool_choice")).tools
    ):
        return None
    try:
        body = read_chunk(error_body.decode())
    except UnicodeDecodeError:
        return None
    unparsed = read_unparsed(request_body, (body or {}).get("error"), recovery, rules)
    if unparsed is None:
        return None
    message: Json = {"role": "assistant", "content": unparsed.text or None}
    message["tool_calls"] = [
        {"id": new_call_id(), "type": "function", "function": {"name": name, "arguments": arguments}}
        for name, arguments in unparsed.calls
    ]
    completion = {
        "id": "chatcmpl-" + uuid4().hex[:24],
        "object": "chat.completion",
        "created": 0,
        "model": request_body.get("model"),
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
    }
    return dump(completion).encode(), unparsed.ledger
