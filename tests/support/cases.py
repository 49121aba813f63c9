r"""Reads the case files of `tests/cases`: what a model wrote, and the expected result.

A case is a run of sections. A section begins with a line `#word`; its content is the rest of
that line, if there is any, and the lines up to the next section.

    #case a value closed by </function> alone
    #tools read_file(path: string, limit?: integer)     one tool per line
    #input
    ...
    #text                         the remaining text; empty if the section is missing
    #calls                        one per line: name {"key": "value"}
    #repairs                      one per line, all of them, in order
    #refused                      candidates left as text: the reasons, one per line, sorted

Instead of #text and #calls, `#unchanged` says that the input stays unchanged, without a call.

Optional: #choice (tool_choice: a word, or JSON), #recovery (tolerant), #finish (stop; none for
no finish_reason), #parallel (true), #reasoning (false; true: the text is not the message's content),
#rules (the user's rules, as the text of a rules file),
#bug (why the case fails today; it is expected to). Such a section, and #tools, may be above the first
case of a file. Then it applies to all of them.
A call that streams and is then cut off is in `#open` as `name fragments-so-far`. A caller that does
not stream gets it as text: `#buffered` is that text, and `#buffered-repairs` are the repairs.

Blank lines at the end of a section do not count. In #input, #text and #buffered a backslash is
written `\\`; the escapes `\n`, `\r`, `\t`, `\s` (a space), `\uXXXX` and `\#` (a #) are known. So
a text that ends in a line break has a last line that ends in `\n`, CRLF is a line that ends in `\r`,
and a line of text that looks like a section starts with `\#`.
A type is a JSON type, several joined with `|`, or a JSON schema in braces.
"""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from qwenproxy.rules.file import read_text
from toolstream.schema.rules import Rules

CASES = Path(__file__).parent.parent / "cases"

TEXTS = ("input", "text", "buffered")
LISTS = ("tools", "calls", "repairs", "refused", "buffered-repairs", "rules")
LINES = ("case", "choice", "recovery", "finish", "parallel", "reasoning", "open", "bug", "unchanged")
FOR_ALL = ("tools", "choice", "recovery", "finish", "parallel", "reasoning", "rules")

_SECTION = re.compile(r"#([a-z-]+)(?: (.*))?")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.|\Z)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "s": " ", "\\": "\\", "#": "#"}
_TOOL = re.compile(r"([^(\s]+)\((.*)\)")
_PARAMETER = re.compile(r"([^\s?:,]+)(\?)?:\s*")
_TYPE = re.compile(r"[a-z|]+")


class CaseError(Exception):
    """A case file cannot be read. The message says where."""


@dataclass(frozen=True)
class Case:
    """One case; `calls` and `open` as (name, JSON)."""

    file: str
    title: str
    tools: list[dict[str, Any]]
    choice: Any
    recovery: str
    finish: str | None
    parallel: bool
    reasoning: bool
    input: str
    text: str
    calls: list[tuple[str, str]]
    open: tuple[str, str] | None
    buffered: str
    repairs: list[str]
    buffered_repairs: list[str]
    refused: list[str]
    rules: Rules | None
    bug: str

    def __str__(self) -> str:
        return f"{self.file}: {self.title}"


@lru_cache  # six test files read them all
def read_all(folder: Path = CASES) -> tuple[Case, ...]:
    files = sorted(folder.glob("*.txt"))
    return tuple(case for path in files for case in read(path.read_text("utf-8"), path.stem))


def by_file(cases: Iterable[Case]) -> dict[str, list[Case]]:
    """Group the cases by file, for tests that take a whole file at once."""
    files: dict[str, list[Case]] = {}
    for case in cases:
        files.setdefault(case.file, []).append(case)
    return files


@contextlib.contextmanager
def named(case: Case) -> Iterator[None]:
    """Add the name of the case to any failure."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"in the case: {case}")
        raise


def read(text: str, file: str) -> Iterator[Case]:
    """Yield the cases in the text of one file."""
    shared: dict[str, list[str]] = {}
    case: dict[str, list[str]] = shared
    for line, (word, content) in _sections(text, file):
        if word == "case":
            if case is not shared:
                yield _case(file, shared | case)
            case = {}
        elif case is shared and word not in FOR_ALL:
            raise CaseError(f"{file}:{line}: #{word} before the first #case")
        if word in case:
            raise CaseError(f"{file}:{line}: #{word} twice in one case")
        case[word] = content
    if case is shared:
        raise CaseError(f"{file}: no #case")
    yield _case(file, shared | case)


def _sections(text: str, file: str) -> Iterator[tuple[int, tuple[str, list[str]]]]:
    """Yield (line number, (word, lines)) of every section."""
    start, word, lines = 0, "", [""]
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip() or "\t" in line:
            raise CaseError(f"{file}:{number}: write spaces at the end as \\s, and tabs as \\t")
        if match := _SECTION.fullmatch(line):
            if word:
                yield start, (word, _content(lines))
            start, word, lines = number, match[1], [match[2]] if match[2] else []
            if word not in (*TEXTS, *LISTS, *LINES):
                raise CaseError(f"{file}:{number}: unknown section #{word}")
        elif word or line:
            lines.append(line)
        if not word and line:
            raise CaseError(f"{file}:{number}: text before the first section")
    yield start, (word, _content(lines))


def _content(lines: list[str]) -> list[str]:
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _case(file: str, sections: dict[str, list[str]]) -> Case:
    title = " ".join(sections["case"])
    try:
        _require(sections)
        return Case(
            file=file,
            title=title,
            tools=[read_tool(line) for line in sections["tools"]],
            choice=_choice(_line(sections, "choice", "auto")),
            recovery=_line(sections, "recovery", "tolerant"),
            finish=None if _line(sections, "finish", "stop") == "none" else _line(sections, "finish", "stop"),
            parallel=_line(sections, "parallel", "true") == "true",
            reasoning=_line(sections, "reasoning", "false") == "true",
            input=_text(sections, "input"),
            text=_text(sections, "input" if "unchanged" in sections else "text"),
            calls=[read_call(line) for line in sections.get("calls", [])],
            open=_open(_line(sections, "open", "")),
            buffered=_text(sections, "buffered"),
            repairs=sections.get("repairs", []),
            buffered_repairs=sections.get("buffered-repairs", []),
            refused=sections.get("refused", []),
            rules=_rules(sections.get("rules", [])),
            bug=_line(sections, "bug", ""),
        )
    except (ValueError, KeyError) as error:
        raise CaseError(f"{file}: {title!r}: {error}") from None


def _require(sections: dict[str, list[str]]) -> None:
    if "tools" not in sections or "input" not in sections:
        raise ValueError("#tools and #input are needed")
    expected = {"text", "calls", "open"} & sections.keys()
    if ("unchanged" in sections) == bool(expected):
        raise ValueError("either #unchanged or #text or #calls")
    if ("open" in sections) != ("buffered" in sections):
        raise ValueError("#open and #buffered go together")


def _line(sections: dict[str, list[str]], word: str, default: str) -> str:
    return " ".join(sections.get(word, [])) or default


def _text(sections: dict[str, list[str]], word: str) -> str:
    return _ESCAPE.sub(_unescape, "\n".join(sections.get(word, [])))


def _unescape(match: re.Match[str]) -> str:
    escape = match[1]
    if escape[:1] == "u" and len(escape) > 1:
        return chr(int(escape[1:], 16))
    if escape not in _ESCAPES:
        raise ValueError(f"no such escape: \\{escape}")
    return _ESCAPES[escape]


def _rules(lines: list[str]) -> Rules | None:
    return _read_rules("\n".join(lines)) if lines else None


@lru_cache  # those above the first case of a file are read with each of its cases
def _read_rules(text: str) -> Rules:
    return read_text(text, "#rules").for_model("")


def _choice(text: str) -> Any:
    return json.loads(text) if text.startswith("{") else text


def _open(line: str) -> tuple[str, str] | None:
    name, _, fragments = line.partition(" ")
    return (name, fragments) if name else None


def read_call(line: str) -> tuple[str, str]:
    """Read `name {"key": "value"}` as (name, JSON)."""
    name, brace, rest = line.partition(" {")
    json.loads(brace + rest)
    return name, brace.strip() + rest


def read_tool(line: str) -> dict[str, Any]:
    """Read `name(key: type, key?: type)` as a tool that a request declares."""
    match = _TOOL.fullmatch(line)
    if not match:
        raise ValueError(f"not a tool: {line}")
    properties, required = _read_parameters(match[2])
    parameters = {"type": "object", "properties": properties, "required": required}
    return {"type": "function", "function": {"name": match[1], "parameters": parameters}}


def _read_parameters(text: str) -> tuple[dict[str, Any], list[str]]:
    properties: dict[str, Any] = {}
    required: list[str] = []
    while text:
        match = _PARAMETER.match(text)
        if not match:
            raise ValueError(f"not a parameter: {text}")
        properties[match[1]], end = _read_type(text, match.end())
        required += [] if match[2] else [match[1]]
        text = text[end:].lstrip(", ")
    return properties, required


def _read_type(text: str, at: int) -> tuple[dict[str, Any], int]:
    if text[at : at + 1] == "{":
        return json.JSONDecoder().raw_decode(text, at)
    match = _TYPE.match(text, at)
    if not match:
        raise ValueError(f"not a type: {text[at:]}")
    types = match[0].split("|")
    return {"type": types if len(types) > 1 else types[0]}, match.end()
