"""chat.completion.chunk: where texts and calls stand in one, and how chunks of our own are written.

Chunks of our own (`Synthesis`) copy what identifies the answer and nothing else.
"""

import json
from collections.abc import Collection, Sequence
from typing import Any
from uuid import uuid4

from ..schema.json_read import Json, loads_object
from ..schema.json_write import dump, quoted
from .json_edit import Path
from .sse import read_data, replace_data

COPIED = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
CALLS = ("tool_calls", "function_call")  # of a delta: what it says of calls that the server parsed
# Most servers; newer vLLM and OpenRouter; Ollama
REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
DETAIL = ("type", "text", "format", "index", "id")  # what an element of OpenRouter's reasoning_details has
NATIVE = ("tool_calls", 0, "function", "arguments")


def read_chunk(data: str) -> Json | None:
    """The chunk an event's data holds; None if it is no JSON object."""
    return loads_object(data, strict=False)


def choices_of(chunk: Json) -> list[tuple[int, Json]]:
    """(position, choice) of the choices of a chunk or completion that can be told apart."""
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        return []
    return [(i, c) for i, c in enumerate(choices) if isinstance(c, dict) and type(c.get("index", 0)) is int]


def delta_of(choice: Json) -> Json:
    """The delta of a choice, {} if it has none."""
    delta = choice.get("delta")
    return delta if isinstance(delta, dict) else {}


def content_of(message: Json) -> str:
    """The text of a delta or message; "" if it has none."""
    content = message.get("content")
    return content if isinstance(content, str) else ""


def content_in(message: Json) -> tuple[str, list[Path]]:
    """The content of a delta or message, "" if it has none, and where in it this text stands."""
    return content_of(message), [("content",)]


def reasoning_in(message: Json) -> tuple[str, list[Path]]:
    """The same of its reasoning: a field that was given a new name is often sent under both, as copies."""
    found: list[tuple[Path, Any]] = [((key,), message.get(key)) for key in REASONING_FIELDS]
    details = message.get("reasoning_details")
    for at, detail in enumerate(details if isinstance(details, list) else []):
        if isinstance(detail, dict) and detail.get("type") == "reasoning.text":
            found.append((("reasoning_details", at, "text"), detail.get("text")))
    texts = [text for _, text in found if isinstance(text, str) and text]
    return (texts[0], [place for place, text in found if text == texts[0]]) if texts else ("", [])


def fields_of(delta: Json, places: list[Path]) -> set[str | int]:
    """The fields of a delta that hold the text at these places and nothing else."""
    details = delta.get("reasoning_details")
    more = isinstance(details, list) and any(
        not isinstance(detail, dict) or any(v for k, v in detail.items() if k not in DETAIL)
        for detail in details
    )
    return {place[0] for place in places} - ({"reasoning_details"} if more else set())


def has_calls(message: Json) -> bool:
    """Whether a delta or message says anything of calls that the server parsed itself."""
    return any(message.get(key) for key in CALLS)


def is_answer(message: Json) -> bool:
    """Whether a delta or message has calls, or content that is not only whitespace: reasoning ends there."""
    content = message.get("content")
    return has_calls(message) or bool(content.strip() if isinstance(content, str) else content)


def native_calls(message: Json) -> list[Any]:
    """The tool calls the server parsed itself."""
    calls = message.get("tool_calls")
    return calls if isinstance(calls, list) else []


def finish_reason(sent: Any, called: bool) -> Any:
    """The finish_reason for the one the server sent, by whether the answer holds calls."""
    if sent in ("stop", "tool_calls"):
        return "tool_calls" if called else "stop"
    return sent


def without_fields(event: bytes, fields: Collection[str | int]) -> bytes:
    """The event without these fields of its deltas, for a caller that has lost track of their text."""
    chunk = read_chunk(read_data(event) or "")
    if chunk is None:
        return event
    for _, choice in choices_of(chunk):
        for field in fields:
            delta_of(choice).pop(str(field), None)
    return replace_data(event, json.dumps(chunk))


def is_bare(chunk: Json, delta: Json, fields: Collection[str | int] = ("content",)) -> bool:
    """Whether a chunk without these fields of its delta says nothing any more, the role apart."""
    if any(v is not None for k, v in chunk.items() if k not in (*COPIED, "choices")):
        return False
    return all(v in (None, "", []) for k, v in delta.items() if k not in fields and k != "role")


# Chunks of our own


def new_call_id() -> str:
    """`call_` and 24 hex digits: unique, so that no client takes a call for one it has run."""
    return "call_" + uuid4().hex[:24]


class Synthesis:
    """Writes chunks of one choice in the envelope of a given chunk."""

    __slots__ = ("_head",)

    def __init__(self, chunk: Json, index: int) -> None:
        envelope = {"object": "chat.completion.chunk"} | {k: chunk[k] for k in COPIED if k in chunk}
        head = json.dumps(envelope, separators=(",", ":"))
        self._head = f'data: {head[:-1]},"choices":[{{"index":{index},"delta":'

    def content(self, text: str, role: bool = False, fields: Sequence[str] = ("content",)) -> bytes:
        """A delta of text, the same in each of these fields."""
        members = ",".join(f'"{field}":{quoted(text)}' for field in fields)
        return self._chunk(f"{{{_role(role)}{members}}}")

    def call_start(self, index: int, name: str, role: bool = False) -> bytes:
        """The first delta of a call: all but its arguments."""
        call = {"index": index, "id": new_call_id(), "type": "function"}
        call["function"] = {"name": name, "arguments": ""}
        return self._chunk(f'{{{_role(role)}"tool_calls":[{json.dumps(call, separators=(",", ":"))}]}}')

    def call_arguments(self, index: int, fragment: str) -> bytes:
        """A further delta of a call."""
        return self._chunk(
            f'{{"tool_calls":[{{"index":{index},"function":{{"arguments":{quoted(fragment)}}}}}]}}'
        )

    def calls(self, calls: list[Json], role: bool = False) -> bytes:
        """A delta of the elements of `tool_calls`."""
        return self._chunk(f'{{{_role(role)}"tool_calls":{dump(calls)}}}')

    def around_arguments(self, index: int) -> tuple[bytes, bytes]:
        """What stands before and after the text in a further delta of a call."""
        head, _, tail = self.call_arguments(index, "*").rpartition(b"*")
        return head, tail

    def finish(self, reason: str) -> bytes:
        """The chunk that ends the choice."""
        return self._chunk("{}").replace(
            b'"finish_reason":null', f'"finish_reason":{quoted(reason)}'.encode()
        )

    def _chunk(self, delta: str) -> bytes:
        return f'{self._head}{delta},"finish_reason":null}}]}}\n\n'.encode()


def _role(role: bool) -> str:
    return '"role":"assistant",' if role else ""
