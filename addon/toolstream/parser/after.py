"""After a call: the closing tag of its envelope, surplus tags and tokens, the next call, text, or the end
of the message.

Whitespace waits here, because only text keeps it. At a closing tag that is in no dialect table, the run
of tags from there on tells what it closes (P21).
"""

from __future__ import annotations

from ..grammar.kinds import CLOSERS, MORE, Cost, TagKind, Wait
from ..grammar.likeness import SYNONYMS, squeeze
from ..grammar.tag import Tag
from ..grammar.text import GAP, WHITESPACE, end_of, read_literal
from ..grammar.tokens import Token, read_tag
from ..limits import AFTER_CALL, WHITESPACE_RUN
from ..repairs import Refused, Repair
from .by_place import OPENERS, is_cut, is_in_table
from .chain import Chain, read_chain, to_its_end
from .event_log import Mark
from .json_head import read_head
from .message import Message
from .openers import is_word
from .opening import after_untagged, is_of_html, open_bare, open_wrapped
from .run import Choice, Level, Run
from .runs import choose, read_run
from .states import Before, Envelope, State, Step

_CLOSING = (TagKind.WRAP_CLOSE, TagKind.CALL_CLOSE, TagKind.PARAMETER_CLOSE, TagKind.STRAY)
_THINK_CLOSE = "</think>"


def after_call(m: Message) -> Step:
    """State: after a call. Closing tags, the next call, or text."""
    text = m.buffer.text
    at = end_of(WHITESPACE, text, m.seen)
    m.show_context(at)
    if at == len(text) and m.buffer.over:
        return _end_message(m)
    if at - m.buffer.at > WHITESPACE_RUN:
        return _leave(m)
    if at == len(text):
        return Step.MORE
    tag = m.lookout.after.match(text, at)
    return _at_tag(m, tag) if tag else _at_no_tag(m, at)


def _at_tag(m: Message, tag: Tag) -> Step:
    match tag.kind:
        case TagKind.STRAY if m.envelope is Envelope.OPEN and m.tolerant:
            return _at_stray(m, tag)
        case TagKind.WRAP_CLOSE if m.envelope is Envelope.REFUSED:
            return _leave(m)
        case kind if kind in _CLOSING:
            return _close(m, tag)
        case TagKind.WRAP_OPEN if m.before is Before.CALL:
            _accept_element(m)
            m.miss_envelope_close()
            return m.go(State.ENVELOPE)
        case TagKind.CALL_OPEN if m.before is Before.CALL:
            return _open(m, tag)
        case TagKind.WRAP_OPEN | TagKind.CALL_OPEN if m.closers_wait:
            return _at_first_call(m, tag)
    return _leave(m)


def _at_first_call(m: Message, tag: Tag) -> Step:
    """A call opens after closing tags that close nothing. Those are dropped, unless this is no call."""
    chain = read_chain(m, tag.start)
    name = chain if chain is MORE else _name_of(m, chain)
    if name is MORE:
        return Step.MORE
    if not (name and m.toolset.find(name)):
        return _leave(m)
    m.accept()
    return m.go(State.TEXT)


def _name_of(m: Message, chain: Chain) -> str | Wait:
    """The name of the tool that is called; "" if there is none."""
    if chain.json:
        head = read_head(m.buffer.text, chain.at, m.buffer.over)
        return MORE if head is MORE else head.name if head else ""
    return chain.tag.name if chain.tag and chain.tag.kind is TagKind.CALL_OPEN else ""


def _at_stray(m: Message, tag: Tag) -> Step:
    """A tag that closes nothing known may be a misspelt closing tag of the envelope."""
    token = read_tag(m.buffer.text, tag.start, m.buffer.over)
    if token is MORE:
        return Step.MORE
    readings = m.outside.alike(token) if token else []
    if not readings or readings[0].kind is not TagKind.WRAP_CLOSE:
        return _close(m, tag)
    closer = to_its_end(m, readings[0])
    return Step.MORE if closer is MORE else _close(m, closer)


def _accept_element(m: Message) -> None:
    """What might have been an element of a page is a call, for nothing but calls follow it."""
    if m.on_trial_for(Refused.NO_CALL):
        m.accept()


def _open(m: Message, tag: Tag) -> Step:
    if not is_of_html(tag):
        _accept_element(m)
    return open_wrapped(m, tag, []) if m.envelope is Envelope.OPEN else open_bare(m, tag)


def _close(m: Message, tag: Tag) -> Step:
    """A closing tag: the envelope's, or a surplus one."""
    if tag.kind is not TagKind.WRAP_CLOSE or m.envelope is Envelope.NONE:
        m.log.repair(Repair.STRAY_CLOSER, tag.raw)
    else:
        m.envelope = Envelope.NONE
        if tag.damaged:
            m.log.repair(Repair.DAMAGED_TAG, tag.raw)
    return _drop(m, tag.end)


def _drop(m: Message, end: int) -> Step:
    m.drop(end)
    m.context.new_line()
    return Step.GO


# Tags that are in no dialect table


def _at_no_tag(m: Message, at: int) -> Step:
    if m.lookout.after.may_begin(m.buffer.text, at):
        return _at_half(m, at) if m.buffer.over else Step.MORE
    step = _at_think(m, at) or _at_fence(m, at)
    if step is None and m.tolerant and not is_word(m.buffer.text, at, m.toolset):
        step = _at_mark(m, at) or _at_damaged_opener(m, at) or _at_damaged_closer(m, at)
    return step or _leave(m)


def _at_mark(m: Message, at: int) -> Step | None:
    """A mark directly after the last tag: the bracket of that tag, or a comma."""
    mark = m.buffer.text[at] if at == m.buffer.at else ""
    if mark == ">":
        m.log.repair(Repair.DAMAGED_TAG, ">")
        return _drop(m, at + 1)
    return _at_comma(m, at) if mark in (",", ";") else None


def _at_half(m: Message, at: int) -> Step:
    """The message ends in what may be the beginning of a tag."""
    text = m.buffer.text
    closes = text.startswith("</", at)
    if not (closes or m.complete or m.followed is not None):
        return _leave(m)
    whole = m.lookout.after.match(f"{text[at:]}>", 0) if m.complete else None
    if whole and whole.kind is TagKind.WRAP_CLOSE and m.envelope is Envelope.OPEN:  # all but its bracket
        m.log.repair(Repair.DAMAGED_TAG, text[at:])
        m.envelope = Envelope.NONE
        return _drop(m, len(text))
    m.log.repair(Repair.STRAY_CLOSER if closes else Repair.STRAY_OPENER, text[at:])
    return _drop(m, len(text))


def _at_think(m: Message, at: int) -> Step | None:
    """A </think> that closes nothing, or the reasoning, is dropped if the message ends with it."""
    text, over = m.buffer.text, m.buffer.over
    may_close = m.reasoning or not m.context.thinking
    found = may_close and read_literal(text, at, _THINK_CLOSE, over)
    if found is not True:
        return Step.MORE if found is MORE else None
    end = end_of(WHITESPACE, text, at + len(_THINK_CLOSE))
    if end < len(text) or end - at > WHITESPACE_RUN:
        return None
    if not over:
        return Step.MORE
    m.log.repair(Repair.STRAY_CLOSER, _THINK_CLOSE)
    return _drop(m, end)


def _at_fence(m: Message, at: int) -> Step | None:
    """The end of the code fence around the call; None if it is not here."""
    found = m.fence != "" and read_literal(m.buffer.text, at, m.fence, m.buffer.over)
    if found is not True:
        return Step.MORE if found is MORE else None
    end = at + len(m.fence)
    m.log.repair(Repair.STRAY_CLOSER, m.fence)
    m.fence = ""
    return _drop(m, end)


def _at_comma(m: Message, at: int) -> Step | None:
    """A comma between the closing tag of a call and that of its envelope."""
    text, end = m.buffer.text, end_of(GAP, m.buffer.text, at + 1)
    tag = m.lookout.after.match(text, end) if m.envelope is Envelope.OPEN else None
    if tag and tag.kind is TagKind.WRAP_CLOSE:
        m.log.repair(Repair.STRAY_CLOSER, text[at])
        return _drop(m, at + 1)
    waits = m.envelope is Envelope.OPEN and (end == len(text) or m.lookout.after.may_begin(text, end))
    return Step.MORE if waits and not (tag or m.buffer.over) else None


def _at_damaged_opener(m: Message, at: int) -> Step | None:
    """The next call, if its first tag is damaged; None if none begins."""
    if m.before is not Before.CALL:
        return None
    chain = read_chain(m, at, inside=m.envelope is Envelope.OPEN)
    if chain is MORE:
        return Step.MORE
    if _begins_envelope(m, chain, at):
        m.miss_envelope_close()
        return m.go(State.ENVELOPE)
    if chain.tag and chain.tag.kind is TagKind.CALL_OPEN and not is_in_table(chain.tag):
        return _open(m, chain.tag)
    return None


def _begins_envelope(m: Message, chain: Chain, at: int) -> bool:
    """Whether the envelope of a call opens at `at`, or one with which the message ends."""
    begins = bool(chain.wraps) and chain.wraps[0].start == at
    return begins and (chain.opens or chain.at >= len(m.buffer.text))


def _at_damaged_closer(m: Message, at: int) -> Step:
    """A closing tag that is in no dialect table."""
    token = read_tag(m.buffer.text, at, m.buffer.over)
    if isinstance(token, Token) and is_cut(token, m.buffer.text):
        readings = m.outside.alike(token)
        return _close(m, readings[0]) if readings and readings[0].kind in _CLOSING else _leave(m)
    level = Level.NOTHING if m.envelope is Envelope.NONE else Level.ENVELOPE
    tag = _believed(m, at, level)
    closer = to_its_end(m, tag) if isinstance(tag, Tag) else tag
    if closer is None:
        return _leave(m)
    return Step.MORE if closer is MORE else _close(m, closer)


def _believed(m: Message, at: int, level: Level) -> Tag | Wait | None:
    """The tag at `at` that closes something. Unless that is sure, the tags in a row from there on are the
    evidence. None if there is no such tag."""
    place = m.outside
    place.wrapped, place.spoken = m.envelope is Envelope.OPEN, m.spoken
    choice = choose(place, m.buffer, at, level)
    if not isinstance(choice, Choice):
        return choice
    if _is_sure(m, choice.tag):
        return choice.tag
    run = read_run(place, m.buffer, at, level)
    if run is MORE:
        return MORE
    proved = run.tags and run.tags[0].kind not in OPENERS and _is_proved(m, run)
    return run.tags[0].moved(-m.buffer.base) if proved else None


def _is_sure(m: Message, tag: Tag) -> bool:
    """Whether a tag closes something, whatever follows it: it is nearly a known one, and cannot open an
    element."""
    awaited = m.envelope is Envelope.OPEN and tag.kind is TagKind.WRAP_CLOSE
    return tag.kind in CLOSERS and tag.cost <= Cost.ALIKE and (awaited or not _is_element(tag))


def _is_proved(m: Message, run: Run) -> bool:
    """Whether what follows the first tag of a run shows that it closes something."""
    if len(run.tags) > 1 and run.tags[1].spelt:
        return True
    ends = run.ends_calls and (run.tags[0].cost <= Cost.ALIKE or m.envelope is Envelope.OPEN)
    return ends or _is_sure(m, run.tags[0])


def _is_element(tag: Tag) -> bool:
    """Whether a tag may open an element of a document: it has no slash, and a word of its own."""
    return "/" not in tag.raw and squeeze(tag.raw) not in SYNONYMS


# The end


def _leave(m: Message) -> Step:
    """Text follows the call."""
    shown = m.trial is not None and _is_shown(m)
    if shown:
        return Step.MORE if shown is MORE else m.reject(again=after_untagged(m))
    m.accept()
    left = m.envelope is Envelope.OPEN and "\n" not in m.buffer.text[m.buffer.at : m.seen]
    m.miss_envelope_close()
    m.envelope, m.fence = Envelope.LEFT if left else Envelope.NONE, ""
    return m.go(State.TEXT)


def _is_shown(m: Message) -> bool | Wait:
    """Whether what is on trial is no call, as text follows it. In an element that may show it, that is so if
    the element ends soon."""
    if m.doubt or not m.on_trial_for(Refused.FENCED):
        return True
    after = m.buffer.text[m.buffer.at : m.buffer.at + AFTER_CALL]
    shown = m.context.shows_up_to(after)
    return MORE if not (shown or m.buffer.over) and len(after) < AFTER_CALL else shown


def _is_call_at_end(m: Message, trial: Mark) -> bool:
    """Whether what is on trial, and ends the message, is a call: the message was not cut off, and no tags are
    missing. Where an element may show the call, tags may be missing, unless the element ends in it."""
    if not m.ended:
        return False
    if m.on_trial_for(Refused.UNREAD) or not m.log.damaged_since(trial):
        return True
    return m.on_trial_for(Refused.FENCED) and not m.context.shows_up_to(m.buffer.since(trial.position))


def _end_message(m: Message) -> Step:
    """The message ends after a call."""
    m.miss_envelope_close()
    if m.server_call_end == m.buffer.position:  # nothing but whitespace follows the server's call
        m.emit_all(len(m.buffer.text))
    m.drop(len(m.buffer.text))
    _accept_element(m)
    if m.trial is None:
        return Step.MORE
    if m.closers_wait and m.context.needs_call:
        return m.reject()
    if m.doubt and not m.doubt.is_whole(m.buffer):
        return m.reject(Refused.UNREAD)
    if not _is_call_at_end(m, m.trial):
        return m.reject(Refused.TRUNCATED)
    m.accept()
    return Step.GO
