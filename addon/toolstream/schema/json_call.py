"""Reads the text of JSON calls when all of it has arrived.

Where the text must be a call, the variants that models write are read, too (`drift`), and what is not
quite JSON.
"""

from collections.abc import Callable
from typing import Any

from ..repairs import Repair
from .bare_members import is_bare, read_bare
from .call_shape import GUESSED, Call, Shape, as_taught, call_from, drifted, fits, with_more
from .coercion import is_wanted
from .declared import DeclaredTools
from .escapes import doubled_escapes
from .json_read import Json
from .json_write import LENIENT_WITH_NAN
from .lenient_json import read_damaged
from .python_literals import read_python_call
from .schema import Tool


def read_body(
    text: str, toolset: DeclaredTools, tolerant: bool = True
) -> tuple[list[Call], list[Repair]] | None:
    """The calls in the JSON of an envelope, and the repairs that this took; None if it is not certain
    that there are any. Unless `tolerant`, only calls as models are taught to write them."""
    if calls := read_calls(text) or (tolerant and read_calls(text, drift=True)):
        return calls, [Repair.JSON_BODY]
    if not tolerant:
        return None
    calls = _fitting(lambda shape: _calls(text, shape), toolset) or _in_python(text, toolset)
    if calls := calls or _damaged_calls(text, toolset):
        return calls, [Repair.JSON_BODY, Repair.JSON_REPAIRED]
    return None


def _fitting(take: Callable[[Shape], list[Call] | None], toolset: DeclaredTools) -> list[Call] | None:
    """The calls, in the first shape in which all of them fit their tools."""

    def is_argument(name: str, key: str) -> bool:
        tool = toolset.find(name)
        return tool is not None and tool.declares(key)

    for shape in (*GUESSED, with_more(is_argument)):
        calls = take(shape)
        if calls and all(fits(toolset.find(name), arguments) for name, arguments in calls):
            return calls
    return None


def _in_python(text: str, toolset: DeclaredTools) -> list[Call] | None:
    """The call, if it is written as in Python."""
    call = read_python_call(text)
    return [call] if call and fits(toolset.find(call[0]), call[1]) else None


def wanted_by(tool: Tool) -> Callable[[Any], bool]:
    """Tells whether a value is the arguments that a tool wants."""
    return lambda value: isinstance(value, dict) and fits(tool, value) and is_wanted(value, tool.arguments)


def read_calls(text: str, drift: bool = False) -> list[Call] | None:
    """The calls of a JSON text; None if it is anything else."""
    return _calls(text, drifted if drift else as_taught)


def _calls(text: str, shape: Shape) -> list[Call] | None:
    for attempt in (text, doubled_escapes(text)):
        try:
            return _calls_of(_values(attempt), shape)
        except (ValueError, RecursionError):
            continue
    return None


def _damaged_calls(text: str, toolset: DeclaredTools) -> list[Call] | None:
    """The calls of a text that is not quite JSON; None if it is not certain what it says."""

    def calls_of(value: Any) -> list[Call] | None:
        return _fitting(lambda shape: _shaped(value, shape), toolset)

    return calls_of(read_damaged(text, lambda value: calls_of(value) is not None))


def _shaped(value: Any, shape: Shape) -> list[Call] | None:
    try:
        return _calls_of([value], shape)
    except ValueError:
        return None


def _values(text: str) -> list[Any]:
    """The JSON values of a text, one after another."""
    values: list[Any] = []
    text = text.strip()
    at = 0
    while at < len(text):
        value, at = LENIENT_WITH_NAN.raw_decode(text, at)
        values.append(value)
        while text[at : at + 1].isspace():
            at += 1
    return values


def _calls_of(values: list[Any], shape: Shape) -> list[Call]:
    calls = [call_from(v, shape) for value in values for v in _entries(value)]
    if not calls:
        raise ValueError("no call")
    return calls


def _entries(value: Any) -> list[Any]:
    """The calls of an array, or of a message as APIs write it."""
    if isinstance(value, dict) and value.keys() == {"tool_calls"}:
        value = value["tool_calls"]
    return value if isinstance(value, list) else [value]


def read_arguments(text: str, tool: Tool) -> tuple[Json, list[Repair]] | None:
    """The arguments in a JSON object, and the repairs that this took; None if it is anything else."""
    if (found := read_object(text)) is not None:
        return found, [Repair.JSON_BODY]
    accept = wanted_by(tool)
    damaged = read_bare(text, tool) if is_bare(text, tool) else read_damaged(text, accept)
    if damaged is not None and accept(damaged):
        return damaged, [Repair.JSON_BODY, Repair.JSON_REPAIRED]
    return None


def read_object(text: str) -> Json | None:
    """One JSON object as a model writes it; None if it is anything else."""
    for attempt in (text, doubled_escapes(text)):
        try:
            value = LENIENT_WITH_NAN.decode(attempt)
        except (ValueError, RecursionError):
            continue
        return value if isinstance(value, dict) else None
    return None


def read_value(text: str) -> tuple[Any] | None:
    """The value of a JSON text, as a model writes it; None if it cannot be read."""
    for attempt in (text, doubled_escapes(text)):
        try:
            return (LENIENT_WITH_NAN.decode(attempt),)
        except (ValueError, RecursionError):
            continue
    return None
