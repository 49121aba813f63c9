"""An opening tag in a call after text: it may be quoted.

If the opening tag of a parameter is lost, its value stands as text in the call, and may hold tags of its own,
even a whole call. An opening tag after a quotation mark on its line is never read. That of a function or an
envelope is on trial: what it opens is quoted if a closing tag follows that nothing has opened.
"""

from __future__ import annotations

import re

from ..grammar.kinds import TagKind
from ..grammar.tag import Tag
from ..limits import SLIPPED
from ..repairs import Refused
from .by_place import OPENERS
from .call_events import emit_spare, leave_void, only_key
from .doubt import Doubt
from .message import Call, Message
from .states import Step

_PIECE = re.compile(r"\s*+<[\w ]{0,16}")
_QUOTES = ('"', "'", "`")


def at_opener(m: Message, call: Call, tag: Tag) -> Step | None:
    """The opening tag of a parameter, a call or an envelope in an open call: in quotes the call is void, and
    the last two may be on trial from here on. None if the tag is to be read."""
    if tag.kind not in OPENERS:
        return None
    if _is_no_value(call, tag):
        emit_spare(m, call)
    mark = call.stray.strip()
    if _may_be_quoted(m, call, mark):
        if _is_in_quotes(call) and mark not in _QUOTES:
            return leave_void(m)
        if not _opens_parameter(tag):
            _begin_doubt(m, call, mark)
    if m.doubt and _opens_parameter(tag):
        m.doubt.note(tag, m.buffer.text)
    return None


def _is_no_value(call: Call, tag: Tag) -> bool:
    """Whether text in the call is no value without a tag, as the tag of the only parameter follows."""
    spare = call.spare
    return bool(spare and not spare.tagged and _opens_parameter(tag) and tag.name == only_key(call))


def _may_be_quoted(m: Message, call: Call, mark: str) -> bool:
    """Whether the tag may stand in a value of which the opening tag is lost. `mark`: the text before it."""
    may_lack = m.tolerant and call.named and call.spare is None and _lacks_arguments(call)
    return may_lack and (len(mark) > SLIPPED or mark in _QUOTES)


def _opens_parameter(tag: Tag) -> bool:
    return tag.kind is TagKind.PARAMETER_OPEN


def _lacks_arguments(call: Call) -> bool:
    given, tool = call.writer.given, call.tool
    return bool(tool.arguments.declared - given) and not (call.begun and tool.required <= given)


def _is_in_quotes(call: Call) -> bool:
    """Whether words and a quotation mark stand before a tag on its line, and not only a piece of the tag."""
    line = call.said.rpartition("\n")[2]
    words = any(map(str.isalnum, line)) and _PIECE.fullmatch(line) is None
    return words and any(mark in line for mark in _QUOTES)


def _begin_doubt(m: Message, call: Call, mark: str) -> None:
    """From here on the call, and what follows it, is on trial. `mark`: the text before it."""
    m.begin_trial(Refused.UNREAD, at_end=True)
    assert m.trial
    if not m.trial.at_end:
        m.trial.why, m.trial.at_end = Refused.UNREAD, True
    if m.doubt is None:
        ends = f">{mark}" if mark in _QUOTES else ""
        m.doubt = Doubt(m.buffer.position, call.place.tags, ends=ends)
