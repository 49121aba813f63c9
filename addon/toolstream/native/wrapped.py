"""Arguments of a server's call that may be wrapped in another object (`schema/wrapped`). They wait until
they are complete.
"""

from ..limits import HELD
from ..repairs import Repair
from ..schema.json_read import loads_object
from ..schema.json_scanner import JsonScanner
from ..schema.json_write import dump
from ..schema.schema import Tool
from ..schema.wrapped import unwrapped
from .reader import ArgumentsReader, Findings


class WrappedMender:
    """Holds an object until it is complete. Then `inner` reads it, or the object that is wrapped in it."""

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

    @property
    def awaits_value(self) -> bool:
        """Whether a value comes next."""
        return self._scanner is not None and "".join(self._held[-2:]).rstrip().endswith(":")

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
        outer = loads_object(text[:end], strict=False)
        inner = unwrapped(outer, self._tool) if outer else None
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
