"""Every API in the same words: a test says once what is asked, what a server answers and what a client has to
get, and each `Api` writes and reads that in its own way.

An answer is made of parts: `("text", text)`, `("thinking", text)`, and `("call", name, arguments)` for a
call that the server has parsed. Streamed, a text comes so many characters at a time. Why the answer ends is
said in the words of chat completions; None: it breaks off. What is read back is what a strict client reads.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from support import strict_messages, strict_ollama, strict_responses
from support.streams import VLLM, event, read_answer

Json = dict[str, Any]
Part = tuple[Any, ...]

REASONS = ("stop", "tool_calls", "length")


@dataclass(frozen=True)
class Heard:
    """What a client got."""

    text: str
    thinking: str
    calls: list[tuple[str, str]]  # complete ones: name, arguments
    open: tuple[str, str] | None  # one that is not, and as far as it came
    finish: str | None

    @classmethod
    def of(cls, said: Iterable[Part], finish: str | None) -> "Heard":
        """What there is to hear in ("text", …), ("thinking", …), ("call", name, arguments, is complete)."""
        texts = {"text": "", "thinking": ""}
        calls, cut = [], []
        for kind, *more in said:
            if kind in texts:
                texts[kind] += more[0]
            elif kind == "call":
                name, arguments, complete = more
                (calls if complete else cut).append((name, arguments))
        assert len(cut) <= 1, "two calls are open"
        return cls(texts["text"], texts["thinking"], calls, cut[0] if cut else None, finish)


class Api(Protocol):
    """One API, as one kind of server has it."""

    name: str
    title: str  # the name, and what else there is to know of the server
    pieces: bool  # a call may be sent in pieces
    tells_calls: bool  # the reason for the end says whether there are calls
    reasons: Sequence[str]  # that it can say

    def request(
        self, tools: Any, tool_choice: Any = "auto", parallel: bool = True, stream: bool = True
    ) -> Json | None:
        """A request; None if this API cannot say that."""
        ...

    def streamed(self, parts: Iterable[Part], finish: str | None = "stop", step: int = 3) -> bytes: ...

    def whole(self, parts: Iterable[Part], finish: str | None = "stop") -> bytes:
        """The same answer, not streamed."""
        ...

    def hear(self, body: bytes, complete: bool = True) -> Heard:
        """Read a streamed answer; AssertionError if a client could not. `complete`: the server ended it."""
        ...

    def hear_whole(self, body: bytes) -> Heard: ...


class Chat:
    name = title = "chat"
    pieces, tells_calls = True, True
    reasons = (*REASONS, "content_filter")

    def request(
        self, tools: Any, tool_choice: Any = "auto", parallel: bool = True, stream: bool = True
    ) -> Json | None:
        asked = {"tools": tools, "tool_choice": tool_choice, "parallel_tool_calls": parallel}
        return {"model": "qwen", "messages": [{"role": "user", "content": "?"}], "stream": stream} | asked

    def streamed(self, parts: Iterable[Part], finish: str | None = "stop", step: int = 3) -> bytes:
        out, number = VLLM.open(), 0
        for kind, *said in parts:
            if kind == "call":
                out += VLLM.calls([(said[0], pieces(said[1], step))], start=number)
                number += 1
            else:
                member = "content" if kind == "text" else "reasoning_content"
                out += [VLLM.chunk((0, {member: piece}, None)) for piece in pieces(said[0], step)]
        return b"".join(out + VLLM.ending(finish))

    def whole(self, parts: Iterable[Part], finish: str | None = "stop") -> bytes:
        message: Json = {"role": "assistant", "content": None}
        for kind, *said in parts:
            if kind == "call":
                function = {"name": said[0], "arguments": said[1]}
                calls = message.setdefault("tool_calls", [])
                calls.append({"id": f"call_{len(calls)}", "type": "function", "function": function})
            else:
                member = "content" if kind == "text" else "reasoning_content"
                message[member] = (message.get(member) or "") + said[0]
        choice = {"index": 0, "message": message, "finish_reason": finish}
        body = {"id": "chatcmpl-1", "object": "chat.completion", "model": "qwen", "choices": [choice]}
        return event(body).removeprefix(b"data: ").rstrip(b"\n")

    def hear(self, body: bytes, complete: bool = True) -> Heard:
        answer = read_answer(body)
        assert answer.done == complete
        message = answer.message
        calls = [("call", call.name, call.arguments, is_object(call.arguments)) for call in message.calls]
        return Heard.of([("thinking", message.reasoning), ("text", message.text), *calls], message.finish)

    def hear_whole(self, body: bytes) -> Heard:
        (choice,) = json.loads(body)["choices"]
        message = choice["message"]
        said = [("thinking", message.get("reasoning_content") or ""), ("text", message["content"] or "")]
        for call in message.get("tool_calls") or []:
            assert call["id"]
            assert call["type"] == "function"
            function = call["function"]
            said.append(("call", function["name"], function["arguments"], is_object(function["arguments"])))
        return Heard.of(said, choice["finish_reason"])


class Ollama:
    name = title = "ollama"
    pieces, tells_calls = False, False
    reasons = ("stop", "length")

    def request(
        self, tools: Any, tool_choice: Any = "auto", parallel: bool = True, stream: bool = True
    ) -> Json | None:
        if tool_choice != "auto" or not parallel:
            return None
        return strict_ollama.request(tools, **({} if stream else {"stream": False}))

    def streamed(self, parts: Iterable[Part], finish: str | None = "stop", step: int = 3) -> bytes:
        return b"".join(strict_ollama.lines(parts, finish, step))

    def whole(self, parts: Iterable[Part], finish: str | None = "stop") -> bytes:
        return strict_ollama.whole(parts, finish)

    def hear(self, body: bytes, complete: bool = True) -> Heard:
        return Heard.of(*strict_ollama.read(body, complete))

    def hear_whole(self, body: bytes) -> Heard:
        return Heard.of(*strict_ollama.read_whole(body))


class Messages:
    """Of a server that ends each block before the next, or, `late`, all of them at the end."""

    name = "messages"
    pieces, tells_calls = True, True
    reasons = REASONS
    _CHOICES: ClassVar = {"auto": "auto", "required": "any", "none": "none"}

    def __init__(self, late: bool = False) -> None:
        self.title = "messages, late" if late else "messages"
        self._late = late

    def request(
        self, tools: Any, tool_choice: Any = "auto", parallel: bool = True, stream: bool = True
    ) -> Json | None:
        choice = self._choice(tool_choice)
        if choice is None:
            return None
        choice |= {} if parallel else {"disable_parallel_tool_use": True}
        functions = [tool["function"] for tool in tools]
        declared = [{"name": f["name"], "input_schema": f["parameters"]} for f in functions]
        head = {"model": "qwen", "max_tokens": 1000, "stream": stream, "messages": []}
        return head | {"tools": declared, "tool_choice": choice}

    def _choice(self, asked: Any) -> Json | None:
        if isinstance(asked, str):
            return {"type": self._CHOICES[asked]}
        return {"type": "tool", "name": asked["function"]["name"]} if asked["type"] == "function" else None

    def streamed(self, parts: Iterable[Part], finish: str | None = "stop", step: int = 3) -> bytes:
        order = strict_messages.llama_cpp if self._late else strict_messages.canonical
        events = order(parts, finish or "stop", step)
        return b"".join(events if finish else events[: -len(strict_messages.end("stop"))])

    def whole(self, parts: Iterable[Part], finish: str | None = "stop") -> bytes:
        return strict_messages.whole(parts, finish)

    def hear(self, body: bytes, complete: bool = True) -> Heard:
        outcome = strict_messages.read_stream(body, late_stops=self._late, dropped=not complete)
        return Heard.of(*outcome.said)

    def hear_whole(self, body: bytes) -> Heard:
        return Heard.of(*strict_messages.read_whole(body).said)


class Responses:
    """Of a server that ends each item before the next, or, `late`, all of them at the end."""

    name = "responses"
    pieces, tells_calls = True, True
    reasons = REASONS
    _ENDS: ClassVar = {"stop": "completed", "tool_calls": "completed", "length": "incomplete", None: ""}

    def __init__(self, late: bool = False) -> None:
        self.title = "responses, late" if late else "responses"
        self._late = late

    def request(
        self, tools: Any, tool_choice: Any = "auto", parallel: bool = True, stream: bool = True
    ) -> Json | None:
        if isinstance(tool_choice, dict):
            if tool_choice["type"] != "function":
                return None
            tool_choice = {"type": "function", "name": tool_choice["function"]["name"]}
        declared = [{"type": "function"} | tool["function"] for tool in tools]
        head = {"model": "qwen", "input": "?", "stream": stream, "parallel_tool_calls": parallel}
        return head | {"tools": declared, "tool_choice": tool_choice}

    def streamed(self, parts: Iterable[Part], finish: str | None = "stop", step: int = 3) -> bytes:
        order = strict_responses.late if self._late else strict_responses.canonical
        return order(parts, self._ENDS[finish], step=step)

    def whole(self, parts: Iterable[Part], finish: str | None = "stop") -> bytes:
        return strict_responses.whole(parts, self._ENDS[finish])

    def hear(self, body: bytes, complete: bool = True) -> Heard:
        outcome = strict_responses.read(body, dropped=not complete)
        return Heard.of(outcome.said, outcome.end or None)

    def hear_whole(self, body: bytes) -> Heard:
        outcome = strict_responses.read_whole(body)
        return Heard.of(outcome.said, outcome.end)


APIS: Sequence[Api] = (Chat(), Messages(), Responses(), Ollama())
LATE: Sequence[Api] = (Messages(late=True), Responses(late=True))  # the order of llama.cpp


def pieces(text: str, step: int) -> list[str]:
    """The text, so many characters at a time."""
    return [text[at : at + step] for at in range(0, len(text), step)]


def is_object(text: str) -> bool:
    """Whether a client can read arguments."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
