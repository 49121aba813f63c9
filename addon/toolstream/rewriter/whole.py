"""A chat completion that was not streamed, or the error that came in its place: the same parser, over the
whole text at once.

The body is edited in place: what no call was found in keeps every byte, and a body in which
nothing changed is returned as the same object. A truncated call stays text here, for nothing
of it has been sent.
"""

import traceback
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from ..events import (
    ArgumentsDelta,
    CallEnd,
    CallStart,
    Event,
    Text,
    calls_of,
)
from ..native.calls import NativeCalls, rewritten
from ..native.parsers import new_parser
from ..parser.parser import ToolCallParser
from ..repairs import Ledger, Repair
from ..schema.json_read import Json
from ..schema.json_write import dump, quoted
from ..schema.rules import Rules
from ..schema.toolset import Toolset, parallel_calls
from ..wire.chat_completions import (
    choices_of,
    content_of,
    is_answer,
    new_call_id,
    read_chunk,
    reasoning_in,
)
from ..wire.json_edit import Path, span, splice
from .engine_errors import read_unparsed


def rewrite_completion(
    request_body: Json, response_body: bytes, recovery: str = "tolerant", *, rules: Rules | None = None
) -> tuple[bytes, Ledger]:
    """The body to send for a chat.completion, and what was done to it.

    Takes the decoded request, the raw body of the answer, and the user's rules. Never raises: what
    cannot be read is returned as it came, with `ledger.failure` set if the fault was ours.
    """
    ledger = Ledger()
    toolset = Toolset(request_body.get("tools"), request_body.get("tool_choice"), rules)
    if not toolset.tools:
        return response_body, ledger
    try:
        return _rewrite(Task(request_body, toolset, recovery, ledger), response_body), ledger
    except Exception:
        ledger.failure = traceback.format_exc()
        return response_body, ledger


def recover_error(
    request_body: Json, error_body: bytes, recovery: str = "tolerant", *, rules: Rules | None = None
) -> tuple[bytes, Ledger] | None:
    """The chat.completion that an error body should have been, and its repairs; None if it is a real
    error, or the request asked for a stream. Send it with status 200 and as application/json."""
    toolset = Toolset(request_body.get("tools"), request_body.get("tool_choice"), rules)
    if request_body.get("stream") or not toolset.tools:
        return None
    try:
        body = read_chunk(error_body.decode())
    except UnicodeDecodeError:
        return None
    task = Task(request_body, toolset, recovery, Ledger())
    unparsed = read_unparsed((body or {}).get("error"), task.parser())
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


@dataclass(frozen=True, slots=True)
class Task:
    """What was asked, how the answer is to be read, and where that is counted."""

    request: Json
    toolset: Toolset
    recovery: str
    ledger: Ledger

    def parser(self, reasoning: bool = False, live: bool = False) -> ToolCallParser:
        """Reads a text that is all there."""
        return ToolCallParser(
            self.toolset,
            recovery=self.recovery,
            parallel=parallel_calls(self.request),
            live=live,
            reasoning=reasoning,
            ledger=self.ledger,
        )


def _rewrite(task: Task, body: bytes) -> bytes:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return body
    edits: list[tuple[Path, str]] = []
    for at, choice in choices_of(read_chunk(text) or {}):
        if isinstance(choice.get("message"), dict):
            edits += _edit_choice(task, text, at, choice, _read_message(task, choice))
    return splice(text, edits).encode() if edits else body


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found in one message."""

    content: list[Event]
    reasoning: list[Event]
    natives: NativeCalls


def _read_message(task: Task, choice: Json) -> _Found:
    natives = _read_natives(task, choice)
    text, reason = content_of(choice["message"]), choice.get("finish_reason")
    content = _read_before(task, text, natives) if natives.sent else parse_whole(task, text, reason)
    natives.note(content)
    content = natives.without_copies(content, over=True)
    return _Found(content, _read_reasoning(task, choice), natives)


def _read_before(task: Task, text: str, natives: NativeCalls) -> list[Event]:
    """The text before calls that the server parsed. A call that it breaks off is none: if it is the
    beginning of one of them it is dropped, else it is text."""
    trial = replace(task, ledger=Ledger())
    parser = trial.parser(live=True)
    events = parser.feed(text) + parser.close(None)
    start = next(
        (n for n in reversed(range(len(events))) if isinstance(events[n], CallStart | CallEnd)), None
    )
    if start is None or isinstance(events[start], CallEnd):
        return parse_whole(task, text, None)
    begun = events[start]
    assert isinstance(begun, CallStart)
    arguments = "".join(e.fragment for e in events[start:] if isinstance(e, ArgumentsDelta))
    if not natives.is_begun_by(begun.name, arguments):
        return parse_whole(task, text, None)
    task.ledger.add(trial.ledger)
    task.ledger.repaired(Repair.DUPLICATE_CALL)
    natives.copied = True
    return [e for n, e in enumerate(events) if n < start or isinstance(e, Text)]


def _read_reasoning(task: Task, choice: Json) -> list[Event]:
    """The text of the reasoning; its calls, too, if no answer follows it."""
    text, _ = reasoning_in(choice["message"])
    parser = task.parser(reasoning=True)
    events = parser.feed(text)
    return events + (
        parser.interrupt() if is_answer(choice["message"]) else parser.close(choice.get("finish_reason"))
    )


def parse_whole(task: Task, text: str, finish_reason: Any) -> list[Event]:
    """What the parser finds in a text that is all there; a call that is not complete is text."""
    parser = task.parser()
    return parser.feed(text) + parser.close(finish_reason)


def _read_natives(task: Task, choice: Json) -> NativeCalls:
    """The calls the server parsed itself, mended."""
    natives = NativeCalls(
        task.request, task.toolset, new_parser(task.toolset), task.ledger, lambda at: at, whole=True
    )
    natives.entries = natives.read(choice["message"])
    natives.close(choice.get("finish_reason"))
    return natives


def _edit_choice(task: Task, text: str, at: int, choice: Json, found: _Found) -> list[tuple[Path, str]]:
    """The edits that move the calls in one choice's texts to its tool_calls, and mend those there."""
    edits: list[tuple[Path, str]] = []
    path: Path = ("choices", at, "message")
    where = span(text, path)
    calls = _calls(found.content) or _calls(found.reasoning)
    if where:
        message = text[slice(*where)]
        edited = _edit_reasoning(message, choice["message"], found.reasoning)
        edited = _edit_message(edited, found.content, calls, found.natives)
        if edited != message:
            edits.append((path, edited))
    reason = found.natives.finish_reason(choice.get("finish_reason"), bool(calls))
    if reason != choice.get("finish_reason"):
        if not calls and reason != "length":
            task.ledger.repaired(Repair.FINISH_REASON)
        edits.append((("choices", at, "finish_reason"), quoted(reason)))
    return edits


def _edit_reasoning(message: str, read: Json, events: list[Event]) -> str:
    """The reasoning without its calls, in each of its fields. What was a string stays one, if empty."""
    if all(isinstance(e, Text) for e in events):
        return message
    left = quoted("".join(e.text for e in events if isinstance(e, Text)))
    return splice(message, [(place, left) for place in reasoning_in(read)[1]])


def _edit_message(message: str, events: list[Event], calls: list[str], natives: NativeCalls) -> str:
    if not all(isinstance(e, Text) for e in events) or natives.copied or natives.texts:
        content = "".join([*(e.text for e in events if isinstance(e, Text)), *natives.texts])
        message = splice(message, [(("content",), quoted(content) if content else "null")])
    swallowed = [_call(name, arguments) for name, arguments in natives.more()]
    where = span(message, ("tool_calls",))
    if natives.changed:
        mended = rewritten(natives.entries)
        kept = [dump({k: v for k, v in call.items() if k != "index"}) for call in mended]
        message = splice(message, [(("function_call",), "null")] if span(message, ("function_call",)) else [])
    else:
        kept = [message[slice(*where)].strip("[] \n")] if where and message[where[0]] == "[" else []
        if not (calls or swallowed):
            return message
    if where is None:
        message = f'{message[:-1].rstrip()},"tool_calls":[]}}'
    return splice(message, [(("tool_calls",), f"[{','.join(filter(None, [*kept, *swallowed, *calls]))}]")])


def _calls(events: list[Event]) -> list[str]:
    """The calls as JSON, in order."""
    return [_call(name, arguments) for name, arguments in calls_of(events)]


def _call(name: str, arguments: str) -> str:
    return (
        f'{{"id":"{new_call_id()}","type":"function","function":'
        f'{{"name":{quoted(name)},"arguments":{quoted(arguments)}}}}}'
    )
