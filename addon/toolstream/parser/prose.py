"""Prose that only names the tags of a call.

Text may stand before an envelope on its line. If that text goes on after the function's tag, the tags were
only mentioned.
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
    """Whether the prose around a call goes on after the call's tag, up to the next tag. It does not if that
    tag begins a line, or if JSON follows: then this is a call."""
    if call.certain or not call.in_prose or m.buffer.text[m.buffer.at] == "{":
        return False
    tag = _next_tag(m, call)
    return _goes_on_to(m, call, tag) if isinstance(tag, Tag) else tag or True


def _goes_on_to(m: Message, call: Call, tag: Tag) -> bool:
    """Whether the prose goes on up to this tag, the next one of a call. Note it if the tag says that this is
    a call."""
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
    """Whether the prose around a call may go on after a parameter's tag: a blank follows the tag, and then
    text up to a closing tag on the same line."""
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
    """Whether the message ends with a call in prose that needs no arguments and holds nothing. Its line ends
    after its tag, or no word stands directly before its envelope."""
    empty = not (call.begun or call.stray or call.tool.required)
    return call.in_prose and empty and ("\n" in call.gap or not m.context.last.isalnum())
