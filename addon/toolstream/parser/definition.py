"""Definitions of tools: the tags of a call, with what their author says about the parameters in the place of
their values. A call gives values; it does not say of which type they are, or what they are for.
"""

from __future__ import annotations

import re

from ..grammar.dialects import BASE
from ..grammar.kinds import MORE, TagKind, Wait
from ..grammar.tag import Tag
from ..grammar.text import skip_whitespace
from ..limits import CLOSING_RUN
from ..schema.schema import Tool
from ..schema.tool_name import Opening
from .message import Message

VALUE = re.compile(r"""\bvalue\s?=\s?(["'])(.*?)\1""")  # an attribute of a parameter's tag
# An attribute that says something about a parameter, in the words of a schema
_DECLARES = re.compile(r"""\s(?:type|required|description|default|enum)\s?=\s?["'\w]""")
_WORDS = re.compile(r"\w[ \t]+\w")


def declares(parameter: Tag) -> bool:
    """Whether the opening tag of a parameter says something about it."""
    return _DECLARES.search(parameter.raw) is not None


def is_definition(m: Message, tag: Tag, opening: Opening, at: int) -> bool | Wait:
    """Whether a function's tag that is not Qwen's own, without an envelope, begins the definition of a tool:
    it has a text that is no argument, or the parameter at `at` is declared there, or has no value."""
    if tag.dialect in BASE or not m.tolerant:
        return False
    others = [(key, text) for key, text in opening.given if not opening.tool.declares(key)]
    if any(key == "description" or (_WORDS.search(text) and not tag.ends_itself) for key, text in others):
        return True
    return _defines_parameters(m, opening.tool, at)


def _defines_parameters(m: Message, tool: Tool, at: int) -> bool | Wait:
    """Whether the first parameter at `at` that does not end itself is declared there; or all of them end
    themselves, without a value."""
    before = False  # whether there was one
    for _ in range(CLOSING_RUN):
        tag = _parameter_at(m, tool, at)
        if not isinstance(tag, Tag):
            return MORE if tag is MORE else before
        if VALUE.search(tag.raw):
            return False
        if declares(tag) or not tag.ends_itself:
            return declares(tag)
        before, at = bool(tool.required), skip_whitespace(m.buffer.text, tag.end)
    return True


def _parameter_at(m: Message, tool: Tool, at: int) -> Tag | Wait | None:
    """The opening tag of a parameter at `at`."""
    text, over = m.buffer.text, m.buffer.over
    if at == len(text) and not over:
        return MORE
    found = m.inside(tool).readings(text, at, over) if text.startswith("<", at) else []
    if found is MORE:
        return MORE
    return found[0] if found and found[0].kind is TagKind.PARAMETER_OPEN else None
