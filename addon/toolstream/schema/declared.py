"""The tools that a request declares, and which of them a model means.

A model may write a name with other letters and signs, or leave it out. Then the parameters may tell which
tool is meant, or a value that only one tool takes.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from functools import cached_property
from typing import Any

from ..grammar.names import Names, fold, known_names, without_signs
from ..limits import NUMBER
from .schema import Tool, read_tools

PREFIXES = ("functions.", "default_api.", "default_api:", "tool:")
_COUNT = re.compile(rf":\d{{1,{NUMBER}}}\Z")  # `functions.read:0`, as Kimi numbers its calls
ALIKE, APART = 0.8, 0.1  # how alike a guessed name has to be, and how much more than any other


class DeclaredTools:
    """The tools of one request. `tools` is the request's own value. `aliases` are other names of tools, as
    servers write them."""

    def __init__(self, tools: Any, aliases: Mapping[str, str] | None = None) -> None:
        self.tools = read_tools(tools)
        self._aliases = aliases or {}

    @cached_property
    def _folded(self) -> dict[str, list[Tool]]:
        """The tools by their folded names."""
        found: dict[str, list[Tool]] = {}
        for tool in self.tools.values():
            found.setdefault(fold(tool.name), []).append(tool)
        return found

    def find(self, name: str, tolerant: bool = True) -> Tool | None:
        """The declared tool that `name` means: exactly or as an alias, else without signs around it, prefix
        and number, else the only one that differs in nothing but case, `_` and `-`."""
        known = name if name in self.tools else self._aliases.get(name, name)
        if known in self.tools or not tolerant:
            return self.tools.get(known)
        bare = _COUNT.sub("", without_signs(name))
        for prefix in PREFIXES:
            bare = bare.removeprefix(prefix)
        alike = self._folded.get(fold(bare), [])
        return self.tools.get(bare) or (alike[0] if len(alike) == 1 else None)

    def infer(self, keys: Iterable[str]) -> Tool | None:
        """The only tool that declares all these keys and requires no other; None if there are several."""
        given = set(keys)
        found = [
            tool
            for tool in self.tools.values()
            if given and given <= tool.arguments.declared and tool.required <= given
        ]
        return found[0] if len(found) == 1 else None

    def with_value(self, value: str) -> tuple[Tool, str] | None:
        """The only (tool, required parameter) whose enum contains this value."""
        tools = self.tools.values()
        found = [(t, key) for t in tools for key in t.required if value in t.parameter(key).members]
        return found[0] if len(found) == 1 else None

    def guess(self, name: str) -> Tool | None:
        """The tool whose name is most similar; None if that is not clear."""
        bare = fold(name)
        alike = sorted(
            ((SequenceMatcher(None, bare, known).ratio(), known) for known in self._folded), reverse=True
        )
        ratios = [ratio for ratio, _ in alike] + [0.0, 0.0]
        found = self._folded[alike[0][1]] if ratios[0] >= ALIKE and ratios[0] - ratios[1] >= APART else []
        return found[0] if len(found) == 1 else None

    def names_of(self, tool: Tool) -> Names:
        """The names of a tool and of its parameters, for a matcher."""
        return known_names(frozenset({tool.name}), tool.arguments.declared)

    @cached_property
    def names(self) -> Names:
        """The names of all tools, for a matcher."""
        return known_names(frozenset(self.tools))

    @cached_property
    def any_tool(self) -> Tool:
        """A tool with the parameters of all tools, without their types."""
        keys = {key for tool in self.tools.values() for key in tool.arguments.declared}
        return Tool("", {"type": "object", "properties": {key: {} for key in keys}})
