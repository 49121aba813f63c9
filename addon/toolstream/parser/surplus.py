"""What is too many in a call: tags, and brackets that belong to nothing; and what may follow arguments that
were one JSON object.
"""

from __future__ import annotations

import re

from ..grammar.kinds import MORE, Cost, TagKind, Wait
from ..grammar.tag import Tag
from ..grammar.text import BLANK, end_of, read_literal
from ..limits import LOOK_AHEAD
from ..repairs import Repair
from .call_events import end_call, end_unclosed
from .elements import ELEMENTS
from .json_end import after_marks, is_mark
from .json_head import read_rest
from .message import Call, Message
from .run import Level
from .runs import choose
from .states import Step

_BRACKETS = re.compile(rf"[{BLANK})}}\]]{{0,{LOOK_AHEAD}}}")  # of JSON or of a call as in Python
_COMMA = re.compile("[,;]")


def take(m: Message, end: int) -> Step:
    """The text up to this index is markup of the call."""
    m.buffer.at = end
    return Step.GO


def at_json_rest(m: Message, call: Call) -> Step | None:
    """The head of a JSON call goes on after a function's tag, to its arguments. None if it does not."""
    buffer = m.buffer
    if call.begun or call.stray or not (m.tolerant and buffer.text[buffer.at : buffer.at + 1] in (",", '"')):
        return None
    rest = read_rest(buffer.text, buffer.at, buffer.over)
    if rest is MORE:
        return Step.MORE
    if rest is None or call.tool.declares(rest[0]):
        return None
    m.log.repair(Repair.STRAY_OPENER, buffer.text[buffer.at : rest[1]])
    call.brackets = 1
    return take(m, rest[1])


def drop_tag(m: Message, repair: Repair, tag: Tag) -> Step:
    """A tag that is too many."""
    m.log.repair(repair, tag.raw)
    return take(m, tag.end)


def drop_text(m: Message, end: int) -> Step:
    """Brackets that are too many, or a comma."""
    m.log.repair(Repair.STRAY_CLOSER, m.buffer.text[m.buffer.at : end].strip())
    return take(m, end)


def end_of_surplus(m: Message, at: int) -> int | Wait | None:
    """The end of brackets or a comma that belong to nothing, if the next tag follows them; None if other
    text does."""
    text = m.buffer.text
    end = end_of(_BRACKETS, text, end_of(_COMMA, text, at))
    if end == len(text) and not m.buffer.over:
        return MORE
    return end if text[end : end + 1] in ("", "<") else None


# After arguments that were one JSON object


def after_body(m: Message, call: Call) -> Step:
    """Only closing tags can follow, and surplus brackets or marks."""
    buffer, text = m.buffer, m.buffer.text
    start = buffer.at + text.startswith(")", buffer.at)
    at = end_of(_BRACKETS, text, start)
    if marked := is_mark(text, at):
        at = after_marks(text, at)
    tag = _tag_after(m, call, at)
    if tag is MORE:
        return Step.MORE
    if tag and tag.dialect is ELEMENTS:
        return drop_tag(m, Repair.STRAY_CLOSER, tag)
    is_end = tag is not None or at == len(text)
    if is_end and marked:
        m.log.repair(Repair.JSON_REPAIRED, text[start:at])
    buffer.at = at if is_end else start
    return _close_body(m, tag) if tag else end_unclosed(m, text[buffer.at :])


def _tag_after(m: Message, call: Call, at: int) -> Tag | Wait | None:
    """The tag after the arguments: in a dialect table, misspelt, or that of an element around them."""
    text, tags, over = m.buffer.text, call.place.tags, m.buffer.over
    tag = tags.match(text, at) or call.place.slipped(text, at, over) or tags.read(text, at, over)
    return _closer_around(m, call, at) if tag is None else tag


def _close_body(m: Message, tag: Tag) -> Step:
    if tag.cost > Cost.TABLE:
        m.log.repair(Repair.DAMAGED_TAG, tag.raw)
    if tag.kind is TagKind.PARAMETER_CLOSE:
        return take(m, tag.end)
    if tag.kind is TagKind.CALL_CLOSE or any(tag.raw in d.call_close for d in m.kept):
        m.buffer.at = tag.end
        return end_call(m)
    return end_unclosed(m, m.buffer.text[m.buffer.at :])


def _closer_around(m: Message, call: Call, at: int) -> Tag | Wait | None:
    """The closing tag of an element around the arguments, if it is here, or all of it but `</`."""
    text = m.buffer.text
    if not call.place.around or at >= len(text):
        return None
    for raw in (f"{word}>" for word in call.place.around):
        if found := read_literal(text, at, raw, m.buffer.over):
            return MORE if found is MORE else Tag(TagKind.STRAY, "", at, at + len(raw), raw, ELEMENTS)
    choice = choose(call.place, m.buffer, at, Level.CALL)
    if choice is MORE or choice is None:
        return choice
    return choice.tag if choice.tag.dialect is ELEMENTS else None
