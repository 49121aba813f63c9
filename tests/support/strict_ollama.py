"""Answers of Ollama's `/api/chat`, and the most demanding client that reads them.

An answer is made of parts: `("text", text)`, `("thinking", text)`, and `("call", name, arguments)` for a call
that the server has parsed. `lines` streams them, so many characters of text a line; `whole` does not.

`read` accepts an answer only if every client would. ollama-python takes no arguments but an object,
ollama-js wants a done line. What it returns does not depend on where texts are cut.
"""

import json
from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]
Part = tuple[Any, ...]
Said = tuple[Any, ...]  # ("text", …), ("thinking", …), ("call", name, arguments, whether it is complete)

ENVELOPE = {"model": "qwen3", "created_at": "2026-11-28T03:00:00.123456Z"}
MEASURED = {
    "total_duration": 5191566416,
    "prompt_eval_count": 26,
    "eval_count": 298,
    "eval_duration": 4709213,
}
MEMBERS = {"content": "text", "thinking": "thinking"}


def request(tools: Any, **more: Any) -> Json:
    """A request for a stream: that is what one without `stream` is for."""
    return {"model": "qwen3", "messages": [{"role": "user", "content": "?"}], "tools": tools} | more


def line(message: Json | None = None, done: bool = False, **more: Any) -> bytes:
    """One line. Lone surrogates can only be written as escapes."""
    body = ENVELOPE | {"message": {"role": "assistant", "content": ""} | (message or {}), "done": done} | more
    return dumped(body) + b"\n"


def dumped(body: Any) -> bytes:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        text = json.dumps(body, separators=(",", ":"))
    return text.encode()


def call(number: int, name: str, arguments: str) -> Json:
    """An element of `tool_calls`."""
    function = {"index": number, "name": name, "arguments": json.loads(arguments)}
    return {"id": f"call_server{number}", "function": function}


def done(finish: str | None = "stop", message: Json | None = None) -> bytes:
    return line(message, True, **({"done_reason": finish} if finish else {}), **MEASURED)


def lines(parts: Iterable[Part], finish: str | None = "stop", step: int = 3) -> list[bytes]:
    """A streamed answer. Without a reason it just ends."""
    out, number = [], 0
    for kind, *said in parts:
        if kind == "call":
            out.append(line({"tool_calls": [call(number, *said)]}))
            number += 1
        else:
            member = "content" if kind == "text" else kind
            out += [line({member: said[0][at : at + step]}) for at in range(0, len(said[0]), step)]
    return [*out, done(finish)] if finish else out


def whole(parts: Iterable[Part], finish: str | None = "stop") -> bytes:
    """The same, not streamed."""
    message: Json = {"role": "assistant", "content": ""}
    for kind, *said in parts:
        if kind == "call":
            calls = message.setdefault("tool_calls", [])
            calls.append(call(len(calls), *said))
        else:
            member = "content" if kind == "text" else kind
            message[member] = message.get(member, "") + said[0]
    return dumped(ENVELOPE | {"message": message, "done": True, "done_reason": finish} | MEASURED)


# The client


def read(body: bytes, complete: bool = True) -> tuple[list[Said], str | None]:
    """What a streamed answer says, and its done_reason. `complete=False`: the server never ended it, or with
    an error."""
    reader = _Reader()
    for raw in body.decode().split("\n"):
        if raw.strip() or not body:
            reader.read_line(json.loads(raw))
    assert not complete or reader.done, "no done line"
    return reader.said, reader.reason


def read_whole(body: bytes) -> tuple[list[Said], str | None]:
    """The same of an answer that is not streamed."""
    assert body.count(b"\n") <= body.endswith(b"\n")
    return read(body)


class _Reader:
    def __init__(self) -> None:
        self.said: list[Said] = []
        self.reason: str | None = None
        self.done = False
        self._ids: set[str] = set()

    def read_line(self, json: Json) -> None:
        assert not self.done, "something comes after the done line"
        if "error" in json:
            self.done, self.reason = False, "error"
            self.said.append(("error", json["error"]))
            return
        assert self.reason != "error", "something comes after an error"
        assert isinstance(json["model"], str)
        assert isinstance(json["created_at"], str)
        message = json["message"]
        assert message["role"] == "assistant"
        assert type(json["done"]) is bool
        for member in ("thinking", "content"):
            self._read_text(MEMBERS[member], message.get(member, ""))
        calls = message.get("tool_calls", [])
        assert calls or "tool_calls" not in message, "an empty list of calls"
        for element in calls:
            self._read_call(element)
        self.done, self.reason = json["done"], json.get("done_reason")

    def _read_text(self, kind: str, text: Any) -> None:
        assert isinstance(text, str), f"{kind} is no text"
        if text and self.said and self.said[-1][0] == kind:
            self.said[-1] = (kind, self.said[-1][1] + text)
        elif text:
            self.said.append((kind, text))

    def _read_call(self, element: Json) -> None:
        function = element["function"]
        name, arguments = function["name"], function["arguments"]
        assert isinstance(name, str)
        assert name, "a call without a name"
        assert isinstance(arguments, dict), "arguments that are no object"
        before = sum(said[0] == "call" for said in self.said)
        assert function.get("index", before) == before, "calls are not numbered one by one"
        if "id" in element:
            assert isinstance(element["id"], str)
            assert element["id"] not in self._ids, "an id twice"
            self._ids.add(element["id"])
        self.said.append(("call", name, json.dumps(arguments, ensure_ascii=False), True))
