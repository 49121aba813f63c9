"""Prose that names the tags of a call. Where text stands before an envelope on its line, what stands after
the function's tag tells whether that text goes on.
"""

from __future__ import annotations

import re

from ..grammar.kinds import CLOSERS, MORE, TagKind, Wait
from ..grammar.tag import Tag
from ..limits import STRAY
from .message import Call, Message

_WORD, _LINE_END = re.compile(r"\w"), re.compile(r"\n|</")


def is_in_prose(m: Message, tag: Tag, wraps: list[Tag]) -> bool:
    """Whether text stands before the envelope on its line."""
    own_end = tag.kind is TagKind.CALL_OPEN and not (tag.dialect.needs_no_closer or tag.ends_itself)
    return bool(wraps) and own_end and not m.context.on_blank_line


def prose_goes_on(m: Message, call: Call) -> bool | Wait:
    """Whether the text in which a call stands goes on after its tag, up to a tag that does not belong to the
    call. Such a tag at the start of a line says that this is a call, and so does JSON."""
    if call.certain or not call.in_prose or m.buffer.text[m.buffer.at] == "{":
        return False
    tag = _next_tag(m, call)
    return _goes_on_to(m, call, tag) if isinstance(tag, Tag) else tag or True


def _goes_on_to(m: Message, call: Call, tag: Tag) -> bool:
    """Whether the text goes on up to this tag, which is the next one of a call. If the tag says that this is
    a call, note it."""
    text, at = m.buffer.text, m.buffer.at
    line = text.rfind("\n", at, tag.start)
    begins_line = line >= 0 and not text[line : tag.start].strip()
    if tag.kind is TagKind.PARAMETER_OPEN and (begins_line or not _WORD.search(text, at, tag.start)):
        call.certain = True
    elif tag.kind in CLOSERS and not call.text_after_tag:
        call.certain = begins_line
        return False
    return not call.certain


def _next_tag(m: Message, call: Call) -> Tag | Wait | None:
    """The next tag of a call, not far away; None if there is none."""
    text, over = m.buffer.text, m.buffer.over
    at, end = m.buffer.at, m.buffer.at + STRAY
    while (at := text.find("<", at, end)) >= 0:
        if tag := call.place.tags.read(text, at, over):
            return tag
        at += 1
    return MORE if len(text) < end and not over else None


def value_goes_on(m: Message, call: Call, tag: Tag) -> bool | Wait:
    """Whether that text may go on after the parameter's tag: after a blank, up to a closing tag. It does not
    if the line ends before that."""
    if call.certain or not call.in_prose:
        return False
    text, over = m.buffer.text, m.buffer.over
    if tag.end == len(text):
        return over or MORE
    if text[tag.end] not in " \t":
        return False
    if found := _LINE_END.search(text, tag.end, tag.end + STRAY):
        return found[0] == "</"
    return over or (len(text) < tag.end + STRAY and MORE)


def is_whole_at_end(m: Message, call: Call) -> bool:
    """Whether a call in prose that needs no arguments is all there is at the end of the message: its line
    ends after its tag, or something other than a word comes before its envelope."""
    empty = not (call.begun or call.stray or call.tool.required)
    return call.in_prose and empty and ("\n" in call.gap or not m.context.last.isalnum())
