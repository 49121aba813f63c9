"""Opens a call: whether its tag may open one here (P3), and whether it is on trial.

All functions are called with `m.seen` at the first tag of the call. They take its function's tag, and the
tags of the envelopes before it (`wraps`). A call that is refused is text, and the ledger says why. A call
is on trial if it is of a tool that is not declared (P2), in the model's thinking (P10), in what may show
it, or has a tag that documents have, too: what comes later tells.
"""

from __future__ import annotations

import re

from ..grammar.kinds import MORE, Cost, TagKind
from ..grammar.likeness import HTML
from ..grammar.tag import Tag
from ..grammar.text import breaks_line, skip_whitespace
from ..grammar.tokens import WORD
from ..repairs import Refused, Repair
from ..schema.schema import Tool
from ..schema.tool_name import Opening, read_opening
from .after_opener import index_after_tag, opens_bare, opens_wrapped
from .call_events import start_call
from .chain import Chain, read_chain
from .definition import is_definition
from .message import Message
from .opening_repairs import note_opening, note_tags
from .prose import is_in_prose
from .states import Envelope, State, Step

_LIST = re.compile(r"<(?:tools|functions)>")  # of declared tools, as in a prompt
_ITEM = re.compile(r"<tool\s")  # of such a list


# Without an envelope


def open_bare(m: Message, tag: Tag) -> Step:
    """<function=…> without <tool_call>: at the start of a line, declared, and followed by a tag or JSON."""
    m.context.function_seen = True
    opening = _read_opening(m, tag)
    if opening is None and (better := m.lookout.openers.match_declared(m.buffer.text, tag.start)):
        tag, opening = better, _read_opening(m, better)
    if opening is None:
        return _open_other(m, tag)
    return _open_declared(m, tag, opening)


def _open_other(m: Message, tag: Tag) -> Step:
    """The tag names no declared tool. By its place, it may be another tag."""
    if not m.buffer.over and m.lookout.openers.may_begin_declared(m.buffer.text, tag.start):
        return Step.MORE
    chain = read_chain(m, tag.start)
    if chain is MORE:
        return Step.MORE
    if chain.wraps and chain.opens:
        return m.go(State.ENVELOPE)
    if chain.tag and (opening := _read_opening(m, chain.tag)):
        return _open_declared(m, chain.tag, opening)
    return m.refuse(Refused.UNDECLARED, tag.end)


def _open_declared(m: Message, tag: Tag, opening: Opening) -> Step:
    """The tag names a declared tool: open a call of it, unless something speaks against that."""
    if why := _why_not_bare(m, tag, opening):
        return m.refuse(why, tag.end)
    if _ends_trial(m, goes_on=m.on_trial_for(Refused.NO_CALL) and is_of_html(tag)):
        return m.reject(again=after_untagged(m))
    return _open_if_followed(m, tag, opening)


def _read_opening(m: Message, tag: Tag) -> Opening | None:
    return read_opening(tag, m.buffer.text, m.toolset, m.grammar.level)


def _why_not_bare(m: Message, tag: Tag, opening: Opening) -> Refused | None:
    """Why no call without an envelope may open here; None if one may."""
    if not m.toolset.allows(opening.tool.name):
        return Refused.FORBIDDEN
    if m.context.thinking and not (m.thinks_apart and not m.calls):
        return Refused.REASONING
    if not m.context.at_line_start:
        return Refused.NOT_AT_LINE_START
    if m.context.in_markup and tag.dialect.common:
        return Refused.IN_MARKUP
    if _gives_others(opening) and _is_doubtful(m, tag, []):
        return Refused.NO_CALL
    return None


def _gives_others(opening: Opening) -> bool:
    """Whether a tag holds values of parameters that its tool does not declare."""
    return not all(opening.tool.declares(key) for key, _ in opening.given)


def _is_doubtful(m: Message, tag: Tag, wraps: list[Tag]) -> bool:
    """Whether documents have such tags, too, and no envelope is open."""
    if m.envelope is Envelope.OPEN:
        return False
    if tag.dialect.repair is Repair.NAME_MISPLACED:
        return not any(wrap.cost is Cost.EXACT and wrap.kind is TagKind.WRAP_OPEN for wrap in wraps)
    in_list = bool(wraps) and _LIST.match(wraps[0].raw) is not None
    common = tag.dialect.by_name or tag.dialect.common or tag.cost is Cost.SHAPE
    return common and (in_list or not wraps)


def _open_if_followed(m: Message, tag: Tag, opening: Opening) -> Step:
    """Open a bare call, if what follows its tag may stand in a call."""
    text, tool, at = m.buffer.text, opening.tool, index_after_tag(m, tag)
    if at is MORE:
        return Step.MORE
    opens = opens_bare(m, tag, tool, at)
    if opens is MORE:
        return Step.MORE
    defines = opens and is_definition(m, tag, opening, at)
    if defines:
        return Step.MORE if defines is MORE else m.refuse(Refused.NO_CALL, tag.end)
    if opens:
        return _open(m, tag, opening, [])
    if m.tolerant and len(tool.required) == 1 and breaks_line(text, tag.end):
        m.begin_trial(Refused.NO_CALL, at_end=False)
        return _open(m, tag, opening, [], certain=False)
    return m.refuse(Refused.NO_CALL, tag.end)


def is_at_bare(m: Message) -> bool:
    """Whether an exact function's tag without an envelope waits for the tag that has to follow it."""
    tag = m.lookout.openers.match(m.buffer.text, m.seen)
    if tag is None or tag.kind is not TagKind.CALL_OPEN or not tag.exact or tag.dialect.by_name:
        return False
    waits = skip_whitespace(m.buffer.text, tag.end) == len(m.buffer.text)
    return waits and not tag.ends_itself and tag.name in m.toolset.tools


# In an envelope


def open_wrapped(m: Message, tag: Tag, wraps: list[Tag]) -> Step:
    """<function=…> in an envelope. An undeclared tool is on trial."""
    opening = _read_opening(m, tag)
    if why := _why_not_wrapped(m, tag, opening):
        return m.refuse(why, tag.end)
    first = wraps[0].end if wraps else tag.end
    if _lists_tools(tag, wraps):
        return m.refuse(Refused.NO_CALL, first)
    if opening and _ends_trial(m, goes_on=m.context.thinking):
        return _reject_before(m)
    opens = opens_wrapped(m, tag, opening)
    if opens is MORE:
        return Step.MORE
    if not opens:
        return m.refuse(Refused.NO_CALL, first)
    if _thinks_again(m):
        return m.refuse(Refused.REASONING, tag.end)
    return _open(m, tag, opening or _try_undeclared(m, tag.name), wraps)


def _reject_before(m: Message) -> Step:
    """What is on trial is text, because a further call opens here."""
    if (again := after_untagged(m)) is not None:
        return m.reject(again=again)
    m.reject()
    m.context.new_line()  # directly after a call counts as the start of a line
    m.envelope = Envelope.REFUSED
    return Step.GO


def _try_undeclared(m: Message, name: str) -> Opening:
    """A call of a tool that is not declared is on trial: it counts if the message ends with it."""
    m.begin_trial(Refused.UNDECLARED, at_end=True)
    m.log.repair(Repair.UNDECLARED_NAME, name)
    return Opening(Tool(name))


def _lists_tools(tag: Tag, wraps: list[Tag]) -> bool:
    """Whether these are the tags of a list of declared tools, as in a prompt."""
    return bool(wraps and _LIST.match(wraps[0].raw) and _ITEM.match(tag.raw))


def _thinks_again(m: Message) -> bool:
    """Whether the model thinks after a call: what it writes there is only a call after another one."""
    return m.context.thinking and m.calls > 0 and not m.trial


def _why_not_wrapped(m: Message, tag: Tag, opening: Opening | None) -> Refused | None:
    """Why no call in an envelope may open here; None if one may, of an undeclared tool on trial."""
    if opening:
        return None if m.toolset.allows(opening.tool.name) else Refused.FORBIDDEN
    may_be_any = m.tolerant and m.toolset.any_allowed and not m.context.thinking
    may_be_any = may_be_any and any(map(str.isalnum, tag.name))  # `<function=...>` in a template
    return None if may_be_any else Refused.UNDECLARED


def open_nameless(m: Message, tag: Tag, wraps: list[Tag]) -> Step:
    """Parameters without a function: a call if they fit exactly one tool, once it is complete."""
    if m.trial and not m.doubt:
        return m.reject()
    if m.context.thinking:
        return m.refuse(Refused.REASONING, tag.end)
    if not (wraps or m.context.at_line_start):
        return m.refuse(Refused.NOT_AT_LINE_START, tag.end)
    if m.context.function_seen and not wraps:
        return m.refuse(Refused.UNDECLARED, tag.end)
    m.begin_trial(Refused.NAMELESS, at_end=False)
    return _open(m, tag, None, wraps)


def _ends_trial(m: Message, goes_on: bool) -> bool:
    """Whether what is on trial only counts at the end of the message, so that a further call makes it text;
    unless it `goes_on` with that call, as what may show or quote calls does."""
    goes_on = goes_on or m.doubt is not None or m.on_trial_for(Refused.FENCED)
    return m.trial is not None and m.trial.at_end and not goes_on


def after_untagged(m: Message) -> int | None:
    """The position of the first JSON call in an envelope if it comes after an untagged one that is on trial.
    That one sinks no other call."""
    trial = m.trial
    if trial is None or not m.on_trial_for(Refused.NOT_ALONE) or m.json_from <= trial.position:
        return None
    before = m.buffer.since(trial.position)[: m.json_from - trial.position]
    return m.json_from if before.strip() else None


def open_json_call(m: Message, chain: Chain) -> Step:
    """JSON in an envelope. Whether it is a call, JSON's own states decide (`json_call`)."""
    if _thinks_again(m):
        return m.refuse(Refused.REASONING, chain.at)
    if after_untagged(m) is None:
        m.json_from = m.buffer.base + m.seen
    _begin_trial_if_shown(m, Refused.INVALID_JSON)
    unknown = chain.worst is Cost.SHAPE  # the envelope may be anybody's, if there is more to the message
    if unknown and (word := WORD.match(chain.wraps[0].raw)):
        m.outside.wrap = word[1]
    m.begin_trial(Refused.NOT_ALONE if unknown else Refused.INVALID_JSON, at_end=unknown)
    _drop_think(m)
    note_tags(m, chain.wraps, None)
    m.drop(chain.at)
    m.json = None
    return m.go(State.JSON)


# The call begins


def _open(m: Message, tag: Tag, opening: Opening | None, wraps: list[Tag], certain: bool = True) -> Step:
    """Begin a call whose tag is in the text. `opening`: what that says; None if it names no tool."""
    in_prose = is_in_prose(m, tag, wraps)
    doubtful = opening is not None and _is_doubtful(m, tag, wraps)
    element = _may_be_element(tag, opening)
    _begin_trial(m, tag, opening, in_prose, doubtful or element)
    _drop_think(m)
    if wraps:
        m.envelope = Envelope.OPEN
    note_opening(m, tag, opening, wraps)
    m.drop(tag.start if tag.kind is TagKind.PARAMETER_OPEN else tag.end)
    step = start_call(m, opening, tag, certain and not (in_prose or element))
    call = m.open_call
    call.in_prose = in_prose
    if doubtful:
        call.awaited, call.direct = call.tool.required, tag.dialect.by_name
        call.needs_all = element or tag.cost is Cost.SHAPE
    return step


def _begin_trial(m: Message, tag: Tag, opening: Opening | None, in_prose: bool, in_document: bool) -> None:
    """Begin a trial, unless there is one, if it is not certain that a call opens: it may be `in_prose`, or an
    element `in_document`."""
    _begin_trial_if_shown(m, Refused.REASONING)
    if in_document or in_prose:
        m.begin_trial(Refused.NO_CALL, at_end=in_document and is_of_html(tag))
    elif _is_sent_whole(m, opening):
        m.begin_trial(Refused.TRUNCATED, at_end=False)


def _begin_trial_if_shown(m: Message, why: Refused) -> None:
    """Begin a trial in the model's thinking, or in an element that may show a call."""
    if m.context.thinking:
        _try_in_thinking(m, why)
    elif m.context.may_show:
        m.begin_trial(Refused.FENCED, at_end=True)


def is_of_html(tag: Tag) -> bool:
    """Whether a tag that is named after a tool is one of HTML, too, as `<select>`. It is a call only if
    nothing but calls follow it."""
    return tag.dialect.by_name and tag.name in HTML


def _may_be_element(tag: Tag, opening: Opening | None) -> bool:
    """Whether only a parameter shows that what follows can be read."""
    needs = opening is not None and bool(opening.tool.required)
    return needs and tag.dialect.repair is Repair.NAME_MISPLACED


def _is_sent_whole(m: Message, opening: Opening | None) -> bool:
    """Whether nothing of a call is sent before it is complete; for one thing, because only then it is known
    which tool it is for."""
    rules = m.toolset.rules_for(opening.tool) if opening else None
    return not m.live or m.is_dropped or (rules is not None and not rules.live)


def _try_in_thinking(m: Message, why: Refused) -> None:
    """In the model's thinking, a call counts only if the message ends with it. Then its <think> is
    closed."""
    if m.trial:
        return
    m.begin_trial(why, at_end=True)
    if not m.reasoning:
        m.log.text("\n</think>")
        m.log.repair(Repair.THINK_CLOSED, m.buffer.text[m.seen :])


def _drop_think(m: Message) -> None:
    """Drop a </think> directly before a call, with the whitespace around it."""
    if m.orphan_think:
        m.log.repair(Repair.ORPHAN_THINK_CLOSE, m.buffer.text[m.buffer.at : m.seen])
        m.orphan_think = False
