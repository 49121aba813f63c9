"""Which repairs the tags need with which a call opens, and to which dialects the call keeps after them."""

from __future__ import annotations

from collections.abc import Sequence

from ..grammar.dialects import BASE, TAUGHT, Dialect, foreign
from ..grammar.grammar import keeps_to, kept_to
from ..grammar.kinds import TagKind
from ..grammar.tag import Tag
from ..repairs import Repair
from ..schema.tool_name import Opening
from .message import Message
from .states import Envelope


def note_opening(m: Message, tag: Tag, opening: Opening | None, wraps: list[Tag]) -> None:
    """Report what had to be repaired in the tags of a call that begins with a tag, and note in which dialects
    it is written."""
    if m.envelope not in (Envelope.OPEN, Envelope.REFUSED):
        m.envelope = Envelope.ORPHAN
        m.log.repair(Repair.MISSING_TOOL_CALL_OPEN, m.buffer.text[m.seen : tag.end])
    note_tags(m, wraps, tag if opening else None)
    for repair, excerpt in opening.repairs if opening else []:
        m.log.repair(repair, excerpt)


def note_tags(m: Message, wraps: list[Tag], tag: Tag | None) -> None:
    """Report what had to be repaired in the tags of an envelope, and in the function's `tag` if there is one.
    Note in which dialects the call is written."""
    _note_surplus(m, wraps)
    if wraps or m.envelope is not Envelope.OPEN:
        m.spoken = foreign(*(wrap.dialect for wrap in wraps))
    tags = [*wraps[:1], tag] if tag else wraps[:1]
    m.kept = kept_to(tags, _may_keep_to(m, wraps, tag))
    found: dict[Repair, str] = {}
    for one in tags:
        if not keeps_to(one, m.kept):
            found.setdefault(one.repair, one.raw)
    for repair, raw in found.items():
        m.log.repair(repair, raw)


def _note_surplus(m: Message, wraps: list[Tag]) -> None:
    """Report the tags that are too many, and a fence between them."""
    for surplus in wraps[1:]:
        closes = surplus.kind is TagKind.WRAP_CLOSE
        m.log.repair(Repair.STRAY_CLOSER if closes else Repair.STRAY_OPENER, surplus.raw)
    if wraps and m.fence:
        m.log.repair(Repair.STRAY_OPENER, m.fence)


def _may_keep_to(m: Message, wraps: list[Tag], tag: Tag | None) -> Sequence[Dialect]:
    """The dialects that a call may keep to: any of the taught ones, in an envelope of its own; those of
    the call before it, in an envelope that is still open; that of its tag, without an envelope."""
    if wraps:
        return TAUGHT
    if m.envelope is Envelope.OPEN:
        return m.kept
    return [tag.dialect] if tag and tag.dialect.taught else BASE
