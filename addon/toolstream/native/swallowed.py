"""What a server's parser has swallowed into the arguments of a call.

It took a closing tag of a parameter for payload, and all that followed with it: further parameters of the
call, and further calls. `ValueWatch` sees where that may have happened while the value streams, and from
there on holds it; `split_value` reads what it was. `can_drop` reads what stands after the object.
"""

import json
from collections.abc import Collection
from typing import Any

from ..events import Repaired, Text, calls_of
from ..grammar.text import JSON_WHITESPACE, end_of
from ..limits import OBJECTS
from ..repairs import Refused, Repair
from ..schema.json_read import Json, loads
from ..schema.schema import Tool
from .json_stream import ESCAPE
from .reader import Calls, Findings, NewParser
from .tags import Lead, end_of_leftovers, in_strings, lead_of, leads_to

Split = tuple[Json, Calls]  # parameters, calls


class ValueWatch:
    """Watches one string after the other, as they stand in JSON. What may be the end of a parameter waits; an
    opening tag in the string makes closing ones its own."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self.held = 0
        self.swallows = False  # a closing tag was found, and a tag after it: the rest of the string waits
        self._example = False

    @property
    def waiting(self) -> str:
        """What waits."""
        return "".join(self._held)

    def begin(self) -> None:
        """Another string."""
        self.drop()
        self._example = False

    def drop(self) -> None:
        """Nothing waits any more."""
        self._held, self.held, self.swallows = [], 0, False

    def hold(self, text: str) -> None:
        """Text waits with the rest."""
        self._held.append(text)
        self.held += len(text)

    def feed(self, letters: str) -> str:
        """Take letters of the string, with no escape cut in two; return what can pass."""
        if self.swallows:
            self.hold(letters)
            return ""
        text = self.waiting + letters
        at = self._end_of_payload(text)
        self._held, self.held = ([text[at:]], len(text) - at) if at < len(text) else ([], 0)
        return text[:at]

    def _end_of_payload(self, text: str) -> int:
        """Where what may be a closing tag begins."""
        tags, at = in_strings(), 0
        while (at := end_of(tags.clean, text, at)) < len(text):
            tag = tags.tag.match(text, at)
            if tag is None:
                if tags.part.fullmatch(text, at):
                    break
                at = max(at + 1, end_of(ESCAPE, text, at))
            elif tag["opener"] or self._example:
                self._example, at = True, tag.end()
            elif tags.part.fullmatch(text, at) or self._is_closer(text, at):
                break
            else:
                at = tag.end()
        return at

    def _is_closer(self, text: str, at: int) -> bool:
        self.swallows = in_strings().closer_and_tag.match(text, at) is not None
        return self.swallows

    @property
    def is_closed(self) -> bool:
        """Whether what waits, at the end of the string, begins with a closing tag."""
        return self.swallows or (self.held > 0 and in_strings().closer.fullmatch(self.waiting) is not None)


def split_value(
    tail: str, key: str, tool: Tool, given: Collection[str], new_parser: NewParser
) -> Split | None:
    """What a value of the parameter `key` ends in, from its closing tag on: the further parameters of this
    call, beside those that are `given`, and the calls after it. None if it is anything else."""
    for lead in leads_to(tail, key, tool):
        if split := _split(tail, lead, key, tool, given, new_parser):
            return split
    return None


def _split(
    tail: str, lead: Lead, key: str, tool: Tool, given: Collection[str], new_parser: NewParser
) -> Split | None:
    calls = calls_in(lead.head + tail, new_parser, tool, lead.recovery)
    first = loads(calls[0][1]) if calls and calls[0][0] == tool.name else None
    if not isinstance(first, dict) or first.pop(key, None) != "":
        return None
    if any(name in given for name in first) or not all(map(tool.declares, first)):
        return None
    return (first, calls[1:]) if first or calls[1:] else None


def calls_in(text: str, new_parser: NewParser, tool: Tool, recovery: str) -> Calls:
    """The calls that a text consists of; none if it holds anything else, or a call of an undeclared tool."""
    parser = new_parser(tool, live=False, recovery=recovery)
    events = parser.feed(text) + parser.close("stop")
    if any(isinstance(e, Text) and e.text.strip() for e in events):
        return []
    undeclared = any(isinstance(e, Repaired) and e.repair is Repair.UNDECLARED_NAME for e in events)
    return [] if undeclared else calls_of(events)


# After the object


def can_drop(rest: str, arguments: Any, tool: Tool, new_parser: NewParser, findings: Findings) -> bool:
    """Whether nothing is lost without the text `rest` after these arguments: brackets and tags that close
    nothing, the arguments once more, or calls, which `findings` gets. False if it is anything else."""
    again = _objects(rest)
    if again and all(isinstance(value, dict) for value in again):
        findings.count(Repair.REPEATED_ARGUMENTS)
        if any(value != arguments for value in again):
            findings.refuse(Refused.SECOND_OBJECT, rest)
        return True
    after = rest[end_of_leftovers(rest, tool) :]
    if after and not _take_calls(after, tool, new_parser, findings):
        return False
    if rest.strip() and not after:
        findings.count(Repair.STRAY_CLOSER)
    return True


def _take_calls(text: str, tool: Tool, new_parser: NewParser, findings: Findings) -> bool:
    """Whether a text is calls and nothing else."""
    lead = lead_of(text, tool)
    calls = calls_in(text, new_parser, tool, lead.recovery) if lead else []
    if calls:
        findings.count(Repair.SWALLOWED_CALL)
        findings.add_calls(calls)
    return bool(calls)


def _objects(text: str) -> list[Any]:
    """The JSON values a text consists of; [] if it is anything else."""
    decoder, at = json.JSONDecoder(strict=False), end_of(JSON_WHITESPACE, text)
    values: list[Any] = []
    try:
        while at < len(text) and len(values) < OBJECTS:
            value, at = decoder.raw_decode(text, at)
            values.append(value)
            at = end_of(JSON_WHITESPACE, text, at)
    except (ValueError, RecursionError):
        return []
    return values if at == len(text) else []
