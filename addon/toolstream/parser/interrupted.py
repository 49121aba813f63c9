"""A call that the server parsed follows the text.

What waits may be its beginning, which was left in the text: that is none. And behind that call stands what
stands behind any.
"""

from __future__ import annotations

import re

from ..grammar.likeness import is_structural
from ..grammar.tokens import OPEN
from ..repairs import Refused, Repair
from .message import At, Before, Message, Step

_WORD = re.compile(rf"[{OPEN}\\[({{|/ ]{{0,4}}(\w+)")


def drop_opener(m: Message) -> None:
    """Drop opening tags that wait, or the beginning of one; and closing tags that close nothing."""
    if m.trial and m.trial.why is None:
        m.accept()
    if m.trial or m.at not in (At.TEXT, At.ENVELOPE, At.AFTER) or m.context.quoted or m.context.code_span:
        return
    waits = m.buffer.text[m.seen :]
    if _is_of_a_call(m, waits):
        m.log.repair(Repair.STRAY_OPENER, waits)
        m.drop(len(m.buffer.text))
        m.go(At.TEXT)


def _is_of_a_call(m: Message, waits: str) -> bool:
    """Whether what waits is a tag of a call or begins as one: other text has its tags, too."""
    if waits in tuple(OPEN):
        return m.context.at_line_start
    text, tags = m.buffer.text, m.lookout.after
    if waits.strip() and (tags.match(text, m.seen) or tags.may_begin(text, m.seen)):
        return True
    found = _WORD.match(waits)
    return found is not None and is_structural(found[1])


def break_off(m: Message, why: Refused | None) -> Step:
    """The message ends in what is on trial: that is text. But beside a call of the server's it goes if it has
    said nothing but its tags, or is the beginning of the one that follows."""
    assert m.trial
    if (m.served >= 0 or m.followed is not None) and m.call and not (m.call.named and m.call.begun):
        return m.abandon()
    if m.followed is None:
        return m.reject(why)
    raw = m.buffer.since(m.trial.position) + m.buffer.unread
    if m.call.tool.name in m.followed if m.call else any(f'"{name}"' in raw for name in m.followed):
        return m.abandon()
    return m.reject(why)


def go_behind_call(m: Message) -> None:
    """The server's call is what the next text stands behind."""
    if m.at is At.LITERAL or not m.tolerant or m.context.quoted or m.context.thinking:
        return
    m.context.function_said = False
    m.context.new_line()
    m.before, m.served, m.live = Before.CALL, m.buffer.position, False
    m.known = m.buffer.position
    m.go(At.AFTER)
