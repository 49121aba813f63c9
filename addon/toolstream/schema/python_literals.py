"""Reads arrays, objects and calls that a model wrote as in Python: `['a', True, None]`, `f(a="x")`."""

import re
from typing import Any

from ..limits import DECLARED_NAME
from .json_write import STRICT, quoted

_PYTHON_TOKEN = re.compile(
    r"""[uU]?(?:'(?P<single>[^'\\]*+(?:\\.[^'\\]*+)*+)'|"(?P<double>[^"\\]*+(?:\\.[^"\\]*+)*+)")"""
    r"|(?P<space>\s++)|(?P<mark>[][{}(),:])|(?P<word>[\w.+-]++)|(?P<junk>.)",
    re.DOTALL,
)
_CALL = re.compile(rf"\s*+([^\W\d][\w.-]{{0,{DECLARED_NAME}}})\((.*)\)\s*+;?\s*+", re.DOTALL)
PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}
_WORD = re.compile(r"[^\W\d][\w-]*")  # that may be a key
_PYTHON_ESCAPE = re.compile(
    r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(\r?\n|.))", re.DOTALL
)
_PYTHON_ESCAPES = {
    **dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)),
    **{char: char for char in "\\'\""},
    **dict.fromkeys(("\n", "\r\n"), ""),
}


def read_python_literal(text: str) -> Any:
    """The value of a Python literal. ValueError if it is none.

    `ast` is not used: its time, memory and stack are not bounded by the size of the input, and it warns.
    """
    return STRICT.decode(as_json(text))


def as_json(text: str) -> str:
    """What is written as in Python, or with keys that have no quotes, as JSON; it may still lack brackets."""
    out: list[str] = []
    opened: list[list[int]] = []
    for token in _PYTHON_TOKEN.finditer(text):
        kind = token.lastgroup or ""
        if kind == "mark":
            if token[0] == ":" and _WORD.fullmatch(out[-1] if out else ""):
                out[-1] = quoted(out[-1])
            _mark(token[0], out, opened)
        elif kind in ("single", "double"):
            out.append(quoted(_PYTHON_ESCAPE.sub(_python_escape, token[kind])))
        elif kind == "word":
            out.append(PYTHON_WORDS.get(token[0], token[0]))
        elif kind == "junk":
            raise ValueError("not a Python literal")
    return " ".join(out)


def read_python_call(text: str) -> tuple[str, dict[str, Any]] | None:
    """The name and the arguments of a call with keywords or with an object: `f(a="x", b=5)`, `f({"a":
    "x"})`; None if it is anything else."""
    found = _CALL.fullmatch(text)
    try:
        value = _read_arguments(found[2].strip()) if found else None
    except (ValueError, RecursionError):
        return None
    return (found[1], value) if found and isinstance(value, dict) else None


def _read_arguments(text: str) -> Any:
    if not text.startswith("{"):
        return read_python_literal(f"{{{_as_members(text)}}}")
    try:
        return STRICT.decode(text)
    except ValueError:
        return read_python_literal(text)


def _as_members(text: str) -> str:
    """The keywords of a call as members of an object."""
    out: list[str] = []
    depth = 0
    for token in _PYTHON_TOKEN.finditer(text):
        depth += (token[0] in ("(", "[", "{")) - (token[0] in (")", "]", "}"))
        is_equals = token[0] == "=" and not depth and out and out[-1].isidentifier()
        if is_equals:
            out[-1] = f'"{out[-1]}"'
        out.append(":" if is_equals else token[0])
    return "".join(out)


def _mark(mark: str, out: list[str], opened: list[list[int]]) -> None:
    """Handle a bracket, comma or colon. `opened` has, for each open bracket, its place in `out` and its
    commas."""
    if mark in "([{":
        opened.append([len(out), 0])
    elif mark in ")]}":
        mark = _close_bracket(mark, out, opened)
    elif mark == "," and opened:
        opened[-1][1] += 1
    out.append(mark)


def _close_bracket(mark: str, out: list[str], opened: list[list[int]]) -> str:
    """The bracket that closes it in JSON; "" for parentheses that only group. One that closes nothing
    stays."""
    if not opened and mark != ")":
        return mark
    if not opened:
        raise ValueError("nothing to close")
    start, commas = opened.pop()
    if out[-1] == ",":
        out.pop()
    if mark != ")":
        return mark
    if out[start] != "(":
        raise ValueError("closes another bracket")
    is_tuple = commas or start == len(out) - 1
    out[start] = "[" if is_tuple else ""
    return "]" if is_tuple else ""


def _python_escape(found: re.Match[str]) -> str:
    octal, hexadecimal = found[1], found[2] or found[3] or found[4]
    if octal or hexadecimal:
        return chr(int(octal, 8) if octal else int(hexadecimal, 16))
    return _PYTHON_ESCAPES.get(found[5], found[0])
