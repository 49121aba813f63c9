"""What stands after the arguments of a call that the server parsed.

They are complete, so none of it may cost the call: what says nothing is dropped, the arguments once more, or
the beginning of that, are a repetition, calls are calls, and what else is said is text of the answer.
"""

import json
import re
from typing import Any

from ..grammar.text import end_of
from ..limits import MADE_UP_NAME, NAME, OBJECTS
from ..repairs import Refused, Repair
from ..schema.json_read import loads
from ..schema.schema import Tool
from .json_stream import joined
from .reader import Findings, NewParser
from .swallowed import text_and_calls
from .tags import end_of_leftovers, is_lone_opener, lead_of

# Marks, and tokens that end a turn
_SAYS_NOTHING = re.compile(rf"(?:(?![0-9A-Za-z])[\x00-\x7f]|</s>|<\|\w{{1,{MADE_UP_NAME}}}\|>)*")
_MEMBER = re.compile(rf'\s*,\s*"([^"\\]{{1,{NAME}}})"\s*:')
_MARKS = re.compile(r"[\s,;)\].]*")


def can_part(
    rest: str, object_: str, tool: Tool, new_parser: NewParser, findings: Findings, stopped: bool
) -> bool:
    """Whether the text `rest` can be parted from these arguments. What it brings goes into `findings`."""
    if not rest.strip() or _is_again(rest, object_, findings):
        return True
    after = rest[end_of_leftovers(rest, tool) :]
    if _SAYS_NOTHING.fullmatch(after) or is_lone_opener(after, tool):
        findings.count(Repair.STRAY_CLOSER)
        return True
    return not _goes_on(rest, tool) and _is_said(after, tool, new_parser, findings, stopped)


def _is_again(rest: str, object_: str, findings: Findings) -> bool:
    """Whether it is the arguments once more, or other ones, which are dropped."""
    again = _objects(rest)
    if again and all(isinstance(value, dict) for value in again):
        arguments = loads(joined(object_))
        findings.count(Repair.REPEATED_ARGUMENTS)
        if any(value != arguments for value in again):
            findings.refuse(Refused.SECOND_OBJECT, rest)
        return True
    begun = "".join(rest.split())
    if len(begun) > 1 and begun[0] == "{" and "".join(object_.split()).startswith(begun):
        findings.count(Repair.REPEATED_ARGUMENTS)
        return True
    return False


def _objects(text: str) -> list[Any]:
    """The JSON values a text consists of, and marks between them; [] if it is anything else."""
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


def _goes_on(rest: str, tool: Tool) -> bool:
    """Whether further members of the object follow, which ended too early: without them it says less."""
    member = _MEMBER.match(rest)
    return member is not None and tool.declares(member[1])


def _is_said(text: str, tool: Tool, new_parser: NewParser, findings: Findings, stopped: bool) -> bool:
    """Whether it is calls, and what can be said as text."""
    lead, reason = lead_of(text, tool), "stop" if stopped else "length"
    head, recovery = (lead.head, lead.recovery) if lead else ("", "tolerant")
    said, calls = text_and_calls(head + text, new_parser, tool, recovery, reason)
    if said.strip() and not findings.takes_prose:
        return False
    if calls:
        findings.count(Repair.SWALLOWED_CALL)
        findings.add_calls(calls)
    if said.strip():
        findings.count(Repair.TEXT_IN_CALL)
        findings.prose = said.strip() if calls else text.strip()
    return True
