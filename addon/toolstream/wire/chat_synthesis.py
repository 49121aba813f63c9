"""Chunks of our own in a streamed chat completion."""

from collections.abc import Sequence

from ..schema.json_read import Json
from ..schema.json_write import compact, quoted
from .chat_json import COPIED


class Synthesis:
    """Writes chunks of one choice in the envelope of a given chunk."""

    __slots__ = ("_head",)

    def __init__(self, chunk: Json, index: int) -> None:
        envelope = {"object": "chat.completion.chunk"} | {k: chunk[k] for k in COPIED if k in chunk}
        head = compact(envelope)
        self._head = f'data: {head[:-1]},"choices":[{{"index":{index},"delta":'

    def content(self, text: str, role: bool = False, fields: Sequence[str] = ("content",)) -> bytes:
        """A delta with the same text in each of these fields."""
        members = ",".join(f'"{field}":{quoted(text)}' for field in fields)
        return self._chunk(f"{{{_role(role)}{members}}}")

    def calls(self, calls: list[Json], role: bool = False) -> bytes:
        """A delta with these elements of `tool_calls`."""
        return self._chunk(f'{{{_role(role)}"tool_calls":{compact(calls)}}}')

    def call_arguments(self, index: int, fragment: str) -> bytes:
        """A later delta of a call."""
        call = f'{{"index":{index},"function":{{"arguments":{quoted(fragment)}}}}}'
        return f'{self._head}{{"tool_calls":[{call}]}},"finish_reason":null}}]}}\n\n'.encode()

    def finish(self, reason: str) -> bytes:
        """The chunk that ends the choice."""
        return self._chunk("{}").replace(
            b'"finish_reason":null', f'"finish_reason":{quoted(reason)}'.encode()
        )

    def _chunk(self, delta: str) -> bytes:
        return f'{self._head}{delta},"finish_reason":null}}]}}\n\n'.encode()


def _role(role: bool) -> str:
    return '"role":"assistant",' if role else ""
