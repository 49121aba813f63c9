"""What a server's call has in place of a tool's name: the name, perhaps with remains of its tag, or with
arguments that the server has not separated from it.

What is cut off from a name must either say nothing, or be readable as arguments. If it says anything
else, the name stays as it is: a call must not run without a part of what was said.
"""

import re
from typing import NamedTuple

from ..limits import NAME
from ..schema.coercion import conform
from ..schema.json_call import read_object
from ..schema.json_read import Json, loads_object
from ..schema.schema import Tool
from ..schema.tool_name import attributes_in
from ..schema.toolset import Toolset
from ..schema.whole_arguments import typed
from .in_arguments import calls_in
from .reader import NewParser
from .tags import end_of_leftovers, is_lone_opener, lead_of, name_in

_SAYS_NOTHING = re.compile(rf"(?:<\|\w{{1,{NAME}}}\|>\w{{0,{NAME}}}|[\W_]|(?!))*+")  # tokens of a model, too
_AROUND = " \t\r\n\"'>"  # may be between a name and its arguments
_KEYWORD = re.compile(r"""\s*+([\w-]++)\s*+=\s*+(?:"([^"\\]*+)"|'([^'\\]*+)'|([\w.+-]++))\s*+(?:,|\Z)""")


class Named(NamedTuple):
    """The tool that a name means, and the arguments that were beside it."""

    tool: Tool
    members: Json | None = None


def read_name(text: str, toolset: Toolset, new_parser: NewParser) -> Named | None:
    """What a name means; None if it means no declared tool, or if it is not clear what else it says."""
    if tool := toolset.find(text):
        return Named(tool)
    bare, rest = name_in(text)
    if tool := toolset.find(bare) if bare else None:
        given: Json = {}
    elif found := toolset.with_value(bare):
        tool, given = found[0], {found[1]: bare}
    else:
        return None
    more = {} if _says_nothing(rest, tool) else _arguments_in(rest, tool, new_parser)
    return None if more is None else Named(tool, given | more)


def _says_nothing(rest: str, tool: Tool) -> bool:
    """Whether the rest is only brackets, quotes, closing tags, or one opening tag with nothing in it."""
    rest = rest.lstrip(_AROUND)
    rest = rest[end_of_leftovers(rest, tool) :]
    return is_lone_opener(rest, tool) or _SAYS_NOTHING.fullmatch(rest) is not None


def _arguments_in(rest: str, tool: Tool, new_parser: NewParser) -> Json | None:
    """The arguments after a name; None if the rest is anything else, or the tool has no such parameters."""
    inside = _unwrapped(rest)
    given = read_object(inside) if inside.startswith("{") else None
    if given is None and (pairs := attributes_in(f" {inside}") or _keywords_in(inside)):
        given = typed(pairs, tool)
    if given is None:
        given = _in_tags(rest.lstrip(_AROUND), tool, new_parser)
    if not given or not all(map(tool.declares, given)):
        return None
    conformed, _ = conform(given, tool.arguments)
    return conformed if isinstance(conformed, dict) else None


def _unwrapped(rest: str) -> str:
    """The text without the parentheses of a call in code, or without the end of a tag."""
    rest = rest.strip()
    if rest.startswith("(") and rest.endswith(")"):
        return rest[1:-1].strip()
    return rest if rest.startswith("<") else rest.rstrip("/> \t\r\n")


def _keywords_in(text: str) -> list[tuple[str, str]]:
    """`key="value", key=5` as (key, text); [] if there is anything else."""
    if _KEYWORD.sub("", text):
        return []
    return [(key, a or b or c) for key, a, b, c in _KEYWORD.findall(text)]


def _in_tags(text: str, tool: Tool, new_parser: NewParser) -> Json | None:
    lead = lead_of(text, tool)
    calls = calls_in(lead.head + text, new_parser, tool, lead.recovery) if lead else []
    return loads_object(calls[0][1]) if len(calls) == 1 and calls[0][0] == tool.name else None
