"""The APIs, as far as their answers do not tell: requests, conversations, errors, and where all of that goes.

How an answer of an API is read and rewritten is the business of its wire (`toolstream.wire`). The proxy, and
the tools around it, also have to

    recognise a request         by the path (the wire's) and by what only such a body has
    say what went wrong         in the shape in which this API's clients read errors
    compare conversations       so that a recording is found for a request (`turns`)
    ask and answer themselves   the doctor, `record` and `/_qwen/test`

Each API is one class here. Whatever is the same for most of them is in `Api`. Tools and finish_reasons are
those of chat completions, here as in the library.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from toolstream.wire import WIRES
from toolstream.wire.base import Asked, Wire
from toolstream.wire.sse import read_data, replace_data

Json = dict[str, Any]

MOST_TOKENS = 4096  # of an answer: enough for a model that thinks first
CLIENTS_FAULT = "invalid_request_error"
SERVERS_FAULT = "upstream_error"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation, whatever API it came by. A result of a tool has the role `tool`."""

    role: str
    texts: tuple[str, ...] = ()
    calls: tuple[tuple[Any, Any], ...] = ()  # (name, arguments), these as JSON text or as an object


class Api:
    """One API. Only `APIS` has instances."""

    name: ClassVar[str]
    address: ClassVar[str]  # the usual path of its requests
    said: ClassVar[tuple[str, ...]] = ("messages",)  # keys of the conversation; every request has the first
    headers: ClassVar[tuple[tuple[str, str], ...]] = ()  # that its servers want to see
    says_calls: ClassVar[bool] = True  # the reason why an answer ended says whether it has calls
    frame_ends: ClassVar[tuple[bytes, ...]] = (b"\n\n", b"\r\r", b"\r\n\r\n")

    @cached_property
    def wire(self) -> type[Wire]:
        return WIRES[self.name]

    @cached_property
    def _path(self) -> re.Pattern[str]:
        return re.compile(self.wire.path)

    def is_at(self, path: str) -> bool:
        """Whether requests to this path are of this API; `path` has no query."""
        return self._path.search(path.rstrip("/")) is not None

    def is_stream(self, content_type: str) -> bool:
        return self.wire.media_type in content_type.lower()

    # Requests

    def is_request(self, body: Json) -> bool:
        return isinstance(body.get(self.said[0]), list)

    def asked(self, body: Json) -> Asked:
        return self.wire(body).asked

    def turns(self, body: Json) -> Iterator[Turn]:
        """Yield the conversation in a request, in order."""
        for message in _dicts(body.get("messages")):
            calls = [_dict(call.get("function")) for call in _dicts(message.get("tool_calls"))]
            yield _turn(message, [(call.get("name"), call.get("arguments")) for call in calls])

    def request(self, text: str, model: str, stream: bool, tools: list[Json]) -> Json:
        """Return a request that says this to a model. The tools may be written as in any API."""
        said: Json = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}
        return said | ({"tools": [self.tool(tool) for tool in tools]} if tools else {})

    def greedy(self, limit: int) -> Json:
        """Return what a request says for an answer that is always the same, of at most so many tokens."""
        return {"temperature": 0, "max_tokens": limit}

    def tool(self, tool: Json) -> Json:
        """Return a tool, written as in any API, as this one has it."""
        return {"type": "function", "function": _function(tool)}

    # Answers

    def is_answer(self, value: Json) -> bool:
        """Whether this is a whole answer, or the beginning of a streamed one."""
        raise NotImplementedError

    def answer(self, text: str, finish_reason: str) -> Json:
        """Return an answer that is not streamed, with this text."""
        raise NotImplementedError

    def frames(self, body: bytes) -> list[bytes]:
        """Return the events or lines of a stream. The last one may be incomplete."""
        framer = self.wire({}).framer()
        frames = framer.feed(body)
        return [*frames, bytes(framer.pending)] if framer.pending else frames

    def data(self, frame: bytes) -> str:
        """Return the JSON text of an event or line; "" if there is none."""
        return read_data(frame) or ""

    def with_data(self, frame: bytes, data: str) -> bytes:
        return replace_data(frame, data)

    def stays(self, _value: Json) -> bool:
        """Whether an event with this JSON reaches the client unchanged, whatever becomes of the texts. One
        without JSON does."""
        return False

    # Errors

    def error(self, code: str, message: str, kind: str = CLIENTS_FAULT) -> Json:
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def error_frame(self, code: str, message: str, kind: str) -> bytes:
        """Return the error as a part of a stream."""
        return _event("", self.error(code, message, kind))


class Chat(Api):
    """OpenAI's chat completions."""

    name = "chat"
    address = "/v1/chat/completions"

    def is_answer(self, value: Json) -> bool:
        return "choices" in value

    def answer(self, text: str, finish_reason: str) -> Json:
        message = {"role": "assistant", "content": text}
        return {"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}]}

    def stays(self, value: Json) -> bool:
        return not value.get("choices")


class Messages(Api):
    """Anthropic's Messages."""

    name = "messages"
    address = "/v1/messages"
    said = ("messages", "system")
    headers = (("anthropic-version", "2023-06-01"),)

    def turns(self, body: Json) -> Iterator[Turn]:
        if system := _texts(body.get("system")):
            yield Turn("system", system)
        for message in _dicts(body.get("messages")):
            blocks = list(_dicts(message.get("content")))
            for result in blocks:
                if result.get("type") == "tool_result":
                    yield Turn("tool", _texts(result.get("content")))
            calls = [(b.get("name"), b.get("input")) for b in blocks if b.get("type") == "tool_use"]
            turn = _turn(message, calls)
            if turn.texts or turn.calls or not blocks:
                yield turn

    def request(self, text: str, model: str, stream: bool, tools: list[Json]) -> Json:
        return {"max_tokens": MOST_TOKENS} | super().request(text, model, stream, tools)  # they are required

    def tool(self, tool: Json) -> Json:
        function = _function(tool)
        return function | {"input_schema": function.pop("parameters", {"type": "object"})}

    def is_answer(self, value: Json) -> bool:
        return value.get("type") in ("message", "message_start")

    def answer(self, text: str, finish_reason: str) -> Json:
        reasons = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}
        return {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "text", "text": text}],
            "stop_reason": reasons.get(finish_reason, finish_reason),
        }

    def stays(self, value: Json) -> bool:
        return value.get("type") in ("message_start", "message_stop", "ping")

    def error(self, code: str, message: str, kind: str = CLIENTS_FAULT) -> Json:
        kind = CLIENTS_FAULT if kind == CLIENTS_FAULT else "api_error"
        return {"type": "error", "error": {"type": kind, "message": message}}

    def error_frame(self, code: str, message: str, kind: str) -> bytes:
        return _event("error", self.error(code, message, kind))


class Responses(Api):
    """OpenAI's Responses."""

    name = "responses"
    address = "/v1/responses"
    said = ("input", "instructions")
    says_calls = False

    def is_request(self, body: Json) -> bool:
        return isinstance(body.get("input"), str | list)

    def turns(self, body: Json) -> Iterator[Turn]:
        if system := _texts(body.get("instructions")):
            yield Turn("system", system)
        if isinstance(body.get("input"), str):
            yield Turn("user", (body["input"],))
        for item in _dicts(body.get("input")):
            match item.get("type", "message"):
                case "message":
                    yield _turn(item)
                case "function_call":
                    yield Turn("assistant", (), ((item.get("name"), item.get("arguments")),))
                case "function_call_output":
                    yield Turn("tool", _texts(item.get("output")))

    def request(self, text: str, model: str, stream: bool, tools: list[Json]) -> Json:
        said = super().request(text, model, stream, tools)
        return {"store": False} | {
            "input" if key == "messages" else key: value for key, value in said.items()
        }

    def greedy(self, limit: int) -> Json:
        return {"temperature": 0, "max_output_tokens": limit}

    def tool(self, tool: Json) -> Json:
        return {"type": "function"} | _function(tool)

    def is_answer(self, value: Json) -> bool:
        return value.get("object") == "response" or str(value.get("type", "")).startswith("response.")

    def answer(self, text: str, finish_reason: str) -> Json:
        cut = finish_reason == "length"
        status = "incomplete" if cut else "completed"
        part = {"type": "output_text", "text": text, "annotations": []}
        item = {"type": "message", "id": "msg_0", "role": "assistant", "status": status, "content": [part]}
        why = {"reason": "max_output_tokens"} if cut else None
        return {"object": "response", "status": status, "incomplete_details": why, "output": [item]}

    def error_frame(self, code: str, message: str, kind: str) -> bytes:
        said = {"type": "error", "code": code, "message": message, "param": None}
        return _event("error", said)


class Ollama(Api):
    """Ollama's own chat."""

    name = "ollama"
    address = "/api/chat"
    says_calls = False
    frame_ends = (b"\n",)

    def greedy(self, limit: int) -> Json:
        return {"options": {"temperature": 0, "num_predict": limit}}

    def is_answer(self, value: Json) -> bool:
        return isinstance(value.get("message"), dict) and "done" in value

    def answer(self, text: str, finish_reason: str) -> Json:
        reason = "stop" if finish_reason == "tool_calls" else finish_reason
        return {"message": {"role": "assistant", "content": text}, "done": True, "done_reason": reason}

    def data(self, frame: bytes) -> str:
        return frame.decode("utf-8", "replace").strip()

    def with_data(self, frame: bytes, data: str) -> bytes:
        line = frame.rstrip(b"\r\n")
        return data.encode("utf-8", "surrogatepass") + frame[len(line) :]

    def stays(self, value: Json) -> bool:
        return "message" not in value

    def error(self, code: str, message: str, kind: str = CLIENTS_FAULT) -> Json:
        return {"error": message}

    def error_frame(self, code: str, message: str, kind: str) -> bytes:
        return json.dumps(self.error(code, message, kind)).encode() + b"\n"


_KNOWN: Mapping[str, Api] = {api.name: api for api in (Chat(), Messages(), Responses(), Ollama())}
APIS: Mapping[str, Api] = {name: _KNOWN[name] for name in WIRES}
CHAT = APIS["chat"]


def at(path: str) -> Api | None:
    """Return the API that has its requests at this path; the query may follow."""
    bare = path.partition("?")[0]
    return next((api for api in APIS.values() if api.is_at(bare)), None)


def of_answer(value: Json) -> Api | None:
    """Return the API of an answer; `value` is all of it, or what a stream begins with."""
    return next((api for api in APIS.values() if api.is_answer(value)), None)


def streamed_as(content_type: str) -> Api | None:
    """Return an API that streams its answers like this; None if none does."""
    return next((api for api in APIS.values() if api.is_stream(content_type)), None)


def error_text(error: Any) -> str:
    """Return the message of an error that a server sent; "" if there is none."""
    while isinstance(error, dict):
        error = error.get("message") or error.get("error") or json.dumps(error)
    return str(error or "")


def _event(name: str, value: Json) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(value)}\n\n".encode()


def _turn(message: Json, calls: list[tuple[Any, Any]] | None = None) -> Turn:
    return Turn(str(message.get("role", "")), _texts(message.get("content")), tuple(calls or ()))


def _texts(content: Any) -> tuple[str, ...]:
    """Return the texts of a content: a string, or a list of parts."""
    parts = [content] if isinstance(content, str) else [part.get("text") for part in _dicts(content)]
    return tuple(part for part in parts if isinstance(part, str))


def _function(tool: Json) -> Json:
    """Return name, description and parameters of a tool, written as in any API."""
    function = _dict(tool["function"]) if "function" in tool else tool
    keys = {
        "name": "name",
        "description": "description",
        "parameters": "parameters",
        "input_schema": "parameters",
    }
    return {key: function[written] for written, key in keys.items() if written in function}


def _dicts(value: Any) -> Iterator[Json]:
    return (item for item in (value if isinstance(value, list) else []) if isinstance(item, dict))


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
