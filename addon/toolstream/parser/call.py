"""Inside a call, between its parameters: exactly one kind of thing can stand there, a tag.

A call whose opening tag names no tool is read without types. Once it is complete, its parameters tell
which tool is meant, if they fit only one; otherwise it was text. A call that the user's rules may turn
into a call of another tool is not announced before it is complete either.
"""

from __future__ import annotations

import re

from ..events import CallEnd, CallStart
from ..grammar.grammar import is_canonical
from ..grammar.kinds import MORE, Cost, Following, TagKind, Wait
from ..grammar.matcher import Tag
from ..grammar.text import BLANK, WHITESPACE, end_of
from ..grammar.tokens import end_of as tag_end
from ..grammar.tokens import opens_json
from ..limits import LOOK_AHEAD, UNTAGGED_GAP
from ..repairs import Refused, Repair
from ..schema.arguments import ArgumentsWriter, DeferredArguments, typed
from ..schema.tool_name import Opening
from .json_call import arguments_follow
from .message import At, Envelope, Message, Step
from .opened import Call
from .place import Behind, Level, Place
from .readings import BY_PLACE, moved
from .value import end_by_message, open_value
from .whole_calls import say_arguments

CONTAINERS = ("arguments", "parameters")  # what models call a parameter that holds all of them

_GO_ON = (TagKind.PARAMETER_OPEN, TagKind.CALL_OPEN, TagKind.CALL_CLOSE, Following.MORE)
_SURPLUS = re.compile(rf"[{BLANK})}}\]]{{0,{LOOK_AHEAD}}}")


def start_call(m: Message, opening: Opening | None, *, closed: bool, certain: bool = True) -> Step:
    """A call begins at `buffer.at`; without an `opening` its tag names no tool. See `Call` for the rest."""
    tool = opening.tool if opening else m.toolset.any_tool
    m.count_call(opening.tool.name if opening else "")
    place = Place(m.toolset, m.grammar, tool, opening is not None, wrapped=m.envelope is Envelope.OPEN)
    m.call = Call(m.calls - 1, tool, place, DeferredArguments(), opening is not None, closed, certain)
    if opening:
        _announce(m, m.call, opening)
    return m.go(At.CALL)


def _announce(m: Message, call_: Call, opening: Opening) -> None:
    """The tool of the call is known, and what its tag said of its arguments."""
    call_.tool = opening.tool
    rules = m.toolset.rules_for(opening.tool)
    if rules is None or rules.live:
        m.log.emit(CallStart(call_.index, opening.tool.name))
        call_.writer = ArgumentsWriter(opening.tool, rules)
    else:
        call_.deferred, call_.writer = True, DeferredArguments()
    call_.half_said = bool(opening.given)
    for key, text in opening.given:
        give(m, key, text)


def opened(m: Message) -> Call:
    """The call that is open."""
    assert m.call
    return m.call


def give(m: Message, key: str, text: str) -> None:
    """A whole value at once."""
    writer = opened(m).writer
    m.fragment(writer.begin(key) + writer.feed(text) + writer.end())


def call(m: Message) -> Step:
    """State: between the parameters."""
    call_, buffer = opened(m), m.buffer
    if call_.body_done:
        return _behind_body(m, call_)
    call_.gap = (call_.gap + buffer.take(end_of(WHITESPACE, buffer.text, buffer.at)))[-UNTAGGED_GAP:]
    tag = _tag(m, call_, buffer.at)
    if tag is MORE:
        return Step.MORE
    if tag is None:
        return _no_tag(m, call_)
    call_.gap = ""
    match tag.kind:
        case TagKind.PARAMETER_OPEN if _lacks_slash(call_, tag):
            return has_text(m)
        case TagKind.PARAMETER_OPEN:
            return _at_parameter(m, call_, tag)
        case TagKind.PARAMETER_CLOSE | TagKind.STRAY:
            return _drop(m, Repair.STRAY_CLOSER, tag)
        case TagKind.CALL_CLOSE if kind := _after_early(m, call_, tag):
            return Step.MORE if kind is Following.MORE else _drop(m, Repair.STRAY_CLOSER, tag)
        case TagKind.CALL_CLOSE:
            return _close(m, tag)
        case TagKind.WRAP_CLOSE | TagKind.WRAP_OPEN if not call_.named:
            return end_call(m)
        case TagKind.WRAP_OPEN | TagKind.CALL_OPEN if kind := _opened_again(m, call_, tag):
            return Step.MORE if kind is Following.MORE else _drop(m, Repair.STRAY_OPENER, tag)
        case _ if call_.named:
            use_spare(m, call_)
            _miss_close(m, call_, tag.raw)
            return end_call(m)
    return m.reject()


def _tag(m: Message, call_: Call, at: int) -> Tag | Wait | None:
    """The tag at this index."""
    text, over, base, place = m.buffer.text, m.buffer.over, m.buffer.base, call_.place
    if at >= len(text):
        return None if over else MORE
    if believed := place.believed(base + at):
        return moved(believed, -base)
    if tag := place.tags.match(text, at):
        return place.with_name(tag, text, over)
    if place.tags.may_begin(text, at):
        return None if over else MORE
    if not m.tolerant:
        return None
    if text[at] == "{" and not call_.begun:
        json = opens_json(text, at, over)
        if json:
            return MORE if json is MORE else None
    choice = place.choose(text, at, over, Level.CALL, base)
    if choice is MORE or choice is None:
        return choice
    tag = choice.tag
    if tag.kind is TagKind.PARAMETER_OPEN or tag.spelt:
        return tag
    if tag.kind is TagKind.PARAMETER_CLOSE and tag.cost is Cost.ALIKE:
        return tag
    run = place.run(text, at, over, Level.CALL, base)
    if run is MORE:
        return MORE
    return tag if run.tags and run.behind is not Behind.OTHER else None


def _no_tag(m: Message, call_: Call) -> Step:
    buffer = m.buffer
    text, at = buffer.text, buffer.at
    if at >= len(text) or call_.place.tags.may_begin(text, at):
        return m.go(At.CUT) if buffer.over else Step.MORE
    if text[at] == ">" and m.tolerant and not call_.gap:  # of the tag before
        return _take(m, at + 1)
    if text[at] == "{" and m.tolerant and not call_.begun and opens_json(text, at, buffer.over) is True:
        return arguments_follow(m, at)
    if only_key(call_) and m.tolerant and not call_.begun:
        return m.go(At.LOOSE)
    return has_text(m)


def _take(m: Message, end: int) -> Step:
    m.buffer.at = end
    return Step.GO


def _drop(m: Message, repair: Repair, tag: Tag) -> Step:
    m.log.repair(repair, tag.raw)
    return _take(m, tag.end)


def _close(m: Message, tag: Tag) -> Step:
    """The call's own closing tag."""
    if tag.dialect.damaged:
        m.log.repair(Repair.DAMAGED_TAG, tag.raw)
    end = tag_end(tag.end, tag.dialect is not BY_PLACE or tag.spelt, m.buffer.text, m.buffer.over)
    if end is MORE:
        return Step.MORE
    m.buffer.at = end
    use_spare(m, opened(m))
    return end_call(m)


def _lacks_slash(call_: Call, tag: Tag) -> bool:
    """Whether a tag would close the call but for its slash, for that parameter has been given."""
    if not tag.dialect.by_name or tag.name not in call_.writer.given:
        return False
    closer = call_.place.tags.match(f"</{tag.name}>", 0)
    return closer is not None and closer.kind in (TagKind.CALL_CLOSE, TagKind.WRAP_CLOSE)


def _opened_again(m: Message, call_: Call, tag: Tag) -> TagKind | Following | None:
    """The kind of an opening tag that was written twice, or too late: the call has nothing of what it
    requires, or no other call can begin there. None if it is neither."""
    if not call_.named or call_.begun:
        return None
    kind, inner = look(m, tag.end) if tag.kind is TagKind.WRAP_OPEN else (tag.kind, tag)
    lacks, name = bool(call_.tool.required), inner.name if inner else ""
    match kind:
        case TagKind.CALL_OPEN if not (lacks and m.toolset.find(name, m.tolerant) is call_.tool):
            return None
        case TagKind.PARAMETER_OPEN if not (lacks or call_.tool.declares(name)):
            return None
    return kind if kind in _GO_ON else None


def look(m: Message, at: int) -> tuple[TagKind | Following, Tag | None]:
    """What follows the whitespace at this index, and the tag, if it is one."""
    text, tags = m.buffer.text, opened(m).place.tags
    at = end_of(WHITESPACE, text, at)
    if tag := tags.match(text, at):
        return tag.kind, tag
    partial = at == len(text) or tags.may_begin(text, at)
    return Following.MORE if partial and not m.buffer.over else Following.OTHER, None


def _after_early(m: Message, call_: Call, closer: Tag) -> TagKind | Following | None:
    """What follows if a call whose tag was a value is closed too early: it lacks something, and parameters
    follow. None if it is not."""
    lacks = call_.half_said and not call_.tool.required <= call_.writer.given
    kind = look(m, closer.end)[0] if lacks else None
    return kind if kind in (TagKind.PARAMETER_OPEN, Following.MORE) else None


def has_text(m: Message) -> Step:
    """Text between parameters: no part of the call, and not ours to drop."""
    call_ = opened(m)
    if not (call_.certain and call_.named):
        return m.reject()
    m.log.repair(Repair.TEXT_IN_CALL, m.buffer.text[m.buffer.at :])
    m.log.text(m.buffer.take(m.buffer.at + 1))
    return m.go(At.STRAY)


def stray(m: Message) -> Step:
    """State: in text between parameters."""
    buffer = m.buffer
    at = buffer.text.find("<", buffer.at)
    m.log.text(buffer.take(at if at >= 0 else len(buffer.text)))
    return m.go(At.CALL) if at >= 0 or buffer.over else Step.MORE


# Parameters


def _at_parameter(m: Message, call_: Call, tag: Tag) -> Step:
    """An opening tag, or `<parameter=K=V</parameter>`, where only the schema tells K from V."""
    key, equals, text = tag.name.partition("=")
    if equals and call_.tool.declares(key.strip()) and not call_.tool.declares(tag.name):
        kind, closer = look(m, tag.end)
        if closer and kind is TagKind.PARAMETER_CLOSE:
            m.log.repair(Repair.DAMAGED_KEY, m.buffer.text[tag.start : closer.end])
            m.buffer.at = closer.end
            give(m, key.strip(), text.strip("\"'"))
            return Step.GO
        if kind is Following.MORE:
            return Step.MORE
    if tag.dialect.damaged and not {*tag.name}.isdisjoint(" \"'"):
        return has_text(m)
    if tag.name in CONTAINERS and not (call_.begun or call_.tool.declares(tag.name)):
        at = end_of(WHITESPACE, m.buffer.text, tag.end)
        if at == len(m.buffer.text) and not m.buffer.over:
            return Step.MORE
        if m.buffer.text[at : at + 1] == "{":
            return arguments_follow(m, at, in_parameter=True)
    return _open(m, call_, tag)


def _open(m: Message, call_: Call, tag: Tag) -> Step:
    key, dialect = tag.name, tag.dialect
    if not any(is_canonical(tag, kept) for kept in m.kept):
        m.log.repair(dialect.repair, tag.raw)
    m.buffer.at = tag.end
    call_.closed = call_.closed or dialect.closed
    m.fragment(call_.writer.begin(key))
    tables = call_.place.open_value(key, dialect, m.kept, call_.writer.given)
    return open_value(m, call_.tool.parameter(key), tables)


# The value of the only parameter, without its opening tag


def only_key(call_: Call) -> str:
    """The parameter that a value without a tag can only belong to; "" if that is open."""
    required = call_.tool.required
    key = next(iter(required)) if len(required) == 1 else ""
    types = call_.tool.parameter(key).types
    return key if call_.named and (not types or "string" in types) else ""


def use_spare(m: Message, call_: Call) -> None:
    """A value without its tag is one if its parameter has not been given by the end of the call."""
    spare, call_.spare = call_.spare, None
    if spare is None:
        return
    m.log.commit(spare.mark)
    key = only_key(call_)
    if key in call_.writer.given:
        m.log.repair(Repair.TEXT_IN_CALL, spare.text)
        m.log.text(spare.text)
    else:
        m.log.repair(Repair.MISSING_PARAMETER_OPEN, spare.text)
        give(m, key, spare.value)


# Behind a body that is one JSON object


def _behind_body(m: Message, call_: Call) -> Step:
    """Only closing tags are missing, and brackets may be one too many."""
    buffer = m.buffer
    text = buffer.text
    buffer.at += text.startswith(")", buffer.at)
    at = end_of(_SURPLUS, text, buffer.at)
    tag = call_.place.tags.match(text, at)
    partial = at == len(text) or call_.place.tags.may_begin(text, at)
    if tag is None and partial and not buffer.over:
        return Step.MORE
    if tag or (buffer.over and at == len(text)):
        buffer.at = at
    if tag and tag.kind is TagKind.PARAMETER_CLOSE:
        return _take(m, tag.end)
    if tag and (tag.kind is TagKind.CALL_CLOSE or any(tag.raw in d.call_close for d in m.kept)):
        buffer.at = tag.end
    else:
        _miss_close(m, call_, text[buffer.at :])
    return end_call(m)


# The end


def cut(m: Message) -> Step:
    """State: the message is over and the call is not. It is mended if the model stopped, else cut off."""
    call_, buffer = opened(m), m.buffer
    if call_.value:
        call_.unclear = call_.unclear or call_.value.calls > 0
        complete = m.complete and not call_.unclear
        end_by_message(m, complete)
    else:
        complete, call_.unclear = m.complete, False
    buffer.at = len(buffer.text)
    if not complete:
        why = Refused.UNCLEAR_END if call_.unclear and m.complete else Refused.TRUNCATED
        if m.trial:
            return m.reject(why)
        if call_.spare:
            m.log.commit(call_.spare.mark)
        m.log.ledger.refuse(why, call_.tool.name)
        m.call = None
        return m.go(At.LITERAL)
    if not (call_.named and call_.certain):
        return m.reject()
    use_spare(m, call_)
    _miss_close(m, call_, call_.tool.name)
    return end_call(m)


def _miss_close(m: Message, call_: Call, excerpt: str) -> None:
    if not call_.closed:
        m.log.repair(Repair.MISSING_FUNCTION_CLOSE, excerpt)


def end_call(m: Message) -> Step:
    """The open call is complete."""
    call_ = opened(m)
    if not call_.named:
        call_.writer.close()
        tool = m.toolset.infer(call_.writer.given)
        if tool is None or not m.toolset.allows(tool.name):
            return m.reject()
        assert isinstance(call_.writer, DeferredArguments)
        m.log.repair(Repair.NAME_INFERRED, tool.name)
        _announce(m, call_, Opening(tool, [], call_.writer.values))
    if not call_.body_done:
        m.fragment(call_.writer.close())
        if call_.deferred:
            _say_deferred(m, call_)
    m.log.emit(CallEnd(call_.index))
    return m.end_call()


def _say_deferred(m: Message, call_: Call) -> None:
    assert isinstance(call_.writer, DeferredArguments)
    texts: dict[str, str] = {}
    for key, text in call_.writer.values:
        if key in texts:
            m.log.repair(Repair.REPEATED_PARAMETER, key)
        texts.setdefault(key, text)
    say_arguments(m, call_, typed(texts.items(), call_.tool), texts)
