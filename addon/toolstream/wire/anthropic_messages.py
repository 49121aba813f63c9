"""Anthropic Messages. An answer is a sequence of content blocks, and each block of text is a lane.

A block has three kinds of events: `content_block_start`, deltas and `content_block_stop`. They carry its
index; text, thinking and calls (`tool_use`) are numbered together. A block is identified by how many
blocks started before it, because some servers use an index twice. Text that a server sends into a block
of another type becomes a lane of its own, which has no block yet.

Writing events is in anthropic_encoder.py. A whole answer has the same blocks in a list; unchanged ones
keep every byte.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ..ledger import Ledger
from ..schema.json_read import Json, loads_object, object_in, text_in
from ..schema.json_write import quoted
from .anthropic_encoder import (
    ASTRAY,
    MessagesEncoder,
    head_edits,
    message_head,
    stop_reason,
    tool_use,
)
from .base import Asked, At, CallPiece, Found, Kind, LaneId, Reading, ServerCall, Slice, new_id
from .json_edit import Edits, Path, members, splice, value_at, with_members
from .sse import EventSplitter, is_aside, read_data

TEXTS = {"text": Kind.CONTENT, "thinking": Kind.REASONING}  # blocks of text, each with a member of its name
DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
_TO_RUN = re.compile(rb'("stop_reason":\s*)"(?:tool_use|end_turn|stop_sequence)"')


@dataclass(slots=True)
class _Block:
    """A block of the server, as far as it was read."""

    number: int
    lane: LaneId | None  # None for a call: the rewriter finds out which one
    stray: LaneId | None = None  # of text of another type that was sent into it

    @property
    def kind(self) -> Kind:
        return self.lane.kind if self.lane else Kind.ARGUMENTS

    def slice(
        self, at: At, text: str = "", path: Path = (), said: Json | None = None, whole: bool = False
    ) -> Slice:
        """A slice of the block. `said` is the block itself, where a call starts."""
        piece = None
        if self.lane is None:
            call_id, name = (text_in(said or {}, key) for key in ("id", "name"))
            piece = CallPiece(index=self.number, id=call_id, name=name, text=text, whole=whole)
        return Slice(self.lane, text, [path] if path else (), at, piece)


class AnthropicMessages:
    """One answer of `POST /v1/messages`."""

    name = "messages"
    path = r"/messages$"
    media_type = "text/event-stream"
    keep_alive = b'event: ping\ndata: {"type": "ping"}\n\n'
    pieces = True
    blocks = True
    solid = True
    takes_prose = False

    def __init__(self, request: Json) -> None:
        self.asked = read_request(request)
        self._blocks: dict[int, _Block] = {}  # the last one of each index
        self._started = 0

    def framer(self) -> EventSplitter:
        return EventSplitter()

    def encoder(self, ledger: Ledger) -> MessagesEncoder:
        return MessagesEncoder(self.new_id, str(self.asked.model), ledger)

    def new_id(self) -> str:
        return new_id("toolu_")

    def disarmed(self, data: bytes) -> bytes:
        return _TO_RUN.sub(rb'\1"max_tokens"', data)

    # Streamed

    def read(self, frame: bytes) -> Reading:
        """Read an event."""
        data = read_data(frame)
        if data is None:
            return Reading(frame, aside=is_aside(frame))
        reading = Reading(frame, data, loads_object(data, strict=False) or {})
        match reading.json.get("type"):
            case "content_block_delta":
                self._read_delta(reading)
            case "content_block_start":
                self._read_start(reading)
            case "content_block_stop":
                self._read_stop(reading)
            case "message_delta":
                reading.ends = [(0, _reason(object_in(reading.json, "delta")))]
            case "message_stop":
                reading.ends = [(0, None)]
            case "ping":
                reading.aside = True
            case _ if _is_error(reading):
                reading.error = reading.json.get("error", reading.json)  # llama.cpp: the object itself
                reading.ends = [(None, None)]
        return reading

    def _read_start(self, reading: Reading) -> None:
        said = object_in(reading.json, "content_block")
        kind = text_in(said, "type")
        lane = None if kind == "tool_use" else LaneId(0, TEXTS.get(kind, Kind.OTHER), self._started)
        block = _Block(self._started, lane)
        self._started += 1
        if isinstance(index := reading.json.get("index"), int):
            self._blocks[index] = block
        if lane is None:
            reading.slices.append(block.slice(At.OPEN, said=said))
            path: Path = ("content_block", "input")
            text = value_at(reading.data, path) if said.get("input") else ""
        else:
            reading.slices.append(block.slice(At.OPEN))
            text, path = _text_of(said) if kind in TEXTS else "", ("content_block", kind)
        if text:
            reading.slices.append(block.slice(At.TEXT, text, path))

    def _read_delta(self, reading: Reading) -> None:
        block = self._block(reading)
        if block is None:
            return
        delta = object_in(reading.json, "delta")
        member = DELTAS.get(text_in(delta, "type"), "")
        kind = TEXTS.get(member, Kind.ARGUMENTS)
        fits = block.kind in (kind, Kind.OTHER)
        if not member or (kind is Kind.ARGUMENTS and not fits):
            reading.slices.append(block.slice(At.CLOSE))  # a signature comes after all of the thinking
            return
        if not fits:
            reading.facts[ASTRAY] = block.lane is None
            block = self._stray(block, kind)
        reading.slices.append(block.slice(At.TEXT, text_in(delta, member), ("delta", member)))

    def _stray(self, block: _Block, kind: Kind) -> _Block:
        """A block for text that is in the wrong one; the server has not started it."""
        if block.stray is None or block.stray.kind is not kind:
            block.stray = LaneId(0, kind, ("stray", self._started))
            self._started += 1
        return _Block(block.number, block.stray)

    def _read_stop(self, reading: Reading) -> None:
        if block := self._block(reading):
            reading.slices.append(block.slice(At.CLOSE))

    def _block(self, reading: Reading) -> _Block | None:
        index = reading.json.get("index")
        return self._blocks.get(index) if isinstance(index, int) else None

    # Not streamed

    def read_whole(self, body: str) -> Reading:
        json = loads_object(body, strict=False) or {}
        reading = Reading(b"", body, json, ends=[(0, _reason(json))], error=json.get("error"))
        blocks = _written(body, json)
        for at, said in enumerate(_content_of(json)):
            kind = text_in(said, "type") if isinstance(said, dict) else ""
            lane = None if kind == "tool_use" else LaneId(0, TEXTS.get(kind, Kind.OTHER), at)
            block = _Block(at, lane)
            if lane is None:
                text = value_at(blocks[at], ("input",)) if said.get("input") is not None else ""
                path: Path = ("content", at, "input")
                reading.slices.append(block.slice(At.TEXT, text, path, said, whole=True))
            else:
                text = _text_of(said) if lane.kind is not Kind.OTHER else ""
                reading.slices.append(block.slice(At.TEXT, text, ("content", at, kind)))
        return reading

    def write_whole(self, reading: Reading, found: Found, ledger: Ledger) -> str:
        old = _written(reading.data, reading.json)
        new: list[str] = []
        calls: list[ServerCall | None] = []  # None: one of ours
        for block, part, text, ours in zip(old, reading.slices, found.texts, found.calls, strict=True):
            if (call := part.call) and not call.dropped:
                calls.append(call)
                new.append(_written_call(block, part, call, text, ledger))
            else:
                new += _written_text(block, part, text)
            new += [tool_use(self.new_id(), name, arguments) for name, arguments in ours]
            calls += [None] * len(ours)
        sent = reading.json.get("stop_reason")
        cut = any(call.broken for call in calls if call)
        reason = stop_reason(sent, bool(calls), None in calls, cut, ledger)
        edits: Edits = [] if new == old else [(("content",), f"[{','.join(new)}]")]
        edits += [] if reason == sent else [(("stop_reason",), quoted(reason))]
        return splice(reading.data, edits)

    def written_whole(self, text: str, calls: list[tuple[str, str]]) -> str:
        blocks = [f'{{"type":"text","text":{quoted(text)}}}'] if text.strip() else []
        blocks += [tool_use(self.new_id(), name, arguments) for name, arguments in calls]
        head = message_head(str(self.asked.model), blocks, "tool_use" if calls else "end_turn")
        return f"{{{head}}}"


def _written_text(block: str, part: Slice, text: str | None) -> list[str]:
    """A block with what is left of its text; nothing if that is empty. Text in place of a call becomes a
    new block."""
    if text is None:
        return [block]
    if not text.strip():
        return []
    member = str(part.paths[0][-1])
    return [
        f'{{"type":"text","text":{quoted(text)}}}'
        if part.call_piece
        else with_members(block, {member: quoted(text)})
    ]


def _written_call(block: str, part: Slice, call: ServerCall, text: str | None, ledger: Ledger) -> str:
    """The block of the server's call, corrected."""
    changes = head_edits(part)
    if "id" in changes:
        call.reshape(ledger)
    if text is not None and loads_object(text) is not None:
        changes["input"] = text
    return with_members(block, changes) if changes else block


# The request


def read_request(request: Json) -> Asked:
    """A request in the terms of chat completions."""
    choice = object_in(request, "tool_choice")
    limit = request.get("max_tokens")
    return Asked(
        tools=[_tool(tool) for tool in _objects(request.get("tools")) if _is_ours(tool)],
        tool_choice=_choice(choice),
        parallel=choice.get("disable_parallel_tool_use") is not True,
        model=request.get("model", ""),
        stream=request.get("stream") is True,
        limit=limit if isinstance(limit, int) else None,
        ids={call["id"] for call in _earlier_calls(request) if isinstance(call.get("id"), str)},
    )


def _is_ours(tool: Json) -> bool:
    """Whether the client runs this tool. Tools of any other type are run by the server."""
    return tool.get("type") in (None, "custom")


def _tool(tool: Json) -> Json:
    parameters = tool.get("input_schema")
    return {"type": "function", "function": {"name": tool.get("name"), "parameters": parameters}}


def _choice(choice: Json) -> Any:
    match choice.get("type"):
        case "any":
            return "required"
        case "none":
            return "none"
        case "tool":
            return {"type": "function", "function": {"name": choice.get("name")}}
    return "auto"


def _earlier_calls(request: Json) -> Iterator[Json]:
    for message in _objects(request.get("messages")):
        for block in _objects(message.get("content")):
            if block.get("type") == "tool_use":
                yield block


# JSON


def _is_error(reading: Reading) -> bool:
    json = reading.json
    return json.get("type") == "error" or "error" in json or reading.frame.startswith(b"event: error")


def _objects(value: Any) -> Iterable[Json]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def _text_of(block: Json) -> str:
    """The text of a block of text."""
    return text_in(block, text_in(block, "type"))


def _content_of(message: Json) -> list[Any]:
    content = message.get("content")
    return content if isinstance(content, list) else []


def _written(body: str, message: Json) -> list[str]:
    """The blocks of a message, as JSON texts."""
    return list(members(value_at(body, ("content",))).values()) if _content_of(message) else []


def _reason(json: Json) -> str | None:
    reason = json.get("stop_reason")
    return REASONS.get(reason, reason) if isinstance(reason, str) else None
