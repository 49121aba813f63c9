"""Calls in a request's history whose arguments no server can read.

Servers render earlier calls into the prompt again and parse their `arguments` first, so one call
that was cut off or damaged makes every later request of the conversation fail (400 "Unterminated
string", "must be in JSON format"). What can be mended with certainty is; else the arguments
become `{}`, and the tool's answer, which follows the call, still tells what happened.
"""

import json
from typing import Any

from ..native.mender import Mender
from ..native.parsers import new_parser
from ..repairs import Ledger, Repair
from ..schema.json_read import Json, loads_object
from ..schema.json_write import quoted
from ..schema.schema import Tool
from ..schema.toolset import Toolset
from ..wire.json_edit import Path, splice


def repair_history(body: Json) -> tuple[Json | None, list[Repair]]:
    """The request body with the arguments of all earlier calls readable, and one repair for each
    that was not; None if there is nothing to repair. `body` itself is left as it is. Never raises."""
    messages = body.get("messages")
    if not isinstance(messages, list) or all(map(_is_readable, messages)):
        return None, []
    toolset, repairs = Toolset(body.get("tools")), []
    mended = []
    for message in messages:
        if not _is_readable(message):
            calls = [call if _is_right(call) else _mended(call, toolset) for call in message["tool_calls"]]
            repairs += [Repair.BROKEN_HISTORY] * sum(not _is_right(call) for call in message["tool_calls"])
            message = message | {"tool_calls": calls}
        mended.append(message)
    return body | {"messages": mended}, repairs


def repair_request(request_body: bytes, body: Json) -> tuple[bytes, list[Repair]]:
    """The same for the bytes of a request, `body` decoded: nothing but those arguments changes, and
    the bytes are the same object if nothing is to be repaired."""
    mended, repairs = repair_history(body)
    if mended is None:
        return request_body, []
    edits: list[tuple[Path, str]] = []
    for i, (old, new) in enumerate(zip(body["messages"], mended["messages"], strict=True)):
        for j, call in enumerate(new["tool_calls"] if new is not old else []):
            path: Path = ("messages", i, "tool_calls", j, "function")
            if "arguments" in old["tool_calls"][j]["function"]:
                edits.append(((*path, "arguments"), quoted(call["function"]["arguments"])))
            else:
                edits.append((path, json.dumps(call["function"])))
    return splice(request_body.decode(), edits).encode(), repairs


def _is_readable(message: Any) -> bool:
    """Whether a message holds no call that a server cannot read."""
    ours = isinstance(message, dict) and message.get("role") == "assistant"
    calls = message.get("tool_calls") if ours else None
    return not isinstance(calls, list) or all(map(_is_right, calls))


def _is_right(call: Any) -> bool:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return True
    arguments = function.get("arguments")
    return isinstance(arguments, str) and loads_object(arguments) is not None


def _mended(call: Json, toolset: Toolset) -> Json:
    function = call["function"]
    arguments = function.get("arguments")
    if isinstance(arguments, dict):
        text = json.dumps(arguments, ensure_ascii=False)
    elif isinstance(arguments, str):
        text = _read(arguments, toolset, toolset.find(str(function.get("name"))) or Tool(""))
    else:
        text = "{}"
    return call | {"function": function | {"arguments": text}}


def _read(arguments: str, toolset: Toolset, tool: Tool) -> str:
    mender = Mender(tool, new_parser(toolset), Ledger())
    mender.feed(arguments)
    mender.close(stopped=True)
    return mender.text if mender.complete else "{}"
