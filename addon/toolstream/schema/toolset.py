"""What a request asks for: which tools a call may name, and whether there may be several calls.

A request without tools, or that forbids them, gets its answer untouched. Everything else that the parser
and the rewriter need to know about a request is read here, once.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from functools import cached_property
from typing import Any

from ..grammar.names import Names, fold, known_names, without_signs
from ..limits import NUMBER
from .json_read import Json
from .rules import Rules, ToolRules
from .schema import Tool, read_tools

PREFIXES = ("functions.", "default_api.", "default_api:", "tool:")
_COUNT = re.compile(rf":\d{{1,{NUMBER}}}\Z")  # `functions.read:0`, as Kimi numbers its calls
ALIKE, APART = 0.8, 0.1  # how alike a guessed name has to be, and how much more than any other


class Toolset:
    """The tools of one request, and the user's rules for them. `tools` and `tool_choice` are the
    request's own values. `aliases` are other names of tools, as servers write them."""

    def __init__(
        self,
        tools: Any,
        tool_choice: Any = "auto",
        rules: Rules | None = None,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self.tools = {} if tool_choice == "none" else read_tools(tools)
        self._aliases = aliases or {}
        self._rules = rules
        self._allowed = _allowed(tool_choice)

    @classmethod
    def of(cls, tools: Any, tool_choice: Any = "auto", rules: Rules | None = None) -> "Toolset":
        """A new toolset, or `tools` itself if it is one already: then its own choice and rules count."""
        return tools if isinstance(tools, cls) else cls(tools, tool_choice, rules)

    def unrestricted(self, tool: Tool | None = None) -> "Toolset":
        """The same tools and this one, all of them allowed, and without rules."""
        other = Toolset(())
        other.tools, other._aliases = dict(self.tools), self._aliases
        if tool and tool.name:
            other.tools.setdefault(tool.name, tool)
        return other

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

    def rules_for(self, tool: Tool) -> ToolRules | None:
        """The rules that can change a call of this tool; None if there are none."""
        return self._rules.for_tool(tool, self.tools, self.allows) if self._rules else None

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

    @property
    def any_allowed(self) -> bool:
        """Whether tool_choice leaves the choice to the model."""
        return self._allowed is None

    def allows(self, name: str) -> bool:
        """Whether tool_choice lets the model call this tool."""
        return self._allowed is None or name in self._allowed


def parallel_calls(body: Json) -> bool:
    """Whether the answer may hold more than one call."""
    return body.get("parallel_tool_calls") is not False


def _allowed(tool_choice: Any) -> set[str] | None:
    """The names that a forced choice allows; None for any."""
    if not isinstance(tool_choice, dict):
        return None
    if tool_choice.get("type") == "allowed_tools":
        chosen = tool_choice.get("allowed_tools", {})
        tools = chosen.get("tools") if isinstance(chosen, dict) else None
    else:
        tools = [tool_choice]
    names = {_name(t) for t in tools} if isinstance(tools, list) else set()
    return names - {""} or None


def _name(choice: Any) -> str:
    function = choice.get("function", choice) if isinstance(choice, dict) else {}
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""
