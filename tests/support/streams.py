r"""Streams of chat completions as the engines write them, and a strict client that reads them.

An `Engine` is the shape of one server's chunks: the keys around the choices and their order,
what stands in every delta, where usage is, how a call the server parsed itself is split.
`ENGINES` has those that real captures, source code or published samples show. They write the
same envelope all the time; those of `VARYING` do not, or repeat what need not be. `EVERY_ENGINE` has both.

`read_answer` is the most demanding client: it accepts a stream only if every delta satisfies all rules
that some known client insists on (the checks of `_Reader`). It does not know `toolstream`. `send` plays
the server and the proxy.
"""

import json
import random
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from support.cases import read_tool
from toolstream import StreamRewriter

Json = dict[str, Any]
Native = tuple[str, list[str]]  # a call the server parsed: its name, and its arguments in fragments

DONE = b"data: [DONE]\n\n"
THOUGHTS = (
    "reasoning",
    "reasoning_content",
    "thinking",
)  # names of the field; servers send copies under several
USAGE = {"prompt_tokens": 17, "completion_tokens": 65, "total_tokens": 82}
TOOLS = [
    read_tool("get_weather(city: string, days?: integer, detailed?: boolean)"),
    read_tool("write(path: string, content: string)"),
    read_tool("get_goal()"),
]
# A call in the text, and what it says; the second has no surrogates, so it leaves byte-identical at every cut
WEATHER = """\
<tool_call>
<function=get_weather>
<parameter=city>
Zürich 🙂
</parameter>
<parameter=days>
3
</parameter>
</function>
</tool_call>"""
OSLO = WEATHER.replace("Zürich 🙂", "Oslo")
CALL = ("get_weather", {"city": "Zürich 🙂", "days": 3})
CALL_OSLO = ("get_weather", {"city": "Oslo", "days": 3})


def request(*tools: str, **fields: Any) -> Json:
    """Return a streaming request with these tools (`name(key: type)`), or with TOOLS."""
    declared = [read_tool(tool) for tool in tools] or TOOLS
    return {"model": "qwen", "stream": True, "messages": [], "tools": declared} | fields


def event(chunk: Any, compact: bool = True, ascii_only: bool = False) -> bytes:
    """Return a chunk as an event. Lone surrogates can only be written as escapes."""
    separators = (",", ":") if compact else (", ", ": ")
    text = json.dumps(chunk, ensure_ascii=ascii_only, separators=separators)
    if not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text):
        text = json.dumps(chunk, separators=separators)
    return f"data: {text}\n\n".encode()


# Engines


@dataclass(frozen=True)
class Engine:
    """How one server writes its chunks."""

    name: str
    envelope: Callable[[list[Json]], Json]  # the chunk around its choices
    choice: Callable[[int, Json, str | None], Json]
    first: Json | None = field(default_factory=lambda: {"role": "assistant", "content": ""})
    every: Json = field(default_factory=dict)  # the keys in every delta
    last: Json = field(default_factory=dict)  # the delta of the finish chunk
    usage_choices: tuple[Json, ...] = ()
    before: bytes = b""
    whole_calls: bool = False  # a call it parsed comes in one delta
    clean_calls: bool = True  # ... and its further deltas hold nothing but index and arguments
    repeats: bool = False  # ... but its id and its type as well
    compact: bool = True
    ascii_only: bool = False

    def chunk(self, *choices: tuple[int, Json, str | None], **more: Any) -> bytes:
        """Return a chunk with these choices, each (index, delta, finish_reason), as an event."""
        filled = [self.choice(index, self.every | delta, finish) for index, delta, finish in choices]
        return self._event(self.envelope(filled) | more)

    def text(self, content: str, finish: str | None = None, index: int = 0) -> bytes:
        return self.chunk((index, {"content": content}, finish))

    def open(self, *indexes: int) -> list[bytes]:
        """Return the events before the text."""
        opening = [] if self.first is None else [self.chunk((i, self.first, None)) for i in indexes or (0,)]
        return [*([self.before] if self.before else []), *opening]

    def end(self, finish: str | None = "stop", index: int = 0) -> bytes:
        """Return the chunk that ends a choice."""
        return self.chunk((index, self.last, finish))

    def usage(self) -> bytes:
        """Return the last chunk before [DONE]."""
        return self._event(self.envelope([dict(choice) for choice in self.usage_choices]) | {"usage": USAGE})

    def calls(self, calls: Iterable[Native], start: int = 0, index: int = 0) -> list[bytes]:
        """Return the events of calls that the server parsed."""
        deltas = [d for at, call in enumerate(calls, start) for d in self._call(at, *call)]
        return [self.chunk((index, {"tool_calls": [delta]}, None)) for delta in deltas]

    def _call(self, at: int, name: str, fragments: list[str]) -> Iterator[Json]:
        function = {"name": name, "arguments": "".join(fragments) if self.whole_calls else ""}
        head = {"index": at, "id": f"{self.name}-{at}", "type": "function"}
        yield head | {"function": function}
        for fragment in [] if self.whole_calls else fragments:
            yield (head if self.repeats else {"index": at}) | {"function": {"arguments": fragment}}

    def answer(
        self, pieces: Iterable[str], finish: str | None = "stop", calls: Iterable[Native] = ()
    ) -> list[bytes]:
        """Return the events of a whole answer: text in these deltas, then calls."""
        texts = [self.text(piece) for piece in pieces]
        return [*self.open(), *texts, *self.calls(calls), *self.ending(finish)]

    def ending(self, finish: str | None = "stop") -> list[bytes]:
        """Return the events after the text. Without a finish_reason the stream just ends."""
        return [self.end(finish), self.usage(), DONE] if finish else []

    def _event(self, chunk: Json) -> bytes:
        return event(chunk, self.compact, self.ascii_only)

    def __str__(self) -> str:
        return self.name


def _head(name: str, **more: Any) -> Json:
    return {"id": f"chatcmpl-{name}", "object": "chat.completion.chunk", "created": 1795171282} | more


def _llama_cpp(choices: list[Json]) -> Json:
    tail = {"model": "qwen", "system_fingerprint": "b0-unknown", "object": "chat.completion.chunk"}
    chunk = {"choices": choices, "created": 1795171282, "id": "chatcmpl-Qkdb"} | tail
    return chunk | ({} if choices else {"timings": {"prompt_ms": 1.10, "predicted_per_second": 2557.2381}})


def _choice_llama_cpp(index: int, delta: Json, finish: str | None) -> Json:
    return {"finish_reason": finish, "index": index, "delta": delta}


def _choice(index: int, delta: Json, finish: str | None) -> Json:
    return {"index": index, "delta": delta, "finish_reason": finish}


def _choice_vllm(index: int, delta: Json, finish: str | None) -> Json:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    return choice | ({"stop_reason": None} if finish else {}) | {"token_ids": None}


def _choice_litellm(index: int, delta: Json, finish: str | None) -> Json:
    return ({"finish_reason": finish} if finish else {}) | {"index": index, "delta": delta}


def _choice_sglang(index: int, delta: Json, finish: str | None) -> Json:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish, "matched_stop": None}


ASSISTANT: Json = {"role": "assistant"}
LLAMA_CPP = Engine("llama.cpp", _llama_cpp, _choice_llama_cpp, ASSISTANT | {"content": None})
VLLM = Engine("vllm", lambda choices: _head("vllm", model="qwen", choices=choices), _choice_vllm)
MLX_LM = Engine(
    "mlx-lm",
    lambda choices: _head("mlx", system_fingerprint="0.32.2", model="server/model", choices=choices),
    _choice_llama_cpp,
    first=None,
    every=ASSISTANT,
    last=ASSISTANT,
    before=b": keepalive 16/17\n\n: keepalive 17/17\n\n",
    whole_calls=True,
    compact=False,
    ascii_only=True,
)
LITELLM = Engine(
    "litellm",
    lambda choices: _head("llm", model="fake", system_fingerprint="b0", choices=choices),
    _choice_litellm,
    first=ASSISTANT,
    usage_choices=({"index": 0, "delta": {}},),
)
OLLAMA = Engine(
    "ollama",
    lambda choices: _head("ollama", model="qwen3", system_fingerprint="fp_ollama", choices=choices),
    _choice,
    first=None,
    every=ASSISTANT,
    last={"content": ""},
    whole_calls=True,
)
SGLANG = Engine(
    "sglang",
    lambda choices: _head("sgl", model="qwen", choices=choices, usage=None),
    _choice_sglang,
    first={"role": "assistant", "content": "", "reasoning_content": None, "tool_calls": None},
    every={"role": None, "reasoning_content": None, "tool_calls": None},
    clean_calls=False,
)
DASHSCOPE = Engine(
    "dashscope",
    lambda choices: (
        {"choices": choices, "object": "chat.completion.chunk", "usage": None, "created": 1}
        | {"system_fingerprint": None, "model": "qwen3-coder-plus", "id": "chatcmpl-ds"}
    ),
    lambda index, delta, finish: {"delta": delta, "finish_reason": finish, "index": index, "logprobs": None},
    clean_calls=False,
)
ENGINES = [LLAMA_CPP, VLLM, MLX_LM, LITELLM, OLLAMA, SGLANG, DASHSCOPE]

# The same with envelopes that change, by the choices alone: so an answer can be written twice.


def _varied(engine: Engine, name: str, change: Callable[[int], Json]) -> Engine:
    """The engine, with members of the envelope that are made of a number, another one for each chunk."""

    def envelope(choices: list[Json]) -> Json:
        return engine.envelope(choices) | change(zlib.crc32(json.dumps(choices).encode()) % 1000)

    return replace(engine, name=f"{engine} with {name}", envelope=envelope)


SGLANG_CLOCK = _varied(SGLANG, "a clock", lambda n: {"created": 1795171282 + n % 3})
OLLAMA_CLOCK = _varied(OLLAMA, "a clock", lambda n: {"created": 1795171282 + n})
LLAMA_CPP_TIMED = _varied(
    LLAMA_CPP,
    "timings_per_token",
    lambda n: {"timings": {"cache_n": 0, "prompt_n": 17, "predicted_n": n, "predicted_ms": n * 9.0617}},
)
VLLM_COUNTING = _varied(
    VLLM,
    "continuous_usage_stats",
    lambda n: {"usage": {"prompt_tokens": 17, "total_tokens": 17 + n, "completion_tokens": n}},
)
REPEATING = replace(VLLM, name="a gateway that repeats ids", clean_calls=False, repeats=True)
VARYING = [SGLANG_CLOCK, OLLAMA_CLOCK, LLAMA_CPP_TIMED, VLLM_COUNTING, REPEATING]
EVERY_ENGINE = [*ENGINES, *VARYING]


# Through the proxy


def byte_cuts(body: bytes, every: int = 1, random_cuts: int = 20) -> Iterator[list[bytes]]:
    """Yield the body whole, per byte, cut in two after every `every`-th byte, and cut at random."""
    yield [body]
    yield per_byte(body)
    for at in range(1, len(body), every):
        yield [body[:at], body[at:]]
    choose = random.Random(len(body))
    for _ in range(random_cuts):
        places = sorted(choose.randint(0, len(body)) for _ in range(choose.randint(2, 30)))
        yield [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]


def per_byte(body: bytes) -> list[bytes]:
    return [body[at : at + 1] for at in range(len(body))]


def cut_anywhere(body: bytes) -> list[bytes]:
    """The body cut at six places. The same size gives the same places."""
    choose = random.Random(len(body))
    places = sorted(choose.randint(0, len(body)) for _ in range(6))
    return [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]


def gathered(events: list[bytes], seed: int = 0) -> list[bytes]:
    """The events in pieces as a network brings them: one alone, or up to five of them at once."""
    choose = random.Random(f"{seed} {len(events)}")
    pieces, at = [], 0
    while at < len(events):
        size = choose.choice([1, 1, 2, 3, 5])
        pieces.append(b"".join(events[at : at + size]))
        at += size
    return pieces


def send(pieces: Iterable[bytes], asked: Json, **options: Any) -> tuple[bytes, StreamRewriter]:
    """Return what a client is sent for an answer in these pieces, and the rewriter."""
    rewriter = StreamRewriter(asked, **options)
    out = [sent for piece in pieces for sent in rewriter.feed(piece)] + rewriter.close()
    assert all(out), "an empty piece ends the body for mitmproxy"
    assert rewriter.ledger.failure == ""
    return b"".join(out), rewriter


# The client


class ObjectionError(AssertionError):
    """The stream breaks a rule that some client insists on."""


@dataclass
class Call:
    """A call as it arrived; `arguments` is the joined text of its deltas."""

    name: str
    arguments: str
    id: str
    deltas: int = 1


@dataclass
class Message:
    """One choice of the answer."""

    text: str = ""
    reasoning: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str | None = None
    text_after_call: str = ""
    empty_deltas: int = 0  # deltas without any content
    begun: bool = False

    @property
    def named(self) -> list[tuple[str, Any]]:
        """Return the calls as (name, arguments), parsed as JSON, or as text if they are cut off."""
        return [(call.name, _json(call.arguments)) for call in self.calls]

    @property
    def said(self) -> tuple[Any, ...]:
        """Return everything that must not depend on how the answer was cut."""
        return self.text, self.reasoning, self.named, self.finish, self.text_after_call


@dataclass
class Answer:
    """A whole stream as a client reads it."""

    messages: dict[int, Message] = field(default_factory=dict)
    chunks: list[Json] = field(default_factory=list)
    other: list[str] = field(default_factory=list)  # events that are not chunks, and lines other than data
    done: bool = False

    @property
    def message(self) -> Message:
        """Return the first choice."""
        return self.messages.setdefault(0, Message())

    @property
    def said(self) -> tuple[Any, ...]:
        """Return everything that must not depend on how the answer was cut."""
        return {i: m.said for i, m in sorted(self.messages.items())}, self.other, self.done


def read_answer(body: bytes, role: bool = True) -> Answer:
    """Read an answer; raise if a client would object. `role=False`: the server never sent a role."""
    reader = _Reader(role)
    text = body.decode().removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    for block in re.split("\n\n+", text):
        reader.read_event(block)
    reader.end()
    return reader.answer


class _Reader:
    """Reads an answer event by event, and raises as soon as a rule is broken."""

    def __init__(self, role: bool) -> None:
        self.answer = Answer()
        self._role = role
        self._ids: set[str] = set()

    def read_event(self, block: str) -> None:
        lines = block.split("\n")
        data = [line[5:].removeprefix(" ") for line in lines if line.startswith("data:")]
        self.answer.other += [line for line in lines if line and not line.startswith("data:")]
        if not data:
            return
        _insist(not self.answer.done, "data after [DONE]")
        if data == ["[DONE]"]:
            self.answer.done = True
            return
        chunk = _json("\n".join(data))
        if not isinstance(chunk, dict) or not isinstance(chunk.get("choices"), list):
            self.answer.other.append("\n".join(data))
            return
        self.answer.chunks.append(chunk)
        for choice in chunk["choices"]:
            self._read_choice(choice)

    def _read_choice(self, choice: Json) -> None:
        _insist(type(choice.get("index")) is int, "a choice without index")
        message = self.answer.messages.setdefault(choice["index"], Message())
        delta = choice.get("delta")
        _insist(isinstance(delta, dict), "a choice without delta")
        finish = choice.get("finish_reason")
        said = any(delta.get(key) for key in ("content", "tool_calls", *THOUGHTS))
        _insist(not (message.finish and (said or finish)), "something after the finish_reason")
        if self._role and not message.begun and not message.finish:
            _insist(delta.get("role") == "assistant", "the first delta does not name the role")
        message.begun = True
        message.empty_deltas += not (delta or finish or choice["index"] in self._ended())
        self._read_delta(message, delta)
        message.finish = message.finish or finish

    def _ended(self) -> list[int]:
        return [index for index, message in self.answer.messages.items() if message.finish]

    def _read_delta(self, message: Message, delta: Json) -> None:
        message.reasoning += next((delta[key] for key in THOUGHTS if delta.get(key)), "")
        content = delta.get("content") or ""
        message.text += content
        message.text_after_call += content if message.calls else ""
        for call in delta.get("tool_calls") or []:
            self._read_call(message, call)

    def _read_call(self, message: Message, call: Json) -> None:
        index, function = call.get("index"), call.get("function")
        _insist(type(index) is int, "a call without index")
        _insist(isinstance(function, dict), "a call without function")
        arguments = function.get("arguments", "" if index == len(message.calls) else None)
        _insist(isinstance(arguments, str), "arguments that are not a string")
        if index == len(message.calls):
            self._begin_call(message, call)
            message.calls.append(Call(function["name"], arguments, call["id"]))
        else:
            _insist(index == len(message.calls) - 1, f"call {index} after call {len(message.calls) - 1}")
            _insist(call.keys() == {"index", "function"}, f"a further delta with {sorted(call)}")
            _insist(function.keys() == {"arguments"}, f"a further delta with function {sorted(function)}")
            message.calls[index].arguments += arguments
            message.calls[index].deltas += 1

    def _begin_call(self, message: Message, call: Json) -> None:
        _insist(isinstance(call.get("id"), str) and call["id"], "a call without id")
        _insist(call["id"] not in self._ids, "an id twice")
        self._ids.add(call["id"])
        _insist(call.get("type") == "function", "a call without type")
        name = call["function"].get("name")
        _insist(isinstance(name, str) and name, "a call without name")
        for before in message.calls:
            _insist(isinstance(_json(before.arguments), dict), "a call begins before another is complete")

    def end(self) -> None:
        for message in self.answer.messages.values():
            if message.finish in ("stop", "tool_calls"):
                _insist(
                    (message.finish == "tool_calls") == bool(message.calls), f"{message.finish}, but calls?"
                )
                for call in message.calls:
                    _insist(isinstance(_json(call.arguments), dict), f"arguments {call.arguments!r}")


def _insist(holds: Any, otherwise: str) -> None:
    if not holds:
        raise ObjectionError(otherwise)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
