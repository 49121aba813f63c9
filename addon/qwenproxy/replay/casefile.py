r"""Writes cases for `tests/cases`. tests/support/cases.py reads them and explains the format.

    #case a value closed by </function> alone
    #tools read_file(path: string, limit?: integer)
    #input <function=read_file><parameter=path>/etc/hosts</function>
    #calls read_file {"path": "/etc/hosts"}
    #repairs missing-parameter-close

A section of one line is written beside its name. What an editor would change or not show is
escaped: a backslash as `\\`, a space at the end of a line as `\s`, line breaks at the end as `\n`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_NAME = re.compile(r"[^(\s]+")
_KEY = re.compile(r"[^\s?:,]+")
_TYPE = re.compile(r"[a-z]+")


class CaseError(Exception):
    """Something cannot be written as a case. The message says what."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool in a case: `parameters` as (name, schema, is required)."""

    name: str
    parameters: tuple[tuple[str, str, bool], ...]  # schemas as JSON, so that tools can be compared

    def declared(self) -> Json:
        """Return the tool as a request declares it."""
        schema = {
            "type": "object",
            "properties": {name: json.loads(schema) for name, schema, _ in self.parameters},
            "required": [name for name, _, required in self.parameters if required],
        }
        return {"type": "function", "function": {"name": self.name, "parameters": schema}}

    def __str__(self) -> str:
        listed = (f"{n}{'' if required else '?'}: {_type(s)}" for n, s, required in self.parameters)
        return f"{self.name}({', '.join(listed)})"


def _type(schema: str) -> str:
    value = json.loads(schema)
    kinds = value.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if value.keys() == {"type"} and isinstance(kinds, list) and all(_TYPE.fullmatch(str(k)) for k in kinds):
        return "|".join(kinds)
    return schema


def read_tool(declared: Json) -> Tool:
    """Read a tool as a request declares it. Raises CaseError."""
    function = declared.get("function") if isinstance(declared, dict) else None
    if not isinstance(function, dict) or not _NAME.fullmatch(str(function.get("name"))):
        raise CaseError(f"not a tool: {json.dumps(declared)[:100]}")
    schema = function.get("parameters") or {}
    required = schema.get("required") or []
    properties: Mapping[str, Any] = schema.get("properties") or {}
    if bad := [name for name in properties if not _KEY.fullmatch(name)]:
        raise CaseError(f"a case cannot name the parameter {bad[0]!r}")
    return Tool(
        function["name"], tuple((n, json.dumps(s or {}), n in required) for n, s in properties.items())
    )


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a parser made of a text; calls are (name, JSON)."""

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    open: tuple[str, str] | None = None
    repairs: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    crash: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """The request and the text of the answer; `choice` is a word, or JSON."""

    tools: tuple[Tool, ...]
    input: str
    finish: str | None = "stop"
    choice: str = "auto"
    parallel: bool = True
    recovery: str = "tolerant"
    rules: str = ""  # the user's rules, as the text of a rules file in one line

    @property
    def tool_choice(self) -> Any:
        """Return the choice as a request has it."""
        return json.loads(self.choice) if self.choice.startswith("{") else self.choice


def write(title: str, case: Case, expected: Parsed, buffered: Parsed, bug: str = "") -> str:
    """Return the case as text. `buffered` is the result without streaming; `bug` says why it fails today."""
    return "".join(
        f"{line}\n"
        for word, lines in _sections(title, case, expected, buffered, bug)
        for line in _section(word, lines)
    )


def _sections(
    title: str, case: Case, expected: Parsed, buffered: Parsed, bug: str
) -> Iterator[tuple[str, list[str]]]:
    yield "case", [" ".join(title.split())]
    yield "tools", [str(tool) for tool in case.tools]
    if case.rules:
        yield "rules", [case.rules]
    if case.choice != "auto":
        yield "choice", [case.choice]
    if case.recovery != "tolerant":
        yield "recovery", [case.recovery]
    if case.finish != "stop":
        yield "finish", [case.finish or "none"]
    if not case.parallel:
        yield "parallel", ["false"]
    if bug:
        yield "bug", [" ".join(bug.split())]
    yield "input", text_lines(case.input)
    yield from _expected(case, expected, buffered)


def _expected(case: Case, expected: Parsed, buffered: Parsed) -> Iterator[tuple[str, list[str]]]:
    if expected.text == case.input and not expected.calls and not expected.open:
        yield "unchanged", []
    else:
        if expected.text or not (expected.calls or expected.open):
            yield "text", text_lines(expected.text)
        if expected.calls:
            yield "calls", [f"{name} {arguments}" for name, arguments in expected.calls]
    if expected.open:
        yield "open", [" ".join(expected.open)]
        yield "buffered", text_lines(buffered.text)
    if expected.repairs:
        yield "repairs", list(expected.repairs)
    if expected.open and buffered.repairs:
        yield "buffered-repairs", list(buffered.repairs)
    if expected.refused:
        yield "refused", list(expected.refused)


def _section(word: str, lines: Sequence[str]) -> list[str]:
    if len(lines) == 1 and lines[0]:
        return [f"#{word} {lines[0]}"]
    return [f"#{word}", *lines]


def text_lines(text: str) -> list[str]:
    """Return the lines of a section that holds this text."""
    solid = text.rstrip("\n")
    lines = [_escaped(line) for line in solid.split("\n")]
    lines[-1] += "\\n" * (len(text) - len(solid))
    return lines if text else []


def _escaped(line: str) -> str:
    escaped = "".join(map(_escape, line))
    if escaped.endswith(" "):
        escaped = escaped[:-1] + "\\s"
    return "\\" + escaped if escaped.startswith("#") else escaped


def _escape(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable() or character > "\uffff":
        return character
    return {"\t": "\\t", "\r": "\\r"}.get(character, f"\\u{ord(character):04x}")
