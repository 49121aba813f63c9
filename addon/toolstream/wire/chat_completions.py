"""OpenAI chat completions, streamed and whole: what a request asks for, and what an answer holds.

Each choice is a message. Its delta (its `message` if the answer is not streamed) has up to three kinds of
text: the reasoning, under one of several names or under two as copies; the content; and the arguments of
calls.
"""

import re
from collections.abc import Iterator
from typing import Any

from ..ledger import Ledger
from ..schema.json_read import Json, loads, object_in, objects_in, text_in
from ..schema.json_write import dump
from ..schema.toolset import parallel_calls
from .base import Asked, CallPiece, Encoder, Found, Kind, Names, Reading, Slice, new_id
from .chat_encoder import ChatEncoder
from .chat_json import calls_in, choices_of, content_of, delta_of, new_call_id, read_chunk, reasoning_in
from .chat_whole import write_whole
from .json_edit import Path
from .sse import EventSplitter, is_aside, read_data

_BARE_ERROR = b"error:"  # older builds of llama.cpp: a line `error: {…}`
_TO_RUN = re.compile(rb'("finish_reason":\s*)"(?:tool_calls|stop|function_call)"')


class ChatCompletions:
    """One answer of `POST …/chat/completions`."""

    name = "chat"
    path = r"/chat/completions$"
    media_type = "text/event-stream"
    keep_alive = b": keep-alive\n\n"
    pieces, blocks, solid, takes_prose = True, False, False, True

    def __init__(self, request: Json) -> None:
        self.asked = _asked(request)
        self._names = Names()
        self._foreign: set[tuple[int, Any]] = set()  # calls of other types than function: (choice, index)

    def framer(self) -> EventSplitter:
        return EventSplitter()

    def encoder(self, ledger: Ledger) -> Encoder:
        return ChatEncoder(ledger)

    def new_id(self) -> str:
        return new_call_id()

    def disarmed(self, data: bytes) -> bytes:
        return _TO_RUN.sub(rb'\1"length"', data)

    # A stream

    def read(self, frame: bytes) -> Reading:
        """Read an event."""
        data = read_data(frame) or ""
        reading = Reading(frame, data, read_chunk(data) or {})
        ends: list[tuple[int | None, str | None]] = []
        choices = choices_of(reading.json)
        reading.error = reading.json.get("error") if reading.json else _bare_error(frame)
        reading.aside = not choices and is_aside(frame)
        if reading.error or data.strip() == "[DONE]":
            ends.append((None, None))
        for at, choice in choices:
            index = choice.get("index", 0)
            reading.slices += self._slices(delta_of(choice), index, ("choices", at, "delta"), False)
            if reason := choice.get("finish_reason"):
                ends.append((index, _text(reason)))
        reading.ends, reading.says_more = ends, bool(reading.json.get("usage") or reading.json.get("timings"))
        return reading

    def _slices(self, message: Json, group: int, path: Path, whole: bool) -> Iterator[Slice]:
        thought, places = reasoning_in(message)
        if thought:
            paths = [(*path, *place) for place in places]
            yield Slice(self._names.of(group, Kind.REASONING, ""), thought, paths)
        if content := content_of(message):
            yield Slice(self._names.of(group, Kind.CONTENT, ""), content, [(*path, "content")])
        elif message.get("content"):  # an answer that is not text
            yield Slice(self._names.of(group, Kind.OTHER, ""), "…", [])
        for element, place in calls_in(message):
            piece = self._piece(element, group, whole)
            yield Slice(None, piece.text, [(*path, *place)], call_piece=piece)

    def _piece(self, json: Json, group: int, whole: bool) -> CallPiece:
        function, index = object_in(json, "function"), json.get("index")
        arguments = function.get("arguments")
        piece = CallPiece(group, index if type(index) is int else None, whole=whole)
        piece.id, piece.name = text_in(json, "id"), text_in(function, "name")
        piece.foreign = self._is_foreign(json, group, piece.index)
        if not piece.foreign:
            text = "" if arguments is None else dump(arguments)
            piece.text = arguments if isinstance(arguments, str) else text
        return piece

    def _is_foreign(self, json: Json, group: int, index: int | None) -> bool:
        """Whether an element of `tool_calls` belongs to a call that is not of the type function."""
        kind = json.get("type")
        if isinstance(kind, str) and kind.strip():
            foreign = kind.strip().lower() != "function"
            if foreign:
                self._foreign.add((group, index))
            return foreign
        known = (group, index) in self._foreign or (
            index is None and any(choice == group for choice, _ in self._foreign)
        )
        return known and "function" not in json

    # An answer that is not streamed

    def read_whole(self, body: str) -> Reading:
        """Read a chat.completion."""
        reading = Reading(body.encode(), body, read_chunk(body) or {})
        ends: list[tuple[int | None, str | None]] = []
        for at, choice in choices_of(reading.json):
            message = choice.get("message")
            if isinstance(message, dict):
                reading.slices += self._slices(message, at, ("choices", at, "message"), True)
                ends.append((at, _text(choice.get("finish_reason"))))
        reading.ends = ends
        return reading

    def write_whole(self, reading: Reading, found: Found, ledger: Ledger) -> str:
        return write_whole(reading, found, ledger)

    def written_whole(self, text: str, calls: list[tuple[str, str]]) -> str:
        message: Json = {"role": "assistant", "content": text or None}
        message["tool_calls"] = [
            {"id": new_call_id(), "type": "function", "function": {"name": name, "arguments": arguments}}
            for name, arguments in calls
        ]
        head = {"id": new_id("chatcmpl-"), "object": "chat.completion", "created": 0}
        choices = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
        return dump(head | {"model": self.asked.model, "choices": choices})


def _asked(request: Json) -> Asked:
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    return Asked(
        request.get("tools"),
        request.get("tool_choice"),
        parallel_calls(request),
        request.get("model", ""),
        bool(request.get("stream")),
        limit if type(limit) is int else None,
        used_ids(request),
    )


def used_ids(request: Json) -> set[str]:
    """The ids of the calls in a request's messages."""
    calls = [call for said in objects_in(request, "messages") for call in objects_in(said, "tool_calls")]
    return {call["id"] for call in calls if isinstance(call.get("id"), str)}


def _text(reason: Any) -> str | None:
    return reason if isinstance(reason, str) else None


def _bare_error(frame: bytes) -> Any:
    """The error in an event that is not a chunk; None if there is none."""
    return (
        loads(frame[len(_BARE_ERROR) :].decode(errors="replace")) if frame.startswith(_BARE_ERROR) else None
    )
