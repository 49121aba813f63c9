"""The JSON of a chat completion: where the texts and calls are in a delta or message."""

from collections.abc import Collection, Iterator
from typing import Any

from ..ledger import Ledger
from ..repairs import Repair
from ..schema.json_read import Json, loads_object, object_in, objects_in, text_in
from .base import finish_reason, new_id
from .json_edit import Path

COPIED = ("id", "object", "created", "model", "system_fingerprint", "service_tier")
_SILENT = frozenset((*COPIED, "choices"))
REASONS = ("stop", "tool_calls", "length")
CALLS = ("tool_calls", "function_call")  # members of a delta with calls that the server parsed
# Of most servers; of newer vLLM and OpenRouter; of Ollama
REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
_REASONING = frozenset((*REASONING_FIELDS, "reasoning_details"))
DETAIL = ("type", "text", "format", "index", "id")  # the members of OpenRouter's reasoning_details


def read_chunk(data: str) -> Json | None:
    """The JSON object in an event's data; None if it is anything else."""
    return loads_object(data, strict=False)


def choices_of(chunk: Json) -> list[tuple[int, Json]]:
    """(position, choice) of the choices of a chunk or completion whose index is usable."""
    choices = chunk.get("choices")
    if not choices or not isinstance(choices, list):
        return []
    return [(i, c) for i, c in enumerate(choices) if isinstance(c, dict) and type(c.get("index", 0)) is int]


def delta_of(choice: Json) -> Json:
    """The delta of a choice, {} if it has none."""
    return object_in(choice, "delta")


def content_of(message: Json) -> str:
    """The text of a delta or message; "" if it has none."""
    return text_in(message, "content")


def reasoning_in(message: Json) -> tuple[str, list[Path]]:
    """The reasoning of a delta or message, and all places where this text is. Servers often send it as
    copies, under an old and a new name."""
    if _REASONING.isdisjoint(message):
        return "", []
    found: list[tuple[Path, str]] = [((key,), text_in(message, key)) for key in REASONING_FIELDS]
    for at, detail in enumerate(objects_in(message, "reasoning_details")):
        if detail.get("type") == "reasoning.text":
            found.append((("reasoning_details", at, "text"), text_in(detail, "text")))
    said = next((text for _, text in found if text), "")
    return said, [place for place, text in found if text and text == said]


def calls_in(message: Json) -> Iterator[tuple[Json, Path]]:
    """The calls in a delta or message, as elements of `tool_calls`, and where their arguments are."""
    listed, legacy = message.get("tool_calls"), message.get("function_call")
    if isinstance(listed, list) and listed:
        for at, element in enumerate(listed):
            if isinstance(element, dict):
                yield element, ("tool_calls", at, "function", "arguments")
    elif listed:
        if isinstance(listed, dict):
            yield listed, ("tool_calls", "function", "arguments")
    elif isinstance(legacy, dict) and (legacy.get("name") or legacy.get("arguments")):
        yield {"index": 0, "function": legacy}, ("function_call", "arguments")


def fields_of(delta: Json, places: list[Path]) -> set[str | int]:
    """The members of a delta that hold the texts at these places and nothing else."""
    fields, details = {place[0] for place in places}, delta.get("reasoning_details")
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict) or any(v for k, v in detail.items() if k not in DETAIL):
            fields.discard("reasoning_details")
    return fields


def is_bare(chunk: Json, delta: Json, fields: Collection[str | int] = ("content",)) -> bool:
    """Whether a chunk says nothing apart from the role and these members of its delta."""
    for key, value in chunk.items():
        if value is not None and key not in _SILENT:
            return False
    for key, value in delta.items():
        if value not in (None, "", []) and key not in fields and key != "role":
            return False
    return True


def reason_to_send(sent: Any, native: bool, found: bool, cut: bool, ledger: Ledger) -> Any:
    """The finish_reason of a choice in place of the one that the server sent. `native`: the server parsed
    calls; `found`: the text had calls; `cut`: one of all these is not complete."""
    meant = "tool_calls" if sent == "function_call" and native else sent
    reason = finish_reason(meant, native or found, cut, REASONS)
    if reason != sent and not found and reason != "length":
        ledger.repaired(Repair.FINISH_REASON)
    return reason


def new_call_id() -> str:
    """`call_` and 24 hexadecimal digits."""
    return new_id("call_")
