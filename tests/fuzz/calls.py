"""Calls that are right: tools, arguments that fit them, and how each dialect writes the call.

A call is written as a list of pieces, tags and values and the blanks between them, so that a
mutation can take one tag away, or damage it, and leave all else alone. Values are *tame* here:
words and marks, but nothing that could open, close or quote anything. What hostile text does
to a value is a question of its own, see `noise`.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from support.cases import read_tool

Arguments = dict[str, Any]

TAGS = ("wrap_open", "call_open", "parameter_open", "parameter_close", "call_close", "wrap_close")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool by its line in a case file: `name(key: type, key?: type)`."""

    name: str
    types: tuple[tuple[str, str, bool], ...]  # key, type or schema, required

    def __str__(self) -> str:
        listed = (f"{key}{'' if required else '?'}: {kind}" for key, kind, required in self.types)
        return f"{self.name}({', '.join(listed)})"

    @property
    def required(self) -> set[str]:
        return {key for key, _, required in self.types if required}

    @property
    def keys(self) -> set[str]:
        return {key for key, _, _ in self.types}

    def declared(self) -> dict[str, Any]:
        """The tool as a request declares it."""
        return read_tool(str(self))


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool."""

    tool: Tool
    arguments: Arguments

    @property
    def name(self) -> str:
        return self.tool.name


@dataclass(frozen=True, slots=True)
class Piece:
    """A tag, a value, or the blanks between two of them (`gap`); `key` of the parameter it belongs to."""

    kind: str
    text: str
    key: str = ""

    @property
    def is_tag(self) -> bool:
        return self.kind in TAGS


@dataclass(frozen=True, slots=True)
class Style:
    """How a call is written. `outer` stands between tags, `inner` around values."""

    name: str = "canonical"
    outer: str = "\n"
    inner: str = "\n"
    wrapped: bool = True
    python: bool = False  # True and False, as Python writes them

    @property
    def call(self) -> tuple[str, str]:
        match self.name:
            case "invoke":
                return '<invoke name="{}">', "</invoke>"
            case "attribute":
                return '<function name="{}">', "</function>"
        return "<function={}>", "</function>"

    @property
    def parameter(self) -> str:
        return "<parameter={}>" if self.name == "canonical" else '<parameter name="{}">'


CANONICAL = Style()


def write(call: Call, style: Style = CANONICAL) -> list[Piece]:
    """The call in XML, piece by piece; a tag is followed by the gap that separates it from the next."""
    opener, closer = style.call
    pieces = [Piece("call_open", opener.format(call.name))]
    for key, value in call.arguments.items():
        pieces += [
            Piece("parameter_open", style.parameter.format(key), key),
            Piece("gap", style.inner, key),
            Piece("value", written(value, style.python), key),
            Piece("gap", style.inner, key),
            Piece("parameter_close", "</parameter>", key),
        ]
    pieces.append(Piece("call_close", closer))
    if style.wrapped:
        pieces = [Piece("wrap_open", "<tool_call>"), *pieces, Piece("wrap_close", "</tool_call>")]
    return _with_gaps(pieces, style.outer)


def _with_gaps(pieces: list[Piece], outer: str) -> list[Piece]:
    out: list[Piece] = []
    for piece in pieces:
        if out and out[-1].is_tag and piece.is_tag:
            out.append(Piece("gap", outer))
        out.append(piece)
    return out


def written(value: Any, python: bool = False) -> str:
    """A value as a model writes it between the tags: a string as it is, all else as JSON."""
    if isinstance(value, str):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text.capitalize() if python and isinstance(value, bool) else text


def write_json(call: Call, indent: int | None = None) -> str:
    """The call as Qwen2.5 and Qwen3 are taught to write it."""
    body = {"name": call.name, "arguments": call.arguments}
    return f"<tool_call>\n{json.dumps(body, ensure_ascii=False, indent=indent)}\n</tool_call>"


def text_of(pieces: list[Piece]) -> str:
    """The pieces, joined."""
    return "".join(piece.text for piece in pieces)


# Strategies

NAMES = (
    *("read", "write_file", "list", "mcp__fs__search", "get-weather"),
    *("Edit", "tool_call", "time", "name", "function"),
)
KEYS = (
    *("path", "content", "name", "value", "text", "title"),
    *("limit", "options", "function", "parameter", "old_string"),
)
WORD = st.text("abcdefghijklmnopqrstuvwxyzäöüßéΩж中あ", min_size=1, max_size=7)
MARKS = (
    *(" ", ", ", ". ", ": ", " - ", "; ", " (", ") ", ' "', '" ', "'", " = ", " & ", "\\", "\\n"),
    *("/", "$", "%", "#", "&lt;", "😀"),
)
SENTENCE = st.lists(st.one_of(WORD, WORD, st.sampled_from(MARKS)), min_size=1, max_size=6).map("".join)
TAME = st.lists(st.one_of(SENTENCE, st.just(""), SENTENCE.map("    {}".format)), max_size=4).map("\n".join)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": TAME,
    "string|null": TAME.filter(lambda text: text != "null"),
    "integer": st.integers(-(10**20), 10**20),
    "number": st.floats(-(10**6), 10**6).map(lambda number: round(number, 3)) | st.integers(-99, 99),
    "boolean": st.booleans(),
    "array": st.lists(TAME | st.integers(-9, 9), max_size=3),
    '{"type": "array", "items": {"type": "string"}}': st.lists(TAME, max_size=3),
    "object": st.dictionaries(WORD, TAME | st.integers(-9, 9) | st.booleans(), max_size=3),
}


@st.composite
def tools(draw: st.DrawFn, max_size: int = 3) -> list[Tool]:
    """A request's tools, of different names."""
    names = draw(st.lists(st.sampled_from(NAMES) | WORD, min_size=1, max_size=max_size, unique_by=_folded))
    return [draw(_tool(name)) for name in names]


def _folded(name: str) -> str:
    return re.sub("[_-]", "", name).casefold()


@st.composite
def _tool(draw: st.DrawFn, name: str) -> Tool:
    keys = draw(st.lists(st.sampled_from(KEYS), max_size=4, unique=True))
    kinds = st.sampled_from(["string", "string", *VALUES])
    return Tool(name, tuple((key, draw(kinds), draw(st.booleans())) for key in keys))


@st.composite
def calls(draw: st.DrawFn, of: list[Tool]) -> Call:
    """A call of one of these tools, with all that is required and some that is not, in any order."""
    tool = draw(st.sampled_from(of))
    given = [entry for entry in tool.types if entry[2] or draw(st.booleans())]
    order = draw(st.permutations(given))
    return Call(tool, {key: draw(VALUES[kind]) for key, kind, _ in order})


NEWLINES = st.sampled_from(["\n", "\n", "\r\n"])
STYLES = st.builds(
    Style,
    st.sampled_from(["canonical", "canonical", "attribute", "invoke"]),
    NEWLINES,
    NEWLINES,
    st.booleans(),
    st.booleans(),
)


def prose() -> st.SearchStrategy[str]:
    """A paragraph that is nothing but prose: each line begins with a letter."""
    line = st.builds("{} {}".format, WORD, st.lists(WORD, max_size=4).map(" ".join)).map(str.rstrip)
    return st.lists(line, min_size=1, max_size=2).map("\n".join)
