"""Anthropic Messages as the strictest of its clients read them, and answers in the order of two servers.

`read_stream` and `read_whole` raise where a client would stumble: Claude Code, Anthropic's SDKs for Python
and TypeScript, or the AI SDK. Some break on a gap in the numbers, some on a delta that does not fit its
block, some on a block that is never stopped or an empty one. What they read is the same for every API:

    [("text", "Hi."), ("thinking", "Hm."), ("call", "ls", '{"path": "a"}', True)], "tool_calls"

the parts in order, of a call also whether it is complete, and the reason to stop in chat's words.

`canonical` and `llama_cpp` write an answer from such parts. llama.cpp starts a block before the last one
stops, and stops all at the end.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

Part = tuple[Any, ...]
Json = dict[str, Any]

FITTING = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("tool_use", "partial_json"),
}
REASONS = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length", "stop_sequence": "stop"}
WORDS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens"}


@dataclass
class Outcome:
    """What a client has read."""

    parts: list[Part] = field(default_factory=list)
    reason: str | None = None  # in chat's words
    sent_reason: str | None = None  # as the answer has it
    errors: list[Json] = field(default_factory=list)
    pings: int = 0

    @property
    def said(self) -> tuple[list[Part], str | None]:
        return self.parts, self.reason

    @property
    def calls(self) -> list[tuple[str, Any]]:
        """The complete calls, with their arguments as JSON."""
        return [(part[1], json.loads(part[2])) for part in self.parts if part[0] == "call" and part[3]]


def read_stream(
    body: bytes, *, late_stops: bool = False, empty: bool = False, dropped: bool = False
) -> Outcome:
    """Read a stream. A healthy server may do what is allowed here: `late_stops`, blocks stop when others have
    begun; `empty`, a block has no text. `dropped`: the connection was, so the end may be missing, and a call
    may be without arguments."""
    reader = _Reader(late_stops, empty)
    for event in events(body):
        reader.read(event)
    reader.end(dropped)
    return reader.outcome


def read_whole(body: bytes) -> Outcome:
    """Read an answer that was not streamed."""
    message = json.loads(body)
    assert message["type"] == "message"
    blocks = message["content"]
    for block in blocks:
        if block["type"] == "tool_use":
            assert block["id"], "a call without id"
            assert block["name"], "a call without name"
            assert isinstance(block["input"], dict), "an input that is no object"
    ids = [block["id"] for block in blocks if block["type"] == "tool_use"]
    assert len(ids) == len(set(ids)), "an id twice"
    parts = [_part(block["type"], block, _text_of(block), True) for block in blocks]
    assert all(part[1].strip() for part in parts if part[0] in ("text", "thinking")), "an empty block"
    sent = message["stop_reason"]
    _check_reason(sent, parts)
    return Outcome(parts, REASONS.get(sent, sent), sent)


def events(body: bytes) -> Iterator[Json]:
    """The events of a stream. Each names its type twice."""
    text = body.decode().replace("\r\n", "\n")
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if not lines:
            continue
        data = json.loads("\n".join(line[5:].strip() for line in lines if line.startswith("data:")))
        assert f"event: {data['type']}" in lines, f"an event with another name: {block}"
        yield data


@dataclass
class _Block:
    kind: str
    head: Json
    text: str = ""
    deltas: int = 0
    stopped: bool = False


class _Reader:
    def __init__(self, late_stops: bool, empty: bool) -> None:
        self.outcome = Outcome()
        self._late, self._empty = late_stops, empty
        self._blocks: list[_Block] = []
        self._begun = self._ended = self._over = False

    def read(self, event: Json) -> None:
        if event["type"] == "ping":
            self.outcome.pings += 1
            return
        assert not self._over, f"after the end: {event}"
        getattr(self, "_" + event["type"])(event)

    def _message_start(self, event: Json) -> None:
        assert not self._begun, "a second beginning"
        self._begun = True
        message = event["message"]
        assert message["content"] == []
        assert {"id", "role", "model", "usage"} <= message.keys()
        assert message["stop_reason"] is None

    def _content_block_start(self, event: Json) -> None:
        assert self._begun, "no message_start"
        assert not self._ended, "a block after message_delta"
        assert event["index"] == len(self._blocks), f"index {event['index']} after {len(self._blocks)} blocks"
        assert self._late or not self._open, f"two blocks are open: {event}"
        block = event["content_block"]
        if block["type"] == "tool_use":
            assert isinstance(block["id"], str), "a call without id"
            assert block["id"], "a call without id"
            assert block["name"], "a call without name"
            assert not block.get("input"), "the input is not read from here"
        text = "" if block["type"] == "tool_use" else _text_of(block)
        self._blocks.append(_Block(block["type"], block, text))

    def _content_block_delta(self, event: Json) -> None:
        assert event["index"] < len(self._blocks), f"a delta without a block: {event}"
        block, delta = self._blocks[event["index"]], event["delta"]
        assert not block.stopped, f"a delta after the stop: {event}"
        assert self._late or block is self._blocks[-1]
        if delta["type"] in FITTING:
            kind, member = FITTING[delta["type"]]
            assert block.kind.endswith(kind), f"{delta['type']} in a block of {block.kind}"
            block.text += delta[member]
            block.deltas += 1
        elif delta["type"] == "signature_delta":
            assert block.kind == "thinking", "a signature where no thinking is"

    def _content_block_stop(self, event: Json) -> None:
        assert event["index"] < len(self._blocks), f"a stop without a block: {event}"
        block = self._blocks[event["index"]]
        assert not block.stopped, f"stopped twice: {event}"
        block.stopped = True

    def _message_delta(self, event: Json) -> None:
        assert not self._open, "a block that is not stopped"
        assert "usage" in event
        self._ended = True
        sent = event["delta"]["stop_reason"]
        self.outcome.sent_reason, self.outcome.reason = sent, REASONS.get(sent, sent)

    def _message_stop(self, event: Json) -> None:
        assert self._ended, "no message_delta"
        self._over = True

    def _error(self, event: Json) -> None:
        self.outcome.errors.append(event["error"])
        self._over = True

    @property
    def _open(self) -> list[_Block]:
        return [block for block in self._blocks if not block.stopped]

    def end(self, dropped: bool) -> None:
        assert dropped or self._over, "no end"
        failed = dropped or bool(self.outcome.errors)
        ids = [block.head["id"] for block in self._blocks if block.kind == "tool_use"]
        assert len(ids) == len(set(ids)), "an id twice"
        for block in self._blocks:
            complete = block.stopped and _is_object(block.text)
            self.outcome.parts.append(_part(block.kind, block.head, block.text, complete))
            if block.kind == "tool_use":
                assert block.deltas or failed or self.outcome.reason == "length", "a call without a delta"
            elif block.kind in ("text", "thinking"):
                assert self._empty or block.text.strip(), "an empty block"
        if not failed:
            _check_reason(self.outcome.sent_reason, self.outcome.parts)


def _check_reason(sent: str | None, parts: Iterable[Part]) -> None:
    """Nobody may be told to run what is not complete, or to run nothing."""
    calls = [part for part in parts if part[0] == "call"]
    if sent == "tool_use":
        assert calls, "tool_use without a call"
        assert all(part[3] for part in calls), f"tool_use with a call that is cut off: {calls}"
    assert not (calls and sent in ("end_turn", None)), f"calls, but {sent}"


def _part(kind: str, block: Json, text: str, complete: bool) -> Part:
    if kind == "tool_use":
        return "call", block["name"], text, complete
    return kind, text


def _text_of(block: Json) -> str:
    if block["type"] == "tool_use":
        return json.dumps(block["input"], ensure_ascii=False) if block.get("input") is not None else ""
    text: str = block.get(block["type"], "")
    return text


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


# Answers


def event(kind: str, **members: Any) -> bytes:
    """One event, as most servers write it."""
    data = json.dumps({"type": kind, **members}, separators=(",", ":"), ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


def error(message: str) -> bytes:
    """An error in a stream."""
    return event("error", error={"type": "api_error", "message": message})


PING = event("ping")
MESSAGE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "qwen", "content": []}
STOP = {"stop_reason": None, "stop_sequence": None}
BEGIN = event("message_start", message=MESSAGE | STOP | {"usage": {"input_tokens": 17, "output_tokens": 0}})


def end(reason: str | None) -> list[bytes]:
    """The events that end an answer; `reason` in chat's words or the API's."""
    delta = STOP | {"stop_reason": WORDS.get(reason or "", reason)}
    return [event("message_delta", delta=delta, usage={"output_tokens": 65}), event("message_stop")]


def block(index: int, part: Part, size: int = 3) -> list[bytes]:
    """A block's start and deltas, each of so many characters."""
    match part:
        case ("call", name, *_):
            head: Json = {"type": "tool_use", "id": f"toolu_server{index}", "name": name, "input": {}}
        case ("thinking", _):
            head = {"type": "thinking", "thinking": "", "signature": ""}
        case _:
            head = {"type": "text", "text": ""}
    kind = {"text": "text_delta", "thinking": "thinking_delta", "tool_use": "input_json_delta"}[head["type"]]
    text = part[2] if part[0] == "call" else part[1]
    out = [event("content_block_start", index=index, content_block=head)]
    for at in range(0, len(text), size):
        delta = {"type": kind, FITTING[kind][1]: text[at : at + size]}
        out.append(event("content_block_delta", index=index, delta=delta))
    if head["type"] == "thinking":
        out.append(
            event("content_block_delta", index=index, delta={"type": "signature_delta", "signature": "s"})
        )
    return out


def stop(index: int) -> bytes:
    return event("content_block_stop", index=index)


def canonical(parts: Iterable[Part], reason: str | None = None, size: int = 3) -> list[bytes]:
    """The events of an answer, one block at a time. Without a reason, the one that fits the parts."""
    parts = list(parts)
    blocks = [e for at, part in enumerate(parts) for e in (*block(at, part, size), stop(at))]
    return [BEGIN, *blocks, *end(reason or _reason(parts))]


def llama_cpp(parts: Iterable[Part], reason: str | None = None, size: int = 3) -> list[bytes]:
    """The same in llama.cpp's order: all blocks stop at the end."""
    parts = list(parts)
    blocks = [e for at, part in enumerate(parts) for e in block(at, part, size)]
    return [BEGIN, *blocks, *(stop(at) for at in range(len(parts))), *end(reason or _reason(parts))]


def whole(parts: Iterable[Part], reason: str | None = None) -> bytes:
    """The answer in one piece."""
    parts, content = list(parts), []
    for at, part in enumerate(parts):
        if part[0] == "call":
            head = {"type": "tool_use", "id": f"toolu_server{at}", "name": part[1]}
            content.append(head | {"input": json.loads(part[2])})
        else:
            content.append({"type": part[0], part[0]: part[1]})
    reason = WORDS.get(reason or _reason(parts), reason)
    stop = {"stop_reason": reason, "stop_sequence": None, "usage": {"input_tokens": 17, "output_tokens": 65}}
    return json.dumps(MESSAGE | {"content": content} | stop, ensure_ascii=False).encode()


def _reason(parts: Iterable[Part]) -> str:
    return "tool_calls" if any(part[0] == "call" for part in parts) else "stop"


ORDERS: dict[str, Callable[..., list[bytes]]] = {"canonical": canonical, "llama.cpp": llama_cpp}
