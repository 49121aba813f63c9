"""The view of a chat in mitmweb and mitmproxy: what the client received, what was done, what the model sent.

The view reads `flow.metadata["qwen_fix"]`. So it works on a live flow, whose body is the
rewritten one, and on a recording, whose body is the upstream's. It is the default view of
such a response; the raw body is one click away. mitmproxy 11 and 12 have different
interfaces for views; one class serves both.
"""

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from mitmproxy import contentviews, flow, http

from ..apis import APIS
from ..form import Form, declared, form_of
from ..recording.format import KEY, api_named
from ..replay.outline import Message, messages_of
from . import explain
from .endings import in_words

NAME = "Qwen tool calls"
PRIORITY = 10  # mitmproxy's own views have at most 2


def render(body: bytes, data: dict[str, Any], content_type: str) -> str:
    """Return the view of an answer; `data` is its metadata, `body` the body of the flow."""
    api = APIS[api_named(data)]
    raw = data.get("raw", body)
    kind = content_type.partition(";")[0].strip().lower()
    is_stream = (declared(kind, api) or form_of(raw, api, True, is_over=True)) is Form.STREAM
    received = messages_of(data.get("out", body), is_stream, api)
    sent = messages_of(raw, is_stream, api)
    would = data.get("observed") is True
    lines = ["CLIENT WOULD RECEIVE" if would else "CLIENT RECEIVED", *_messages(received)]
    lines += ["", "WOULD BE REPAIRED" if would else "REPAIRED", *_ledger(data.get("ledger", {}))]
    if unread := data.get("unread"):
        lines += ["", f"NOT READ: {unread}"]
    if aborted := data.get("aborted"):
        lines += ["", f"BROKEN OFF: {in_words(aborted)}"]
    if sent != received:
        lines += ["", "MODEL SENT", *_messages(sent)]
    return "\n".join(lines) + "\n"


def _messages(messages: tuple[Message, ...]) -> Iterator[str]:
    for number, message in enumerate(messages):
        if len(messages) > 1:
            yield f"choice {number}:"
        yield from _block("reasoning", message.reasoning)
        yield from _block("content", message.content)
        for call in message.calls:
            yield f"  tool call: {call.name}"
            if call.values is None:
                yield from _block("  arguments (not a JSON object)", call.arguments)
            for key, value in (call.values or {}).items():
                yield from _argument(key, value)
        yield f"  finish_reason: {message.finish_reason}"


def _argument(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, str) and "\n" in value:
        yield from _block(f"  {key}", value)
    else:
        yield f"    {key}: {json.dumps(value, ensure_ascii=False)}"


def _block(name: str, text: str) -> Iterator[str]:
    if text:
        yield f"  {name}:"
        yield textwrap.indent(text, "      " if name.startswith(" ") else "    ", lambda _: True)


def _ledger(ledger: dict[str, Any]) -> Iterator[str]:
    if lines := list(explain.ledger_lines(ledger)):
        yield from (f"  {line}" for line in lines)
    else:
        yield "  nothing: the answer was passed through unchanged"
    if failure := ledger.get("failure"):
        yield textwrap.indent(str(failure), "  ")


def shown(of: flow.Flow | None, message: Any) -> dict[str, Any] | None:
    """Return the metadata for this view; None if `message` is not the answer to a chat."""
    data = of.metadata.get(KEY) if isinstance(of, http.HTTPFlow) and message is of.response else None
    return data if isinstance(data, dict) else None


def _text(body: bytes, of: flow.Flow | None, message: Any) -> str:
    data = shown(of, message)
    if data is None:
        raise ValueError("not a chat that qwen_fix has seen")
    return render(body, data, message.headers.get("content-type", ""))


_View: Any = getattr(contentviews, "Contentview", None) or vars(contentviews)["View"]


class ToolCalls(_View):  # type: ignore[misc]
    """The view, with the methods that mitmproxy 11 and 12 call."""

    name = NAME

    def prettify(self, data: bytes, metadata: Any) -> str:
        return _text(data, metadata.flow, metadata.http_message)

    def __call__(self, data: bytes, **message: Any) -> tuple[str, Any]:
        text = _text(data, message.get("flow"), message.get("http_message"))
        return NAME, ([("text", line)] for line in text.splitlines())

    def render_priority(self, data: bytes, metadata: Any = None, **message: Any) -> float:
        of = metadata.flow if metadata else message.get("flow")
        part = metadata.http_message if metadata else message.get("http_message")
        return -1 if shown(of, part) is None else PRIORITY


def register() -> None:
    """Register the view; after a reload of the script, replace the old one."""
    for old in [view for view in getattr(contentviews, "views", []) if view.name == NAME]:
        vars(contentviews)["remove"](old)
    contentviews.add(ToolCalls())
