"""What follows the arguments of a call that the server parsed.

The arguments are complete, so what follows does not cost the call, unless it may be more of them. Text
that says nothing is dropped. The same arguments again, or their beginning, are a repetition. Calls are
calls. Anything else is text of the answer.
"""

import json
import re
from typing import Any

from ..grammar.text import JSON_STRING, end_of, joined
from ..limits import MADE_UP_NAME, NAME, OBJECTS
from ..repairs import Refused, Repair
from ..schema.call_shape import fits
from ..schema.coercion import conform
from ..schema.json_read import Json, loads
from ..schema.json_write import dump
from ..schema.schema import Tool
from .in_arguments import text_and_calls
from .reader import Findings, NewParser
from .tags import end_of_leftovers, is_lone_opener, lead_of

# Punctuation, and tokens that end a turn
_SAYS_NOTHING = re.compile(rf"(?:(?![0-9A-Za-z])[\x00-\x7f]|</s>|<\|\w{{1,{MADE_UP_NAME}}}\|>)*")
_MARKS = re.compile(r"[\s,;)\].]*")
# A member of an object after punctuation; its key may have lost one of its quotes, or both
_MEMBER = re.compile(
    rf"""[\s,;:.)\]}}]*+\\?["']?(?P<key>(?<=["'])[^"'\\]{{1,{NAME}}}|[\w.$-]{{1,{NAME}}})\\?["']?\s*+:"""
)
_ESCAPED = re.compile(r"\\.", re.DOTALL)
_END_OF_STRING = re.compile(r'"\s*+(?:[}\]]|\Z)')  # and of what contains it
_BRACES = re.compile(r"[{}]")


def take_rest(
    rest: str, object_: str, tool: Tool, new_parser: NewParser, findings: Findings, stopped: bool
) -> bool:
    """Take the text `rest` after these arguments: what it brings goes into `findings`. Return False if it
    cannot be parted from them."""
    if not rest.strip() or _take_repeated(rest, object_, tool, findings):
        return True
    after = rest[end_of_leftovers(rest, tool) :]
    if _SAYS_NOTHING.fullmatch(after) or is_lone_opener(after, tool):
        if _may_be_quoted(after, object_):
            return False
        findings.count(Repair.STRAY_CLOSER)
        return True
    if _goes_on(rest, object_, tool) or (not stopped and _sticks(rest, after, object_, tool)):
        return False
    return _take_said(after, object_, tool, new_parser, findings, stopped)


def _take_repeated(rest: str, object_: str, tool: Tool, findings: Findings) -> bool:
    """Take a text that is the arguments once more, or other ones. Return whether it is."""
    again = _objects(joined(rest))
    if again and all(isinstance(value, dict) for value in again):
        _take_again(again, rest, object_, tool, findings)
        return True
    if _is_beginning(rest, object_):
        findings.count(Repair.REPEATED_ARGUMENTS)
        return True
    return False


def _take_again(again: list[Json], rest: str, object_: str, tool: Tool, findings: Findings) -> None:
    """Other arguments are of further calls, if they fit the tool. What only says less or more than the
    arguments is dropped."""
    arguments = loads(joined(object_))
    others = [value for value in again if value != arguments]
    is_list = rest.lstrip()[0] == ","
    if others and all(fits(tool, v) and (is_list or _is_other(v, arguments)) for v in others):
        findings.count(Repair.SWALLOWED_CALL)
        findings.add_calls([(tool.name, dump(conform(value, tool.arguments)[0])) for value in others])
        return
    findings.count(Repair.REPEATED_ARGUMENTS)
    if others:
        findings.refuse(Refused.SECOND_OBJECT, rest)


def _is_beginning(rest: str, object_: str) -> bool:
    """Whether the arguments begin with this text, whatever whitespace is in the two."""
    begun = "".join(rest.split())
    return len(begun) > 1 and begun[0] == "{" and "".join(object_.split()).startswith(begun)


def _is_other(value: Json, arguments: Any) -> bool:
    """Whether it does not only say less than these arguments, or more."""
    both = (value.items(), arguments.items()) if isinstance(arguments, dict) else None
    return both is not None and not (both[0] <= both[1] or both[1] <= both[0])


def _objects(text: str) -> list[Any]:
    """The JSON values that a text consists of, apart from marks between them; [] if it contains anything
    else."""
    decoder, at = json.JSONDecoder(strict=False), end_of(_MARKS, text)
    values: list[Any] = []
    try:
        while at < len(text) and len(values) < OBJECTS:
            value, at = decoder.raw_decode(text, at)
            values.append(value)
            at = end_of(_MARKS, text, at)
    except (ValueError, RecursionError):
        return []
    return values if at == len(text) else []


def _goes_on(rest: str, object_: str, tool: Tool) -> bool:
    """Whether a further member follows, because the object was closed too early. Without it the call
    would say less."""
    member = _MEMBER.match(rest)
    if member is None or not tool.declares(member["key"]):
        return False
    given = loads(joined(object_))
    return not isinstance(given, dict) or member["key"] not in given


def _sticks(rest: str, after: str, object_: str, tool: Tool) -> bool:
    """Whether the rest follows the object in a way that prose does not. If the text was cut off, it may
    be more of the object."""
    return object_.endswith("}") and after == rest and lead_of(after, tool) is None


# An unescaped quote in a string ends it too early, and brackets after that quote end the object. What follows
# then is the rest of the string, with its real end and that of the object.


def _may_be_quoted(marks: str, object_: str) -> bool:
    """Whether the last string of the object may continue with these marks: they contain a quote that is
    not the first mark, or the string has an open one."""
    return '"' in marks and (marks.rfind('"') > 0 or _has_open_quote(object_))


def _has_open_quote(object_: str) -> bool:
    """Whether the object ends with a string that contains an odd number of quotes."""
    strings = JSON_STRING.findall(object_) if object_.rstrip("]} \t\r\n").endswith('"') else []
    return bool(strings) and sum(found == '\\"' for found in _ESCAPED.findall(strings[-1])) % 2 == 1


def _ends_a_string(text: str, object_: str) -> bool:
    """Whether the text is the rest of the last string of the object: it closes a brace or a quote that it
    has not opened."""
    depth = 0
    for brace in _BRACES.findall(text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return True
    bare = _ESCAPED.sub("", text)
    closes_quote = bare.count('"') % 2 == 1 and _END_OF_STRING.search(bare) is not None
    return closes_quote or _has_open_quote(object_)


def _take_said(
    text: str, object_: str, tool: Tool, new_parser: NewParser, findings: Findings, stopped: bool
) -> bool:
    """Take a text that consists of calls, and of prose that can be sent as text. Return whether it does."""
    lead, reason = lead_of(text, tool), "stop" if stopped else "length"
    head, recovery = (lead.head, lead.recovery) if lead else ("", "tolerant")
    said, calls = text_and_calls(head + text, new_parser, tool, recovery, reason)
    if said.strip() and (not findings.takes_prose or _ends_a_string(said, object_)):
        return False
    if calls:
        findings.count(Repair.SWALLOWED_CALL)
        findings.add_calls(calls)
    if said.strip():
        findings.count(Repair.TEXT_IN_CALL)
        findings.prose = said.strip() if calls else text.strip()
    return True
