"""Calls that a server's parser has swallowed into the value before them.

It took a `</parameter>` for payload, and all that followed with it: further parameters of the
call, and further calls.
"""

from collections.abc import Collection
from typing import Protocol

from ..events import Event, Repaired, Text, calls_of
from ..repairs import Repair
from ..schema.json_read import Json, loads
from ..schema.schema import Tool

Split = tuple[Json, list[tuple[str, str]]]  # parameters; calls as (name, arguments)


class TextParser(Protocol):
    """Finds calls in text."""

    def feed(self, text: str) -> list[Event]: ...

    def close(self, finish_reason: str | None = None) -> list[Event]: ...


class NewParser(Protocol):
    """Makes a parser for the tools of the request, and for this one if it is not among them."""

    def __call__(self, tool: Tool | None = None, live: bool = True) -> TextParser: ...


def split_value(
    tail: str, key: str, tool: Tool, given: Collection[str], new_parser: NewParser
) -> Split | None:
    """What a value of the parameter `key` ends in, from its `</parameter>` on: the further parameters
    of this call, beside those that are `given`, and the calls after it. None if it is anything else."""
    parser = new_parser(live=False)
    head = f"<tool_call>\n<function={tool.name}>\n<parameter={key}>"
    events = parser.feed(head + tail) + parser.close("stop")
    if any(isinstance(e, Text) and e.text.strip() for e in events) or Repair.UNDECLARED_NAME in {
        e.repair for e in events if isinstance(e, Repaired)
    }:
        return None
    calls = calls_of(events)
    first = loads(calls[0][1]) if calls and calls[0][0] == tool.name else None
    if not isinstance(first, dict) or first.pop(key, None) != "":
        return None
    if any(name in given for name in first) or not all(map(tool.declares, first)):
        return None
    return (first, calls[1:]) if first or calls[1:] else None
