"""Recordings to test with: answers of one imagined server to one request."""

import json
from dataclasses import replace
from typing import Any

from proxy import LEAK, chat, chunk, completion, events

from qwenproxy.recording import Recording

SSE = (("Content-Type", "text/event-stream"),)
DONE = b"data: [DONE]\n\n"
ASKED = chat()


def answer(name: str, chunks: list[bytes], **fields: Any) -> Recording:
    """A recording of these pieces."""
    request = fields.pop("request", ASKED)
    body = json.dumps(request).encode()
    headers = fields.pop("headers", SSE)
    return Recording(
        name,
        request,
        chunks,
        [n / 100 for n in range(len(chunks))],
        headers=headers,
        request_body=body,
        url="http://localhost:8080/v1/chat/completions",
        **fields,
    )


def unstreamed(name: str, text: str) -> Recording:
    """One that was not streamed."""
    return answer(name, [completion(text)], headers=(("Content-Type", "application/json"),))


LEAKING = answer("leaking", events(f"Let me see.\n{LEAK}"))
PROSE = answer("prose", events("Use `<tool_call>`,\nor do not."))
BUFFERED = unstreamed("buffered", f"Let me see.\n{LEAK}")
CUT = replace(answer("cut", LEAKING.chunks[:20]), aborted="connection closed")
ERROR = answer(
    "error",
    [b'{"error": {"message": "too long"}}'],
    headers=(("Content-Type", "application/json"),),
    status=400,
)


def native(arguments: list[str], name: str = "get_weather") -> list[bytes]:
    """The events of a call that the server parsed."""
    first = {"index": 0, "id": "x1", "type": "function", "function": {"name": name, "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": fragment}} for fragment in arguments]
    deltas = [chunk({"tool_calls": [call]}) for call in (first, *rest)]
    return [chunk({"role": "assistant", "content": None}), *deltas, chunk({}, "tool_calls"), DONE]
