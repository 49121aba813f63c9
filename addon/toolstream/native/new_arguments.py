"""Puts together what reads the arguments of a call: the parser for text in them, the mender, the rules.

The others do not import the parser; they are given a way to get one, which is made here.
"""

from ..parser.parser import ToolCallParser
from ..repairs import Ledger
from ..schema.json_read import Json
from ..schema.schema import Tool
from ..schema.toolset import Toolset
from .arguments import Arguments, NewArguments
from .mender import Mender
from .preset import PresetArguments
from .reader import ArgumentsReader, Findings, NewParser, TextParser
from .ruled import RuledArguments


def new_parser(toolset: Toolset) -> NewParser:
    """Makes parsers for the tools of a request. What they find is nobody's choice, so any tool is allowed;
    the user's rules come later."""

    known: dict[Tool | None, Toolset] = {}

    def new(tool: Tool | None = None, live: bool = True, recovery: str = "tolerant") -> TextParser:
        tools = known.get(tool) or known.setdefault(tool, toolset.unrestricted(tool))
        return ToolCallParser(tools, recovery=recovery, live=live, ledger=Ledger())

    return new


def new_arguments(toolset: Toolset, takes_prose: bool = False) -> NewArguments:
    """Makes what reads the arguments of calls in the answer to a request. `takes_prose`: prose behind them
    becomes text of the answer."""
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
