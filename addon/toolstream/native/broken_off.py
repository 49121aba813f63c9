"""Completes JSON that was sent up to a point from which it could not be read any further.

The whole text is read leniently. If there is only one way to read it, and the result begins with what was
sent, the rest is rewritten from there.
"""

import re
from collections.abc import Sequence
from typing import Any

from ..grammar.text import joined
from ..limits import MADE_UP_NAME, NAME, SCALAR, TAG
from ..schema.coercion import conform
from ..schema.json_call import wanted_by
from ..schema.json_read import loads
from ..schema.json_write import dump, quoted
from ..schema.least_change import least_change
from ..schema.lenient_json import read_damaged, same_letters
from ..schema.schema import Tool
from .json_stream import State
from .nesting import Frame

_STATES = (State.FIRST, State.FURTHER, State.VALUE, State.NEXT)  # from which the rest can be rewritten
_LEFT_AFTER = re.compile(rf"(?:\s*+(?:</\w{{1,{NAME}}}>|<\|\w{{1,{MADE_UP_NAME}}}\|>|`{{3}})|(?!))++\s*\Z")
_ENDS_IN_VALUE = re.compile(r"""(?:[:,\[]\s*+(?:-?\d++(?:\.\d++)?|true|false|null)|[^\\\s]")\Z""")
_ENDS = frozenset("}])>")  # closing brackets, and what models write instead


def continuation(whole: str, sent: str, frames: Sequence[Frame], state: State, tool: Tool) -> str | None:
    """The JSON that completes `sent`, if `whole` can be read in only one way; otherwise None. `state` is
    the state in which reading failed, in the innermost of the `frames`."""
    whole = _without_leftovers(joined(whole))
    if state not in _STATES:
        return None
    try:
        value = _read(whole, tool, state) if whole[-1:] in _ENDS else _read_cut(whole, frames, tool)
        if value is None:
            return None
        value, _ = conform(value, tool.arguments)
        rest = _rest_of(value, frames, state)
        return rest if loads(joined(sent) + rest) == value else None
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _without_leftovers(text: str) -> str:
    """A text without the tags, tokens and fences at its end."""
    text = text.rstrip()
    found = _LEFT_AFTER.search(text, max(0, len(text) - TAG))
    return text[: found.start()] if found else text


def closers(sent: str, frames: Sequence[Frame]) -> str | None:
    """The brackets that close everything that is open, after a complete member or item; None if one of
    the objects lacks a required member."""
    out = "".join(frame.closer for frame in reversed(frames))
    node = loads(joined(sent) + out)
    try:
        for frame in frames:
            if not frame.is_array and not frame.parameter.required_keys <= node.keys():
                return None
            node = node[frame.count - 1 if frame.is_array else frame.key] if frame is not frames[-1] else node
    except (LookupError, TypeError, AttributeError):
        return None
    return out


def _read(whole: str, tool: Tool, state: State) -> Any:
    """The arguments, with the keys that the tool asks for. No letter may be lost or moved. After a value
    only one mark may be wrong, because more may be a part of it."""
    accept = wanted_by(tool)
    if (value := least_change(whole.strip(), accept)) is not None:
        return value
    value = None if state is State.NEXT else read_damaged(whole, accept)
    return value if accept(value) and same_letters(value, whole) else None


def _read_cut(whole: str, frames: Sequence[Frame], tool: Tool) -> Any:
    """The arguments if they end with a value, and the brackets after it are missing."""
    if not _ENDS_IN_VALUE.search(whole, max(0, len(whole) - SCALAR)):
        return None
    accept, closed = wanted_by(tool), whole + "".join(frame.closer for frame in reversed(frames))
    value = loads(closed)
    return value if accept(value) else least_change(closed, accept)


def _rest_of(value: Any, frames: Sequence[Frame], state: State) -> str:
    """The JSON of a value from the point on where reading failed."""
    nodes = [value]
    for frame in frames[:-1]:
        nodes.append(nodes[-1][frame.count - 1 if frame.is_array else frame.key])
    frame, node = frames[-1], nodes[-1]
    nothing = state is State.FIRST or (state is State.FURTHER and not frame.count)
    out, done, opener = "", frame.count, "" if nothing else ", "
    if state is State.VALUE:
        out, done = dump(node[frame.key]), done + 1
    out += _members(node, done, opener) + frame.closer
    for frame, node in zip(frames[-2::-1], nodes[-2::-1], strict=True):
        out += _members(node, frame.count, ", ") + frame.closer
    return out


def _members(node: Any, done: int, opener: str) -> str:
    """The members or items of a JSON value after the first `done`, with their separators. `opener` comes
    before them."""
    if isinstance(node, dict):
        parts = [f"{quoted(key)}: {dump(member)}" for key, member in list(node.items())[done:]]
    else:
        parts = [dump(item) for item in node[done:]]
    return opener + ", ".join(parts) if parts else ""
