"""Inside a call, between its parameters: only a tag can stand here."""

from __future__ import annotations

import re
from dataclasses import replace

from ..grammar.grammar import keeps_to
from ..grammar.kinds import MORE, Cost, Following, TagKind, Wait
from ..grammar.likeness import DOCUMENT, PARAMETER, alike, squeeze
from ..grammar.matcher import Tag
from ..grammar.text import LINE_REST, WHITESPACE, end_of
from ..grammar.tokens import WORD, end_of_tag, opens_json
from ..limits import LOOK_AHEAD, TAG, UNTAGGED_GAP
from ..repairs import Refused, Repair
from ..schema.json_call import ARGUMENT_KEYS
from .by_place import BY_PLACE
from .elements import ELEMENTS, element_of
from .json_head import read_first_key
from .message import Call, Envelope, Message, State, Step
from .open_call import end_call, end_unclosed, give, has_text, only_key, open_call, stray_text, use_spare
from .open_value import Value
from .place import Place
from .run import Choice, FollowedBy, Level
from .surplus import behind_body, drop_tag, drop_text, end_of_surplus, take

_GO_ON = (TagKind.PARAMETER_OPEN, TagKind.CALL_OPEN, TagKind.CALL_CLOSE, Following.MORE)
_VALUE = re.compile(r"""\bvalue\s?=\s?(["'])(.*?)\1""")  # an attribute of a parameter's tag
_OPENER, _SEPARATOR = re.compile(r"<(\w+)="), re.compile(r"(?::[ \t]*|[ \t]*)(?=[^\s:=]|\Z)(?!/>)")
_LINE = re.compile(r"[^<\r\n]*[^<\s]")
_DECLARES = re.compile(r"""\s(?:type|required)\s?=""")  # an attribute of a parameter that is only declared
_ODD = re.compile(r"""[ "']""")  # characters that no name has


def in_call(m: Message) -> Step:
    """State: in a call, between its parameters."""
    call, buffer = open_call(m), m.buffer
    if call.body_done:
        return behind_body(m, call)
    call.gap = (call.gap + buffer.take(end_of(WHITESPACE, buffer.text, buffer.at)))[-UNTAGGED_GAP:]
    tag = _tag(m, call, buffer.at)
    if tag is MORE:
        return Step.MORE
    if tag is None:
        return _no_tag(m, call)
    call.gap = ""
    return _at_tag(m, call, tag)


def _at_tag(m: Message, call: Call, tag: Tag) -> Step:
    """What a tag between two parameters does."""
    match tag.kind:
        case TagKind.PARAMETER_OPEN if _lacks_slash(call, tag):
            return has_text(m)
        case TagKind.PARAMETER_OPEN:
            return _at_parameter(m, call, tag)
        case TagKind.STRAY if tag.dialect is ELEMENTS and not tag.raw.startswith("</"):
            call.place.around.add(element_of(tag))
            return drop_tag(m, Repair.STRAY_OPENER, tag)
        case TagKind.PARAMETER_CLOSE | TagKind.STRAY:
            if tag.kind is TagKind.PARAMETER_CLOSE and call.stray.strip():
                call.unread = True
            return drop_tag(m, Repair.STRAY_CLOSER, tag)
        case TagKind.CALL_CLOSE if kind := _after_early(m, call, tag):
            return Step.MORE if kind is Following.MORE else drop_tag(m, Repair.STRAY_CLOSER, tag)
        case TagKind.CALL_CLOSE:
            return _close(m, tag)
        case TagKind.WRAP_CLOSE | TagKind.WRAP_OPEN if not call.named:
            return end_call(m)
        case TagKind.CALL_OPEN if _is_named_late(m, call, tag):
            call.late = tag.name
            return drop_tag(m, Repair.NAME_MISPLACED, tag)
        case TagKind.CALL_OPEN if kind := _closes_without_slash(m, call, tag):
            return Step.MORE if kind is Following.MORE else _close(m, replace(tag, cost=Cost.ALIKE))
        case TagKind.WRAP_OPEN | TagKind.CALL_OPEN if kind := _opened_again(m, call, tag):
            return Step.MORE if kind is Following.MORE else drop_tag(m, Repair.STRAY_OPENER, tag)
        case _ if call.named and (call.certain or call.spare):
            use_spare(m, call)
            return end_unclosed(m, tag.raw)
    return m.reject()


def _tag(m: Message, call: Call, at: int) -> Tag | Wait | None:
    """The tag at this index."""
    text, over, base, place = m.buffer.text, m.buffer.over, m.buffer.base, call.place
    if at >= len(text):
        return None if over else MORE
    if believed := place.believed(base + at):
        return believed.moved(-base)
    if tag := place.tags.match(text, at):
        pair = place.slipped_pair(text, at, over) if m.tolerant and tag.kind is TagKind.WRAP_OPEN else None
        if pair:
            return pair  # its first tag became that of an envelope
        return place.with_name(tag, text, over)
    if place.tags.may_begin(text, at):
        return None if over else MORE
    if not m.tolerant:
        return None
    if text[at] == "{" and not call.begun and (json := opens_json(text, at, over)):
        return MORE if json is MORE else None
    return _tag_by_place(m, place, at)


def _tag_by_place(m: Message, place: Place, at: int) -> Tag | Wait | None:
    """A tag that is in no dialect table. A closing tag that is not even nearly a known one needs a run of
    tags as evidence."""
    text, over, base = m.buffer.text, m.buffer.over, m.buffer.base
    choice = place.choose(text, at, over, Level.CALL, base)
    if choice is MORE or choice is None:
        return choice
    tag = choice.tag
    if tag.kind is TagKind.PARAMETER_OPEN or tag.spelt:
        return tag
    if tag.kind in (TagKind.PARAMETER_CLOSE, TagKind.CALL_CLOSE) and tag.cost is Cost.ALIKE:
        return tag
    run = place.run(text, at, over, Level.CALL, base)
    if run is MORE:
        return MORE
    return tag if run.tags and run.followed_by is not FollowedBy.OTHER else None


def _no_tag(m: Message, call: Call) -> Step:
    buffer = m.buffer
    text, at = buffer.text, buffer.at
    if at >= len(text) or call.place.tags.may_begin(text, at):
        return m.go(State.CUT) if buffer.over else Step.MORE
    if call.empty and not call.begun:
        return end_call(m)
    return (_in_place_of_tag(m, call, at) if m.tolerant else None) or has_text(m)


def _in_place_of_tag(m: Message, call: Call, at: int) -> Step | None:
    """What may stand for a tag: its last mark, arguments in JSON, a value alone, brackets that belong to
    nothing; None if it is text."""
    text, mark = m.buffer.text, m.buffer.text[at]
    if mark in '>"' and _ends_tag(m, call, mark):
        return take(m, at + 1)
    if mark == "{" and not call.begun and opens_json(text, at, m.buffer.over) is True:
        return _arguments(m, at)
    if only_key(call) and not (call.begun or _is_markup(call, text, at)):
        return m.go(State.LOOSE)
    if mark in "}])" and (end := end_of_surplus(m, at)):
        return Step.MORE if end is MORE else drop_text(m, end)
    return None


def _ends_tag(m: Message, call: Call, mark: str) -> bool:
    """Whether a bracket belongs to the tag before: it is directly after it, or alone on the line after a
    tag that lacks its bracket. A quote does, directly after such a tag."""
    if mark == '"':
        return call.quoted and not (call.gap or call.begun)
    rest = LINE_REST.match(m.buffer.text, m.buffer.at + 1)
    return not call.gap or (call.cut and not call.begun and rest is not None and rest[1] is not None)


def _is_markup(call: Call, text: str, at: int) -> bool:
    """Whether an element begins here that no document has. It says something about the call, but nobody
    knows what. Or one ends that was text."""
    word = WORD.match(text, at)
    if word is None:
        return False
    return word[1] in call.place.opened if word[0][1] == "/" else word[1] not in DOCUMENT


def _close(m: Message, tag: Tag) -> Step:
    """The call's own closing tag."""
    end = end_of_tag(tag.end, tag.dialect is not BY_PLACE or tag.spelt, m.buffer.text, m.buffer.over)
    if end is MORE:
        return Step.MORE
    if tag.damaged:
        m.log.repair(Repair.DAMAGED_TAG, tag.raw)
    m.buffer.at = end
    use_spare(m, open_call(m))
    return end_call(m)


def _is_named_late(m: Message, call: Call, tag: Tag) -> bool:
    """Whether a function's tag in the same envelope names the tool of the parameters before it."""
    if call.named or call.late or not m.tolerant or m.envelope is not Envelope.OPEN:
        return False
    tool = m.toolset.find(tag.name)
    return tool is not None and call.writer.given <= tool.arguments.declared


def _lacks_slash(call: Call, tag: Tag) -> bool:
    """Whether a tag would close the call if it had a slash. It cannot open a parameter, because that was
    given before."""
    if not tag.dialect.by_name or tag.name not in call.writer.given:
        return False
    closer = call.place.tags.match(f"</{tag.name}>", 0)
    return closer is not None and closer.kind in (TagKind.CALL_CLOSE, TagKind.WRAP_CLOSE)


def _closes_without_slash(m: Message, call: Call, tag: Tag) -> TagKind | Following | None:
    """What follows a tag that is named after the call's tool and lacks its slash: the end of the
    envelope. None if the tag is anything else, or the call is not written in such tags or not complete."""
    own = tag.dialect.by_name and m.toolset.find(tag.name, m.tolerant) is call.tool
    if not (m.tolerant and own and call.begun and call.tool.required <= call.writer.given):
        return None
    kind, _ = look(m, tag.end)
    return kind if kind in (TagKind.WRAP_CLOSE, Following.MORE) else None


def _opened_again(m: Message, call: Call, tag: Tag) -> TagKind | Following | None:
    """The kind of an opening tag that was written twice or too late: the call has nothing yet of what it
    requires, or no other call can begin here. None if it is neither."""
    if not call.named or call.begun:
        return None
    kind, inner = look(m, tag.end) if tag.kind is TagKind.WRAP_OPEN else (tag.kind, tag)
    lacks, name = bool(call.tool.required), inner.name if inner else ""
    match kind:
        case TagKind.CALL_OPEN if not (lacks and m.toolset.find(name, m.tolerant) is call.tool):
            return None
        case TagKind.PARAMETER_OPEN if not (lacks or call.tool.declares(name)):
            return None
    return kind if kind in _GO_ON else None


def look(m: Message, at: int) -> tuple[TagKind | Following, Tag | None]:
    """What follows the whitespace at this index; and the tag, if it is one."""
    text, tags = m.buffer.text, open_call(m).place.tags
    at = end_of(WHITESPACE, text, at)
    if tag := tags.match(text, at):
        return tag.kind, tag
    partial = at == len(text) or tags.may_begin(text, at)
    return Following.MORE if partial and not m.buffer.over else Following.OTHER, None


def _after_early(m: Message, call: Call, closer: Tag) -> TagKind | Following | None:
    """What follows if a call is closed too early: it has no parameters yet, or lacks some that its
    opening tag may have held, and one of its own parameters follows. None if it is not closed too early."""
    at = end_of(WHITESPACE, m.buffer.text, closer.end)
    if not _may_lack(m, call) or m.buffer.text.startswith("</", at) or at - closer.end > LOOK_AHEAD:
        return None
    kind, tag = look(m, closer.end)
    if kind is TagKind.PARAMETER_OPEN and tag:
        lies_so = not call.begun or _lies_like_one(m, closer, tag)
        if lies_so is MORE:
            return Following.MORE
        is_own = call.has_value_in_tag or call.place.is_free(tag.name.partition("=")[0])
        return kind if lies_so and is_own else None
    if kind is Following.OTHER and not call.begun and m.envelope is Envelope.OPEN:
        return _json_behind(m, call, at)
    return Following.MORE if kind is Following.MORE else None


def _may_lack(m: Message, call: Call) -> bool:
    """Whether a call may have parameters that come behind its closing tag."""
    given, tool = call.writer.given, call.tool
    if call.has_value_in_tag and not tool.required <= given:
        return m.tolerant
    lacks = bool(tool.arguments.declared - given)
    return m.tolerant and lacks and (not call.begun or m.envelope is Envelope.OPEN)


def _lies_like_one(m: Message, closer: Tag, tag: Tag) -> bool | Wait:
    """Whether a parameter's tag behind the call's closing tag is alone on its line, or directly behind
    that, as no prose has it."""
    rest = LINE_REST.match(m.buffer.text, tag.end)
    if rest and rest[1] in ("", "\r") and not m.buffer.over:
        return MORE
    exact = tag.cost is Cost.EXACT and not tag.dialect.by_name
    return exact and (tag.start == closer.end or (rest is not None and rest[1] is not None))


def _json_behind(m: Message, call: Call, at: int) -> Following | None:
    """Whether the arguments follow here as JSON, or in an element around JSON."""
    text, over, place = m.buffer.text, m.buffer.over, call.place
    if text.startswith("<", at):
        choice = place.choose(text, at, over, Level.CALL, m.buffer.base)
        around = isinstance(choice, Choice) and choice.tag.dialect is ELEMENTS
        return Following.MORE if choice is MORE else Following.JSON if around else None
    first = read_first_key(text, at, over) if text.startswith("{", at) else None
    if isinstance(first, tuple):
        return Following.JSON if call.tool.declares(first[0]) else None
    return Following.MORE if first is MORE else None


def in_stray(m: Message) -> Step:
    """State: in text between parameters."""
    buffer = m.buffer
    at = buffer.text.find("<", buffer.at)
    stray_text(m, buffer.take(at if at >= 0 else len(buffer.text)))
    return m.go(State.CALL) if at >= 0 or buffer.over else Step.MORE


# Arguments


def _arguments(m: Message, at: int, in_parameter: bool = False) -> Step:
    """The bracket at this index opens all arguments, as JSON."""
    m.buffer.at, open_call(m).in_parameter = at, in_parameter
    return m.go(State.JSON)


def _at_parameter(m: Message, call: Call, tag: Tag) -> Step:
    """The opening tag of a parameter, or what is left of one."""
    declares = call.tool.declares
    key, equals, text = tag.name.partition("=")
    if equals and declares(key.strip()) and not declares(tag.name):
        if step := _give_in_tag(m, tag, key.strip(), text):
            return step
        tag = tag if text else replace(tag, name=key)  # the `=` stands for the bracket
    if not declares(tag.name) and _is_odd(tag):
        opener = _before_value(m, call, tag.start)
        if opener is MORE:
            return Step.MORE
        if opener is None and _ODD.search(tag.name):
            return has_text(m)
        tag = opener or tag
    if tag.name in ARGUMENT_KEYS and not (call.begun or declares(tag.name)):
        return _at_all_arguments(m, call, tag)
    return _open(m, call, tag)


def _at_all_arguments(m: Message, call: Call, tag: Tag) -> Step:
    """`<parameter=arguments>`: if an object follows, it is all arguments."""
    at = end_of(WHITESPACE, m.buffer.text, tag.end)
    if at == len(m.buffer.text) and not m.buffer.over:
        return Step.MORE
    if m.buffer.text[at : at + 1] == "{":
        return _arguments(m, at, in_parameter=True)
    return _open(m, call, tag)


def _give_in_tag(m: Message, tag: Tag, key: str, text: str) -> Step | None:
    """`<parameter=K=V</parameter>`, where only the schema tells K from V. None if the parameter is not
    closed at once."""
    kind, closer = look(m, tag.end)
    if kind is Following.MORE:
        return Step.MORE
    if closer is None or kind is not TagKind.PARAMETER_CLOSE:
        return None
    m.log.repair(Repair.DAMAGED_KEY, m.buffer.text[tag.start : closer.end])
    m.buffer.at = closer.end
    give(m, key, text.strip("\"'"))
    return Step.GO


def _is_odd(tag: Tag) -> bool:
    """Whether a tag has lost its bracket, or has characters in its name that no name has."""
    return tag.raw[-1] != ">" or _ODD.search(tag.name) is not None


def _before_value(m: Message, call: Call, at: int) -> Tag | Wait | None:
    """An opening tag of a parameter without its bracket, whose value follows on the same line."""
    text, found = m.buffer.text, _OPENER.match(m.buffer.text, at, at + TAG)
    if found is None or alike(squeeze(found[1])) != PARAMETER:
        return None
    free = call.tool.arguments.declared - call.writer.given
    key = max((key for key in free if text.startswith(key, found.end())), key=len, default="")
    separator = _SEPARATOR.match(text, found.end() + len(key))
    if not key or separator is None:
        return None
    end, line = separator.end(), _LINE.match(text, separator.end(), at + TAG)
    if line is None or (line.end() == len(text) and not m.buffer.over):
        return MORE if not m.buffer.over and len(text) - at < TAG else None
    if line[0][-1] == ">":
        return None  # the value is in the tag
    raw = text[at:end]
    return Tag(TagKind.PARAMETER_OPEN, key, at, end, raw, BY_PLACE, Cost.ALIKE)


def _open(m: Message, call: Call, tag: Tag) -> Step:
    if call.is_doubtful() and _DECLARES.search(tag.raw):
        return m.reject()
    key, dialect = tag.name, tag.dialect
    end = _end_of_attribute(m, tag) if m.tolerant else 0
    if end is MORE:
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
    if m.trial and m.trial.why is Refused.NO_CALL and only_markup and not call.is_doubtful(key):
        m.accept()  # now it is known that the call can be read
    call.certain = True
    m.fragment(call.writer.begin(key))
    tables = call.place.open_value(tag, m.kept, call.writer.given)
    call.value = Value.of(call.tool.parameter(key), tables, tag, call.place.is_tight)
    return m.go(State.VALUE)


def _end_of_attribute(m: Message, tag: Tag) -> int | Wait:
    """The end of a parameter whose value is an attribute of its tag; 0 if its value is not there."""
    if not _VALUE.search(tag.raw):
        return 0
    if tag.ends_itself:
        return tag.end
    kind, closer = look(m, tag.end)
    if kind is Following.MORE:
        return MORE
    return closer.end if closer and kind is TagKind.PARAMETER_CLOSE else 0
