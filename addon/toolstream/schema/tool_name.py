"""What the opening tag of a call says: the tool, and arguments that stand in the tag.

A name is certain if it is declared, or differs from a declared one only as `DeclaredTools.find` allows.
A damaged tag may have attributes in place of parameters, or a value in place of the name. At the
aggressive level the most similar declared name is taken.
"""

import re
from dataclasses import dataclass, field

from ..grammar.likeness import PARAMETER, SYNONYMS, squeeze
from ..grammar.tag import Tag
from ..limits import NAME
from ..repairs import Applied, Repair
from .call_shape import ARGUMENT_KEYS
from .declared import DeclaredTools
from .json_call import read_object
from .json_write import dump
from .schema import Tool

_ATTRIBUTE = re.compile(rf"""\s+([^\s<>"'=]{{1,{NAME}}})\s*=\s*(?:"([^"]*+)"|'([^']*+)'|([^\s"'<>]++))""")
_ARGUMENTS = re.compile(r"""[("'{]["']?\w""")  # what may be some, after a name
_QUOTED = re.compile(r"""\s+(["'])([^"'<>]+)\1""")

_OF_XML = frozenset({"id", "name", "type"})  # attributes that any tag may have


@dataclass(slots=True)
class Opening:
    """The tool of a call, the arguments in its tag as (key, text), and the repairs that reading it took."""

    tool: Tool
    repairs: Applied = field(default_factory=list)
    given: list[tuple[str, str]] = field(default_factory=list)


def find_tool(name: str, toolset: DeclaredTools, level: str) -> Opening | None:
    """The declared tool that a name means; None if there is none."""
    if tool := toolset.find(name, level != "strict"):
        return Opening(tool, [] if tool.name == name else [(Repair.NAME_NORMALISED, name)])
    if level == "aggressive" and (tool := toolset.guess(name)):
        return Opening(tool, [(Repair.NAME_GUESSED, name)])
    return None


def read_opening(tag: Tag, text: str, toolset: DeclaredTools, level: str) -> Opening | None:
    """What a tag in `text` says; None if it means no declared tool."""
    if not tag.name:
        return find_tool(tag.name, toolset, level)
    tolerant, raw = level != "strict", text[tag.start : tag.end]
    before, _, after = raw.partition(tag.name)
    direct = tag.damaged and "=" not in before
    if tolerant and (found := _with_attributes(raw, tag.name, toolset, direct)):
        return found
    if tag.damaged and _ARGUMENTS.search(_ATTRIBUTE.sub("", after)):
        return None  # nobody knows what it says of the call
    if found := find_tool(tag.name, toolset, level):
        return found
    if tolerant and (match := toolset.with_value(tag.name)):
        tool, key = match
        return Opening(tool, [(Repair.VALUE_AS_NAME, tag.name)], [(key, tag.name)])
    return None


def attributes_in(text: str) -> list[tuple[str, str]]:
    """The attributes that make up a text, as (key, text), each with whitespace before it; [] if it
    contains anything else."""
    if _ATTRIBUTE.sub("", text).strip():
        return []
    return [(key, a or b or c) for key, a, b, c in _ATTRIBUTE.findall(text)]


def are_parameters(text: str, tool: Tool) -> bool:
    """Whether a text consists of attributes that are all parameters of the tool."""
    given = attributes_in(text)
    return bool(given) and all(tool.declares(key) for key, _ in given)


def _with_attributes(raw: str, name: str, toolset: DeclaredTools, direct: bool) -> Opening | None:
    """`<function=read path="a.py">`, or `direct`, `<read path="a.py">`: the attributes are parameters, except
    for those that any tag may have. Or all stand there in JSON: `<function=read {"path": "a.py"}>`."""
    word = name.split()[0]
    after = (raw if direct else raw.partition("=")[2]).partition(word)[2].rstrip(" \t/>")
    tool = toolset.find(word) if after else None
    if tool is None:
        return None
    after = after.removeprefix('"') if raw.count('"') > after.count('"') else after
    given = _of_object(after) or attributes_in(after) or _only_value(after, tool)
    if not given:
        return None
    own = _parameters_in(given, tool, direct)
    return Opening(tool, [(Repair.DAMAGED_KEY, raw)] if own else [], own)


def _parameters_in(given: list[tuple[str, str]], tool: Tool, direct: bool) -> list[tuple[str, str]]:
    """Those of the attributes that are parameters, also if all of them are an object in one."""
    own = [
        (key, text)
        for key, text in given
        if tool.declares(key) or not (direct or key in _OF_XML or _names_parameter(key, text, tool))
    ]
    if len(own) == 1 and own[0][0] in ARGUMENT_KEYS and not tool.declares(own[0][0]):
        return _of_object(own[0][1]) or own
    return own


def _names_parameter(word: str, name: str, tool: Tool) -> bool:
    """Whether an attribute says which parameter comes after the tag: `<function=read parameter=path>`."""
    return SYNONYMS.get(squeeze(word)) == PARAMETER and tool.declares(name)


def _only_value(text: str, tool: Tool) -> list[tuple[str, str]]:
    """A quoted value alone, for the only required parameter; [] if it is anything else."""
    quoted = _QUOTED.fullmatch(text) if len(tool.required) == 1 else None
    return [(next(iter(tool.required)), quoted[2])] if quoted else []


def _of_object(text: str) -> list[tuple[str, str]]:
    """The members of a JSON object, as (key, text); [] if it is anything else."""
    members = read_object(text.strip()) if "{" in text else None
    return [(key, value if isinstance(value, str) else dump(value)) for key, value in (members or {}).items()]
