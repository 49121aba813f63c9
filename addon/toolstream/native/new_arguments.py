"""Assembles the readers for the arguments of a call (the mender, the members that came in place of the
name, and the rules), and what reads the calls of a message.

This room does not import the parser. It is given a way to make one, for text in the arguments.
"""

from ..ledger import Ledger
from ..schema.json_read import Json
from ..schema.schema import Tool
from ..schema.toolset import Toolset
from ..wire.base import Wire
from .arguments import Arguments, NewArguments
from .calls import NativeCalls
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


def native_calls(
    wire: Wire, toolset: Toolset, ledger: Ledger, new_parser: NewParser, takes_prose: bool
) -> NativeCalls:
    """What reads the calls of one message that the server parsed. `takes_prose` as above."""
    arguments = new_arguments(toolset, new_parser, takes_prose)
    return NativeCalls(wire.asked, toolset, ledger, wire.new_id, arguments, new_parser)
