"""Streams of the Responses API as servers write them, and the most demanding client that reads them.

`read` accepts a stream only if no client that is known would stumble over it. It raises AssertionError else.
Which client insists on what:

- sequence numbers without a gap, an item's index its place, nothing for an item or part that was not
  announced or is over: the helpers of the OpenAI SDKs
- an id, a call_id and a status in every call, numbers in every event, `created_at` and `model` in the
  response: the AI SDK
- an end event with all items, as they were streamed: all of the above
- a call that is done, and can be run: Codex

`canonical` writes a stream as the API has it, `llamacpp` as llama.cpp does: without numbers, its first
events almost empty, all ends at the end. Both take an answer as parts: ("text", text), ("thinking", text),
("call", name, arguments). `whole` writes the same not streamed.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Part = tuple[str, ...]
PARTS = {"output_text": "text", "reasoning_text": "thinking", "summary_text": "thinking"}
ENDS = {"response.completed": "stop", "response.incomplete": "length", "response.failed": "error"}


@dataclass(frozen=True)
class Outcome:
    """What an answer says, in order: ("text", text), ("thinking", text), ("call", name, arguments, whether
    it can be run); and how it ended, in the words of chat completions. "" if it did not."""

    said: list[tuple[Any, ...]]
    end: str


# The strict client


def read(data: bytes, dropped: bool = False) -> Outcome:
    """Read a stream. `dropped`: its connection was lost, so that it has no end."""
    reader = _Reader()
    for name, event in events_of(data):
        assert name == event["type"], "the event line and the type are one"
        reader.event(event)
    assert reader.end or dropped, "no end event"
    return Outcome(said_of([item.final for item in reader.items]), reader.end)


def read_whole(body: bytes) -> Outcome:
    """Read an answer that is not streamed."""
    response = json.loads(body)
    assert {"id", "created_at", "model", "status", "output"} <= response.keys()
    _check_items(response["output"])
    return Outcome(said_of(response["output"]), end_of(f"response.{response['status']}", response["output"]))


def events_of(data: bytes) -> list[tuple[str, Json]]:
    """The name and the data of each event; comments are left out."""
    found = []
    for block in data.decode().split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if not lines:
            continue
        assert len(lines) == 2, f"an event has two lines: {block!r}"
        name, value = lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: "))
        found.append((name, value))
    return found


def said_of(items: Iterable[Json]) -> list[tuple[Any, ...]]:
    """What items say. A part that says nothing is left out."""
    said: list[tuple[Any, ...]] = []
    for item in items:
        if item["type"] == "function_call":
            name = f"{item['namespace']}:{item['name']}" if "namespace" in item else item["name"]
            said.append(("call", name, item["arguments"], item.get("status") == "completed"))
        for part in [*item.get("content", []), *item.get("summary", [])]:
            if part["text"]:
                said.append((PARTS[part["type"]], part["text"]))
    return said


def end_of(kind: str, items: Iterable[Json]) -> str:
    """How an answer ended, in the words of chat completions."""
    calls = [item for item in items if item["type"] == "function_call"]
    if ENDS[kind] != "stop":
        return ENDS[kind]
    if any(call["status"] != "completed" for call in calls):
        return "length"
    return "tool_calls" if calls else "stop"


def _check_items(items: list[Json]) -> None:
    ids = [item["id"] for item in items]
    calls = [item["call_id"] for item in items if item["type"] == "function_call"]
    assert len(set(ids)) == len(ids), "ids are unique"
    assert len(set(calls)) == len(calls), "call_ids are unique"
    for item in items:
        if item["type"] == "function_call":
            assert all(item[key] for key in ("id", "call_id", "name", "status"))
            runs = item["status"] == "completed"
            assert not runs or isinstance(json.loads(item["arguments"]), dict), "a call that runs is whole"


@dataclass
class _Part:
    type: str
    text: str = ""
    text_is_done: bool = False
    is_done: bool = False


@dataclass
class _Item:
    head: Json
    parts: dict[tuple[str, int], _Part] = field(default_factory=dict)
    arguments: str = ""
    arguments_are_done: bool = False
    done: Json | None = None

    @property
    def final(self) -> Json:
        """As it was done, or as far as it came."""
        if self.done is not None:
            return self.done
        parts = [{"type": part.type, "text": part.text} for part in self.parts.values()]
        more = {"arguments": self.arguments} if self.head["type"] == "function_call" else {"content": parts}
        return self.head | more


class _Reader:
    def __init__(self) -> None:
        self.items: list[_Item] = []
        self.end = ""
        self._sequence = -1
        self._by_id: dict[str, _Item] = {}
        self._response: Json = {}

    def event(self, event: Json) -> None:
        kind = event["type"]
        self._sequence += 1
        assert event["sequence_number"] == self._sequence, "sequence numbers have no gap"
        assert not self.end, "nothing comes after the end"
        assert self._response or kind in ("response.created", "error"), "the response is announced"
        assert kind in READERS, kind
        READERS[kind](self, event)

    def _created(self, event: Json) -> None:
        response = event["response"]
        assert {"id", "created_at", "model", "output", "status"} <= response.keys()
        assert response["output"] == []
        self._response = response

    def _added(self, event: Json) -> None:
        item = event["item"]
        assert event["output_index"] == len(self.items), "an item's index is its place"
        assert item["id"], "an item has an id"
        assert item["id"] not in self._by_id, "an item's id is its own"
        if item["type"] == "function_call":
            assert item["call_id"], "a call has a call_id"
            assert item["name"], "a call has a name"
            assert item["arguments"] == "", "arguments come as deltas"
        self.items.append(_Item(item))
        self._by_id[item["id"]] = self.items[-1]

    def _item(self, event: Json) -> _Item:
        item = self._by_id[event["item_id"] if "item_id" in event else event["item"]["id"]]
        assert self.items[event["output_index"]] is item, "index and id are of one item"
        assert item.done is None, "an item that is done is over"
        return item

    def _part(self, event: Json) -> _Part:
        summary = "summary_index" in event
        place = ("summary", event["summary_index"]) if summary else ("content", event["content_index"])
        part = self._item(event).parts[place]
        assert not part.is_done, "a part that is done is over"
        return part

    def _part_added(self, event: Json) -> None:
        item, part = self._item(event), event["part"]
        member = "summary" if part["type"] == "summary_text" else "content"
        index = event["summary_index" if member == "summary" else "content_index"]
        assert index == sum(place[0] == member for place in item.parts), "a part's index is its place"
        assert part["text"] == ""
        item.parts[member, index] = _Part(part["type"])

    def _text_delta(self, event: Json) -> None:
        part = self._part(event)
        assert not part.text_is_done, "a text that is done is over"
        part.text += event["delta"]

    def _text_done(self, event: Json) -> None:
        part = self._part(event)
        assert not part.text_is_done, "a text is done once"
        assert event["text"] == part.text, "a text is the sum of its deltas"
        part.text_is_done = True

    def _part_done(self, event: Json) -> None:
        part = self._part(event)
        assert part.text_is_done, "a part ends after its text"
        assert event["part"]["text"] == part.text, "a part has the sum of its deltas"
        part.is_done = True

    def _arguments_delta(self, event: Json) -> None:
        item = self._item(event)
        assert not item.arguments_are_done, "arguments that are done are over"
        item.arguments += event["delta"]

    def _arguments_done(self, event: Json) -> None:
        item = self._item(event)
        assert not item.arguments_are_done, "arguments are done once"
        assert event["arguments"] == item.arguments, "arguments are the sum of their deltas"
        assert event.get("name", item.head["name"]) == item.head["name"]
        item.arguments_are_done = True

    def _done(self, event: Json) -> None:
        item, said = self._item(event), event["item"]
        item.done = said
        if said["type"] == "function_call":
            assert item.arguments_are_done, "a call ends after its arguments"
            assert said["arguments"] == item.arguments, "a call has the sum of its deltas"
            assert {k: said.get(k) for k in ("call_id", "name", "namespace")} == {
                k: item.head.get(k) for k in ("call_id", "name", "namespace")
            }, "a call is the one that was announced"
            return
        assert all(part.is_done for part in item.parts.values()), "an item ends after its parts"
        for member in ("content", "summary"):
            texts = [part.text for place, part in item.parts.items() if place[0] == member]
            assert [part["text"] for part in said.get(member, [])] == texts, "an item has its parts"

    def _ended(self, event: Json) -> None:
        response = event["response"]
        assert response["id"] == self._response["id"]
        output = response["output"]
        assert output == [item.done for item in self.items], "the end has all items as they were done"
        _check_items(output)
        for item in output:
            if item["type"] == "message":
                assert any(part["text"] for part in item["content"]), "no message is empty"
        self.end = end_of(event["type"], output)

    def _error(self, _: Json) -> None:
        self.end = "error"


READERS: dict[str, Callable[[_Reader, Json], None]] = {
    "response.created": _Reader._created,
    "response.in_progress": _Reader._created,
    "response.output_item.added": _Reader._added,
    "response.content_part.added": _Reader._part_added,
    "response.reasoning_summary_part.added": _Reader._part_added,
    "response.output_text.delta": _Reader._text_delta,
    "response.reasoning_text.delta": _Reader._text_delta,
    "response.reasoning_summary_text.delta": _Reader._text_delta,
    "response.output_text.done": _Reader._text_done,
    "response.reasoning_text.done": _Reader._text_done,
    "response.reasoning_summary_text.done": _Reader._text_done,
    "response.content_part.done": _Reader._part_done,
    "response.reasoning_summary_part.done": _Reader._part_done,
    "response.function_call_arguments.delta": _Reader._arguments_delta,
    "response.function_call_arguments.done": _Reader._arguments_done,
    "response.output_item.done": _Reader._done,
    "response.completed": _Reader._ended,
    "response.incomplete": _Reader._ended,
    "response.failed": _Reader._ended,
    "error": _Reader._error,
}


# Servers


def canonical(
    parts: Iterable[Part], end: str = "completed", *, step: int = 3, tokens: int = 9, summary: bool = False
) -> bytes:
    """A stream as the API has it. `end` "" is a lost connection, `step` the length of a delta."""
    server = _Server(step, end, summary)
    for part in parts:
        server.begin(part)
        server.finish_all()
    return server.written(tokens)


def late(
    parts: Iterable[Part], end: str = "completed", *, step: int = 3, tokens: int = 9, summary: bool = False
) -> bytes:
    """The same, but all ends come at the end."""
    server = _Server(step, end, summary)
    for part in parts:
        server.begin(part)
    server.finish_all()
    return server.written(tokens)


def llamacpp(parts: Iterable[Part], *, step: int = 3, tokens: int = 9) -> bytes:
    """A stream of llama.cpp, which always says `completed`."""
    server = _Server(step, "completed", bare=True)
    for part in parts:
        server.begin(part)
    server.finish_all()
    return server.written(tokens)


def whole(
    parts: Iterable[Part], status: str = "completed", *, tokens: int = 9, summary: bool = False
) -> bytes:
    """The same answer, not streamed."""
    items = [_item(number, part, summary, status) for number, part in enumerate(parts)]
    return json.dumps(_response(status, items, tokens), ensure_ascii=False).encode()


class _Server:
    def __init__(self, step: int, end: str, summary: bool = False, bare: bool = False) -> None:
        self._step, self._end, self._summary, self._bare = step, end, summary, bare
        self._out: list[bytes] = []
        self._items: list[Json] = []
        self._open: list[int] = []
        self._number = 0
        response = _response("in_progress", [])
        if bare:
            response = {key: response[key] for key in ("id", "object", "status")}
        self._event("response.created", response=response)
        self._event("response.in_progress", response=response)

    def _event(self, kind: str, **members: Any) -> None:
        if self._bare:
            members = {key: value for key, value in members.items() if not key.endswith("_index")}
        else:
            members["sequence_number"] = self._number
        self._number += 1
        self._out.append(sse(kind, **members))

    def begin(self, part: Part) -> None:
        """An item, and all its deltas."""
        number = len(self._items)
        item = _item(number, part, self._summary, self._end)
        self._items.append(item)
        self._open.append(number)
        empty = item | {"status": "in_progress"} | {k: [] for k in ("content", "summary") if k in item}
        where = {"item_id": item["id"], "output_index": number}
        if item["type"] == "function_call":
            self._event("response.output_item.added", output_index=number, item=empty | {"arguments": ""})
            for piece in self._pieces(item["arguments"]):
                self._event("response.function_call_arguments.delta", **where, delta=piece)
            return
        self._event("response.output_item.added", output_index=number, item=empty)
        said, index, text_event, part_event = self._part(item)
        if not (self._bare and item["type"] == "reasoning"):
            self._event(f"{part_event}.added", **where, **index, part=said | {"text": ""})
        for piece in self._pieces(said["text"]):
            self._event(f"{text_event}.delta", **where, **index, delta=piece)

    def _pieces(self, text: str) -> list[str]:
        return [text[at : at + self._step] for at in range(0, len(text), self._step)]

    def _part(self, item: Json) -> tuple[Json, Json, str, str]:
        """The part of an item, its index, and the names of its events."""
        if item.get("summary"):
            names = "response.reasoning_summary_text", "response.reasoning_summary_part"
            return item["summary"][0], {"summary_index": 0}, *names
        part = item["content"][0]
        return part, {"content_index": 0}, f"response.{part['type']}", "response.content_part"

    def finish_all(self) -> None:
        for number in self._open:
            self._finish(number, self._items[number])
        self._open.clear()

    def _finish(self, number: int, item: Json) -> None:
        where = {"item_id": item["id"], "output_index": number}
        if item["type"] == "function_call":
            if not self._bare:
                said = {"arguments": item["arguments"], "name": item["name"]}
                self._event("response.function_call_arguments.done", **where, **said)
        elif not (self._bare and item["type"] == "reasoning"):
            said, index, text_event, part_event = self._part(item)
            self._event(f"{text_event}.done", **where, **index, text=said["text"])
            self._event(f"{part_event}.done", **where, **index, part=said)
        self._event("response.output_item.done", output_index=number, item=item)

    def written(self, tokens: int) -> bytes:
        if self._end:
            response = _response(self._end, self._items, tokens)
            if self._bare:
                del response["incomplete_details"]
            self._event(f"response.{self._end}", response=response)
        return b"".join(self._out)


def sse(kind: str, **members: Any) -> bytes:
    """One event."""
    data = json.dumps({"type": kind, **members}, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


def _item(number: int, part: Part, summary: bool, end: str) -> Json:
    """A part of an answer as an item that is done. A call is cut if it is so and the answer as well."""
    match part:
        case ("text", text):
            content = [{"type": "output_text", "text": text, "annotations": []}]
            head = {"type": "message", "id": f"msg_{number}", "role": "assistant", "status": "completed"}
            return head | {"content": content}
        case ("thinking", text) if summary:
            parts = [{"type": "summary_text", "text": text}]
            return {"type": "reasoning", "id": f"rs_{number}", "summary": parts}
        case ("thinking", text):
            parts = [{"type": "reasoning_text", "text": text}]
            return {"type": "reasoning", "id": f"rs_{number}", "summary": [], "content": parts}
        case ("call", name, arguments):
            head = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}"}
            cut = end == "incomplete" and not _is_object(arguments)
            head["status"] = "incomplete" if cut else "completed"
            return head | {"name": name, "arguments": arguments}
    raise ValueError(part)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _response(status: str, items: list[Json], tokens: int = 0) -> Json:
    response = {"id": "resp_1", "object": "response", "created_at": 1, "model": "qwen", "status": status}
    response |= {"output": items, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
    if tokens:
        response["usage"] = {
            "input_tokens": 1,
            "output_tokens": tokens,
            "total_tokens": 1 + tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
    response["incomplete_details"] = {"reason": "max_output_tokens"} if status == "incomplete" else None
    return response
