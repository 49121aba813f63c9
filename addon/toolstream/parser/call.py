"""Inside a call, between its parameters: only a tag can stand here."""

from __future__ import annotations

from dataclasses import replace

from ..grammar.brackets import CLOSE
from ..grammar.dialect import BY_PLACE, Body
from ..grammar.kinds import MORE, Cost, TagKind, Wait
from ..grammar.likeness import DOCUMENT
from ..grammar.tag import Tag
from ..grammar.text import WHITESPACE, end_of, ends_line
from ..grammar.tokens import WORD, end_of_tag, opens_json
from ..limits import STRAY, UNTAGGED_GAP
from ..repairs import Refused, Repair
from ..schema.bare_members import opens_bare
from .after_text import at_opener
from .by_place import after_last_opener
from .call_events import (
    begin_stray,
    emit_stray,
    end_call,
    end_unclosed,
    is_example,
    leave_undone,
    only_key,
    use_spare,
)
from .closed_early import is_cut_after, is_early
from .elements import element_of
from .json_head import read_first_key
from .message import Call, Message
from .parameter import all_arguments, at_parameter
from .place import Place
from .prose import prose_goes_on
from .run import FollowedBy, Level
from .runs import choose, read_run
from .states import Envelope, State, Step
from .surplus import after_body, at_json_rest, drop_tag, drop_text, end_of_surplus, take
from .value_in_tag import next_tag
from .value_place import in_last_run


def in_call(m: Message) -> Step:
    """State: in a call, between its parameters."""
    call, buffer = m.open_call, m.buffer
    if call.body_done:
        return after_body(m, call)
    blank = buffer.take(end_of(WHITESPACE, buffer.text, buffer.at))
    call.gap, call.said = (call.gap + blank)[-UNTAGGED_GAP:], (call.said + blank)[-STRAY:]
    return _opens_twice(m, call) or at_json_rest(m, call) or _at_next(m, call)


def _at_next(m: Message, call: Call) -> Step:
    """What follows the whitespace after a tag of the call."""
    tag = _tag(m, call, m.buffer.at)
    if tag is MORE:
        return Step.MORE
    if tag is None:
        return _no_tag(m, call)
    if tag.kind is TagKind.PARAMETER_OPEN and "\n" in call.gap:
        call.in_prose = False
    call.gap = ""
    return _at_tag(m, call, tag)


def _at_tag(m: Message, call: Call, tag: Tag) -> Step:
    """What a tag between two parameters does."""
    if step := at_opener(m, call, tag):
        return step
    if tag.kind is not TagKind.CALL_CLOSE:
        call.said = ""
    match tag.kind:
        case TagKind.PARAMETER_OPEN:
            return begin_stray(m) if _lacks_slash(call, tag) else at_parameter(m, call, tag)
        case TagKind.PARAMETER_CLOSE | TagKind.STRAY:
            return _at_surplus(m, call, tag)
        case TagKind.CALL_CLOSE:
            return _at_closer(m, call, tag)
        case TagKind.WRAP_CLOSE | TagKind.WRAP_OPEN if not call.named:
            return end_call(m)
        case TagKind.WRAP_OPEN | TagKind.CALL_OPEN if step := _at_own_opener(m, call, tag):
            return step
    if not _may_end(call, tag):
        return m.reject()
    use_spare(m, call)
    return end_unclosed(m, tag.raw)


def _at_closer(m: Message, call: Call, tag: Tag) -> Step:
    """The call's own closing tag, which may come too early."""
    early = is_early(m, call, tag)
    if early:
        return Step.MORE if early is MORE else drop_tag(m, Repair.STRAY_CLOSER, tag)
    return m.go(State.CUT) if is_cut_after(m, call, tag) else _close(m, tag)


def _at_surplus(m: Message, call: Call, tag: Tag) -> Step:
    """A tag that closes nothing; or the opening tag of an element around the parameters."""
    if tag.kind is TagKind.STRAY and (word := element_of(tag)):
        call.place.around.add(word)
        return drop_tag(m, Repair.STRAY_OPENER, tag)
    if tag.kind is TagKind.PARAMETER_CLOSE and call.stray.strip():
        call.stray_closed = True
    return drop_tag(m, Repair.STRAY_CLOSER, tag)


def _at_own_opener(m: Message, call: Call, tag: Tag) -> Step | None:
    """The opening tag of a call or an envelope that is one of the open call: it names that late, was written
    twice, or closes it and lacks its slash. None if the next call opens."""
    if tag.kind is TagKind.CALL_OPEN and _is_named_late(m, call, tag):
        call.late_name = tag.name
        return drop_tag(m, Repair.NAME_MISPLACED, tag)
    closes = tag.kind is TagKind.CALL_OPEN and _closes_without_slash(m, call, tag)
    again = not closes and _opens_again(m, call, tag)
    if closes is MORE or again is MORE:
        return Step.MORE
    if closes:
        return _close(m, replace(tag, cost=Cost.ALIKE))
    return drop_tag(m, Repair.STRAY_OPENER, tag) if again else None


def _tag(m: Message, call: Call, at: int) -> Tag | Wait | None:
    """The tag at this index."""
    text, over, base, place = m.buffer.text, m.buffer.over, m.buffer.base, call.place
    if at >= len(text):
        return None if over else MORE
    if known := in_last_run(place, base + at):
        return known.moved(-base)
    if tag := place.tags.match(text, at):
        return _spelt(m, place, tag)
    if place.tags.may_begin(text, at):
        return None if over else MORE
    json = _begins_arguments(m, call, at)
    if json or not m.tolerant:
        return MORE if json is MORE else None
    return _tag_by_place(m, place, at)


def _spelt(m: Message, place: Place, tag: Tag) -> Tag | Wait:
    """A tag that is in a dialect table, with the declared name that is meant; or the opening tag of a
    parameter, which consists of two, and the first became that of an envelope."""
    text, over = m.buffer.text, m.buffer.over
    may_be_pair = m.tolerant and tag.kind is TagKind.WRAP_OPEN
    pair = place.slipped_pair(text, tag.start, over) if may_be_pair else None
    return pair or place.with_name(tag, text, over)


def _is_json(call: Call) -> bool:
    """Whether the call is written in a dialect that has JSON arguments."""
    return any(dialect.body is Body.JSON for dialect in call.place.spoken)


def _opens_twice(m: Message, call: Call) -> Step | None:
    """The last of several tags with which a call opens is there once more, before its arguments. None if it
    is not."""
    if call.begun or call.stray or not m.tolerant:
        return None
    buffer = m.buffer
    end = after_last_opener(call.place.spoken, buffer.text, buffer.at, buffer.over)
    if end is MORE or end == buffer.at:
        return Step.MORE if end is MORE else None
    m.log.repair(Repair.STRAY_OPENER, buffer.text[buffer.at : end])
    return take(m, end)


def _begins_arguments(m: Message, call: Call, at: int) -> bool | Wait:
    """Whether all arguments begin here, as JSON."""
    text, over = m.buffer.text, m.buffer.over
    if text[at] != "{" or not m.tolerant or call.begun:
        return False
    bare = call.named and opens_bare(text, at, over, call.tool)
    return bare or opens_json(text, at, over)


def _tag_by_place(m: Message, place: Place, at: int) -> Tag | Wait | None:
    """A tag that is in no dialect table. A closing tag that is not even nearly a known one needs a run of
    tags as evidence."""
    choice = choose(place, m.buffer, at, Level.CALL)
    if choice is MORE or choice is None:
        return choice
    tag = choice.tag
    if tag.kind is TagKind.PARAMETER_OPEN or tag.spelt:
        return tag
    if tag.kind in (TagKind.PARAMETER_CLOSE, TagKind.CALL_CLOSE) and tag.cost is Cost.ALIKE:
        return tag
    run = read_run(place, m.buffer, at, Level.CALL)
    if run is MORE:
        return MORE
    return tag if run.tags and run.followed_by is not FollowedBy.OTHER else None


def _no_tag(m: Message, call: Call) -> Step:
    text, at = m.buffer.text, m.buffer.at
    if at >= len(text) or call.place.tags.may_begin(text, at):
        return m.go(State.CUT) if m.buffer.over else Step.MORE
    if _ends_itself(call):
        return end_call(m)
    _note_text(call)
    goes_on = prose_goes_on(m, call)
    if goes_on is MORE:
        return Step.MORE
    if goes_on or not m.tolerant:
        return begin_stray(m)
    return _in_place_of_tag(m, call, at) or begin_stray(m)


def _ends_itself(call: Call) -> bool:
    """Whether the call's opening tag ends the call, as no arguments have come after it."""
    return call.empty and (call.has_value_in_tag or not call.begun)


def _note_text(call: Call) -> None:
    """Note whether the first text in a call stands after its tag, on the same line."""
    if not (call.begun or call.stray or call.text_after_tag):
        call.text_after_tag = call.gap != "" and "\n" not in call.gap


def _in_place_of_tag(m: Message, call: Call, at: int) -> Step | None:
    """What may stand for a tag: its last mark, arguments in JSON, a value alone, brackets or a comma
    that belong to nothing; None if it is text."""
    text, mark = m.buffer.text, m.buffer.text[at]
    if mark in '>"' and _ends_tag(m, call, mark):
        return take(m, at + 1)
    if _begins_arguments(m, call, at) is True:
        return all_arguments(m, at)
    if only_key(call) and not (call.begun or _is_markup(call, text, at)):
        return m.go(State.LOOSE)
    return _at_surplus_mark(m, at) if mark in "}])" or (mark in ",;" and not call.gap) else None


def _at_surplus_mark(m: Message, at: int) -> Step | None:
    """Brackets or a comma that belong to nothing; None if no tag follows them."""
    end = end_of_surplus(m, at)
    if end is None:
        return None
    return Step.MORE if end is MORE else drop_text(m, end)


def _ends_tag(m: Message, call: Call, mark: str) -> bool:
    """Whether a bracket belongs to the tag before: it is directly after it, or alone on the line after a
    tag that lacks its bracket. A quote does, directly after such a tag."""
    if mark == '"':
        return call.lacks_quote and not (call.gap or call.begun)
    lacks = call.lacks_bracket and not call.begun
    return not call.gap or (lacks and ends_line(m.buffer.text, m.buffer.at + 1))


def _is_markup(call: Call, text: str, at: int) -> bool:
    """Whether an element begins here that no document has. It says something about the call, but nobody
    knows what. Or one ends that was text."""
    word = WORD.match(text, at)
    if word is None:
        return False
    return word[1] in call.place.inner.words if word[0][1] == "/" else word[1] not in DOCUMENT


def _close(m: Message, tag: Tag) -> Step:
    """The call's own closing tag."""
    if is_example(m.open_call):
        return leave_undone(m, Refused.NO_CALL)
    lacks_end = tag.damaged and tag.raw[-1] not in CLOSE and tag.end == len(m.buffer.text)
    if lacks_end and m.buffer.over and not m.complete:
        return m.go(State.CUT)
    end = end_of_tag(tag.end, tag.dialect is not BY_PLACE or tag.spelt, m.buffer.text, m.buffer.over)
    if end is MORE:
        return Step.MORE
    if tag.damaged:
        m.log.repair(Repair.DAMAGED_TAG, tag.raw)
    m.buffer.at = end
    use_spare(m, m.open_call)
    return end_call(m)


def _is_named_late(m: Message, call: Call, tag: Tag) -> bool:
    """Whether a function's tag in the same envelope names the tool of the parameters before it."""
    if call.named or call.late_name or not m.tolerant or m.envelope is not Envelope.OPEN:
        return False
    tool = m.toolset.find(tag.name)
    return tool is not None and call.writer.given <= tool.arguments.declared


def _may_end(call: Call, following: Tag) -> bool:
    """Whether a call may end before this tag, without its closing tag. A call in prose that needs no
    arguments may be empty if its envelope ends here or the next call opens."""
    empty = call.in_prose and not (call.begun or call.tool.required)
    ends = following.kind is TagKind.WRAP_CLOSE or following.opens_call
    return call.named and (call.certain or call.spare is not None or (empty and ends))


def _lacks_slash(call: Call, tag: Tag) -> bool:
    """Whether a tag that is named after a parameter is the call's closing tag without its slash. The
    parameter was given before, so the tag cannot open it."""
    if not tag.dialect.by_name or tag.name not in call.writer.given:
        return False
    closer = call.place.tags.match(f"</{tag.name}>", 0)
    return closer is not None and closer.kind in (TagKind.CALL_CLOSE, TagKind.WRAP_CLOSE)


def _closes_without_slash(m: Message, call: Call, tag: Tag) -> bool | Wait:
    """Whether a tag that is named after the call's tool is its closing tag without the slash: the call has
    all that it requires, and the end of the envelope follows."""
    own = tag.dialect.by_name and m.toolset.find(tag.name, m.tolerant) is call.tool
    if not (m.tolerant and own and call.begun and call.tool.required <= call.writer.given):
        return False
    following = next_tag(m, tag.end)
    return MORE if following is MORE else following is not None and following.kind is TagKind.WRAP_CLOSE


def _opens_again(m: Message, call: Call, tag: Tag) -> bool | Wait:
    """Whether an opening tag belongs to the open call, which has no arguments yet: it was written twice or
    too late, or what follows it cannot begin another call."""
    if not call.named or call.begun:
        return False
    inner = next_tag(m, tag.end) if tag.kind is TagKind.WRAP_OPEN else tag
    if not isinstance(inner, Tag):
        return inner or False
    lacks = bool(call.tool.required)
    match inner.kind:
        case TagKind.CALL_OPEN:
            again = m.toolset.find(inner.name, m.tolerant) is call.tool
            return again and (lacks or (m.tolerant and not call.stray.strip()))
        case TagKind.PARAMETER_OPEN:
            return lacks or call.tool.declares(inner.name)
    return inner.kind is TagKind.CALL_CLOSE


def in_stray(m: Message) -> Step:
    """State: in text between parameters."""
    call, buffer = m.open_call, m.buffer
    at = buffer.text.find("<", buffer.at)
    end = at if at >= 0 else len(buffer.text)
    arguments = _arguments_in(m, call, end)
    if arguments is MORE:
        return Step.MORE
    emit_stray(m, buffer.take(end if arguments is None else arguments))
    return m.go(State.CALL) if at >= 0 or buffer.over or arguments is not None else Step.MORE


def _arguments_in(m: Message, call: Call, end: int) -> int | Wait | None:
    """The index up to `end` where all arguments begin, as JSON, after the text of a call; None if they do
    not."""
    buffer, text = m.buffer, m.buffer.text
    at = text.find("{", buffer.at, end) if m.tolerant and not call.begun else -1
    if at < 0 or not _is_json(call):
        return None
    first = read_first_key(text, at, buffer.over)
    if first is MORE:
        emit_stray(m, buffer.take(at))
        return MORE
    return at if isinstance(first, tuple) and call.tool.declares(first[0]) else None
