"""The opening tag of a parameter: its name, which may be damaged or missing, and a value within the tag."""

from __future__ import annotations

import re
from dataclasses import replace

from ..grammar.grammar import keeps_to
from ..grammar.kinds import MORE, TagKind, Wait
from ..grammar.likeness import is_placeholder
from ..grammar.tag import Tag
from ..grammar.text import WHITESPACE, breaks_line, end_of, skip_whitespace
from ..limits import LOOK_AHEAD
from ..repairs import Refused, Repair
from ..schema.call_shape import ARGUMENT_KEYS
from .call_events import begin_stray, give, leave_undone, only_free
from .definition import VALUE, declares
from .lost_bracket import before_value, without_value
from .message import Call, Message, Spare
from .open_value import Value
from .prose import value_goes_on
from .states import State, Step
from .value_in_tag import end_of_parameter, next_tag
from .value_place import enter_value

_TO_QUOTE = re.compile(r'([^"<>\n]{1,128})"[ \t]{0,8}>?(?=[ \t]{0,8}<)')  # of a value in quotes, the rest
_NAMELESS = re.compile(r"""<parameter\s?(?:=\s?["']*)?>""")
_ODD = re.compile(r"""[ "']""")  # characters that no name has


def all_arguments(m: Message, at: int, in_parameter: bool = False) -> Step:
    """The bracket at this index opens all arguments, as JSON."""
    call = m.open_call
    m.buffer.at, call.in_parameter = at, in_parameter
    call.certain = call.certain or call.in_prose
    return m.go(State.JSON)


def at_parameter(m: Message, call: Call, tag: Tag) -> Step:
    """The opening tag of a parameter, or what is left of one."""
    if not tag.name:
        return _at_nameless(m, call, tag)
    opener = without_value(tag, m.buffer.text, m.buffer.over) if m.tolerant else tag
    return Step.MORE if opener is MORE else _at_named(m, call, opener)


def _at_named(m: Message, call: Call, tag: Tag) -> Step:
    """The opening tag of a parameter with a name in it."""
    key, equals, text = tag.name.partition("=")
    if equals and call.tool.declares(key.strip()) and not call.tool.declares(tag.name):
        if step := _give_in_tag(m, call, tag, key.strip(), text):
            return step
        tag = tag if text else replace(tag, name=key)  # the `=` stands for the bracket
    return _open(m, call, tag) if call.tool.declares(tag.name) else _at_undeclared(m, call, tag)


def _at_undeclared(m: Message, call: Call, tag: Tag) -> Step:
    """The opening tag of a parameter whose name is not declared as it stands there."""
    if not any(map(str.isalnum, tag.name)):  # `<parameter=...>` in a template
        return leave_undone(m, Refused.NO_CALL)
    if again := _names_tool_again(m, call, tag):
        if again is MORE:
            return Step.MORE
        m.log.repair(Repair.STRAY_OPENER, tag.raw)
        m.buffer.at = tag.end
        return Step.GO
    found = _before_value(m, call, tag)
    if not isinstance(found, Tag):
        return Step.MORE if found is MORE else begin_stray(m)
    is_all = found.name in ARGUMENT_KEYS and not call.begun
    return _at_all_arguments(m, call, found) if is_all else _open(m, call, found)


def _names_tool_again(m: Message, call: Call, tag: Tag) -> bool | Wait:
    """Whether a parameter is named after the tool of a call that has no arguments yet, and the next tag is
    that of one of its parameters, or ends it."""
    if call.begun or not (call.named and m.tolerant and m.toolset.find(tag.name) is call.tool):
        return False
    following = next_tag(m, tag.end)
    if not isinstance(following, Tag):
        return following or False
    opens = following.kind is TagKind.PARAMETER_OPEN and call.tool.declares(following.name)
    return opens or following.kind is TagKind.CALL_CLOSE


def _before_value(m: Message, call: Call, tag: Tag) -> Tag | Wait | None:
    """A tag whose name is not declared: if it has lost its bracket, or has characters in its name that no
    name has, the part of it that is left before a value. None if that is no tag."""
    has_odd_name = _ODD.search(tag.name) is not None
    if not (tag.lacks_bracket or has_odd_name):
        return tag
    free = call.tool.arguments.declared - call.writer.given
    opener = before_value(m.buffer.text, tag.start, m.buffer.over, free)
    return None if opener is None and has_odd_name else opener or tag


def _at_nameless(m: Message, call: Call, tag: Tag) -> Step:
    """The opening tag of a parameter without a name. It means the last one that is left. If there are more,
    only the rest of the call can tell which one it is, so its value waits for that."""
    tag = _with_late_bracket(m, tag)
    has_value = _value_follows(m, tag)
    if has_value is MORE:
        return Step.MORE
    if has_value and (key := _last_key(call)):
        return _open(m, call, replace(tag, name=key))
    if not has_value and _stands_for_all(m, call, tag):
        return leave_undone(m, Refused.NO_CALL)
    m.log.repair(Repair.STRAY_OPENER, tag.raw)
    m.buffer.at = tag.end
    return _wait_for_name(m, call) if has_value and call.named and not call.spare else Step.GO


def _stands_for_all(m: Message, call: Call, tag: Tag) -> bool:
    """Whether a word in brackets stands for all parameters of the call: its closing tag follows on another
    line."""
    if call.begun or not call.tool.required or not is_placeholder(tag.raw):
        return False
    at = skip_whitespace(m.buffer.text, tag.end)
    following = m.place.tags.match(m.buffer.text, at)
    return following is not None and following.closes_call and breaks_line(m.buffer.text, tag.end)


def _with_late_bracket(m: Message, tag: Tag) -> Tag:
    """A tag that lacks its bracket, with the one that comes after whitespace."""
    text = m.buffer.text
    at = end_of(WHITESPACE, text, tag.end)
    if tag.lacks_bracket and text.startswith(">", at):
        return replace(tag, raw=text[tag.start : at + 1], end=at + 1)
    return tag


def _value_follows(m: Message, tag: Tag) -> bool | Wait:
    """Whether text follows a tag, and not another one."""
    text, at = m.buffer.text, end_of(WHITESPACE, m.buffer.text, tag.end)
    following = next_tag(m, tag.end) if at - tag.end <= LOOK_AHEAD else None
    if following is MORE:
        return MORE
    return following is None and at < len(text) and not _NAMELESS.match(text, at)


def _wait_for_name(m: Message, call: Call) -> Step:
    """A value begins after this whitespace, and nothing tells yet of which parameter."""
    call.gap = m.buffer.take(end_of(WHITESPACE, m.buffer.text, m.buffer.at))
    call.spare = Spare(m.log.mark(), tagged=True)
    return m.go(State.LOOSE)


def _last_key(call: Call) -> str:
    """The only parameter that was not given yet, if it may be a string; "" if there is no such parameter."""
    key, left = only_free(call), call.tool.arguments.declared - call.writer.given
    return key if len(left) == 1 and call.tool.parameter(key).takes_text else ""


def _at_all_arguments(m: Message, call: Call, tag: Tag) -> Step:
    """`<parameter=arguments>`: if an object follows, it is all arguments."""
    at = end_of(WHITESPACE, m.buffer.text, tag.end)
    if at == len(m.buffer.text) and not m.buffer.over:
        return Step.MORE
    if m.buffer.text[at : at + 1] == "{":
        return all_arguments(m, at, in_parameter=True)
    return _open(m, call, tag)


def _give_in_tag(m: Message, call: Call, tag: Tag, key: str, text: str) -> Step | None:
    """`<parameter=K=V>`: give the value, unless other text follows the tag; then return None."""
    end = end_of_parameter(m, call, tag, key, text)
    if end is MORE or end is None:
        return Step.MORE if end is MORE else None
    m.log.repair(Repair.DAMAGED_KEY, m.buffer.text[tag.start : end])
    m.buffer.at, call.certain = end, True
    give(m, key, text.strip("\"'"))
    return Step.GO


def _open(m: Message, call: Call, tag: Tag) -> Step:
    if call.is_doubtful() and declares(tag):
        return m.reject()
    attribute, goes_on = _attribute_value(m, tag), value_goes_on(m, call, tag)
    if attribute is MORE or goes_on is MORE:
        return Step.MORE
    if not keeps_to(tag, m.kept):
        m.log.repair(tag.repair, tag.raw)
    if attribute:
        text, m.buffer.at = attribute
        give(m, tag.name, text)
        return Step.GO
    if not goes_on and _proves_call(m, call, tag.name):
        m.accept()  # now it is known that the call can be read
    call.certain = call.certain or not goes_on
    return begin_value(m, call, tag)


def _proves_call(m: Message, call: Call, key: str) -> bool:
    """Whether what may have been an element of a document is a call, now that this parameter opens, and
    nothing of it waits for anything else."""
    may_leave = m.live and m.log.parallel and not (call.deferred or call.spare)
    on_trial = m.on_trial_for(Refused.NO_CALL) and m.trial is not None and not m.trial.at_end
    return may_leave and on_trial and not call.is_doubtful(key)


def begin_value(m: Message, call: Call, tag: Tag) -> Step:
    """The value of a parameter begins after this tag."""
    m.buffer.at = tag.end
    call.needs_no_closer = call.needs_no_closer or tag.dialect.needs_no_closer
    m.fragment(call.writer.begin(tag.name))
    tables = enter_value(call.place, tag, m.kept, call.writer.given)
    call.value = Value.of(call.tool.parameter(tag.name), tables, tag, call.place.is_tight)
    return m.go(State.VALUE)


def _attribute_value(m: Message, tag: Tag) -> tuple[str, int] | Wait | None:
    """The value that is an attribute of a parameter's tag, or stands in the quotes of its name, and the index
    where the parameter ends; None if its value is not there."""
    if attribute := VALUE.search(tag.raw) if m.tolerant else None:
        text, end = attribute[2], tag.end
    elif quoted := _TO_QUOTE.match(m.buffer.text, tag.end) if tag.lacks_quote and tag.lacks_bracket else None:
        text, end = quoted[1], quoted.end()
    else:
        return None
    if tag.ends_itself:
        return text, end
    closer = next_tag(m, end)
    if closer is MORE:
        return MORE
    return (text, closer.end) if closer and closer.kind is TagKind.PARAMETER_CLOSE else None
