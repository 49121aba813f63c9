"""Arguments that are wrapped in another object: in `arguments` or `parameters`, in a whole call, or in a key
that only this model uses (`params`, the tool's own name); or that are a key themselves.

The tool does not declare such a key. If the inner object fits the tool, it is what the model meant. Some
models wrap twice, or write the inner object as a string.
"""

from typing import Any

from ..limits import WRAPPED
from .call_shape import ARGUMENT_KEYS, CALL_KEYS, KEYS, NAME_KEYS, call_of, fits
from .json_read import Json, loads_object
from .schema import Tool

_WRAPS = CALL_KEYS | KEYS


def may_wrap(key: str, tool: Tool) -> bool:
    """Whether an object that begins with this key may wrap the arguments of this tool."""
    return key in _WRAPS and bool(tool.arguments.declared) and not tool.declares(key)


def may_wrap_object(key: str, tool: Tool) -> bool:
    """Whether an object that begins with any other key may wrap the arguments, if an object follows the key:
    what the tool requires is missing beside it."""
    return bool(tool.required) and not tool.declares(key) and not tool.parameter(key).types


def _names_itself(key: str, value: Any, tool: Tool) -> bool:
    """Whether a member is the name of this tool, as in a whole call."""
    return key in NAME_KEYS and value == tool.name


def unwrapped(outer: Json, tool: Tool) -> Json | None:
    """The inner object, if it fits the tool and nothing else is beside it; None otherwise."""
    if (inner := _in_key(outer, tool)) is not None:
        return inner
    for _ in range(WRAPPED):
        inner = _inner_object(outer, tool)
        if inner is None or fits(tool, inner):
            return inner
        outer = inner
    return None


def _inner_object(outer: Json, tool: Tool) -> Json | None:
    """The object in an object that does nothing but wrap it; None if it may be anything else."""
    wraps = {key for key, value in outer.items() if _wraps(key, value, tool)}
    if not wraps or not all(key in wraps or _names_itself(key, outer[key], tool) for key in outer):
        return None
    inner = _inside(outer, tool.name)
    if isinstance(inner, str):
        return loads_object(inner, strict=False)
    return inner if isinstance(inner, dict) else None


def is_object(key: str) -> bool:
    """Whether a key may be the arguments, as JSON."""
    return key.lstrip()[:1] == "{"


def _in_key(outer: Json, tool: Tool) -> Json | None:
    """The arguments that are the only key, with nothing as its value."""
    if len(outer) != 1:
        return None
    key, value = next(iter(outer.items()))
    inner = loads_object(key, strict=False) if is_object(key) and not value else None
    return inner if inner is not None and fits(tool, inner) else None


def _wraps(key: str, value: Any, tool: Tool) -> bool:
    return may_wrap(key, tool) or (isinstance(value, dict) and may_wrap_object(key, tool))


def _inside(outer: Json, name: str) -> Any:
    """What stands in a key of the arguments, or in one that no call has; or a call's arguments."""
    key = next(iter(outer))
    if len(outer) == 1 and (key in ARGUMENT_KEYS or key not in _WRAPS):
        return outer[key]
    call = call_of(outer)
    return call[1] if call and call[0] in ("", name) else None
