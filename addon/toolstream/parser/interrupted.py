"""A call that the server parsed follows the text.

What waits may be the beginning of that call, left behind in the text: then it is no text. And what
follows that call follows it as it would follow any call.
"""

from __future__ import annotations

import re

from ..grammar.brackets import CLOSE, OPEN
from ..grammar.likeness import is_structural
from ..limits import NAME
from ..repairs import Refused, Repair
from .message import Message
from .states import Before, State, Step

_WORD = re.compile(rf"[{OPEN}\\[({{|/ ]{{0,4}}(\w+)[^\s{OPEN}{CLOSE}]{{0,{NAME}}}[{CLOSE}]?")
_NAME = re.compile(r"[\w.:-]*")


def drop_opener(m: Message) -> None:
    """Drop opening tags that wait, or the beginning of one, and closing tags that close nothing."""
    if m.closers_wait:
        m.accept()
    waits = m.buffer.text[m.seen :]
    if _may_wait(m) and _is_of_a_call(m, waits):
        m.log.repair(Repair.STRAY_OPENER, waits)
        m.drop(len(m.buffer.text))
        m.go(State.TEXT)


def _may_wait(m: Message) -> bool:
    """Whether what waits may be tags outside of calls, which are not quoted."""
    outside = m.state in (State.TEXT, State.PLACE, State.ENVELOPE, State.AFTER) and not m.trial
    return outside and not (m.context.quoted or m.context.code_span)


def _is_of_a_call(m: Message, waits: str) -> bool:
    """Whether what waits is a tag of a call, or begins as one. Other text contains tags, too."""
    if waits in tuple(OPEN):
        return m.context.at_line_start
    tags = m.lookout.after
    if waits.strip() and tags.may_begin(waits, 0):
        return True
    tag, found = tags.match(waits, 0), _WORD.match(waits)
    if tag is None and not (found and is_structural(found[1])):
        return False
    end = tag.end if tag else found.end() if found else 0
    return _begins_call(m, waits[end:].lstrip())


def _begins_call(m: Message, rest: str) -> bool:
    """Whether this text, after a tag that waits, is the beginning of the server's call and not prose:
    nothing, the call's name, a tag, or JSON."""
    if rest and rest[0] not in OPEN + "{[":
        name = _NAME.match(rest)
        begun = name[0] if name else ""
        if not (begun and _may_follow(m, begun)):
            return False
        rest = rest[len(begun) :].lstrip()
    return not rest or rest[0] in "{[" or rest in tuple(OPEN) or _is_of_a_call(m, rest)


def _may_follow(m: Message, name: str) -> bool:
    """Whether a call of the server follows whose name begins so."""
    return any(known.startswith(name) for known in m.followed or ())


def break_off(m: Message, why: Refused | None) -> Step:
    """The message ends inside of what is on trial, so it is text. In an answer with calls that the server
    parsed it is dropped if it is nothing but tags, or the beginning of the call that follows."""
    beside = m.server_call_end >= 0 or m.followed is not None
    only_tags = m.call is not None and not (m.call.named and m.call.begun)
    return m.abandon() if (beside and only_tags) or _is_followed(m) else m.reject(why)


def _is_followed(m: Message) -> bool:
    """Whether what is on trial names a call of the server that follows."""
    assert m.trial
    if m.followed is None:
        return False
    if m.call:
        return m.call.tool.name in m.followed
    raw = m.buffer.since(m.trial.position) + m.buffer.unread
    return any(f'"{name}"' in raw for name in m.followed)


def go_past_call(m: Message) -> None:
    """The next text follows a call of the server."""
    if m.state is State.LITERAL or not m.tolerant or m.context.quoted or m.context.thinking:
        return
    m.context.function_seen = False
    m.context.new_line()
    m.before, m.server_call_end, m.live = Before.CALL, m.buffer.position, False
    m.seen_to = m.buffer.position
    m.go(State.AFTER)
