"""The opening tag of a parameter: its name, which may be damaged or missing, and a value within the tag."""

from __future__ import annotations

import re
from dataclasses import replace

from ..grammar.grammar import keeps_to
from ..grammar.kinds import MORE, TagKind, Wait
from ..grammar.tag import Tag
from ..grammar.text import WHITESPACE, end_of
from ..limits import LOOK_AHEAD
from ..repairs import Refused, Repair
from ..schema.call_shape import ARGUMENT_KEYS
from .by_place import before_value
from .message import Call, Message, Spare, State, Step
from .open_call import give, has_text, only_free, open_call
from .open_value import Value
from .prose import value_goes_on
from .runs import enter_value

_VALUE = re.compile(r"""\bvalue\s?=\s?(["'])(.*?)\1""")  # an attribute of a parameter's tag
_DECLARES = re.compile(r"""\s(?:type|required)\s?=""")  # an attribute of a parameter that is only declared
_NAMELESS = re.compile(r"""<parameter\s?(?:=\s?["']*)?>""")
_ODD = re.compile(r"""[ "']""")  # characters that no name has


def all_arguments(m: Message, at: int, in_parameter: bool = False) -> Step:
    """The bracket at this index opens all arguments, as JSON."""
    call = open_call(m)
    m.buffer.at, call.in_parameter = at, in_parameter
    call.certain = call.certain or call.in_prose
    return m.go(State.JSON)


def at_parameter(m: Message, call: Call, tag: Tag) -> Step:
    """The opening tag of a parameter, or what is left of one."""
    if not tag.name:
        return _at_nameless(m, call, tag)
    declares = call.tool.declares
    key, equals, text = tag.name.partition("=")
    if equals and declares(key.strip()) and not declares(tag.name):
        if step := _give_in_tag(m, tag, key.strip(), text):
            return step
        tag = tag if text else replace(tag, name=key)  # the `=` stands for the bracket
    if not declares(tag.name) and _is_odd(tag):
        free = call.tool.arguments.declared - call.writer.given
        opener = before_value(m.buffer.text, tag.start, m.buffer.over, free)
        if opener is MORE:
            return Step.MORE
        if opener is None and _ODD.search(tag.name):
            return has_text(m)
        tag = opener or tag
    if tag.name in ARGUMENT_KEYS and not (call.begun or declares(tag.name)):
        return _at_all_arguments(m, call, tag)
    return _open(m, call, tag)


def _at_nameless(m: Message, call: Call, tag: Tag) -> Step:
    """The opening tag of a parameter without a name. It means the last one that is left. If there are more,
    only the rest of the call can tell which one it is, so its value waits for that."""
    text, at = m.buffer.text, end_of(WHITESPACE, m.buffer.text, tag.end)
    if tag.lacks_bracket and text.startswith(">", at):
        tag = replace(tag, raw=text[tag.start : at + 1], end=at + 1)
        at = end_of(WHITESPACE, text, tag.end)
    following = next_tag(m, tag.end) if at - tag.end <= LOOK_AHEAD else None
    if following is MORE:
        return Step.MORE
    has_value = following is None and at < len(text) and not _NAMELESS.match(text, at)
    key, left = only_free(call), call.tool.arguments.declared - call.writer.given
    is_last = len(left) == 1 and "string" in (call.tool.parameter(key).types or ("string",))
    if key and is_last and has_value:
        return _open(m, call, replace(tag, name=key))
    m.log.repair(Repair.STRAY_OPENER, tag.raw)
    m.buffer.at = tag.end
    if call.spare or not call.named or not has_value:
        return Step.GO
    call.gap = m.buffer.take(at)
    call.spare = Spare(m.log.mark(), tagged=True)
    return m.go(State.LOOSE)


def _at_all_arguments(m: Message, call: Call, tag: Tag) -> Step:
    """`<parameter=arguments>`: if an object follows, it is all arguments."""
    at = end_of(WHITESPACE, m.buffer.text, tag.end)
    if at == len(m.buffer.text) and not m.buffer.over:
        return Step.MORE
    if m.buffer.text[at : at + 1] == "{":
        return all_arguments(m, at, in_parameter=True)
    return _open(m, call, tag)


def _give_in_tag(m: Message, tag: Tag, key: str, text: str) -> Step | None:
    """`<parameter=K=V</parameter>`, where only the schema tells K from V. None if the parameter is not
    closed at once."""
    closer = next_tag(m, tag.end)
    if closer is MORE:
        return Step.MORE
    if closer is None or closer.kind is not TagKind.PARAMETER_CLOSE:
        return None
    m.log.repair(Repair.DAMAGED_KEY, m.buffer.text[tag.start : closer.end])
    m.buffer.at = closer.end
    give(m, key, text.strip("\"'"))
    return Step.GO


def _is_odd(tag: Tag) -> bool:
    """Whether a tag has lost its bracket, or has characters in its name that no name has."""
    return tag.lacks_bracket or _ODD.search(tag.name) is not None


def _open(m: Message, call: Call, tag: Tag) -> Step:
    if call.is_doubtful() and _DECLARES.search(tag.raw):
        return m.reject()
    key, dialect = tag.name, tag.dialect
    end, goes_on = _end_of_attribute(m, tag) if m.tolerant else 0, value_goes_on(m, call, tag)
    if end is MORE or goes_on is MORE:
        return Step.MORE
    if not keeps_to(tag, m.kept):
        m.log.repair(tag.repair, tag.raw)
    if end and (value := _VALUE.search(tag.raw)):
        m.buffer.at = end
        give(m, key, value[2])
        return Step.GO
    m.buffer.at = tag.end
    call.closed = call.closed or dialect.closed
    only_markup = m.live and m.log.parallel and not (call.deferred or call.spare)
    on_trial = m.trial and m.trial.why is Refused.NO_CALL and not m.trial.at_end
    if on_trial and only_markup and not (goes_on or call.is_doubtful(key)):
        m.accept()  # now it is known that the call can be read
    call.certain = call.certain or not goes_on
    m.fragment(call.writer.begin(key))
    tables = enter_value(call.place, tag, m.kept, call.writer.given)
    call.value = Value.of(call.tool.parameter(key), tables, tag, call.place.is_tight)
    return m.go(State.VALUE)


def _end_of_attribute(m: Message, tag: Tag) -> int | Wait:
    """The end of a parameter whose value is an attribute of its tag; 0 if its value is not there."""
    if not _VALUE.search(tag.raw):
        return 0
    if tag.ends_itself:
        return tag.end
    closer = next_tag(m, tag.end)
    if closer is MORE:
        return MORE
    return closer.end if closer and closer.kind is TagKind.PARAMETER_CLOSE else 0


def next_tag(m: Message, at: int) -> Tag | Wait | None:
    """The tag that follows the whitespace at this index; None if something else does."""
    text, tags = m.buffer.text, open_call(m).place.tags
    at = end_of(WHITESPACE, text, at)
    if tag := tags.match(text, at):
        return tag
    partial = at == len(text) or tags.may_begin(text, at)
    return MORE if partial and not m.buffer.over else None
