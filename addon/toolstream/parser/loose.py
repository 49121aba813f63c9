"""Text where a parameter should open, or after a tag of one that has no name. It is the value of the tool's
only required parameter, or of the only one that is not given in the end; or it is just text.

Nothing before the next tag tells which. So the text is read after a mark.
"""

from __future__ import annotations

import re

from ..grammar.kinds import CLOSERS, MORE, TagKind
from ..grammar.likeness import is_placeholder
from ..grammar.tag import Tag
from ..grammar.text import goes_on, is_ellipsis
from ..limits import DAMAGED_OPENER, OPENER_PREFIX
from ..repairs import Refused, Repair
from ..schema.json_call import read_arguments
from ..schema.json_read import Json, loads
from .call_events import emit_stray, give_all, leave_undone, leave_void, only_key
from .message import Call, Message, Spare
from .run import FollowedBy, Level
from .runs import read_run
from .states import State, Step
from .value_text import break_before

# What is left of the opening tag for this key, with some letters lost or changed
_TAG_LIKE = rf"""(?=[^\n]*[<=])\w?<?[\w \t=/"']{{{{1,{DAMAGED_OPENER}}}}}?(?<!\w){{key}}["']?[ \t]?>"""
# The key as in YAML, a shell or JSON, with the value on the same line
_KEY_LIKE = r"""(["']?){key}\1[ \t]?[:=][ \t]*(?=\S)"""
_NAMES_ANOTHER = re.compile(r"""<\w+=|,\s{0,8}"\w+"\s{0,8}:""")  # or a member of JSON
_FENCE = "```"
_NEWLINE = re.compile(r"\r?\n")


def in_loose(m: Message) -> Step:
    """State: in text where a parameter should open, up to the next tag of a call."""
    call, buffer = m.open_call, m.buffer
    if call.spare is None:
        call.spare = Spare(m.log.mark())
    text, tags = buffer.text, call.place.tags
    tag = tags.search(text, buffer.over, buffer.at)
    buffer.at = tag.start if tag else len(text) if buffer.over else tags.hold_from(text, buffer.at)
    if tag is None and not m.complete:
        return m.go(State.CUT) if buffer.over else Step.MORE
    raw = buffer.since(call.spare.mark.position)
    if tag and tag.kind in CLOSERS:
        return _at_closer(m, call, tag, raw)
    return _leave_unread(m, call, raw) if call.spare.tagged else leave_as_text(m, raw)


def _at_closer(m: Message, call: Call, closer: Tag, raw: str) -> Step:
    """The text is closed. If it cannot be a value, it is prose."""
    follows = _what_follows(m, call, closer)
    if follows is None:
        return Step.MORE
    if call.place.wrapped and _is_said(call, raw, follows):
        return _leave_shown(m, call, raw)
    if follows is FollowedBy.OTHER and not call.place.wrapped:
        return leave_as_text(m, raw)
    return _take_for_value(m, raw, closer)


def _leave_unread(m: Message, call: Call, raw: str) -> Step:
    """The value of a parameter without a name is not clear, and may hold what looks like calls."""
    assert call.spare
    if not m.trial:
        m.log.commit(call.spare.mark)
        m.log.repair(Repair.TEXT_IN_CALL, raw)
        m.log.text(raw)
    return leave_void(m)


def _leave_shown(m: Message, call: Call, raw: str) -> Step:
    """The call is a part of prose, which goes on in it or after it."""
    assert call.spare
    if not m.trial:
        m.log.commit(call.spare.mark)
        m.log.repair(Repair.TEXT_IN_CALL, raw)
        m.log.text(raw)
    return leave_undone(m, Refused.NO_CALL)


def _is_said(call: Call, raw: str, follows: FollowedBy) -> bool:
    """Whether the text cannot be a value: it is an ellipsis, or a word for parameters in brackets; or it has
    lines of its own, and goes on after a closing tag within the last of them."""
    if call.spare and call.spare.tagged:
        return False
    shows = is_ellipsis(raw) or is_placeholder(raw)
    return shows or (follows is FollowedBy.OTHER and "\n" in call.gap and goes_on(raw))


def _what_follows(m: Message, call: Call, closer: Tag) -> FollowedBy | None:
    """What follows the closing tags of the call: if that is prose, the text is prose, too. In an envelope it
    does not count if the call is not closed there. None if more text is needed."""
    wrapped = call.place.wrapped
    if call.spare and call.spare.tagged and wrapped:
        return FollowedBy.END
    run = read_run(call.place, m.buffer, closer.start, Level.VALUE)
    if run is MORE:
        return None
    closed = not wrapped or any(tag.closes_call and tag.spelt for tag in run.tags)
    return run.followed_by if closed else FollowedBy.END


def leave_as_text(m: Message, raw: str) -> Step:
    """It is no value: emit it as text."""
    call = m.open_call
    assert call.spare
    if not (call.certain and call.named):
        return m.reject()
    m.log.commit(call.spare.mark)
    call.spare = None
    m.log.repair(Repair.TEXT_IN_CALL, raw)
    return emit_stray(m, raw)


def _take_for_value(m: Message, raw: str, closer: Tag) -> Step:
    call = m.open_call
    assert call.spare
    if closer.kind is not TagKind.PARAMETER_CLOSE and (found := _fenced_arguments(call, raw)):
        return _give_arguments(m, call, found)
    if call.place.names_key(raw) or (opener := _opener_in(raw, only_key(call))) is None:
        return leave_as_text(m, raw)
    call.certain = True
    value = _value_after(opener, call.gap, raw)
    if value is None:
        return leave_as_text(m, raw)
    call.spare.text, call.spare.value = raw, value
    call.spare.closed = closer.kind is TagKind.PARAMETER_CLOSE
    if call.spare.closed:
        m.buffer.at = closer.end
    call.gap = ""
    return m.go(State.CALL)


def _value_after(opener: str, gap: str, raw: str) -> str | None:
    """The value in a text that begins with what is left of its opening tag; if that is "", the text and the
    gap before it are the value. None for a member of JSON that others follow."""
    value = _without_newline(raw[len(opener) :]) if opener else _without_newline(gap) + raw
    value = value[: break_before(value, 0, len(value))]
    if opener[:1] != '"' or value[:1] != '"':
        return value
    member = loads(value.rstrip(", }\n"))
    return member if isinstance(member, str) else None


def _fenced_arguments(call: Call, raw: str) -> tuple[Json, list[Repair]] | None:
    """All arguments of the call as JSON, if the text is a fence around them, and how they were read."""
    text = raw.strip()
    if not (text.startswith(_FENCE) and text.endswith(_FENCE)):
        return None
    found = read_arguments(text.partition("\n")[2].removesuffix(_FENCE).strip(), call.tool)
    return found if found and call.tool.required <= found[0].keys() <= call.tool.arguments.declared else None


def _give_arguments(m: Message, call: Call, found: tuple[Json, list[Repair]]) -> Step:
    """The text is all arguments."""
    assert call.spare
    m.log.commit(call.spare.mark)
    call.spare, call.certain, call.body_done = None, True, True
    for repair in found[1]:
        m.log.repair(repair, call.tool.name)
    give_all(m, call, found[0])
    return m.go(State.CALL)


def _opener_in(text: str, key: str) -> str | None:
    """What is left of an opening tag at the beginning of a value; "" if nothing is, None if it names
    another parameter."""
    if not key:
        return ""
    line = text.partition("\n")[0].rstrip()
    if len(line) >= OPENER_PREFIX and f"<parameter={key}>".startswith(line):
        return line
    for like in (_TAG_LIKE, _KEY_LIKE):
        if opener := re.match(like.format(key=re.escape(key)), text):
            return opener[0]
    return None if _NAMES_ANOTHER.match(text) else ""


def _without_newline(text: str) -> str:
    """The text without one line break at its beginning."""
    newline = _NEWLINE.match(text)
    return text[newline.end() :] if newline else text
