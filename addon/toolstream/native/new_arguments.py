"""Assembles the readers for the arguments of a call: the parser for text in them, the mender, and the
rules.

The other modules of this room do not import the parser. They are given a way to make one, which is made
here.
"""

from ..ledger import Ledger
from ..parser.parser import ToolCallParser
from ..schema.json_read import Json
from ..schema.schema import Tool
from ..schema.toolset import Toolset
from .arguments import Arguments, NewArguments
from .mender import Mender
from .preset import PresetArguments
from .reader import ArgumentsReader, Findings, NewParser, TextParser
from .ruled import RuledArguments


def new_parser(toolset: Toolset) -> NewParser:
    """Makes parsers for the tools of a request. They find calls in arguments, so tool_choice does not
    matter and any tool is allowed. The user's rules are applied later."""

    known: dict[Tool | None, Toolset] = {}

    def new(tool: Tool | None = None, live: bool = True, recovery: str = "tolerant") -> TextParser:
        tools = known.get(tool) or known.setdefault(tool, toolset.unrestricted(tool))
        return ToolCallParser(tools, recovery=recovery, live=live, ledger=Ledger())

    return new


def new_arguments(toolset: Toolset, takes_prose: bool = False) -> NewArguments:
    """Makes readers for the arguments of calls in the answer to a request. `takes_prose`: prose after the
    arguments can become text of the answer."""
    parsers = new_parser(toolset)

    def new(tool: Tool, ledger: Ledger, preset: Json | None = None) -> Arguments:
        findings = Findings(ledger, takes_prose)
        may_be_empty = bool(preset) or not tool.required
        reader: ArgumentsReader = Mender(tool, parsers, findings, may_be_empty)
        if preset:
            reader = PresetArguments(reader, preset, findings)
        if rules := toolset.rules_for(tool):
            reader = RuledArguments(reader, rules, findings)
        return Arguments(reader, findings)

    return new
