"""Model servers for the doctor: scripts for an `Upstream`, each with one fault."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

from proxy import Request, Script, chunk, sized, streamed

from qwenproxy.ui.doctor.questions import FILE

Json = dict[str, Any]
Call = tuple[str, Any]  # name, arguments

CALLS: dict[str, list[Call]] = {
    "text": [],
    "gw-good": [("get_weather", {"city": "Zürich", "days": 3, "detailed": True})],
    "gw-par": [
        ("get_weather", {"city": "Oslo", "days": 1}),
        ("get_weather", {"city": "Łódź", "days": 2}),
    ],
    "oc-good": [("write", {"filePath": "/tmp/hello.txt", "content": FILE})],
}


def key_of(body: Json) -> str:
    match = re.search(r"TASK:(\S+)$", body["messages"][-1]["content"])
    assert match
    return match[1]


def native(calls: list[Call], **shape: Any) -> Json:
    """Return a message with calls in OpenAI's format; `shape` changes each."""
    if not calls:
        return {"content": "Hello!"}
    return {
        "content": None,
        "tool_calls": [
            {"index": i, "id": f"call_{i}", "type": "function"}
            | shape
            | {"function": {"name": name, "arguments": text if isinstance(text, str) else json.dumps(text)}}
            for i, (name, text) in enumerate(calls)
        ],
    }


def leaked(calls: list[Call]) -> Json:
    """Return a message with calls in Qwen's format."""
    if not calls:
        return {"content": "Hello!"}
    texts = []
    for name, arguments in calls:
        values = {k: v if isinstance(v, str) else json.dumps(v) for k, v in arguments.items()}
        inner = "".join(f"<parameter={key}>\n{value}\n</parameter>\n" for key, value in values.items())
        texts.append(f"<tool_call>\n<function={name}>\n{inner}</function>\n</tool_call>")
    return {"content": "I'll do that.\n\n" + "\n".join(texts)}


def pages(**found: Json) -> Callable[[str], Json | None]:
    return lambda path: found.get(path.strip("/").replace("/", "_"))


def server(
    answer: Callable[[Json], Json | Script],
    page: Callable[[str], Json | None] = lambda _: None,
    *headers: str,
) -> Script:
    """Return a model server. `answer` maps a request to a message or to another script."""

    async def script(request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.line.startswith("GET "):
            found = page(request.line.split()[1])
            body, status = (found, "200 OK") if found else ({"error": "none"}, "404 Not Found")
            return await sized(json.dumps(body).encode(), status=status)(request, writer)
        if "/chat/completions" not in request.line:
            return await sized(b'{"error": "none"}', status="404 Not Found")(request, writer)
        said = answer(request.json)
        scripted = said if callable(said) else spoken(said, request.json["stream"], *headers)
        return await scripted(request, writer)

    return script


def spoken(message: Json, is_stream: bool, *headers: str) -> Script:
    finish = message.pop("finish_reason", "tool_calls" if message.get("tool_calls") else "stop")
    if is_stream:
        events = [chunk({"role": "assistant"} | message), chunk({}, finish), b"data: [DONE]\n\n"]
        return streamed(events, *headers)
    choices = [{"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}]
    body = {"id": "1", "object": "chat.completion", "model": "qwen", "choices": choices}
    return sized(json.dumps(body, ensure_ascii=False).encode(), "application/json", *headers)


def of(make: Callable[[list[Call]], Json]) -> Callable[[Json], Json]:
    """Answer each question correctly, with messages from `make`."""
    return lambda body: make(CALLS[key_of(body)])


def failing(message: str, status: str = "400 Bad Request") -> Script:
    return sized(json.dumps({"error": {"message": message}}).encode(), status=status)
