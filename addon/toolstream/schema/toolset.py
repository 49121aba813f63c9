"""What a request asks for: which tools a call may name, and whether there may be several calls.

A request without tools, or that forbids them, gets its answer untouched. Everything else that the parser
and the rewriter need to know about a request is read here, once.
"""

from collections.abc import Mapping
from typing import Any

from .declared import DeclaredTools
from .json_read import Json
from .rules import Rules, ToolRules
from .schema import Tool


class Toolset(DeclaredTools):
    """The tools of one request, which of them may be called, and the user's rules for them. `tools` and
    `tool_choice` are the request's own values."""

    def __init__(
        self,
        tools: Any,
        tool_choice: Any = "auto",
        rules: Rules | None = None,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(() if tool_choice == "none" else tools, aliases)
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

    def rules_for(self, tool: Tool) -> ToolRules | None:
        """The rules that can change a call of this tool; None if there are none."""
        return self._rules.for_tool(tool, self.tools, self.allows) if self._rules else None

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
