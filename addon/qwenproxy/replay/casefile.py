r"""Cases as text: what a model wrote, and what must become of it. What is written is read again as the same.

A case is a run of sections. A section begins with a line `#word`; its content is the rest of
that line, if there is any, and the lines up to the next section.

    #case a value closed by </function> alone
    #tools read_file(path: string, limit?: integer)     one tool per line
    #input
    ...
    #text                         what is left of the text; empty if the section is left out
    #calls                        one per line: name {"key": "value"}
    #repairs                      one per line, all of them, in order
    #refused                      candidates left as text: the reasons, one per line, sorted

Instead of #text and #calls, `#unchanged` says that the input leaves as it came, with no call.

Optional: #choice (tool_choice: a word, or JSON), #recovery (tolerant), #finish (stop; none for
no finish_reason), #parallel (true), #reasoning (false; true: the text is not the message's content),
#rules (the user's, as a rules file has them),
#bug (why the case fails today; it is expected to). Such a section, and #tools, may stand above the first
case of a file: then it holds for all of them.
A call that streams and is then cut off stands in `#open` as `name fragments-so-far`; since a
caller that does not stream has it as text, `#buffered` is the text it gets, and
`#buffered-repairs` are the repairs.

Blank lines at the end of a section are for the eye and do not count. In #input, #text and
#buffered a backslash is written `\\`; `\n`, `\r`, `\t`, `\s` (a space), `\uXXXX` and `\#` mean what
they mean elsewhere. So a text that ends in a line break has a last line that ends in `\n`, CRLF is
a line that ends in `\r`, and a line of text that looks like a section starts with `\#`.
Elsewhere nothing is escaped, but a space that #open ends with is `\s`, too.
A type is a JSON type, several joined with `|`, or a JSON schema in braces.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from toolstream import Rules

from ..rules.file import read_text

Json = dict[str, Any]

TEXTS = ("input", "text", "buffered")
LISTS = ("tools", "calls", "repairs", "refused", "buffered-repairs", "rules")
LINES = ("case", "choice", "recovery", "finish", "parallel", "reasoning", "open", "bug", "unchanged")
FOR_ALL = ("tools", "choice", "recovery", "finish", "parallel", "reasoning", "rules")

_SECTION = re.compile(r"#([a-z-]+)(?: (.*))?")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.|\Z)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "s": " ", "\\": "\\", "#": "#"}
_LAST_SPACE = re.compile(r"(?<!\\)((?:\\\\)*)\\s\Z")  # no JSON has an escape `\s`
_NAME = re.compile(r"[^(\s]+")
_KEY = re.compile(r"[^\s?:,]+")
_TYPE = re.compile(r"[a-z]+")
_TOOL = re.compile(r"([^(\s]+)\((.*)\)")
_PARAMETER = re.compile(r"([^\s?:,]+)(\?)?:\s*")
_TYPES = re.compile(r"[a-z|]+")


class CaseError(Exception):
    """A case that cannot be read, or something that cannot be written as one; the message says what."""


@dataclass(frozen=True, slots=True)
class Tool:
    """What a case says of a tool: `parameters` as (name, schema, is required)."""

    name: str
    parameters: tuple[tuple[str, str, bool], ...]  # schemas as JSON, so that tools can be compared

    def declared(self) -> Json:
        """The tool as a request declares it."""
        schema = {
            "type": "object",
            "properties": {name: json.loads(schema) for name, schema, _ in self.parameters},
            "required": [name for name, _, required in self.parameters if required],
        }
        return {"type": "function", "function": {"name": self.name, "parameters": schema}}

    def __str__(self) -> str:
        listed = (f"{n}{'' if required else '?'}: {_type(s)}" for n, s, required in self.parameters)
        return f"{self.name}({', '.join(listed)})"


@dataclass(frozen=True)
class Case:
    """One case: what is asked, what the model wrote and what that comes to; calls and `open` as (name, JSON).

    `choice` is a word, or JSON; `rules` are the user's, as a file has them. `buffered` is only there if a
    call is open.
    """

    tools: tuple[Tool, ...]
    input: str
    finish: str | None = "stop"
    choice: str = "auto"
    parallel: bool = True
    recovery: str = "tolerant"
    rules: str = ""
    reasoning: bool = False
    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    open: tuple[str, str] | None = None
    buffered: str = ""
    repairs: tuple[str, ...] = ()
    buffered_repairs: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    bug: str = ""
    title: str = ""
    file: str = ""

    @cached_property
    def request(self) -> Json:
        """The fields of a request that count."""
        tools = [tool.declared() for tool in self.tools]
        return {"tools": tools, "tool_choice": _choice(self.choice), "parallel_tool_calls": self.parallel}

    @cached_property
    def user_rules(self) -> Rules | None:
        """The user's rules; None if there are none."""
        return _read_rules(self.rules) if self.rules else None

    def __str__(self) -> str:
        return f"{self.file}: {self.title}"


def _choice(text: str) -> Any:
    return json.loads(text) if text.startswith("{") else text


@lru_cache  # those above the first case of a file are read with each of its cases
def _read_rules(text: str) -> Rules:
    return read_text(text, "#rules").for_model("")


# Reading


def read(text: str, file: str) -> Iterator[Case]:
    """The cases in the text of one file. Raises CaseError."""
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
    """(line number, (word, lines)) of every section."""
    start, word, lines = 0, "", [""]
    for number, line in enumerate(text.split("\n"), 1):
        if line != line.rstrip() or "\t" in line:
            raise CaseError(f"{file}:{number}: write blanks at the end as \\s, and tabs as \\t")
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
    title = _line(sections, "case", "")
    try:
        _require(sections)
        return Case(
            tools=tuple(read_tool(line) for line in sections["tools"]),
            input=_text(sections, "input"),
            finish=None if _line(sections, "finish", "stop") == "none" else _line(sections, "finish", "stop"),
            choice=_readable(_line(sections, "choice", "auto"), _choice),
            parallel=_line(sections, "parallel", "true") == "true",
            recovery=_line(sections, "recovery", "tolerant"),
            rules=_readable("\n".join(sections.get("rules", [])), _read_rules),
            reasoning=_line(sections, "reasoning", "false") == "true",
            text=_text(sections, "input" if "unchanged" in sections else "text"),
            calls=tuple(read_call(line) for line in sections.get("calls", [])),
            open=_open(_line(sections, "open", "")),
            buffered=_text(sections, "buffered"),
            repairs=tuple(sections.get("repairs", [])),
            buffered_repairs=tuple(sections.get("buffered-repairs", [])),
            refused=tuple(sections.get("refused", [])),
            bug=_line(sections, "bug", ""),
            title=title,
            file=file,
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


def _readable(text: str, read: Callable[[str], Any]) -> str:
    """The text, if it can be read."""
    if text:
        read(text)
    return text


def _text(sections: dict[str, list[str]], word: str) -> str:
    return _ESCAPE.sub(_unescape, "\n".join(sections.get(word, [])))


def _unescape(match: re.Match[str]) -> str:
    escape = match[1]
    if escape[:1] == "u" and len(escape) > 1:
        return chr(int(escape[1:], 16))
    if escape not in _ESCAPES:
        raise ValueError(f"no such escape: \\{escape}")
    return _ESCAPES[escape]


def _open(line: str) -> tuple[str, str] | None:
    name, brace, rest = line.partition(" {")
    return (name, _LAST_SPACE.sub(r"\1 ", brace.strip() + rest)) if name else None


def read_call(line: str) -> tuple[str, str]:
    """`name {"key": "value"}` as (name, JSON)."""
    name, brace, rest = line.partition(" {")
    json.loads(brace + rest)
    return name, brace.strip() + rest


@lru_cache  # most cases of a file are about the same tools
def read_tool(line: str) -> Tool:
    """The tool that `name(key: type, key?: type)` says."""
    match = _TOOL.fullmatch(line)
    if not match:
        raise ValueError(f"not a tool: {line}")
    return Tool(match[1], tuple(_read_parameters(match[2])))


def _read_parameters(text: str) -> Iterator[tuple[str, str, bool]]:
    while text:
        match = _PARAMETER.match(text)
        if not match:
            raise ValueError(f"not a parameter: {text}")
        schema, end = _read_type(text, match.end())
        yield match[1], json.dumps(schema), not match[2]
        text = text[end:].lstrip(", ")


def _read_type(text: str, at: int) -> tuple[Json, int]:
    if text[at : at + 1] == "{":
        schema: tuple[Json, int] = json.JSONDecoder().raw_decode(text, at)
        return schema
    match = _TYPES.match(text, at)
    if not match:
        raise ValueError(f"not a type: {text[at:]}")
    types = match[0].split("|")
    return {"type": types if len(types) > 1 else types[0]}, match.end()


# Writing


def write(case: Case) -> str:
    """The text of a case, without its file's name."""
    sections = [*_asked(case), *_expected(case)]
    return "".join(f"{line}\n" for word, lines in sections for line in _section(word, lines))


def tool_of(declared: Json) -> Tool:
    """The tool that a request declares. Raises CaseError."""
    function = declared.get("function") if isinstance(declared, dict) else None
    if not isinstance(function, dict) or not _NAME.fullmatch(str(function.get("name"))):
        raise CaseError(f"no tool: {json.dumps(declared)[:100]}")
    schema = function.get("parameters") or {}
    required = schema.get("required") or []
    properties: Mapping[str, Any] = schema.get("properties") or {}
    if bad := [name for name in properties if not _KEY.fullmatch(name)]:
        raise CaseError(f"no case can name the parameter {bad[0]!r}")
    return Tool(
        function["name"], tuple((n, json.dumps(s or {}), n in required) for n, s in properties.items())
    )


def _type(schema: str) -> str:
    value = json.loads(schema)
    kinds = value.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds if isinstance(kinds, list) and kinds[1:] else [""]
    if value.keys() == {"type"} and all(_TYPE.fullmatch(str(kind)) for kind in kinds):
        return "|".join(kinds)
    return schema


def _asked(case: Case) -> Iterator[tuple[str, list[str]]]:
    yield "case", [" ".join(case.title.split())]
    yield "tools", [str(tool) for tool in case.tools]
    if case.rules:
        yield "rules", case.rules.split("\n")
    if case.choice != "auto":
        yield "choice", [case.choice]
    if case.recovery != "tolerant":
        yield "recovery", [case.recovery]
    if case.finish != "stop":
        yield "finish", [case.finish or "none"]
    if not case.parallel:
        yield "parallel", ["false"]
    if case.reasoning:
        yield "reasoning", ["true"]
    if case.bug:
        yield "bug", [" ".join(case.bug.split())]
    yield "input", text_lines(case.input)


def _expected(case: Case) -> Iterator[tuple[str, list[str]]]:
    has_calls = bool(case.calls or case.open)
    if case.text == case.input and not has_calls:
        yield "unchanged", []
    elif case.text or not has_calls:
        yield "text", text_lines(case.text)
    if case.calls:
        yield "calls", [f"{name} {arguments}" for name, arguments in case.calls]
    if case.open:
        yield "open", [re.sub(r" \Z", r"\\s", " ".join(filter(None, case.open)))]
        yield "buffered", text_lines(case.buffered)
    yield from _found(case)


def _found(case: Case) -> Iterator[tuple[str, list[str]]]:
    """What has to be repaired, and what refused."""
    for word, names in (
        ("repairs", case.repairs),
        ("buffered-repairs", case.buffered_repairs if case.open else ()),
        ("refused", case.refused),
    ):
        if names:
            yield word, list(names)


def _section(word: str, lines: Sequence[str]) -> list[str]:
    if len(lines) == 1 and lines[0]:
        return [f"#{word} {lines[0]}"]
    return [f"#{word}", *lines]


def text_lines(text: str) -> list[str]:
    """The lines of a section that holds this text."""
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
