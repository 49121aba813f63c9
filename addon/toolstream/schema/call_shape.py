"""What a JSON call is: `{"name": …, "arguments": {…}}`, and the variants that models write.

"parameters" may stand for "arguments", and the arguments may be a JSON string of an object. A `Shape`
reads the name and the arguments of one variant; it raises ValueError if the object is none of that.
"""

from collections.abc import Callable, Collection
from typing import Any

from .json_read import Json
from .json_write import LENIENT_WITH_NAN
from .schema import Tool

KEYS = frozenset({"name", "arguments", "parameters", "id", "type"})  # of a call, as models are taught
# What models write instead, for the name, for the arguments, and for an object around both
NAME_KEYS = ("name", "function", "tool_name", "tool")
ARGUMENT_KEYS = ("arguments", "parameters", "args", "input", "tool_input")
WRAP_KEYS = ("tool_call", "function_call", "function")
BESIDE = ("id", "type")  # may stand beside the name and the arguments
CALL_KEYS = frozenset((*NAME_KEYS, *ARGUMENT_KEYS, *WRAP_KEYS))
_SAID = frozenset((*NAME_KEYS, *ARGUMENT_KEYS, *BESIDE))  # members without an object around them
DRIFT = KEYS | CALL_KEYS  # all keys of a call in any of these variants

_JSON_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
TYPES = frozenset({"function", "tool_call", "tool_use"})

Call = tuple[str, Json]  # name, arguments; a call without a name has ""
Shape = Callable[[Json], tuple[Any, Any]]  # the name and the arguments of an object that is a call


def fits(tool: Tool | None, keys: Collection[str]) -> bool:
    """Whether these keys are what a tool asks for: all that it requires, and none that it does not
    declare."""
    return tool is not None and tool.required <= set(keys) <= tool.arguments.declared


def call_of(value: Any) -> Call | None:
    """The call that a JSON value is; None if it may be anything else."""
    for shape in (as_taught, drifted):
        try:
            return call_from(value, shape)
        except (ValueError, RecursionError):
            continue
    return None


def call_from(value: Any, shape: Shape) -> Call:
    """The call that a JSON value of this shape is; ValueError if it is none."""
    if not isinstance(value, dict):
        raise ValueError("not a call")
    name, arguments = shape(value)
    if isinstance(arguments, str):
        arguments = LENIENT_WITH_NAN.decode(arguments)
    if not (isinstance(name, str) and isinstance(arguments, dict)):
        raise ValueError("a name is no string, or arguments are no object")
    if arguments.get("type") == "object" and isinstance(arguments.get("properties"), dict):
        raise ValueError("a tool is being declared")
    return name, arguments


def as_taught(value: Json) -> tuple[Any, Any]:
    """As models are taught to write a call."""
    if "name" not in value or not KEYS.issuperset(value):
        raise ValueError("more than a call")  # dropping it would lose what the model said
    if "arguments" in value:
        return value["name"], value["arguments"]
    arguments = value.get("parameters", {})
    if arguments and isinstance(arguments, dict) and all(map(_is_schema, arguments.values())):
        raise ValueError("a tool is being declared")
    return value["name"], arguments


def _is_schema(value: Any) -> bool:
    """Whether a value looks like the schema of a parameter."""
    return isinstance(value, dict) and value.get("type") in _JSON_TYPES


def drifted(value: Json) -> tuple[Any, Any]:
    """The keys are other ones that models write, or an object is around the call."""
    for key in WRAP_KEYS:
        inner = value.get(key)
        if isinstance(inner, dict) and {key, "id", "type", "index"}.issuperset(value):
            return drifted(inner)
    names, arguments = value.keys() & NAME_KEYS, value.keys() & ARGUMENT_KEYS
    if len(names) != 1 or len(arguments) > 1 or not _SAID.issuperset(value):
        raise ValueError("more than a call")
    name = value[names.pop()]
    if isinstance(name, dict) and not arguments:
        return "", name  # the name is missing
    return name, value[arguments.pop()] if arguments else {}


def _misspelt(value: Json) -> tuple[Any, Any]:
    """The keys may be misspelt. Or something empty stands for no arguments, or they are alone in an array."""
    if pair := _string_and_object(value):
        return pair
    name, arguments = drifted(value)
    if arguments in (None, "", []):
        return name, {}
    is_single = isinstance(arguments, list) and len(arguments) == 1
    return name, arguments[0] if is_single else arguments


def _string_and_object(value: Json) -> tuple[str, Json] | None:
    """The name and the arguments, whatever their keys are: there are two members, a string and an object."""
    members = [member for key, member in value.items() if key not in BESIDE]
    match members:
        case [str(name), dict(arguments)] | [dict(arguments), str(name)]:
            return name, arguments
    return None


def with_more(is_argument: Callable[[str, str], bool]) -> Shape:
    """The shape with more members beside the name and the arguments: what a model says about the call.
    `is_argument`: whether this tool may have this member as an argument, so that it must not be lost."""

    def shape(value: Json) -> tuple[Any, Any]:
        names, arguments = value.keys() & NAME_KEYS, value.keys() & ARGUMENT_KEYS
        if len(names) != 1 or len(arguments) != 1:
            raise ValueError("no call, or several")
        name, inner = value[names.pop()], value[arguments.pop()]
        if not (isinstance(name, str) and inner):
            raise ValueError("a name is no string, or a tool is being declared")
        if any(is_argument(name, key) for key in value.keys() - CALL_KEYS):
            raise ValueError("arguments are beside the others")
        return name, _no_schemas(inner)

    return shape


def _flat(value: Json) -> tuple[Any, Any]:
    """The arguments are members beside the name."""
    key = next((key for key in NAME_KEYS if key in value), "")
    arguments = {
        k: v for k, v in value.items() if k != key and not (k == "type" and isinstance(v, str) and v in TYPES)
    }
    if not (key and arguments):
        raise ValueError("no name, or nothing beside it")
    return value[key], _no_schemas(arguments)


def _named_by_key(value: Json) -> tuple[Any, Any]:
    """The only key is the tool's name, and its value the arguments."""
    ((name, arguments),) = value.items()
    return name, _no_schemas(arguments)


def _no_schemas(arguments: Any) -> Any:
    """The arguments; ValueError if their values look like schemas, so that a tool is being declared."""
    if isinstance(arguments, dict) and any(isinstance(v, dict) and "type" in v for v in arguments.values()):
        raise ValueError("a tool is being declared")
    return arguments


# Shapes that only count if the call fits its tool
GUESSED: tuple[Shape, ...] = (_misspelt, _flat, _named_by_key)
