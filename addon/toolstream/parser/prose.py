"""Prose that names the tags of a call. Where text stands before an envelope on its line, what stands behind
the function's tag tells whether that text goes on.
"""

from __future__ import annotations

import re

from ..grammar.kinds import CLOSERS, MORE, TagKind, Wait
from ..grammar.tag import Tag
from ..limits import STRAY
from .message import Call, Message

_STOP = re.compile(r"<|\n[ \t]*\r?\n")
_ENDS = frozenset(".!?:*…。！？：")  # a sentence, or an emphasis  # noqa: RUF001


def is_in_prose(m: Message, tag: Tag, wraps: list[Tag]) -> bool:
    """Whether text stands before the envelope on its line."""
    own_end = tag.kind is TagKind.CALL_OPEN and not (tag.dialect.closed or tag.ends_itself)
    return bool(wraps) and own_end and not m.context.on_blank_line


def prose_goes_on(m: Message, call: Call) -> bool | Wait:
    """Whether the text in which a call stands goes on behind its tag: in the same line, or up to a blank line
    or a tag that does not belong to the call. Such a tag at the start of a line says that this is a call."""
    text, at = m.buffer.text, m.buffer.at
    tag = None if call.noted else _next_tag(m, call)
    if tag is MORE or tag is None:
        return tag is None or MORE
    line = text.rfind("\n", at, tag.start)
    own = tag.kind in CLOSERS or tag.kind is TagKind.PARAMETER_OPEN
    call.certain = own and line >= 0 and not text[line : tag.start].strip()
    return not (call.certain or tag.kind in CLOSERS)


def _next_tag(m: Message, call: Call) -> Tag | Wait | None:
    """The next tag of a call, before a blank line and not far away; None if there is none."""
    text, tags, over = m.buffer.text, call.place.tags, m.buffer.over
    at, end = m.buffer.at, m.buffer.at + STRAY
    while (stop := _STOP.search(text, at, end)) and stop[0] == "<":
        if tag := tags.match(text, stop.start()):
            return tag
        if not over and tags.may_begin(text, stop.start()):
            return MORE
        at = stop.end()
    return MORE if stop is None and len(text) < end and not over else None


def value_goes_on(m: Message, call: Call, tag: Tag) -> bool | Wait:
    """Whether that text may go on behind the parameter's tag: after a blank."""
    if call.certain or not call.in_prose:
        return False
    behind = m.buffer.text[tag.end : tag.end + 1]
    return MORE if not (behind or m.buffer.over) else behind in ("", " ", "\t")


def is_whole_at_end(m: Message, call: Call) -> bool:
    """Whether a call in prose that needs no arguments is all there is behind a sentence, at the end of the
    message."""
    empty = not (call.begun or call.stray or call.tool.required)
    return call.in_prose and empty and m.context.last in _ENDS
