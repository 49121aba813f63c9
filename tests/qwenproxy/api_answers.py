"""Answers of each API, as a server sends them that keeps to the rules: streamed and whole, and how to ask."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from proxy import WEATHER, completion, cut, events

from qwenproxy.apis import APIS
from qwenproxy.recording.format import Recording

Json = dict[str, Any]

NAMES = tuple(APIS)
STEP = 4  # characters in a delta
CITY = {"city": "Zürich", "days": 3}


def asked(name: str, **fields: Any) -> Json:
    """Return a request with the tool for the weather."""
    return APIS[name].request("hi", "qwen", True, [WEATHER]) | fields


def whole(name: str, text: str) -> bytes:
    """Return an answer that is not streamed."""
    if name == "chat":
        return completion(text)
    head = {"id": "x_1", "model": "qwen", "usage": {"input_tokens": 1, "output_tokens": 1}}
    return json.dumps(head | APIS[name].answer(text, "stop")).encode()


def stream(name: str, text: str) -> list[bytes]:
    """Return the frames of a streamed answer with this text."""
    return STREAMS[name](text)


def pieces(text: str) -> list[str]:
    return [text[i : i + STEP] for i in range(0, len(text), STEP)]


def event(data: Json) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def _messages(text: str) -> list[bytes]:
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "qwen", "content": []}
    message |= {"stop_reason": None, "stop_sequence": None, "usage": usage}
    block = {"type": "text", "text": ""}
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    deltas = [{"type": "text_delta", "text": piece} for piece in pieces(text)]
    return [
        event({"type": "message_start", "message": message}),
        event({"type": "content_block_start", "index": 0, "content_block": block}),
        *(event({"type": "content_block_delta", "index": 0, "delta": delta}) for delta in deltas),
        event({"type": "content_block_stop", "index": 0}),
        event({"type": "message_delta", "delta": ended, "usage": {"output_tokens": 1}}),
        event({"type": "message_stop"}),
    ]


def _responses(text: str) -> list[bytes]:
    return [event(data | {"sequence_number": n}) for n, data in enumerate(_response_events(text))]


def _response_events(text: str) -> Iterator[Json]:
    response = {"id": "resp_1", "object": "response", "created_at": 1, "model": "qwen"}
    item: Json = {"type": "message", "id": "msg_1", "role": "assistant"}
    place = {"output_index": 0, "content_index": 0, "item_id": "msg_1"}
    part = {"type": "output_text", "text": text, "annotations": []}
    for kind in ("created", "in_progress"):
        yield {"type": f"response.{kind}", "response": response | {"status": "in_progress", "output": []}}
    started = item | {"status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": 0, "item": started}
    yield {"type": "response.content_part.added", **place, "part": part | {"text": ""}}
    for piece in pieces(text):
        yield {"type": "response.output_text.delta", **place, "delta": piece}
    yield {"type": "response.output_text.done", **place, "text": text}
    yield {"type": "response.content_part.done", **place, "part": part}
    done = item | {"status": "completed", "content": [part]}
    yield {"type": "response.output_item.done", "output_index": 0, "item": done}
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    ended = response | {"status": "completed", "output": [done], "usage": usage}
    yield {"type": "response.completed", "response": ended}


def _ollama(text: str) -> list[bytes]:
    head = {"model": "qwen", "created_at": "2026-01-01T00:00:00Z"}
    said = [{"message": {"role": "assistant", "content": piece}, "done": False} for piece in pieces(text)]
    last = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    return [json.dumps(head | line, ensure_ascii=False).encode() + b"\n" for line in (*said, last)]


STREAMS: dict[str, Callable[[str], list[bytes]]] = {
    "chat": events,
    "messages": _messages,
    "responses": _responses,
    "ollama": _ollama,
}


def content_type(name: str) -> str:
    """Return the content type of a streamed answer."""
    return APIS[name].wire.media_type


def recorded(name: str, text: str, is_stream: bool = True, **fields: Any) -> Recording:
    """Return a recording of an answer with this text."""
    request = fields.pop("request", asked(name, stream=is_stream))
    chunks = stream(name, text) if is_stream else [whole(name, text)]
    kind = content_type(name) if is_stream else "application/json"
    return Recording(
        name=fields.pop("title", f"{name}-{'streamed' if is_stream else 'whole'}"),
        api=name,
        url=f"http://localhost:8080{APIS[name].address}",
        request=request,
        request_body=json.dumps(request).encode(),
        request_headers=(("Content-Type", "application/json"),),
        chunks=chunks,
        times=[n / 100 for n in range(len(chunks))],
        headers=(("Content-Type", kind),),
        **fields,
    )


def small(name: str, text: str, size: int = 7) -> list[bytes]:
    """Return a streamed answer in small pieces that know nothing of its frames."""
    return cut(b"".join(stream(name, text)), size)
