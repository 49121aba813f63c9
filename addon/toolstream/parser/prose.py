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
    or anything but a tag of the call. Such a tag at the start of a line says that this is a call."""
    text, at = m.buffer.text, m.buffer.at
    if call.noted:
        return True
    stop = _STOP.search(text, at, at + STRAY)
    if stop is None:
        return MORE if len(text) - at < STRAY and not m.buffer.over else True
    end, tags = stop.start(), call.place.tags
    tag = tags.match(text, end) if stop[0] == "<" else None
    if tag is None:
        return MORE if not m.buffer.over and tags.may_begin(text, end) else True
    line = text.rfind("\n", at, end)
    own = tag.kind in CLOSERS or tag.kind is TagKind.PARAMETER_OPEN
    call.certain = own and line >= 0 and not text[line:end].strip()
    return not (call.certain or tag.kind in CLOSERS)


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
