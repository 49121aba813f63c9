"""Recordings for tests: answers of an imaginary server to one request."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from proxy import LEAK, chat, chunk, completion, events

from qwenproxy.recording.format import Recording, save

SSE = (("Content-Type", "text/event-stream"),)
DONE = b"data: [DONE]\n\n"
ASKED = chat()


def answer(name: str, chunks: list[bytes], **fields: Any) -> Recording:
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
    """Return the events of a call that the server parsed."""
    first = {"index": 0, "id": "x1", "type": "function", "function": {"name": name, "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": fragment}} for fragment in arguments]
    deltas = [chunk({"tool_calls": [call]}) for call in (first, *rest)]
    return [chunk({"role": "assistant", "content": None}), *deltas, chunk({}, "tool_calls"), DONE]


# One with something in every field
REQUEST = {"model": "qwen", "messages": [{"role": "user", "content": "Zürich"}]}
FULL = Recording(
    name="full",
    request=REQUEST,
    request_body=json.dumps(REQUEST).encode(),
    request_headers=(("Host", "localhost:8080"), ("X-Twice", "1"), ("X-Twice", "2")),
    chunks=[b"data: {}\n", b"\n", b"data: [DONE]\n\n"],
    times=[0.0, 0.25, 1.5],
    status=200,
    headers=(("Content-Type", "text/event-stream"), ("X-Odd", "caf\udce9")),
    http_version="HTTP/1.0",
    url="http://localhost:8080/v1/chat/completions?v=1",
    started=1_700_000_000.25,
    out=b"data: [DONE]\n\n",
    ledger={"calls": 1, "repairs": {"stray-closer": 1}, "refusals": [["fenced", "…"]]},
    aborted="shutdown",
    rules='{"tools": {}}',
    comment="1 call repaired",
    marker=":wrench:",
)


def saved(recording: Recording, directory: Path) -> Path:
    path = directory / f"{recording.name}.flow"
    save(recording, path)
    return path
