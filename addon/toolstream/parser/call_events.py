"""What is emitted for the open call: its beginning, its arguments, its end.

A call whose opening tag names no tool is read without types. When it is complete, its parameters tell
which tool is meant, if they fit only one; otherwise it is text. A call that the user's rules may convert
to another tool is not announced before it is complete, either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..events import ArgumentsDelta, CallEnd, CallStart
from ..grammar.likeness import is_placeholder
from ..grammar.tag import Tag
from ..grammar.text import goes_on, is_ellipsis
from ..grammar.tokens import WORD
from ..limits import STRAY, WORDS
from ..repairs import Refused, Repair
from ..schema.arguments import ArgumentsWriter, DeferredArguments
from ..schema.call_shape import ARGUMENT_KEYS, NAME_KEYS
from ..schema.coercion import FAILED
from ..schema.json_call import read_arguments
from ..schema.json_read import Json
from ..schema.rules import NO_TEXTS
from ..schema.schema import Parameter
from ..schema.tool_name import Opening
from ..schema.values import coerce_leniently
from ..schema.whole_arguments import typed, write_call
from .by_place import is_by_place
from .message import Call, Message
from .place import Place
from .states import Envelope, State, Step

_WORD = re.compile(r"\W{0,4}(\w+)=")  # of a tag that carries a name


# The beginning


def start_call(m: Message, opening: Opening | None, tag: Tag, certain: bool = True) -> Step:
    """A call with this tag begins at `buffer.at`. Without an `opening` it names no tool."""
    needs_no_closer = tag.dialect.needs_no_closer or tag.ends_itself or opening is None
    tool = opening.tool if opening else m.toolset.any_tool
    m.count_call(opening.tool.name if opening else "")
    place = Place(m.toolset, m.grammar, tool, opening is not None, wrapped=m.envelope is Envelope.OPEN)
    if is_by_place(tag) and (word := _WORD.match(tag.raw)):
        place.word = word[1]
    place.speak(*m.spoken, tag.dialect)
    m.spoken = place.spoken
    m.call = Call(
        m.calls - 1, tool, place, DeferredArguments(), opening is not None, needs_no_closer, certain
    )
    m.call.empty = tag.ends_itself
    m.call.lacks_bracket, m.call.lacks_quote = tag.lacks_bracket, tag.lacks_quote
    if opening:
        _announce(m, m.call, opening)
    return m.go(State.CALL)


def _announce(m: Message, call: Call, opening: Opening) -> None:
    """Emit the beginning of the call, now that its tool is known, and the arguments that its tag holds."""
    call.tool = opening.tool
    rules = m.toolset.rules_for(opening.tool)
    if rules is None or rules.live:
        m.log.emit(CallStart(call.index, opening.tool.name))
        call.writer = ArgumentsWriter(opening.tool, rules)
    else:
        call.deferred, call.writer = True, DeferredArguments()
    call.has_value_in_tag = bool(opening.given)
    for key, text in opening.given:
        give(m, key, text)


# The arguments


def give(m: Message, key: str, text: str) -> None:
    """Emit a whole value."""
    writer = m.open_call.writer
    m.fragment(writer.begin(key) + writer.feed(text) + writer.end())


def give_all(m: Message, call: Call, arguments: Json, texts: Mapping[str, str] = NO_TEXTS) -> None:
    """Emit all arguments; and if that was deferred, the beginning of the call. `texts` as for
    `write_call`."""
    name, fragment, repairs = write_call(call.tool, arguments, m.toolset, texts)
    if call.deferred:
        m.log.emit(CallStart(call.index, name))
        call.deferred = False
    m.log.emit(ArgumentsDelta(call.index, fragment))
    for repair, excerpt in repairs:
        m.log.repair(repair, excerpt)


def only_key(call: Call) -> str:
    """The only parameter to which a value without a tag can belong; "" if there is no such parameter."""
    required = call.tool.required
    key = next(iter(required)) if len(required) == 1 else ""
    return key if call.named and call.tool.parameter(key).takes_text else ""


def only_free(call: Call) -> str:
    """The only parameter that a tag without a name can mean: the only one that is required and was not given
    yet, or else the only one that was not given. "" if there are several."""
    given, tool = call.writer.given, call.tool
    free = (tool.required - given) or (tool.arguments.declared - given)
    return next(iter(free)) if call.named and len(free) == 1 else ""


def begin_stray(m: Message) -> Step:
    """Text between parameters begins. It does not belong to the call, but must not be dropped."""
    call = m.open_call
    call.needs_all = call.needs_all or (call.direct and call.is_doubtful())
    if not (call.certain and call.named):
        m.buffer.take(m.buffer.at + 1)  # else the same tag would open the same call again
        return m.reject()
    if (word := WORD.match(m.buffer.text, m.buffer.at)) and len(call.place.inner.words) < WORDS:
        call.place.inner.words[word[1]] = 1  # so its closing tag is text, too
    m.log.repair(Repair.TEXT_IN_CALL, m.buffer.text[m.buffer.at :])
    return emit_stray(m, m.buffer.take(m.buffer.at + 1))


def emit_stray(m: Message, text: str) -> Step:
    """Emit a piece of the text between parameters. More may follow."""
    call = m.open_call
    if call.spare:
        emit_spare(m, call)
    call.stray, call.said = (call.stray + text)[:STRAY], (call.said + text)[-STRAY:]
    m.log.text(text)
    return m.go(State.STRAY)


def emit_spare(m: Message, call: Call) -> None:
    """Emit what may have been a value without its tag: it is text, too."""
    assert call.spare
    m.log.commit(call.spare.mark)
    m.log.repair(Repair.TEXT_IN_CALL, call.spare.text)
    m.log.text(call.spare.text)
    call.stray, call.stray_closed = (
        (call.stray + call.spare.text)[:STRAY],
        call.stray_closed or call.spare.closed,
    )
    call.said, call.spare = "" if call.spare.closed else call.spare.text[-STRAY:], None


def _is_unread(call: Call) -> bool:
    """Whether the text between the parameters names a parameter that was not given, or is one. Without
    it, the call would do something else. (If a required parameter is missing, the client tells the
    model.)"""
    given = call.writer.given
    if not call.stray or not call.tool.required <= given:
        return False
    free = call.tool.arguments.declared - given
    return bool(free) and (call.stray_closed or any(_named(key).search(call.stray) for key in free))


def leave_undone(m: Message, why: Refused) -> Step:
    """The open call is text; if it cannot be taken back, it gets no end."""
    return m.reject(why) if m.trial else m.leave_unended(why, m.open_call.tool)


def leave_void(m: Message) -> Step:
    """The open call is text, or if it cannot be taken back gets no end; and all that follows is text, for it
    may be quoted in the call."""
    if m.trial:
        m.reject(Refused.UNREAD)
        return m.go(State.LITERAL)
    return m.leave_unended(Refused.UNREAD, m.open_call.tool)


def is_example(call: Call) -> bool:
    """Whether a call that holds nothing but text only shows the tags: the text is an ellipsis, a word in
    brackets for the parameters that it needs, or prose that goes on with the closing tag in its line."""
    if call.begun:
        return False
    text = call.stray + call.gap
    needs = bool(call.tool.required) and is_placeholder(text)
    shows = is_ellipsis(text) or (call.in_prose and goes_on(text))
    return needs or (bool(call.stray.strip()) and shows)


def _named(key: str) -> re.Pattern[str]:
    """A pattern for a parameter's name as it occurs in a tag, in JSON, or before its value."""
    word = "[ _-]".join(map(re.escape, re.split("[_-]", key)))
    return re.compile(
        rf"""[=:]["']?{word}(?!\w)|(?<![\w.-]){word}["']?[ \t]?[:=>]|^\W*{word}(?:[ \t]+\S+)?[ \t]*$""", re.M
    )


# The end


def use_spare(m: Message, call: Call) -> None:
    """The call ends. If its parameter was not given, the value without a tag is used for it."""
    spare = call.spare
    if spare is None:
        return
    key = only_free(call) if spare.tagged else only_key(call)
    if not key or key in call.writer.given or not _fits(spare.value, call.tool.parameter(key)):
        emit_spare(m, call)
        return
    call.spare = None
    m.log.commit(spare.mark)
    m.log.repair(Repair.MISSING_PARAMETER_OPEN, spare.text)
    give(m, key, spare.value)


def _fits(text: str, parameter: Parameter) -> bool:
    """Whether a text may be the value of a parameter."""
    return parameter.takes_text or coerce_leniently(text, parameter) is not FAILED


def end_unclosed(m: Message, excerpt: str) -> Step:
    """The open call is complete without its own closing tag."""
    if not m.open_call.needs_no_closer:
        m.log.repair(Repair.MISSING_FUNCTION_CLOSE, excerpt)
    return end_call(m)


def end_call(m: Message) -> Step:
    """The open call is complete."""
    call = m.open_call
    if call.needs_all and call.is_doubtful():
        return m.reject()
    if is_example(call):
        return leave_undone(m, Refused.NO_CALL)
    if _is_unread(call):
        return leave_undone(m, Refused.UNREAD)
    if not (call.named or _announce_meant(m, call)):
        return m.reject()
    if not call.body_done:
        m.fragment(call.writer.close())
        if call.deferred:
            _give_deferred(m, call)
    m.log.emit(CallEnd(call.index))
    return m.end_call()


def _announce_meant(m: Message, call: Call) -> bool:
    """Announce a call without a name, if its parameters tell which tool is meant, and that is allowed. Return
    whether it was."""
    call.writer.close()
    assert isinstance(call.writer, DeferredArguments)
    opening = _meant(m, call.writer.values, call.late_name)
    if opening is None or not m.toolset.allows(opening.tool.name):
        return False
    for repair, excerpt in opening.repairs:
        m.log.repair(repair, excerpt)
    if not _give_all_in_one(m, call, opening):
        _announce(m, call, opening)
    return True


def _give_all_in_one(m: Message, call: Call, opening: Opening) -> bool:
    """Emit a call whose only parameter is one that the tool does not declare and that holds all arguments, as
    JSON. Return False if it is no such call."""
    key, text = opening.given[0] if len(opening.given) == 1 else ("", "")
    is_all = key in ARGUMENT_KEYS and not opening.tool.declares(key)
    found = read_arguments(text, opening.tool) if is_all else None
    if found is None:
        return False
    _announce(m, call, replace(opening, given=[]))
    for repair in found[1]:
        m.log.repair(repair, text)
    give_all(m, call, found[0])
    call.body_done = True
    return True


def _meant(m: Message, values: Sequence[tuple[str, str]], late: str) -> Opening | None:
    """The tool that a call without a name means: the one that was named `late`, the only one that has all of
    its parameters, or the one that a parameter names. None if it is not clear."""
    if tool := m.toolset.find(late):
        return Opening(tool, given=list(values))
    fitting = m.toolset.infer({key for key, _ in values})
    for at, (key, text) in enumerate(values):
        tool = m.toolset.find(text.strip()) if key in NAME_KEYS else None
        if tool and not tool.declares(key):
            others = [*values[:at], *values[at + 1 :]]
            return None if fitting else Opening(tool, [(Repair.NAME_MISPLACED, text)], others)
    return Opening(fitting, [(Repair.NAME_INFERRED, fitting.name)], list(values)) if fitting else None


def _give_deferred(m: Message, call: Call) -> None:
    assert isinstance(call.writer, DeferredArguments)
    texts: dict[str, str] = {}
    for key, text in call.writer.values:
        if key in texts:
            m.log.repair(Repair.REPEATED_PARAMETER, key)
        texts.setdefault(key, text)
    give_all(m, call, typed(texts.items(), call.tool), texts)
