"""Makes a case or an answer as small as it can be while it still shows something. No IO.

What must stay visible is a `Wish`. `Watch` says whether a smaller case still shows it and adds nothing: no
repair, no refusal, no unfinished call and no exception that the whole case did not have.

A case is reduced in rounds, until a round changes nothing (`shrink_case`). First its text, by delta debugging
(`ddmin`, Zeller and Hildebrandt 2002): by lines, by tags and words, by tags and characters. Then its request:
towards an ordinary one with small tools. Of an answer the events and the tools are reduced (`shrink_events`).

The command is in `shrink`.
"""

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from ..recording.format import Recording
from . import casefile
from .casefile import Case, Tool
from .golden import Golden
from .other_version import TODAY, Rules
from .outline import Call, Message, messages_of
from .rerun import outcome, user_rules

T = TypeVar("T")
Json = dict[str, Any]

# What is removed from a schema first
REMARKS = ("description", "title", "default", "examples", "$schema", "$comment")
UNITS = (
    re.compile(r".*\n|.+"),  # lines
    re.compile(r"<[^<>\n]*>|\w+|\s|.", re.S),  # tags and words
    re.compile(r"<[^<>\n]*>|.", re.S),  # tags and characters
)


# Delta debugging


def ddmin(units: list[T], shows: Callable[[list[T]], bool]) -> list[T]:
    """Return a part of `units` that still shows it, but not if any one unit is removed."""
    parts = 2
    while len(units) >= 2:
        size = -(-len(units) // parts)
        for start in range(0, len(units), size):
            rest = units[:start] + units[start + size :]
            if shows(rest):
                units, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(2 * parts, len(units))
    return [] if units and shows([]) else units


# Parsing


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a parser made of a text, named as in a case."""

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    open: tuple[str, str] | None = None
    repairs: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    crash: str = ""


def parse(case: Case, rules: Rules = TODAY, live: bool = True, per_character: bool = False) -> Parsed:
    """Return what a version of the parser makes of a case. An exception is a result, too."""
    try:
        parser = rules.parser(
            case.request["tools"],
            case.request["tool_choice"],
            case.recovery,
            parallel=case.parallel,
            live=live,
            **user_rules(case.rules),
        )
        events = [
            event for piece in (case.input if per_character else [case.input]) for event in parser.feed(piece)
        ]
        events += parser.close(case.finish)
    except Exception as e:
        return Parsed(crash=f"{type(e).__name__}: {e}")
    return gathered(events, [str(reason) for reason in sorted(parser.ledger.refused.elements())])


def gathered(events: list[Any], refused: list[str]) -> Parsed:
    """Collect the events of any version of the parser, by the names of their classes."""
    text, repairs = "", []
    calls: list[list[str]] = []
    ended = 0
    for event in events:
        match type(event).__name__:
            case "Text":
                text += event.text
            case "CallStart":
                calls.append([event.name, ""])
            case "ArgumentsDelta":
                calls[-1][1] += event.fragment
            case "CallEnd":
                ended += 1
            case "Repaired":
                repairs.append(str(event.repair))
    done = [(name, arguments) for name, arguments in calls]
    left = done[ended] if len(done) > ended else None
    return Parsed(text, tuple(done[:ended]), left, tuple(repairs), tuple(refused))


def as_golden(parsed: Parsed) -> Golden:
    """Return the result of a text as a golden."""
    calls = tuple(Call(name, arguments) for name, arguments in (*parsed.calls, *filter(None, [parsed.open])))
    repairs, refused = Counter(parsed.repairs), Counter(parsed.refused)
    return Golden(True, (Message(parsed.text, calls=calls),), repairs, refused, crash=parsed.crash)


# What is kept


@dataclass(frozen=True, slots=True)
class Wish:
    """What must stay visible. `before` are the rules that "changed" compares with."""

    kind: str  # repair, refused, crash, changed
    name: str = ""
    before: Rules | None = None

    def __str__(self) -> str:
        return f"{self.kind}={self.name}" if self.name else self.kind

    def is_shown(self, now: Parsed | Golden, before: Parsed | Golden) -> bool:
        """Whether the result of a text, or of an answer, shows it. `before` is that of the rules `before`."""
        match self.kind:
            case "repair":
                return self.name in now.repairs
            case "refused":
                return self.name in now.refused
            case "crash":
                return bool(now.crash)
        return now != before


# Cases


class Watch:
    """Checks that a case still shows what must be kept, and nothing new."""

    def __init__(self, wish: Wish, case: Case) -> None:
        self._wish = wish
        self._seen: dict[Case, bool] = {}
        self._per_character = False
        self._limits = self._parsed(case)
        if not wish.is_shown(*self._limits):
            self._per_character = True
            self._limits = self._parsed(case)

    def _parsed(self, case: Case) -> tuple[Parsed, Parsed]:
        now = parse(case, per_character=self._per_character)
        return now, parse(case, self._wish.before) if self._wish.before else now

    def __call__(self, case: Case) -> bool:
        if case not in self._seen:
            parsed = self._parsed(case)
            clean = all(map(_adds_nothing, parsed, self._limits))
            self._seen[case] = clean and self._wish.is_shown(*parsed)
        return self._seen[case]


def _adds_nothing(parsed: Parsed, limit: Parsed) -> bool:
    return (
        set(parsed.repairs) <= set(limit.repairs)
        and set(parsed.refused) <= set(limit.refused)
        and (parsed.open is None or limit.open is not None)
        and (not parsed.crash or bool(limit.crash))
    )


def shrink_case(case: Case, shows: Callable[[Case], bool]) -> Case:
    """Return the smallest case that still shows it; the same case if it does not."""
    while shows(case):
        before = case
        for unit in UNITS:
            case = _shrink_text(case, unit, shows)
        case = _shrink_request(case, shows)
        if case == before:
            break
    return case


def _shrink_text(case: Case, unit: re.Pattern[str], shows: Callable[[Case], bool]) -> Case:
    def with_units(units: list[str]) -> Case:
        return dataclasses.replace(case, input="".join(units))

    return with_units(ddmin(unit.findall(case.input), lambda units: shows(with_units(units))))


def _shrink_request(case: Case, shows: Callable[[Case], bool]) -> Case:
    """Take every possible step towards an ordinary request with small tools."""
    while smaller := next(filter(shows, _smaller_requests(case)), None):
        case = smaller
    return case


def _smaller_requests(case: Case) -> Iterator[Case]:
    ordinary = Case(case.tools, case.input)
    for name in ("choice", "parallel", "recovery", "finish", "rules"):
        if getattr(case, name) != getattr(ordinary, name):
            yield dataclasses.replace(case, **{name: getattr(ordinary, name)})
    for at, tool in enumerate(case.tools):
        rest = case.tools[:at], case.tools[at + 1 :]
        if tool.name not in case.input:
            yield dataclasses.replace(case, tools=(*rest[0], *rest[1]))
        for smaller in _smaller_tools(tool, case.input):
            yield dataclasses.replace(case, tools=(*rest[0], smaller, *rest[1]))


def _smaller_tools(tool: Tool, text: str) -> Iterator[Tool]:
    """Yield smaller versions of a tool. Names in the text stay, or they would become undeclared."""
    for at, (name, schema, required) in enumerate(tool.parameters):
        rest = tool.parameters[:at], tool.parameters[at + 1 :]
        if name not in text:
            yield dataclasses.replace(tool, parameters=(*rest[0], *rest[1]))
        for smaller in _smaller_schemas(schema):
            yield dataclasses.replace(tool, parameters=(*rest[0], (name, smaller, required), *rest[1]))


def _smaller_schemas(schema: str) -> Iterator[str]:
    plain = '{"type": "string"}'
    if schema != plain:
        yield plain
    value = json.loads(schema)
    if (kind := json.dumps({"type": value.get("type")})) != schema and "type" in value:
        yield kind


# Recordings


def cases_of(recording: Recording, recovery: str) -> list[Case]:
    """Return the text of each choice of an answer as a case. Raises CaseError."""
    asked = recording.of.asked(recording.request)
    tools = tuple(casefile.tool_of(_plain(tool)) for tool in asked.tools or [])
    choice = asked.tool_choice or "auto"
    choice = choice if isinstance(choice, str) else json.dumps(choice)
    return [
        Case(tools, m.content, m.finish_reason, choice, asked.parallel, recovery, recording.rules)
        for m in messages_of(recording.body, recording.is_stream, recording.of)
    ]


def _plain(tool: Json) -> Json:
    function = tool.get("function", {})
    return {"function": function | {"parameters": _without_remarks(function.get("parameters") or {})}}


def _without_remarks(value: Any, is_schema: bool = True) -> Any:
    """Return a schema without its descriptions. Names of properties are not keywords."""
    if isinstance(value, list):
        return [_without_remarks(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_remarks(item, not (is_schema and key in ("properties", "$defs")))
        for key, item in value.items()
        if not (is_schema and key in REMARKS)
    }


def shrink_events(recording: Recording, wish: Wish, recovery: str) -> Recording:
    """Return an answer with the fewest events and tools that still show it."""

    def shows(smaller: Recording) -> bool:
        now = outcome(smaller, smaller.chunks, recovery)
        before = outcome(smaller, smaller.chunks, recovery, wish.before) if wish.before else now
        return wish.is_shown(now, before)

    def with_events(events: list[bytes]) -> Recording:
        return dataclasses.replace(recording, chunks=events, times=[0.0] * len(events), out=b"", ledger={})

    events = recording.of.frames(recording.body)
    if not shows(with_events(events)):
        return recording
    recording = with_events(ddmin(events, lambda some: shows(with_events(some))))
    tools = recording.request.get("tools") or []
    return _with_tools(recording, ddmin(tools, lambda some: shows(_with_tools(recording, some))))


def _with_tools(recording: Recording, tools: list[Any]) -> Recording:
    request = recording.request | {"tools": tools}
    return dataclasses.replace(recording, request=request, request_body=json.dumps(request).encode())
