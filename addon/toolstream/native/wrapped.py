"""Arguments that are wrapped in another object: in `arguments` or `parameters`, or in a whole call.

The tool does not declare such a key. So an object that begins with one waits until it is complete; if what is
in it fits the tool, that is what the model meant.
"""

from typing import Any

from ..limits import HELD
from ..repairs import Repair
from ..schema.json_call import ARGUMENT_KEYS, CALL_KEYS, KEYS, read_calls
from ..schema.json_read import Json, loads_object
from ..schema.json_scanner import JsonScanner
from ..schema.json_write import dump
from ..schema.schema import Tool
from .reader import ArgumentsReader, Findings

_WRAPS = CALL_KEYS | KEYS


def may_wrap(key: str, tool: Tool) -> bool:
    """Whether an object that begins with this key may be one around the arguments of this tool."""
    return key in _WRAPS and bool(tool.arguments.declared) and not tool.declares(key)


class WrappedMender:
    """Holds an object until it is complete; `inner` reads it, or what is wrapped in it."""

    def __init__(self, inner: ArgumentsReader, tool: Tool, findings: Findings) -> None:
        self._inner, self._tool, self._findings = inner, tool, findings
        self._scanner: JsonScanner | None = JsonScanner()
        self._held: list[str] = []
        self._size = 0

    @property
    def pending(self) -> str:
        return "".join(self._held) + self._inner.pending

    @property
    def held(self) -> int:
        return self._size + self._inner.held

    def feed(self, text: str) -> str:
        if self._scanner is None:
            return self._inner.feed(text)
        before = self._size
        self._held.append(text)
        self._size += len(text)
        end = self._scanner.feed(text)
        if end is None:
            return self._release() if self._size > HELD else ""
        return self._unwrap(before + end)

    def _unwrap(self, end: int) -> str:
        text = "".join(self._held)
        inner = _wrapped(text[:end], self._tool)
        if inner is None:
            return self._release()
        self._findings.count(Repair.NESTED_ARGUMENTS)
        return self._pass(dump(inner) + text[end:])

    def _release(self) -> str:
        return self._pass("".join(self._held))

    def _pass(self, text: str) -> str:
        out = self._inner.feed(text)
        self._scanner, self._held, self._size = None, [], 0
        return out

    def close(self, stopped: bool) -> str:
        out = self._release() if self._scanner else ""
        return out + self._inner.close(stopped)


def _wrapped(text: str, tool: Tool) -> Json | None:
    """What an object wraps, if it fits the tool and nothing is beside it."""
    outer = loads_object(text, strict=False)
    if outer is None or any(map(tool.declares, outer)):
        return None
    inner = _inside(outer, text, tool.name)
    fits = isinstance(inner, dict) and all(map(tool.declares, inner)) and tool.required <= inner.keys()
    return inner if fits else None


def _inside(outer: Json, text: str, name: str) -> Any:
    if len(outer) == 1 and (key := next(iter(outer))) in ARGUMENT_KEYS:
        return loads_object(outer[key], strict=False) if isinstance(outer[key], str) else outer[key]
    calls = read_calls(text) or read_calls(text, drift=True)
    return calls[0][1] if calls and len(calls) == 1 and calls[0][0] in ("", name) else None
