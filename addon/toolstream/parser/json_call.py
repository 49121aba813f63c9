"""JSON-bodied calls: what Qwen2.5 and Qwen3 write inside `<tool_call>`, and Coder models by mistake.

In an envelope stand one call, an array of calls, or several calls one after the other. A call is `{"name": …,
"arguments": {…}}`, where "parameters" may stand for "arguments" and the arguments may be a JSON string of an
object; where it cannot be anything else, also what models make of that. Inside of a function's tag the JSON
is the arguments alone.

A call that begins as it should (`json_head`) is read member by member (`json_body`) and streams from its
first member on, unless it is on trial. Every other one is read as a whole (`json_text`). So is one that is on
trial and turns out to be broken: from its beginning, once more. One that has streamed cannot be taken back:
it stays without an end, so that no client can run half of it, and what follows is text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..events import CallEnd, CallStart
from ..grammar.dialect import Body as Writes
from ..grammar.kinds import MORE, TagKind, Wait
from ..grammar.text import BLANK, JSON_WHITESPACE, end_of, skip_blanks
from ..limits import EXCERPT, LOOK_AHEAD, RETURNS
from ..repairs import Refused, Repair
from ..schema.arguments import ArgumentsWriter
from ..schema.json_call import Call as Found
from ..schema.json_call import read_arguments, read_body
from ..schema.schema import Tool
from ..schema.tool_name import Opening, find_tool
from .event_log import Mark
from .interrupted import break_off
from .json_body import Body, Progress, read_members
from .json_head import Head, read_first_key, read_head
from .json_reader import BehindCall, Closing, JsonArguments, JsonCalls, Reader
from .json_text import Ended, JsonText, read_text
from .message import At, Envelope, Message, Step
from .open_call import give_all
from .opened import Call
from .whole_calls import emit_calls, meant, why_not

_SURPLUS = re.compile(f"[{BLANK}}}\\]]{{0,{LOOK_AHEAD}}}")


def json(m: Message) -> Step:
    """State: in JSON."""
    if m.json is None:
        return _begin(m)
    reader = m.json
    if isinstance(reader, BehindCall):
        return _behind_call(m, reader)
    assert isinstance(reader, Reader)
    if reader.body:
        return _read_on(m, reader, reader.body)
    if isinstance(reader, JsonArguments):
        return _read_arguments(m, reader)
    return _read_calls(m, reader) if reader.text else _next_call(m, reader)


def _begin(m: Message) -> Step:
    """JSON begins at `buffer.at`: all arguments of the open call, or in an envelope, on trial, a call."""
    if m.call:
        return _arguments_follow(m, m.call)
    m.json = JsonCalls()
    return Step.GO


def _read_on(m: Message, reader: Reader, body: Body) -> Step:
    """Go on with a call that is read member by member."""
    match read_members(m, body):
        case Progress.DONE:
            if reader.retry:
                m.log.commit(reader.retry)
            if isinstance(reader, JsonArguments):
                return _end_body(m)
            m.log.emit(CallEnd(body.index))
            return _end_calls(m, reader)
        case Progress.FAILED if reader.retry:
            return _read_again(m, reader)
        case Progress.FAILED:
            return _leave_unended(m, body)
    return Step.MORE


def _read_again(m: Message, reader: Reader) -> Step:
    """A call that is on trial is broken: perhaps it can be read as a whole."""
    mark = reader.retry
    assert mark
    m.log.rollback(mark, end=mark.position)
    reader.body, reader.retry, reader.broken = None, None, True
    if isinstance(reader, JsonCalls):
        m.calls -= 1
        reader.text = _text_of_calls(m)
    else:
        _open_arguments(m, reader)
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
    """Too much was read since this mark, which is none of a trial: the call stays without an end."""
    reader = m.json
    assert isinstance(reader, Reader)
    owner = reader.body or m.call
    assert owner
    m.log.rollback(mark)
    return m.leave_unended(Refused.LIMIT, owner.tool)


# In an envelope


def _next_call(m: Message, calls: JsonCalls) -> Step:
    """A bracket, of a call or of an array."""
    head = read_head(m.buffer.text, m.buffer.at, m.buffer.over)
    if head is MORE:
        return Step.MORE
    opening = find_tool(head.name, m.toolset, m.grammar.level) if head else None
    if head and opening and _can_stream(m, opening.tool, head.key) and m.toolset.allows(opening.tool.name):
        return _start(m, calls, head, opening)
    calls.text = _text_of_calls(m)
    return Step.GO


def _can_stream(m: Message, tool: Tool, key: str) -> bool:
    """Whether the arguments of this tool, of which this is the first key, can be read one by one. `type` may
    begin the declaration of a tool, and rules that are not live must see all of them."""
    rules = m.toolset.rules_for(tool)
    known = tool.declares(key) or not tool.arguments.declared
    return known and key != "type" and (rules is None or rules.live)


def _text_of_calls(m: Message) -> JsonText:
    return JsonText(m.buffer, m.grammar.ends_json, lambda text: read_body(text, m.toolset) is not None)


def _start(m: Message, calls: JsonCalls, head: Head, opening: Opening) -> Step:
    """A call that is read member by member."""
    if (again := _behind_undeclared(m)) is not None:
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
    calls.body = Body(m.calls - 1, tool, writer, head.brackets, mended=head.slip)
    m.buffer.at = head.at
    return Step.GO


def _is_certain(m: Message) -> bool:
    """Whether a call that begins as it should is one, whatever follows."""
    return m.live and not m.is_dropped and not (m.trial and m.trial.at_end)


def _behind_undeclared(m: Message) -> int | None:
    """Where to read again if calls of undeclared tools are before this one, which is good: they are text."""
    trial = m.trial
    undeclared = trial and trial.at_end and trial.why is Refused.UNDECLARED
    return m.json_from if undeclared and trial and m.json_from > trial.position else None


def _say_json(m: Message, calls: JsonCalls, repairs: Sequence[Repair], text: str) -> None:
    for repair in repairs:
        if not (calls.said and repair is Repair.JSON_BODY):
            m.log.repair(repair, text)
    calls.said = True


def _end_calls(m: Message, calls: JsonCalls) -> Step:
    m.end_call()
    m.json = BehindCall(calls.array)
    return m.go(At.JSON)


def _behind_call(m: Message, behind: BehindCall) -> Step:
    """Another call follows, or brackets too many, or the end of the envelope."""
    text, at = m.buffer.text, skip_blanks(m.buffer.text, m.buffer.at)
    if text[at : at + 1] == ",":
        at = skip_blanks(text, at + 1)
    if at == len(text) and not m.buffer.over:
        return Step.MORE
    match text[at : at + 1]:
        case "{" | "[":
            m.try_(Refused.INVALID_JSON, at_end=m.context.thinking)
            m.buffer.at, m.json = at, JsonCalls(behind.array, said=True)
            return Step.GO
        case "]" if behind.array:
            behind.array = False
            m.drop(at + 1)
            return Step.GO
        case "}" | "]":
            return _at_surplus(m)
    return _leave(m)


def _at_surplus(m: Message) -> Step:
    """Brackets that belong to nothing, if a tag stands after them; else they are text."""
    text, over = m.buffer.text, m.buffer.over
    at = end_of(_SURPLUS, text, m.buffer.at)
    if at == len(text) and not over:
        return Step.MORE
    if at == len(text) or text[at] == "<":
        m.log.repair(Repair.STRAY_CLOSER, text[m.buffer.at : at])
        m.drop(at)
    return _leave(m)


def _leave(m: Message) -> Step:
    m.json = None
    return m.go(At.AFTER)


# In an envelope: as a whole


def _read_calls(m: Message, calls: JsonCalls) -> Step:
    """Go on with what is read as a whole."""
    json = calls.text
    assert json
    ended = read_text(json)
    if ended is MORE:
        return Step.MORE
    text = json.so_far
    if ended is Ended.BRACKET and (broken := _goes_on(m, calls)):
        return Step.MORE if broken is MORE else _refuse(m, json, None)
    if ended is Ended.MESSAGE and m.followed is not None:
        return break_off(m, Refused.TRUNCATED)
    if ended is Ended.MESSAGE and not m.complete:
        return _refuse(m, json, Refused.TRUNCATED)
    found = read_body(text, m.toolset)
    if found is None:
        return _refuse(m, json, Refused.TRUNCATED if calls.broken else None)
    return _emit_calls(m, calls, found, text)


def _goes_on(m: Message, calls: JsonCalls) -> bool | Wait:
    """Whether a bracket closed the JSON before its end."""
    text, at = m.buffer.text, m.buffer.at
    here = end_of(JSON_WHITESPACE, text, at)
    if here == len(text):
        return False if m.buffer.over else MORE
    mark = text[here]
    return (mark in ':"') or (mark == "," and not calls.array) or (mark.isalnum() and here == at)


def _refuse(m: Message, json: JsonText, why: Refused | None) -> Step:
    """What was read is text, but for an envelope in it, from which it is read again."""
    m.returns += json.suspect >= 0
    again = json.suspect if json.suspect >= 0 and m.returns < RETURNS else None
    return m.reject(why, again=again)


def _emit_calls(m: Message, calls: JsonCalls, found: tuple[list[Found], list[Repair]], text: str) -> Step:
    openings = [meant(m, name, arguments) for name, arguments in found[0]]
    if why := why_not(m, openings):
        return m.reject(why)
    undeclared = any(opening is None for opening, _, _ in openings)
    if not undeclared and (again := _behind_undeclared(m)) is not None:
        return m.reject(again=again)
    _say_json(m, calls, found[1], text)
    emit_calls(m, openings)
    m.envelope = Envelope.OPEN
    return _end_calls(m, calls)


# As the body of a call


def _arguments_follow(m: Message, call: Call) -> Step:
    first = read_first_key(m.buffer.text, m.buffer.at, m.buffer.over)
    if first is MORE:
        return Step.MORE
    m.json = JsonArguments(call.in_parameter)
    streams = isinstance(first, tuple) and isinstance(call.writer, ArgumentsWriter)
    if streams and isinstance(first, tuple) and _can_stream(m, call.tool, first[0]):
        _start_arguments(m, call, m.json, first[1])
    else:
        _open_arguments(m, m.json)
    return Step.GO


def _start_arguments(m: Message, call: Call, reader: JsonArguments, at: int) -> None:
    """They are read member by member."""
    if m.trial:
        reader.retry = m.log.mark()
    _say_body(m, [Repair.JSON_BODY], m.buffer.text[m.buffer.at : m.buffer.at + EXCERPT])
    assert isinstance(call.writer, ArgumentsWriter)
    reader.body = Body(call.index, call.tool, call.writer, 0)
    m.buffer.at = at


def _open_arguments(m: Message, reader: JsonArguments) -> None:
    """They are read as a whole."""
    assert m.call
    tool = m.call.tool
    if isinstance(m.call.writer, ArgumentsWriter):
        m.call.writer = ArgumentsWriter(tool, m.toolset.rules_for(tool))
    reader.retry = m.log.mark()
    reader.text = JsonText(m.buffer, m.grammar.ends_json, lambda text: read_arguments(text, tool) is not None)


def _say_body(m: Message, repairs: Sequence[Repair], text: str) -> None:
    taught = any(dialect.body is Writes.JSON for dialect in m.kept)
    for repair in repairs:
        if not (taught and repair is Repair.JSON_BODY):
            m.log.repair(repair, text)


def _end_body(m: Message) -> Step:
    assert m.call
    m.call.body_done, m.json = True, None
    return m.go(At.CALL)


def _read_arguments(m: Message, reader: JsonArguments) -> Step:
    """Go on with arguments that are read as a whole."""
    json, call = reader.text, m.call
    assert json
    assert call
    assert reader.retry
    ended = read_text(json)
    closing = _closing(m, call) if ended is not MORE else MORE
    if closing is MORE:
        return Step.MORE
    if ended is Ended.MESSAGE and not m.complete:
        return _cut(m, reader.retry)
    text = json.so_far
    found = read_arguments(text, call.tool)
    known = (
        found is None or not call.tool.arguments.declared or found[0].keys() <= call.tool.arguments.declared
    )
    if closing is Closing.VALUE or (closing is Closing.PARAMETER and not (reader.in_parameter or known)):
        found = None
    if found is None:
        return _is_text(m, call, reader, text)
    m.log.commit(reader.retry)
    _say_body(m, found[1], text)
    give_all(m, call, found[0])
    return _end_body(m)


def _closing(m: Message, call: Call) -> Closing | Wait:
    """What closes them: as a parameter is closed, they may be the value of one, without its tag."""
    text, tags, over, closing = m.buffer.text, call.place.tags, m.buffer.over, Closing.OTHER
    at = end_of(JSON_WHITESPACE, text, m.buffer.at)
    tag = tags.match(text, at)
    if tag and tag.kind is TagKind.PARAMETER_CLOSE:
        at, closing = end_of(JSON_WHITESPACE, text, tag.end), Closing.PARAMETER
        tag = tags.match(text, at)
    if tag is None and not over and (at == len(text) or tags.may_begin(text, at)):
        return MORE
    opens = tag is not None and tag.kind is TagKind.PARAMETER_OPEN
    return Closing.VALUE if opens and closing is Closing.PARAMETER else closing


def _cut(m: Message, retry: Mark) -> Step:
    """The message was cut off in them."""
    m.log.commit(retry)
    m.json = None
    return m.go(At.CUT)


def _is_text(m: Message, call: Call, reader: JsonArguments, text: str) -> Step:
    """They are none: text in the call, of which nobody knows what it is."""
    if reader.broken:
        return m.reject(Refused.TRUNCATED)
    if not (call.certain and call.named):
        return m.reject()
    assert reader.retry
    m.log.commit(reader.retry)
    m.json = None
    m.log.repair(Repair.TEXT_IN_CALL, text)
    m.log.text(text)
    return m.go(At.STRAY)
