"""Assembles the readers for the arguments of a call: the mender, the members that came in place of the
name, and the rules.

This room does not import the parser. It is given a way to make one, for text in the arguments.
"""

from ..ledger import Ledger
from ..schema.json_read import Json
from ..schema.schema import Tool
from ..schema.toolset import Toolset
from .arguments import Arguments, NewArguments
from .mender import Mender
from .preset import PresetArguments
from .reader import ArgumentsReader, Findings, NewParser
from .ruled import RuledArguments


def new_arguments(toolset: Toolset, new_parser: NewParser, takes_prose: bool = False) -> NewArguments:
    """Makes readers for the arguments of calls in the answer to a request. `takes_prose`: prose after the
    arguments can become text of the answer."""

    def new(tool: Tool, ledger: Ledger, preset: Json | None = None) -> Arguments:
        findings = Findings(ledger, takes_prose)
        may_be_empty = bool(preset) or not tool.required
        reader: ArgumentsReader = Mender(tool, new_parser, findings, may_be_empty)
        if preset:
            reader = PresetArguments(reader, preset, findings)
        if rules := toolset.rules_for(tool):
            reader = RuledArguments(reader, rules, findings)
        return Arguments(reader, findings)

    return new
