"""What follows a function's tag, and whether it says that a call opens (P3).

In an envelope, anything may follow a tag that only calls have. After a tag that other documents have, too,
comes what only stands in a call; and without an envelope, a tag of the call or JSON.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..grammar.kinds import CLOSERS, MORE, Following, TagKind, Wait
from ..grammar.tag import Tag
from ..grammar.text import breaks_line, end_of, ends_line, skip_whitespace
from ..limits import CLOSING_RUN, NAME, TAG_GAP
from ..repairs import Repair
from ..schema.schema import Tool
from ..schema.tool_name import Opening
from .by_place import after_last_opener
from .json_head import read_rest
from .message import Message
from .place import Place
from .runs import proves

# What may follow a direct tag, and an element that says the name of an undeclared tool
_IN_DIRECT = (TagKind.PARAMETER_OPEN, TagKind.CALL_CLOSE, Following.JSON)
_IN_ELEMENT = (TagKind.PARAMETER_OPEN, TagKind.NAMELESS_OPEN, Following.JSON)
_CLOSERS = re.compile(rf"(?:</[^<>\n]{{0,{NAME}}}>[ \t]{{0,{TAG_GAP}}}){{0,{CLOSING_RUN}}}")
_PART = re.compile(rf"\r?|</?|</[^<>\n]{{0,{NAME}}}")  # of what may follow them


def index_after_tag(m: Message, tag: Tag) -> int | Wait:
    """The index of what follows a bare call's tag, of which the last part may be there twice."""
    text, over = m.buffer.text, m.buffer.over
    at = skip_whitespace(text, tag.end)
    again = after_last_opener([tag.dialect], text, at, over) if m.tolerant else at
    if again is MORE:
        return MORE
    at = skip_whitespace(text, again)
    return MORE if at == len(text) and not over else at


def opens_bare(m: Message, tag: Tag, tool: Tool, at: int) -> bool | Wait:
    """Whether what follows the tag of a bare call, at the index `at`, says that this is a call."""
    text = m.buffer.text
    if text.startswith("{", at) or _is_tag(m, at):
        return True
    if not m.tolerant:
        return False
    rest = read_rest(text, at, m.buffer.over)
    if rest:
        return MORE if rest is MORE else not tool.declares(rest[0])
    if tag.ends_itself and _may_be_all(m, tag, tool, at):
        return True
    return proves(m.inside(tool), tag, m.buffer)


def _may_be_all(m: Message, tag: Tag, tool: Tool, at: int) -> bool:
    """Whether a tag may be all of a call: the tool needs nothing, and nothing follows on the line."""
    return not tool.required and (at == len(m.buffer.text) or breaks_line(m.buffer.text, tag.end))


def _is_tag(m: Message, at: int) -> bool:
    """Whether a tag follows that of a bare call: half a tag, with which the message ends; at the strict
    level, any tag."""
    text, inside = m.buffer.text, m.lookout.after
    if text[at : at + 1] != "<":
        return False
    return not m.tolerant or (m.buffer.over and inside.may_begin(text, at) and not inside.match(text, at))


def opens_wrapped(m: Message, tag: Tag, opening: Opening | None) -> bool | Wait:
    """Whether what follows a function's tag in an envelope may stand in a call."""
    if opening and (mentioned := _is_mentioned(m, tag, opening.tool)):
        return MORE if mentioned is MORE else False
    kinds = _kinds_after(m, tag, opening)
    if kinds is None:
        return True
    kind = _kind_or_slip_after(m, tag, opening.tool if opening else Tool(tag.name))
    return MORE if kind is MORE else kind in kinds


def _is_mentioned(m: Message, tag: Tag, tool: Tool) -> bool | Wait:
    """Whether a name that is all an envelope holds is no call, but `<tool_call>now</tool_call>` in prose: it
    has no lines of its own, or the tool needs arguments."""
    text, at = m.buffer.text, skip_whitespace(m.buffer.text, tag.end)
    if tag.raw[0] == "<" or not text.startswith("</", at):
        return False
    end = end_of(_CLOSERS, text, at)
    if not m.buffer.over and _PART.fullmatch(text, end):
        return MORE
    needs = bool(tool.required) and not m.aggressive
    return needs or not m.context.at_line_start or not ends_line(text, end)


def _kinds_after(m: Message, tag: Tag, opening: Opening | None) -> Sequence[TagKind | Following] | None:
    """What has to follow a tag that other documents may have, too; None if anything may."""
    if opening is None:
        return _IN_ELEMENT if tag.dialect.repair is Repair.NAME_MISPLACED else None
    if _is_glued(m, tag):
        return (TagKind.PARAMETER_OPEN,)
    if tag.dialect.by_name:
        return _IN_DIRECT if opening.tool.required else (*_IN_DIRECT, *CLOSERS)
    return None


def _is_glued(m: Message, tag: Tag) -> bool:
    """Whether a name is all of a tag, and another word follows it in its envelope: that is only a call if it
    begins a parameter."""
    text, at = m.buffer.text, skip_whitespace(m.buffer.text, tag.end)
    return tag.raw == tag.name and text[at : at + 1] not in ("<", "{", "")


def kind_after(m: Message, tag: Tag, tool: Tool) -> TagKind | Following | Wait:
    """What follows a tag that is named after a tool."""
    text, at = m.buffer.text, skip_whitespace(m.buffer.text, tag.end)
    found = m.grammar.body.with_names(m.toolset.names_of(tool)).read(text, at, m.buffer.over)
    if found:
        return MORE if found is MORE else found.kind
    return Following.JSON if text.startswith("{", at) else Following.OTHER


def _kind_or_slip_after(m: Message, tag: Tag, tool: Tool) -> TagKind | Following | Wait:
    """What follows a tag that is named after a tool, where a misspelt tag counts, too."""
    kind, at = kind_after(m, tag, tool), skip_whitespace(m.buffer.text, tag.end)
    if not isinstance(kind, Following) or at == len(m.buffer.text):
        return kind
    place = Place(m.toolset, m.grammar, tool)
    place.speak(tag.dialect)
    slipped = place.slipped(m.buffer.text, at, m.buffer.over)
    if slipped is None:
        return kind
    return MORE if slipped is MORE else slipped.kind
