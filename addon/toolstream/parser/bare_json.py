"""A JSON call without a tag around it: `{"name": …, "arguments": {…}}` as the message, bare or in a fence; or
after text, if the closing tag of its envelope is there.

Most JSON in an answer is no call and has to stream on. So it is followed key by key as it arrives, on
trial. As soon as it contains something that no such call has, it is text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..grammar.kinds import CALL_CLOSERS, MORE, TagKind, Wait
from ..grammar.tag import Tag
from ..grammar.text import BLANK, JSON_STRING, skip_whitespace
from ..limits import AFTER_JSON, FENCE_RUN, PIECE
from ..repairs import Refused, Repair
from ..schema.call_scanner import CallScanner, Progress
from ..schema.call_shape import DRIFT, KEYS
from ..schema.call_shape import Call as Found
from ..schema.json_call import read_body, read_calls, wanted_by
from ..schema.json_read import loads
from ..schema.json_write import dump
from ..schema.lenient_json import with_brackets
from .fence import read_fence
from .interrupted import break_off
from .json_text import may_be_all
from .message import Message
from .states import Envelope, State, Step
from .whole_calls import Meant, any_undeclared, emit_calls, meant, why_not

_MARKS = re.compile(r'\\"\s*[,:}\]]')  # of JSON, in a string that may have taken them from around it
_WORD = re.compile(r"[:\[,]\s*+(?!true\b|false\b|null\b)[A-Za-z_]")  # in place of a value, as in a schema
_LAST = ("}", "]", ">")  # characters of a call, and of its closing tag
_LONGEST_END = AFTER_JSON + FENCE_RUN + 2  # of what is looked at after JSON
_CLOSES_NOTHING = (*CALL_CLOSERS, TagKind.STRAY)


@dataclass(slots=True)
class BareCall:
    """The JSON from the position `start` on. `fence`: what opened the fence it stands in, which belongs to
    it. `orphan`: the closing tag of an envelope has to follow. `follows`: it comes directly after a call
    that was refused. `complete`: its last bracket was read, or
    something stands in its place."""

    scanner: CallScanner
    start: int
    fence: str = ""
    orphan: bool = False
    follows: bool = False
    complete: bool = False
    text: str = ""


def open_bare_json(m: Message, orphan: bool = False) -> Step:
    """A bracket or a fence begins at `m.seen`, where an untagged call may stand, or an `orphan`."""
    text, at = m.buffer.text, m.seen
    fence = read_fence(text, at, m.buffer.over)
    if fence is MORE:
        m.go(State.LINE_START)
        return Step.MORE
    run, start = fence or ("", at)
    if text[start : start + 1] not in ("{", "["):
        m.emit_text(at + 1)
        return m.go(State.TEXT)
    follows = _follows_refused(m)
    m.begin_trial(Refused.NOT_ALONE, at_end=not m.aggressive)
    m.buffer.at = start
    scanner = CallScanner(m.toolset.names, DRIFT if m.aggressive else KEYS)
    m.json = BareCall(scanner, m.buffer.position, run, orphan, follows)
    return m.go(State.BARE_JSON)


def _follows_refused(m: Message) -> bool:
    """Whether nothing but whitespace stands between a call that was refused and this place."""
    gap = m.buffer.base + m.seen - m.json_refused
    return m.json_refused >= 0 and gap <= AFTER_JSON and m.context.last in _LAST


def in_bare_json(m: Message) -> Step:
    """State: in JSON without a tag around it."""
    json = m.json
    assert isinstance(json, BareCall)
    return _after_json(m, json) if json.complete else _in_json(m, json)


def _in_json(m: Message, json: BareCall) -> Step:
    buffer = m.buffer
    progress = json.scanner.feed(buffer.text[buffer.at : buffer.at + PIECE])
    buffer.at += json.scanner.end
    if progress is Progress.HOPELESS and not json.scanner.lacks_bracket:
        return _reject(m, json)
    if progress is Progress.MORE:
        return Step.GO if buffer.at < len(buffer.text) else _at_end_of_text(m, json)
    json.complete, json.text = True, buffer.since(json.start)
    return Step.GO


def _at_end_of_text(m: Message, json: BareCall) -> Step:
    """All text that has come is read, and the JSON is not complete."""
    if m.followed is not None:
        return break_off(m, None)
    if not m.buffer.over:
        return Step.MORE
    json.text = text = m.buffer.since(json.start)
    end = text.rfind("}") + 1
    if json.scanner.in_string and _ends_call(m, json, end):
        json.complete, json.text = True, text[:end]
        if not json.fence:  # what stands after it is read as that
            m.buffer.rewind(json.start)
            m.buffer.at += end
    return _give_up(m, json)


def _ends_call(m: Message, json: BareCall, at: int) -> bool:
    """Whether the text up to this index ends with the brackets of a call, and nothing but what may stand
    after one follows, although a wrong quote has made all that a string."""
    text = json.text
    head = text[:at].rstrip("} \t\r\n")
    brackets = text.count("}", len(head), at)
    needed = len("}}")  # of the arguments and the call
    if brackets < needed or (brackets > needed and not head.endswith('"')):
        return False  # without its quote, a string may end with one of them
    if json.fence:
        return text[at:].strip() == json.fence
    kinds = CALL_CLOSERS if json.orphan else _CLOSES_NOTHING
    first = at = skip_whitespace(text, at)
    while (tag := m.lookout.after.match(text, at)) and tag.kind in kinds:
        at = skip_whitespace(text, tag.end)
    return at == len(text) and not (json.orphan and at == first)


def _after_json(m: Message, json: BareCall) -> Step:
    """Nothing else may stand on the line but tags that close nothing; in a fence, its end has to come."""
    end = _end_before_closer(m, json)
    if end is None and not json.orphan:
        end = _end_of_line(m, json)
    if end is MORE:
        return Step.MORE
    if end is None:
        return _reject(m, json)
    m.buffer.at = end
    return _decide(m, json)


def _end_before_closer(m: Message, json: BareCall) -> int | Wait | None:
    """Where the JSON ends if a closing tag or a token of the model follows (of an orphan, the closing tag of
    its envelope); None if none does."""
    if json.fence:
        return None
    text, at = m.buffer.text, m.buffer.at
    tag = m.lookout.after.read(text, skip_whitespace(text, at), m.buffer.over)
    if not isinstance(tag, Tag):
        return tag
    return at if tag.kind in (CALL_CLOSERS if json.orphan else _CLOSES_NOTHING) else None


def _end_of_line(m: Message, json: BareCall) -> int | Wait | None:
    """The end of the line after the JSON, or of its fence; None if anything else follows."""
    text, at, over = m.buffer.text, m.buffer.at, m.buffer.over
    found = _line_end(json.fence).match(text, at)
    if found and (over or found.end() < at + len(text[at:].removesuffix("\r"))):
        return found.end()
    if not found and not _may_reach_fence(json.fence, text, at):
        return None
    if not over:
        return MORE
    return at if not text[at : at + _LONGEST_END].strip() else None


def _line_end(fence: str) -> re.Pattern[str]:
    """The rest of the line after JSON; or in a `fence`, up to the line that closes it."""
    closer = (
        rf"[{BLANK}]{{0,{AFTER_JSON}}}{re.escape(fence[:1])}{{{len(fence)},{FENCE_RUN}}}" if fence else ""
    )
    return re.compile(rf"{closer}[ \t]{{0,{AFTER_JSON}}}(?=\r?\n|\r?\Z)")


def _may_reach_fence(fence: str, text: str, at: int) -> bool:
    """Whether the text from `at` on may be half of what closes a `fence`."""
    rest = text[at : at + _LONGEST_END]
    is_all = at + len(rest) == len(text) and len(rest) <= AFTER_JSON + len(fence)
    return fence != "" and is_all and not rest.strip(BLANK + fence[:1])


def _decide(m: Message, json: BareCall) -> Step:
    """The JSON is complete: is it a call?"""
    if json.orphan and json.follows:
        return _reject(m, json)  # one of two calls would be another request
    calls = _calls_in(m, json)
    if not calls:
        return _give_up(m, json)
    return _emit(m, json, calls, [Repair.UNTAGGED_JSON])


def _emit(m: Message, json: BareCall, calls: list[Meant], repairs: Sequence[Repair]) -> Step:
    if why := why_not(m, calls):
        return m.reject(why)
    if m.orphan_think:
        m.log.repair(Repair.ORPHAN_THINK_CLOSE, "</think>")
        m.orphan_think = False
    for repair in repairs:
        m.log.repair(repair, json.text)
    emit_calls(m, calls)
    if json.orphan:
        m.log.repair(Repair.MISSING_TOOL_CALL_OPEN, json.text)
    m.envelope = Envelope.ORPHAN if json.orphan else Envelope.NONE
    return m.end_call()


def _calls_in(m: Message, json: BareCall) -> list[Meant]:
    """The calls that the JSON consists of; none if it contains anything else."""
    found = _read_all(m, json)
    if found and m.trial and json.fence:
        m.trial.at_end = True
    calls = [meant(m, name, arguments) for name, arguments in found]
    return [] if json.scanner.in_message and any_undeclared(calls) else calls


def _read_all(m: Message, json: BareCall) -> Sequence[Found]:
    """The names and arguments of the calls, if each has a name and there is nothing else in the JSON."""
    scanner = json.scanner
    lenient = m.aggressive or scanner.in_message
    found = read_calls(json.text, lenient or scanner.nested) or []
    is_all = lenient or len(found) == scanner.arguments
    return found if is_all and all(name for name, _ in found) else []


# Damaged calls


def _give_up(m: Message, json: BareCall) -> Step:
    """It cannot be read as it is. If the message begins with it, or the closing tag of an envelope follows,
    and it names a tool and has arguments, it may be a damaged call. That has to be certain, and to hold all
    that the tool requires."""
    found = read_body(json.text, m.toolset) if _may_be_damaged(m, json) else None
    calls = [meant(m, name, arguments) for name, arguments in found[0]] if found else []
    if len(calls) != 1 or not _is_certain(calls[0]):
        return _reject(m, json)
    return _emit(m, json, calls, [Repair.UNTAGGED_JSON, Repair.JSON_BODY])


def _may_be_damaged(m: Message, json: BareCall) -> bool:
    """Whether it may be a damaged call: it begins the message or stands before an orphan's closing tag, is
    like one call, and is broken, but lacks no more than brackets at its end."""
    begins = json.complete if json.orphan else not (m.context.has_text or m.calls)
    if not (m.tolerant and begins):
        return False
    is_one = json.scanner.named and json.scanner.arguments == 1
    whole = m.complete or not m.buffer.over
    return is_one and whole and _is_cut_after_value(json)


def _is_cut_after_value(json: BareCall) -> bool:
    """Whether JSON cannot be read, but may lack no more than brackets at its end."""
    return may_be_all(json.text) and loads(json.text) is None and _lacks_only_brackets(json)


def _lacks_only_brackets(json: BareCall) -> bool:
    """Whether JSON is whole but for brackets at its end, and holds no text of another language."""
    if not json.complete and loads(with_brackets(json.text)) is None:
        return False
    return '"""' not in json.text and not _WORD.search(JSON_STRING.sub('""', json.text))


def _is_certain(call: Meant) -> bool:
    """Whether the arguments are all that a declared tool requires, and hold no marks of JSON."""
    opening, _, arguments = call
    return opening is not None and wanted_by(opening.tool)(arguments) and not _MARKS.search(dump(arguments))


def _reject(m: Message, json: BareCall) -> Step:
    """It is text. The refusal is only reported if it names a declared tool."""
    scanner = json.scanner
    return m.reject(silent=not scanner.named or (scanner.nested and not scanner.arguments))
