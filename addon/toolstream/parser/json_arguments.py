"""Arguments in JSON inside of a function's tag, or in a parameter that holds all of them.

If they begin as they should (`json_head`) they are read member by member, otherwise as a whole
(`json_text`).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..grammar.dialect import Body as Writes
from ..grammar.kinds import MORE, TagKind, Wait
from ..grammar.tag import Tag
from ..grammar.text import JSON_WHITESPACE, end_of
from ..limits import EXCERPT
from ..repairs import Refused, Repair
from ..schema.arguments import ArgumentsWriter
from ..schema.bare_members import is_bare
from ..schema.json_call import read_arguments
from ..schema.json_read import Json
from ..schema.schema import Tool
from .call_events import emit_stray, give_all
from .json_head import read_first_key
from .json_reader import Body, Closing, JsonArguments
from .json_text import Ended, JsonText, may_be_all, may_be_in_value, read_text
from .message import Call, Message
from .states import State, Step


def can_stream(m: Message, tool: Tool, key: str) -> bool:
    """Whether the arguments of this tool, which begin with this key, can be read member by member. `type`
    may begin the declaration of a tool instead, and rules that are not live need to see all arguments
    first."""
    rules = m.toolset.rules_for(tool)
    known = tool.declares(key) or not tool.arguments.declared
    return known and key != "type" and (rules is None or rules.live)


def arguments_follow(m: Message, call: Call) -> Step:
    first = read_first_key(m.buffer.text, m.buffer.at, m.buffer.over)
    if first is MORE:
        return Step.MORE
    m.json = JsonArguments(in_parameter=call.in_parameter)
    streams = isinstance(first, tuple) and isinstance(call.writer, ArgumentsWriter) and not call.stray
    if streams and isinstance(first, tuple) and can_stream(m, call.tool, first[0]):
        _start_arguments(m, call, m.json, first[1])
    else:
        open_arguments(m, m.json)
    return Step.GO


def _start_arguments(m: Message, call: Call, reader: JsonArguments, at: int) -> None:
    """Read them member by member."""
    if m.trial:
        reader.retry = m.log.mark()
    _say_body(m, [Repair.JSON_BODY], m.buffer.text[m.buffer.at : m.buffer.at + EXCERPT])
    assert isinstance(call.writer, ArgumentsWriter)
    reader.body = Body(call.index, call.tool, call.writer, call.brackets)
    m.buffer.at = at


def open_arguments(m: Message, reader: JsonArguments) -> None:
    """Read them as a whole."""
    call, tool = m.open_call, m.open_call.tool
    if isinstance(call.writer, ArgumentsWriter):
        call.writer = ArgumentsWriter(tool, m.toolset.rules_for(tool))
    reader.retry = m.log.mark()
    reader.text = JsonText(m.buffer, m.grammar.ends_json, lambda text: read_arguments(text, tool) is not None)


def _say_body(m: Message, repairs: Sequence[Repair], text: str) -> None:
    taught = any(dialect.body is Writes.JSON for dialect in m.kept)
    for repair in repairs:
        if not (taught and repair is Repair.JSON_BODY):
            m.log.repair(repair, text)


def end_body(m: Message) -> Step:
    m.open_call.body_done, m.json = True, None
    return m.go(State.CALL)


def read_on_arguments(m: Message, reader: JsonArguments) -> Step:
    """Continue with arguments that are read as a whole."""
    json, call = reader.text, m.open_call
    assert json
    ended = read_text(json)
    if ended is MORE:
        return Step.MORE
    goes_on = ended is Ended.BRACKET and may_be_in_value(json, is_bare(json.so_far, call.tool), "<")
    closing = MORE if goes_on is MORE else _closing(m, call)
    if closing is MORE:
        return Step.MORE
    if goes_on:
        return json.go_on(1)
    if ended is Ended.MESSAGE and not (m.complete and may_be_all(json.so_far)):
        return _cut(m, call, reader, json.so_far)
    return _take_arguments(m, call, reader, json.so_far, closing)


def _take_arguments(m: Message, call: Call, reader: JsonArguments, text: str, closing: Closing) -> Step:
    """They are complete: the call has them, or they are text."""
    assert reader.retry
    found = _read_closed(reader, text, call.tool, closing)
    if found is None or (call.stray and not _are_all(call, found[0])):
        return _leave_as_text(m, call, reader, text)
    m.log.commit(reader.retry)
    _say_body(m, found[1], text)
    give_all(m, call, found[0])
    return end_body(m)


def _closing(m: Message, call: Call) -> Closing | Wait:
    """What closes them. If a parameter's closing tag does, they may be the value of a parameter without
    its opening tag."""
    text, tags, over, closing = m.buffer.text, call.place.tags, m.buffer.over, Closing.OTHER
    at = end_of(JSON_WHITESPACE, text, m.buffer.at)
    tag = tags.read(text, at, over)
    if isinstance(tag, Tag) and tag.kind is TagKind.PARAMETER_CLOSE:
        at, closing = end_of(JSON_WHITESPACE, text, tag.end), Closing.PARAMETER
        tag = tags.read(text, at, over)
    if tag is MORE:
        return MORE
    opens = tag is not None and tag.kind is TagKind.PARAMETER_OPEN
    return Closing.VALUE if opens and closing is Closing.PARAMETER else closing


def _read_closed(
    reader: JsonArguments, text: str, tool: Tool, closing: Closing
) -> tuple[Json, list[Repair]] | None:
    """The arguments, and their repairs; None if they cannot be read, or cannot be all by the closing tag
    after them."""
    found = read_arguments(text, tool) if closing is not Closing.VALUE else None
    if found is None or closing is Closing.OTHER or reader.in_parameter:
        return found
    declared = tool.arguments.declared
    return found if not declared or found[0].keys() <= declared else None


def _are_all(call: Call, arguments: Json) -> bool:
    """Whether these are all that the tool requires, and none that it does not have."""
    return call.tool.required <= arguments.keys() <= call.tool.arguments.declared


def _cut(m: Message, call: Call, reader: JsonArguments, text: str) -> Step:
    """The message ended inside of them. Behind other text in the call they are text, too."""
    assert reader.retry
    m.log.commit(reader.retry)
    m.json, call.body_cut = None, True
    if call.stray:
        m.log.text(text)
    return m.go(State.CUT)


def _leave_as_text(m: Message, call: Call, reader: JsonArguments, text: str) -> Step:
    """They are no arguments: text in the call, of unknown meaning."""
    if reader.broken:
        return m.reject(Refused.TRUNCATED)
    if not (call.certain and call.named):
        return m.reject()
    assert reader.retry
    m.log.commit(reader.retry)
    m.json = None
    m.log.repair(Repair.TEXT_IN_CALL, text)
    return emit_stray(m, text)
