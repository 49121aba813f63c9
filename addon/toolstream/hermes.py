"""JSON-bodied calls: what Qwen2.5 and Qwen3 write inside `<tool_call>`, and Coder models by mistake.

`JsonScanner` finds where a JSON text ends while it streams: it counts brackets outside of
strings and looks at each character once. `read_calls` then reads the finished text. A body
is one call, an array of calls, or several calls one after the other; a call is
`{"name": …, "arguments": {…}}`, where "parameters" may stand for "arguments" and the
arguments may be a JSON string of an object.
"""

import json
import re
from typing import Any

from .arguments import as_written, doubled_escapes

# Models put raw newlines and tabs into strings.
_DECODER = json.JSONDecoder(strict=False, parse_float=as_written)
_OUTSIDE = re.compile(r'["{}\[\]]')
_INSIDE = re.compile(r'["\\]')


class JsonScanner:
    """Follows one JSON object or array; `feed` says where it ends."""

    __slots__ = ("_depth", "_escaped", "_in_string")

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, text: str) -> int | None:
        """The offset in `text` just past the end of the JSON, or None if it goes on."""
        at = 0
        if self._escaped and text:
            at, self._escaped = 1, False
        while match := (_INSIDE if self._in_string else _OUTSIDE).search(text, at):
            at = match.end()
            match match[0]:
                case '"':
                    self._in_string = not self._in_string
                case "\\" if at == len(text):
                    self._escaped = True
                case "\\":
                    at += 1
                case "{" | "[":
                    self._depth += 1
                case _:
                    self._depth -= 1
                    if self._depth <= 0:
                        return at
        return None


def read_calls(text: str) -> list[tuple[str, dict[str, Any]]] | None:
    """The (name, arguments) of every call in a JSON body; None if it is anything else."""
    for attempt in (text, doubled_escapes(text)):
        try:
            return _read_calls(attempt)
        except (ValueError, RecursionError):
            continue
    return None


def _read_calls(text: str) -> list[tuple[str, dict[str, Any]]]:
    calls: list[tuple[str, dict[str, Any]]] = []
    text = text.strip()
    at = 0
    while at < len(text):
        value, at = _DECODER.raw_decode(text, at)
        calls += [_call(v) for v in (value if isinstance(value, list) else [value])]
        while text[at : at + 1].isspace():
            at += 1
    if not calls:
        raise ValueError("no call")
    return calls


def read_object(text: str) -> dict[str, Any] | None:
    """One JSON object, as a model writes it; None if it is anything else."""
    for attempt in (text, doubled_escapes(text)):
        try:
            value = _DECODER.decode(attempt)
        except (ValueError, RecursionError):
            continue
        return value if isinstance(value, dict) else None
    return None


KEYS = frozenset({"name", "arguments", "parameters", "id", "type"})  # what a call may consist of


def _call(value: Any) -> tuple[str, dict[str, Any]]:
    if not (isinstance(value, dict) and isinstance(value.get("name"), str)):
        raise ValueError("not a call")
    if not KEYS.issuperset(value):
        raise ValueError("more than a call")  # dropping it would lose what the model said
    arguments = value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str):
        arguments = _DECODER.decode(arguments)
    if not isinstance(arguments, dict):
        raise ValueError("arguments are not an object")
    return value["name"], arguments
