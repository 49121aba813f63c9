"""Where each API has the arguments of earlier calls in a request, and what they have to be.

In chat completions and Responses they are text, which has to be a JSON object. In Anthropic Messages and
Ollama's chat they are the object itself.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ..schema.json_read import Json, loads_object
from .json_edit import Path

ABSENT = ...  # the value of missing arguments


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one earlier call."""

    path: Path  # the path of the member; its object exists, but the member may be missing
    value: Any
    name: Any  # the tool's, as in the request
    as_text: bool

    @property
    def is_right(self) -> bool:
        """Whether a server can read them."""
        if self.as_text:
            return isinstance(self.value, str) and loads_object(self.value) is not None
        return isinstance(self.value, dict)


def _in_chat(body: Json) -> Iterator[Arguments]:
    return _in_tool_calls(body, as_text=True)


def _in_ollama(body: Json) -> Iterator[Arguments]:
    return _in_tool_calls(body, as_text=False)


def _in_tool_calls(body: Json, as_text: bool) -> Iterator[Arguments]:
    for i, message in _objects(body.get("messages")):
        if message.get("role") == "assistant":
            for j, call in _objects(message.get("tool_calls")):
                if isinstance(function := call.get("function"), dict):
                    path: Path = ("messages", i, "tool_calls", j, "function")
                    yield _arguments(path, function, "arguments", as_text)


def _in_messages(body: Json) -> Iterator[Arguments]:
    for i, message in _objects(body.get("messages")):
        for j, block in _objects(message.get("content")):
            if block.get("type") == "tool_use":
                yield _arguments(("messages", i, "content", j), block, "input", as_text=False)


def _in_responses(body: Json) -> Iterator[Arguments]:
    for i, item in _objects(body.get("input")):
        if item.get("type") == "function_call":
            yield _arguments(("input", i), item, "arguments", as_text=True)


def _arguments(path: Path, holder: Json, member: str, as_text: bool) -> Arguments:
    return Arguments((*path, member), holder.get(member, ABSENT), holder.get("name"), as_text)


def _objects(value: Any) -> Iterator[tuple[int, Json]]:
    """(position, object) of the objects in what may be a list."""
    for at, item in enumerate(value if isinstance(value, list) else []):
        if isinstance(item, dict):
            yield at, item


EARLIER_CALLS: dict[str, Callable[[Json], Iterator[Arguments]]] = {
    "chat": _in_chat,
    "messages": _in_messages,
    "responses": _in_responses,
    "ollama": _in_ollama,
}
