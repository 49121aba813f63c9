"""Reads calls in text that a server took for arguments of a call, or for the name of its tool."""

from ..events import Repaired, Text, calls_of
from ..repairs import Repair
from ..schema.schema import Tool
from .reader import Calls, NewParser


def calls_in(text: str, new_parser: NewParser, tool: Tool, recovery: str) -> Calls:
    """The calls that a text consists of; none if it contains anything else, or a call of an undeclared
    tool."""
    said, calls = text_and_calls(text, new_parser, tool, recovery)
    return [] if said.strip() else calls


def text_and_calls(
    text: str, new_parser: NewParser, tool: Tool, recovery: str, reason: str = "stop"
) -> tuple[str, Calls]:
    """The text in a text, and the calls in it; no calls if one is of an undeclared tool."""
    parser = new_parser(tool, live=False, recovery=recovery)
    events = parser.feed(text) + parser.close(reason)
    if any(isinstance(e, Repaired) and e.repair is Repair.UNDECLARED_NAME for e in events):
        return text, []
    return "".join(e.text for e in events if isinstance(e, Text)), calls_of(events)
