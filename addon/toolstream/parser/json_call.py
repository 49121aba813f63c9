"""Calls in JSON: what Qwen2.5 and Qwen3 write inside `<tool_call>`, and Coder models by mistake.

An envelope holds one call, an array of calls, or several calls one after another. A call is `{"name": …,
"arguments": {…}}`, where "parameters" may stand for "arguments", and the arguments may be a JSON string
of an object. Where the text must be a call, the variants that models write are accepted, too. Inside of a
function's tag the JSON is the arguments alone.

A call that begins as it should (`json_head`) is read member by member (`json_body`), and streams from its
first member on, unless it is on trial. Every other call is read as a whole (`json_text`). So is a call on
trial that turns out to be broken: it is read again from its beginning. A call that has streamed cannot be
taken back. It stays without an end, so that no client can run half of it, and what follows is text.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..events import CallEnd, CallStart
from ..grammar.kinds import MORE, Wait
from ..grammar.text import BLANK, JSON_WHITESPACE, end_of, skip_whitespace
from ..grammar.tokens import opens_json
from ..limits import AFTER_CALL, EXCERPT, HELD, REREADS
from ..repairs import Refused, Repair
from ..schema.arguments import ArgumentsWriter
from ..schema.call_shape import Call as Found
from ..schema.json_call import read_body
from ..schema.json_scanner import JsonScanner
from ..schema.tool_name import Opening, find_tool
from .event_log import Mark
from .interrupted import break_off
from .json_arguments import arguments_follow, can_stream, end_body, open_arguments, read_on_arguments
from .json_body import read_members
from .json_end import (
    after_brackets,
    after_marks,
    between_calls,
    closes_call,
    is_last,
    is_mark,
    is_text,
    looked_at,
)
from .json_head import Head, read_head
from .json_reader import AfterCall, Body, JsonArguments, JsonCalls, Progress, Reader
from .json_text import Ended, JsonText, may_be_all, may_be_in_value, read_text
from .message import Message
from .states import Envelope, State, Step
from .whole_calls import any_undeclared, emit_calls, meant, why_not

Calls = tuple[list[Found], list[Repair]]
_END = "}]" + BLANK


def in_json(m: Message) -> Step:
    """State: in JSON."""
    if m.json is None:
        return _begin(m)
    reader = m.json
    if isinstance(reader, AfterCall):
        return _after_call(m, reader)
    assert isinstance(reader, Reader)
    if reader.body:
        return _read_on(m, reader, reader.body)
    if isinstance(reader, JsonArguments):
        return read_on_arguments(m, reader)
    return _read_calls(m, reader) if reader.text else _next_call(m, reader)


def _begin(m: Message) -> Step:
    """JSON begins at `buffer.at`: all arguments of the open call; or, in an envelope and on trial, a
    call."""
    if m.call:
        return arguments_follow(m, m.call)
    m.json = JsonCalls()
    return Step.GO


def _read_on(m: Message, reader: Reader, body: Body) -> Step:
    """Continue with a call that is read member by member."""
    match read_members(m, body):
        case Progress.DONE:
            if reader.retry:
                m.log.commit(reader.retry)
            if isinstance(reader, JsonArguments):
                return end_body(m)
            m.log.emit(CallEnd(body.index))
            return _end_calls(m, reader)
        case Progress.FAILED if reader.retry:
            return _read_again(m, reader)
        case Progress.FAILED:
            return _leave_unended(m, body)
    return Step.MORE


def _read_again(m: Message, reader: Reader) -> Step:
    """A call on trial is broken. Perhaps it can be read as a whole."""
    mark = reader.retry
    assert mark
    m.log.rollback(mark, end=mark.position)
    reader.body, reader.retry, reader.broken = None, None, True
    if isinstance(reader, JsonCalls):
        m.calls -= 1
        reader.text = _text_of_calls(m)
    else:
        open_arguments(m, reader)
    return Step.GO


def _leave_unended(m: Message, body: Body) -> Step:
    """A call that has streamed is broken."""
    if body.mark and not m.buffer.over:
        m.log.rollback(body.mark)
    elif body.mark:
        m.log.commit(body.mark)
    m.buffer.at = len(m.buffer.text) if m.buffer.over else m.buffer.at
    return m.leave_unended(Refused.TRUNCATED, body.tool)


def give_up_json(m: Message, mark: Mark) -> Step:
    """Too much was read since this mark, which is not the trial's: the call stays without an end."""
    reader = m.json
    assert isinstance(reader, Reader)
    owner = reader.body or m.call
    assert owner
    m.log.rollback(mark)
    return m.leave_unended(Refused.LIMIT, owner.tool)


# In an envelope


def _next_call(m: Message, calls: JsonCalls) -> Step:
    """The first bracket of a call or of an array."""
    head = read_head(m.buffer.text, m.buffer.at, m.buffer.over) if m.tolerant else None
    if head is MORE:
        return Step.MORE
    opening = find_tool(head.name, m.toolset, m.grammar.level) if head else None
    if head and opening and can_stream(m, opening.tool, head.key) and m.toolset.allows(opening.tool.name):
        return _start(m, calls, head, opening)
    calls.text = _text_of_calls(m)
    return Step.GO


def _text_of_calls(m: Message) -> JsonText:
    """JSON to be read as a whole. Its first bracket may be missing or be another one. In a call as in
    Python, brackets do not tell where it ends."""
    first = m.buffer.text[m.buffer.at]
    scanner = JsonScanner(0 if first in "{[" else HELD if first.isalpha() else 1)
    return JsonText(m.buffer, m.grammar.ends_json, lambda text: bool(read_body(text, m.toolset)), scanner)


def _start(m: Message, calls: JsonCalls, head: Head, opening: Opening) -> Step:
    """Start a call that is read member by member."""
    if (again := _after_undeclared(m)) is not None:
        return m.reject(again=again)
    tool = opening.tool
    if _is_certain(m):
        m.accept()
    else:
        calls.retry = m.log.mark()
    _say_json(m, calls, [Repair.JSON_BODY], m.buffer.text[m.buffer.at : m.buffer.at + EXCERPT])
    for repair, excerpt in opening.repairs:
        m.log.repair(repair, excerpt)
    m.count_call(tool.name)
    m.envelope = Envelope.OPEN
    m.log.emit(CallStart(m.calls - 1, tool.name))
    writer = ArgumentsWriter(tool, m.toolset.rules_for(tool))
    calls.array = calls.array or head.array
    calls.body = Body(m.calls - 1, tool, writer, head.brackets, calls.array, head.slip)
    calls.body.spaced = '": ' in m.buffer.text[m.buffer.at : head.at]
    m.buffer.at = head.at
    return Step.GO


def _is_certain(m: Message) -> bool:
    """Whether a call that begins as it should is certain, whatever follows."""
    return m.live and not m.is_dropped and not (m.trial and m.trial.at_end)


def _after_undeclared(m: Message) -> int | None:
    """Where to read again if calls of undeclared tools come before this call, which is good: then those
    are text. None otherwise."""
    trial = m.trial
    if trial is None or not trial.at_end or not m.on_trial_for(Refused.UNDECLARED):
        return None
    return m.json_from if m.json_from > trial.position else None


def _say_json(m: Message, calls: JsonCalls, repairs: Sequence[Repair], text: str) -> None:
    for repair in repairs:
        if not (calls.reported and repair is Repair.JSON_BODY):
            m.log.repair(repair, text)
    calls.reported = True


def _end_calls(m: Message, calls: JsonCalls) -> Step:
    m.end_call()
    m.json = AfterCall(calls.array)
    return m.go(State.JSON)


def _after_call(m: Message, after: AfterCall) -> Step:
    """Another call follows, or surplus brackets, or the end of the envelope."""
    text, start = m.buffer.text, skip_whitespace(m.buffer.text, m.buffer.at)
    at = between_calls(text, start)
    marks = "".join(text[start:at].split())
    if at == len(text) and not m.buffer.over:
        return Step.MORE
    match text[at : at + 1]:
        case "{" | "[" if json := opens_json(text, at, m.buffer.over):
            if json is MORE:
                return Step.MORE
            m.begin_trial(Refused.INVALID_JSON, at_end=m.context.thinking)
            _report_marks(m, marks)
            m.buffer.at, m.json = at, JsonCalls(array=after.array, reported=True)
            return Step.GO
        case "]" if after.array:
            after.array = False
            _report_marks(m, marks)
            m.drop(at + 1)
            return Step.GO
        case "}" | "]":
            return _at_surplus(m, after)
    return _at_surplus(m, after) if marks else _leave(m)


def _report_marks(m: Message, marks: str) -> None:
    """Marks after a call, other than the comma of an array, are dropped."""
    if marks not in ("", ","):
        m.log.repair(Repair.JSON_REPAIRED, marks)


def _at_surplus(m: Message, after: AfterCall) -> Step:
    """Brackets that close nothing, or marks. They are dropped if a tag follows, otherwise they are text."""
    text = m.buffer.text
    at = after_brackets(text, m.buffer.at)
    if marked := is_mark(text, at):
        at = after_marks(text, m.buffer.at)
    if not m.buffer.over and _may_begin_end(m, at):
        return Step.MORE
    is_end = at == len(text) and not (marked and after.array)  # else more of the array may be missing
    if is_end or _ends_here(m, at, "</" if marked else "<"):
        m.log.repair(Repair.JSON_REPAIRED if marked else Repair.STRAY_CLOSER, text[m.buffer.at : at])
        m.drop(at)
    return _leave(m)


def _may_begin_end(m: Message, at: int) -> bool:
    """Whether the text ends at `at`, or in what may be the tag or the fence after calls."""
    text = m.buffer.text
    return at == len(text) or m.fence.startswith(text[at:]) or m.lookout.after.may_begin(text, at)


def _ends_here(m: Message, at: int, bracket: str) -> bool:
    """Whether the tag or the fence after calls is here, or any tag that begins so."""
    text = m.buffer.text
    if text.startswith(bracket, at) or m.lookout.after.match(text, at):
        return True
    return m.fence != "" and text.startswith(m.fence, at)


def _leave(m: Message) -> Step:
    m.json = None
    return m.go(State.AFTER)


# In an envelope: calls that are read as a whole


def _read_calls(m: Message, calls: JsonCalls) -> Step:
    """Continue with calls that are read as a whole."""
    json = calls.text
    assert json
    ended = read_text(json)
    if ended is MORE:
        return Step.MORE
    text, why = json.so_far, Refused.TRUNCATED if calls.broken else None
    if step := _at_wrong_end(m, calls, json, ended, why):
        return step
    if text[:1].isalpha() and (alone := _stands_alone(m)) is not True:
        return Step.MORE if alone is MORE else _refuse(m, json, None)
    found = _read_found(m, text, ended)
    if isinstance(found, Wait):
        return Step.MORE
    return _refuse(m, json, why) if found is None else _emit_calls(m, calls, found, text)


def _read_found(m: Message, text: str, ended: Ended) -> Calls | Wait | None:
    """The calls in JSON that was read as a whole, with brackets after it if it lacks those at its
    beginning."""
    found = read_body(text, m.toolset, m.tolerant)
    if found is None and ended is Ended.BRACKET and m.tolerant:
        return _read_longer(m, text)
    return found


def _at_wrong_end(
    m: Message, calls: JsonCalls, json: JsonText, ended: Ended, why: Refused | None
) -> Step | None:
    """What to do if the JSON is not complete where it ended; None if it may be."""
    if ended is Ended.BRACKET:
        if in_value := may_be_in_value(json, False, "<,{["):
            return Step.MORE if in_value is MORE else json.go_on(1)
        broken = _goes_on(m, calls, json)
        return Step.MORE if broken is MORE else _refuse(m, json, why) if broken else None
    if ended is not Ended.MESSAGE:
        return None
    if m.followed is not None:
        return break_off(m, Refused.TRUNCATED)
    return None if m.complete and may_be_all(json.so_far) else _refuse(m, json, Refused.TRUNCATED)


def _stands_alone(m: Message) -> bool | Wait:
    """Whether the message ends after a call as in Python, or another call follows it. No model is taught
    such calls, but they are often mentioned."""
    text, at, over = m.buffer.text, m.buffer.at, m.buffer.over
    end = skip_whitespace(text, at)
    alone = is_last(m.grammar.body, text, end, over) if end < len(text) else over or MORE
    return False if alone is MORE and len(text) - at > AFTER_CALL else alone


def _read_longer(m: Message, text: str) -> Calls | Wait | None:
    """The calls, if the brackets that follow belong to them, too, because an opening one was lost."""
    end = after_brackets(m.buffer.text, m.buffer.at)
    if end == len(m.buffer.text) and not m.buffer.over:
        return MORE
    surplus = m.buffer.text[m.buffer.at : end].rstrip()
    found = read_body(text + surplus, m.toolset) if surplus else None
    if found:
        m.buffer.at = end
    return found


def _goes_on(m: Message, calls: JsonCalls, json: JsonText) -> bool | Wait:
    """Whether a bracket closed the JSON before its end."""
    text, at = m.buffer.text, m.buffer.at
    here = end_of(JSON_WHITESPACE, text, at)
    if here == len(text):
        return False if m.buffer.over else MORE
    mark = text[here]
    if mark == "," and not calls.array:
        return _goes_on_after_comma(m, after_marks(text, here))
    if mark in ':"':
        return True
    if here > at or mark in "<,":
        return False
    in_doubt = calls.broken and json.so_far.rstrip(_END).endswith('"')
    return _goes_on_in_text(m, json) if in_doubt else mark.isalnum()


def _goes_on_in_text(m: Message, json: JsonText) -> bool | Wait:
    """Whether the JSON goes on in the text directly after the bracket, if a string comes before that."""
    found = is_text(m.grammar.body, m.buffer.text, m.buffer.at, json.looked, m.complete)
    at, tags = m.buffer.at, m.grammar.body
    if found is not MORE:
        json.looked = 0
        return not (found or m.buffer.over)
    json.looked = looked_at(tags, m.buffer.text, at + json.looked) - at
    return m.buffer.over or MORE


def _goes_on_after_comma(m: Message, at: int) -> bool | Wait:
    """Whether the JSON goes on after a comma. It does not if another call follows, or tags that end the call:
    then the comma is one too many."""
    text, tags, over = m.buffer.text, m.grammar.body, m.buffer.over
    if at == len(text) or (tags.may_begin(text, at) and not over):
        return not over and MORE
    if not text.startswith("</", at) and tags.match(text, at) is None:
        return text[at] != "{"
    closes = closes_call(tags, text, at, 1, over, m.complete)
    return MORE if closes is MORE else not closes


def _refuse(m: Message, json: JsonText, why: Refused | None) -> Step:
    """What was read is text. If there is an envelope in it, it is read again from there."""
    m.rereads += json.suspect >= 0
    again = json.suspect if json.suspect >= 0 and m.rereads < REREADS else None
    return m.reject(why, again=again)


def _emit_calls(m: Message, calls: JsonCalls, found: Calls, text: str) -> Step:
    openings = [meant(m, name, arguments) for name, arguments in found[0]]
    if why := why_not(m, openings):
        return m.reject(why)
    if not any_undeclared(openings) and (again := _after_undeclared(m)) is not None:
        return m.reject(again=again)
    _say_json(m, calls, found[1], text)
    emit_calls(m, openings)
    m.envelope = Envelope.OPEN
    return _end_calls(m, calls)
