"""The parser for text, as those need it who find calls as text in what a server has parsed.

They do not import it: they are given a way to get one, which is made here.
"""

from ..parser.parser import ToolCallParser
from ..repairs import Ledger
from ..schema.schema import Tool
from ..schema.toolset import Toolset
from .swallowed import NewParser, TextParser


def new_parser(toolset: Toolset) -> NewParser:
    """Makes parsers for the tools of a request. What they find is nobody's choice, so any tool is allowed;
    the user's rules come later."""

    def new(tool: Tool | None = None, live: bool = True) -> TextParser:
        return ToolCallParser(toolset.unrestricted(tool), live=live, ledger=Ledger())

    return new
