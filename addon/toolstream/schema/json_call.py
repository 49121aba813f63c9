"""Reads a JSON call when all of it has arrived: `{"name": …, "arguments": {…}}`.

"parameters" may stand for "arguments", and the arguments may be a JSON string of an object. Where the
text must be a call, the variants that models write are read, too (`drift`).
"""

import json
from collections.abc import Callable, Collection
from typing import Any

from ..repairs import Repair
from .coercion import is_wanted
from .declared import DeclaredTools
from .escapes import doubled_escapes
from .json_read import Json
from .json_write import as_written
from .lenient_json import read_damaged
from .python_literals import read_python_call
from .schema import Tool

KEYS = frozenset({"name", "arguments", "parameters", "id", "type"})  # of a call, as models are taught
# What models write instead, for the name, for the arguments, and for an object around both
NAME_KEYS = ("name", "function", "tool_name", "tool")
ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "tool_input")
WRAP_KEYS = ("tool_call", "function_call", "function")
BESIDE = ("id", "type")  # may stand beside the name and the arguments
CALL_KEYS = frozenset((*NAME_KEYS, *ARGUMENT_KEYS, *WRAP_KEYS))
DRIFT = KEYS | CALL_KEYS  # all keys of a call in any of these variants

TYPES = frozenset({"function", "tool_call", "tool_use"})

Call = tuple[str, Json]  # name, arguments; a call without a name has ""
Reader = Callable[[Json], tuple[Any, Any]]  # the name and the arguments of an object that is a call

# Models put raw newlines and tabs into strings.
_DECODER = json.JSONDecoder(strict=False, parse_float=as_written)


def read_body(
    text: str, toolset: DeclaredTools, tolerant: bool = True
) -> tuple[list[Call], list[Repair]] | None:
    """The calls in the JSON of an envelope, and the repairs that this took; None if it is not certain
    that there are any. Unless `tolerant`, only calls as models are taught to write them."""
    if calls := read_calls(text) or (tolerant and read_calls(text, drift=True)):
        return calls, [Repair.JSON_BODY]
    if not tolerant:
        return None
    calls = _fitting(lambda read: _calls(text, read), toolset) or _in_python(text, toolset)
    if calls := calls or _damaged_calls(text, toolset):
        return calls, [Repair.JSON_BODY, Repair.JSON_REPAIRED]
    return None


def _fitting(take: Callable[[Reader], list[Call] | None], toolset: DeclaredTools) -> list[Call] | None:
    """The calls, in the first shape in which all of them fit their tools."""
    for read in (_by_shape, _flat, _by_name):
        calls = take(read)
        if calls and all(fits(toolset.find(name), arguments) for name, arguments in calls):
            return calls
    return None


def _in_python(text: str, toolset: DeclaredTools) -> list[Call] | None:
    """The call, if it is written as in Python."""
    call = read_python_call(text)
    return [call] if call and fits(toolset.find(call[0]), call[1]) else None


def fits(tool: Tool | None, keys: Collection[str]) -> bool:
    """Whether these keys are what a tool asks for: all that it requires, and none that it does not
    declare."""
    return tool is not None and tool.required <= set(keys) <= tool.arguments.declared


def wanted_by(tool: Tool) -> Callable[[Any], bool]:
    """Tells whether a value is the arguments that a tool wants."""
    return lambda value: isinstance(value, dict) and fits(tool, value) and is_wanted(value, tool.arguments)


def read_calls(text: str, drift: bool = False) -> list[Call] | None:
    """The calls of a JSON text; None if it is anything else."""
    return _calls(text, _drifted if drift else _plain)


def _calls(text: str, read: Reader) -> list[Call] | None:
    for attempt in (text, doubled_escapes(text)):
        try:
            return _calls_of(_values(attempt), read)
        except (ValueError, RecursionError):
            continue
    return None


def call_of(value: Any) -> Call | None:
    """The call that a JSON value is; None if it may be anything else."""
    for read in (_plain, _drifted):
        try:
            return _call(value, read)
        except (ValueError, RecursionError):
            continue
    return None


def _damaged_calls(text: str, toolset: DeclaredTools) -> list[Call] | None:
    """The calls of a text that is not quite JSON; None if it is not certain what it says."""

    def calls_of(value: Any) -> list[Call] | None:
        return _fitting(lambda read: _shaped(value, read), toolset)

    return calls_of(read_damaged(text, lambda value: calls_of(value) is not None))


def _shaped(value: Any, read: Reader) -> list[Call] | None:
    try:
        return _calls_of([value], read)
    except ValueError:
        return None


def _values(text: str) -> list[Any]:
    """The JSON values of a text, one after another."""
    values: list[Any] = []
    text = text.strip()
    at = 0
    while at < len(text):
        value, at = _DECODER.raw_decode(text, at)
        values.append(value)
        while text[at : at + 1].isspace():
            at += 1
    return values


def _calls_of(values: list[Any], read: Reader) -> list[Call]:
    calls = [_call(v, read) for value in values for v in _entries(value)]
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
    damaged = read_damaged(text, accept)
    if accept(damaged):
        return damaged, [Repair.JSON_BODY, Repair.JSON_REPAIRED]
    return None


def read_object(text: str) -> Json | None:
    """One JSON object as a model writes it; None if it is anything else."""
    for attempt in (text, doubled_escapes(text)):
        try:
            value = _DECODER.decode(attempt)
        except (ValueError, RecursionError):
            continue
        return value if isinstance(value, dict) else None
    return None


def read_value(text: str) -> tuple[Any] | None:
    """The value of a JSON text, as a model writes it; None if it cannot be read."""
    for attempt in (text, doubled_escapes(text)):
        try:
            return (_DECODER.decode(attempt),)
        except (ValueError, RecursionError):
            continue
    return None


def _call(value: Any, read: Reader) -> Call:
    if not isinstance(value, dict):
        raise ValueError("not a call")
    name, arguments = read(value)
    if isinstance(arguments, str):
        arguments = _DECODER.decode(arguments)
    if not (isinstance(name, str) and isinstance(arguments, dict)):
        raise ValueError("a name is no string, or arguments are no object")
    if arguments.get("type") == "object" and isinstance(arguments.get("properties"), dict):
        raise ValueError("a tool is being declared")
    return name, arguments


def _plain(value: Json) -> tuple[Any, Any]:
    if "name" not in value or not KEYS.issuperset(value):
        raise ValueError("more than a call")  # dropping it would lose what the model said
    return value["name"], value.get("arguments", value.get("parameters", {}))


def _drifted(value: Json) -> tuple[Any, Any]:
    for key in WRAP_KEYS:
        inner = value.get(key)
        if isinstance(inner, dict) and {key, "id", "type", "index"}.issuperset(value):
            return _drifted(inner)
    names = [key for key in NAME_KEYS if key in value]
    arguments = [key for key in ARGUMENT_KEYS if key in value]
    if len(names) != 1 or len(arguments) > 1 or not {*names, *arguments, "id", "type"}.issuperset(value):
        raise ValueError("more than a call")
    name = value[names[0]]
    if isinstance(name, dict) and not arguments:
        return "", name  # the name is missing
    return name, value[arguments[0]] if arguments else {}


def _by_shape(value: Json) -> tuple[Any, Any]:
    """The keys may be misspelt: of the two members, the string is the name and the object holds the
    arguments."""
    members = [member for key, member in value.items() if key not in BESIDE]
    names = [member for member in members if isinstance(member, str)]
    objects = [member for member in members if isinstance(member, dict)]
    if len(members) == 2 and len(names) == len(objects) == 1:
        return names[0], objects[0]
    name, arguments = _drifted(value)
    return name, {} if arguments in (None, "") else arguments


def _flat(value: Json) -> tuple[Any, Any]:
    """The arguments are members beside the name."""
    key = next((key for key in NAME_KEYS if key in value), "")
    arguments = {
        k: v for k, v in value.items() if k != key and not (k == "type" and isinstance(v, str) and v in TYPES)
    }
    if not (key and arguments):
        raise ValueError("no name, or nothing beside it")
    return value[key], _no_schemas(arguments)


def _by_name(value: Json) -> tuple[Any, Any]:
    """The only key is the tool's name, and its value the arguments."""
    ((name, arguments),) = value.items()
    return name, _no_schemas(arguments)


def _no_schemas(arguments: Any) -> Any:
    """The arguments; ValueError if their values look like schemas, so that a tool is being declared."""
    if isinstance(arguments, dict) and any(isinstance(v, dict) and "type" in v for v in arguments.values()):
        raise ValueError("a tool is being declared")
    return arguments
