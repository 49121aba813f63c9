"""At the opening tag of an envelope: what is inside decides whether a call opens.

`<tool_call>` may hold a function, parameters without a function, JSON, or nothing; or it was only
mentioned. After a call it may also be surplus.
"""

from __future__ import annotations

from ..grammar.kinds import MORE, TagKind, Wait
from ..grammar.tag import Tag
from ..grammar.text import WHITESPACE, end_of, ends_line
from ..repairs import Refused, Repair
from .by_place import index_after, is_by_place
from .chain import Chain, read_chain
from .json_head import read_head
from .message import Message
from .opening import open_json_call, open_nameless, open_wrapped
from .states import Before, State, Step


def at_envelope(m: Message) -> Step:
    """State: at <tool_call>. What is inside of it?"""
    chain = read_chain(m, m.seen)
    if chain is MORE:
        return Step.MORE
    m.fence = chain.fence
    if chain.json:
        return open_json_call(m, chain)
    if chain.tag:
        return _open(m, chain, chain.tag)
    return _nothing(m, chain)


def _open(m: Message, chain: Chain, tag: Tag) -> Step:
    match tag.kind:
        case TagKind.WRAP_CLOSE:
            return _at_closer(m, tag, chain.wraps)
        case TagKind.CALL_OPEN:
            return open_wrapped(m, tag, chain.wraps)
        case TagKind.WRAP_OPEN:
            return _refuse(m, chain)
    return open_nameless(m, tag, chain.wraps)


def _at_closer(m: Message, tag: Tag, wraps: list[Tag]) -> Step:
    """The envelope is empty; or it was closed too early, and what can only stand in an envelope follows."""
    inner = read_chain(m, index_after(m.buffer.text, tag), inside=True) if m.tolerant else None
    if inner is MORE:
        return Step.MORE
    opens = inner is not None and not inner.wraps and _opens_inside(m, inner)
    if opens is MORE:
        return Step.MORE
    if inner is None or not opens:
        return _empty(m, tag.end, any(map(is_by_place, wraps)))
    inner.wraps = [*wraps, tag]
    return open_json_call(m, inner) if inner.tag is None else open_wrapped(m, inner.tag, inner.wraps)


def _opens_inside(m: Message, chain: Chain) -> bool | Wait:
    """Whether a call of a declared tool follows that could not stand outside of an envelope."""
    if chain.tag:
        misplaced = chain.tag.dialect.repair is Repair.NAME_MISPLACED
        return misplaced and m.toolset.find(chain.tag.name) is not None
    head = read_head(m.buffer.text, chain.at, m.buffer.over) if chain.json else None
    return head if head is MORE else head is not None and m.toolset.find(head.name) is not None


def _empty(m: Message, end: int, by_place: bool) -> Step:
    """Drop an empty envelope directly after a call, or alone on its lines. In prose it is only mentioned.
    `by_place`: its tag is in no dialect table, so a document may have it."""
    if m.tolerant and m.before is Before.CALL:
        return _drop_empty(m, end, State.AFTER)
    following = end_of(WHITESPACE, m.buffer.text, end)
    if following == len(m.buffer.text) and not (m.buffer.over or m.before is Before.CALL):
        return Step.MORE
    is_of_document = by_place or m.reasoning
    if not m.tolerant or is_of_document or not _is_alone(m, end, following):
        return m.refuse(Refused.NO_CALL, end)
    m.emit_all(m.seen)
    return _drop_empty(m, end, State.TEXT)


def _drop_empty(m: Message, end: int, state: State) -> Step:
    m.log.repair(Repair.EMPTY_ENVELOPE, m.buffer.text[m.seen : end])
    m.drop(end)
    return m.go(state)


def _is_alone(m: Message, end: int, following: int) -> bool:
    """Whether an envelope that ends at `end` is alone on its lines. If the message has text, only a tag, or
    nothing, may come after it, at the index `following`."""
    if not m.context.at_line_start or not ends_line(m.buffer.text, end):
        return False
    return not m.context.has_text or m.buffer.text[following : following + 1] in ("", "<")


def _nothing(m: Message, chain: Chain) -> Step:
    """No call opens. After a call, tags that the message ends with are surplus."""
    at_end = _ends_message(m, chain.at)
    surplus = m.before is Before.CALL and (at_end or _ends_turn(m, chain.at))
    if not (surplus and m.tolerant):
        return _refuse(m, chain)
    for wrap in chain.wraps:
        m.log.repair(Repair.STRAY_OPENER, wrap.raw)
    m.drop(len(m.buffer.text) if at_end else chain.at)
    return m.go(State.AFTER)


def _ends_message(m: Message, at: int) -> bool:
    """Whether the message ends at `at`, or in the beginning of a tag there, because the model has stopped by
    itself, or a call of the server follows."""
    ends = at >= len(m.buffer.text) or m.lookout.envelope.may_begin(m.buffer.text, at)
    return ends and (m.complete or m.followed is not None)


def _refuse(m: Message, chain: Chain) -> Step:
    """The first tag opens no call; nor do the others, if it is the same one again and again."""
    return m.refuse(Refused.NO_CALL, chain.wraps[-1 if chain.loops else 0].end)


def _ends_turn(m: Message, at: int) -> bool:
    """Whether the turn ends at `at`."""
    tag = m.lookout.after.match(m.buffer.text, at)
    return tag is not None and tag.kind is TagKind.STRAY
