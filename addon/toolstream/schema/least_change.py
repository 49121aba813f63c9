"""JSON with one wrong mark: the least change that makes it JSON the caller wants.

Where a decoder stops, a mark is wrong, there or shortly before. So each change of one mark is tried: a
doubled one is dropped, another one is put in its place, a missing one is added. Letters never change. What
counts is a change after which all of the text is JSON, and which the caller accepts. If the cheapest of them
say different things, nothing is certain.

A mark that is added costs more than one that is there and wrong, and so does a string in which a quote has no
partner: a doubled end may also be a quote of the string that lacks its backslash.
"""

# ruff: noqa: RUF001

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import takewhile
from json import JSONDecodeError
from typing import Any, NamedTuple

from ..grammar.text import JSON_WHITESPACE, end_of
from ..limits import COMMA_GAP, MARKS, MARKS_WITHIN, ONE_CHANGE, SCALAR
from .json_read import strings_of
from .json_write import LENIENT, dump

_QUOTES = "\"'`“”„‘’«»"
_OPENING, _CLOSING = "{[(<", "}])>"
_MARK = re.compile(rf"[{re.escape(_QUOTES + _OPENING + _CLOSING)},:;=.]")
_ODD_QUOTE = rf"[{_QUOTES.replace(chr(34), '')}]"
_ODD_OPENING = re.compile(rf"([{{\[,:]\s*+){_ODD_QUOTE}")
_ODD_CLOSING = re.compile(rf"{_ODD_QUOTE}(?=\s*+[}}\],:])")
_ODD_PAIRS = ("'", "`", "“”", "‘’", "«»")
_BARE_QUOTE = re.compile(r'(?<!\\)"')
_OPENERS = {"”": "“„", "’": "‘", "»": "«", "'": "'", "`": "`"}  # of the quotes that may close a string
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],"]', re.DOTALL)  # or a quote without a partner
_BEFORE_VALUE = {"{": '{"":', "[": "["}
_BARE_SCALAR = re.compile(r"[:\[,]\s*+(?:-?[\d.eE+-]++|true|false|null)\Z")  # that has not begun with a quote
_DOUBLED = re.compile(r"(?<!\\)(\S)\s*+\1\Z")
_BETWEEN = re.compile(r"[,:]\s")
_LINE_BREAK = re.compile(r"\r?\n[ \t]*\Z")

_PRESENT, _MISSING = 1, 2  # what a change of a mark costs that is there, or is not


class Change(NamedTuple):
    """What it costs to write `mark` in place of text[at:end]."""

    cost: int
    at: int
    end: int
    mark: str


def least_change(text: str, accept: Callable[[Any], bool]) -> Any:
    """What a text says that is no JSON but for one mark; None if that is not certain. `accept` says whether a
    value may be meant."""
    if len(text) > ONE_CHANGE or text[-1:] not in tuple(_CLOSING):
        return None
    if (at := _end_of_json(text)) is None:
        return None
    for straight in (_straightened(text), _straightened(_BARE_QUOTE.sub(r"\"", text))):
        value = _value(straight)
        if value is not None and accept(value) and not _unpaired(value, *_ODD_PAIRS):
            return value
    cheapest: list[Any] = []
    least = _MISSING + _MISSING
    for change, value in _readings(text, sorted(_changes(text, at))):
        if change.cost > least:
            break
        cost = change.cost + _unpaired(value) + _merged(value)
        if cost <= least and accept(value):
            cheapest, least = [*(cheapest if cost == least else ()), value], cost
    return cheapest[0] if len({dump(value) for value in cheapest}) == 1 else None


def _readings(text: str, changes: list[Change]) -> Iterator[tuple[Change, Any]]:
    """What a text says after each of the changes that make it JSON. Each is tried on a text of which little
    is left where none of them is."""
    skipped, short = _beginning(text, min(change.at for change in changes))
    for change in changes:
        rest = change.mark + text[change.end :]
        if _value(short + text[skipped : change.at] + rest) is not None:
            yield change, _value(text[: change.at] + rest)


def _beginning(text: str, end: int) -> tuple[int, str]:
    """How much of text[:end] is before its last comma, and the shortest JSON that says the same about what
    may follow."""
    tokens = list(takewhile(lambda token: token[0] != '"', _TOKEN.finditer(text, 0, end)))
    while tokens and tokens[-1][0] != ",":
        tokens.pop()
    if not tokens:
        return 0, ""
    brackets: list[str] = []
    for token in tokens:
        if token[0] in _BEFORE_VALUE:
            brackets.append(_BEFORE_VALUE[token[0]])
        elif token[0] in ("}", "]"):
            brackets.pop()
    return tokens[-1].end(), "".join(brackets) + "0,"


def _value(text: str) -> Any:
    try:
        return LENIENT.decode(text)
    except (ValueError, RecursionError):
        return None


def _end_of_json(text: str) -> int | None:
    """Where the text ceases to be JSON; None if it does not, or nobody can tell."""
    try:
        _, end = LENIENT.raw_decode(text)
    except JSONDecodeError as error:
        return error.pos
    except (ValueError, RecursionError):
        return None
    end = end_of(JSON_WHITESPACE, text, end)
    return end if end < len(text) else None


def _straightened(text: str) -> str:
    """With quotes of JSON where others stand for them."""
    return _ODD_CLOSING.sub('"', _ODD_OPENING.sub(r'\1"', text))


def _unpaired(value: Any, *pairs: str) -> int:
    """How many strings have a quote without its partner, one of these `pairs`."""
    if isinstance(value, str):
        return sum(
            value.count(pair[0]) % 2 if len(pair) == 1 else value.count(pair[0]) != value.count(pair[1])
            for pair in pairs or '"'
        )
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return sum(_unpaired(part, *pairs) for item in items for part in item)


def _merged(value: Any) -> int:
    """How many strings look like two, or the rest of one: they begin with what stands between two of them,
    or have it behind a quote without a partner."""
    return sum(
        1 if _BETWEEN.match(string) else 2 * (string.count('"') % 2 and '",' in string)
        for string in strings_of(value)
    )


# The changes


def _changes(text: str, at: int) -> Iterator[Change]:
    """Every change of one mark, where a decoder stopped at `at`."""
    if text[at : at + 1] in ("}", "]") and text[at + 1 :].strip():
        yield Change(_PRESENT, at, at + 1, "")  # it closes nothing
    for mark in (",", ":"):
        yield Change(_PRESENT, at, at, mark)
        if text[at : at + 1] in (",", ":", ";", "=", "."):
            yield Change(_PRESENT, at, at + 1, mark)
    for here in _places(text, at):
        yield from _other_marks(text, here)
        yield from _more_marks(text, here, closes=here != at)


def _places(text: str, at: int) -> Iterable[int]:
    """Where a mark may be wrong: the last ones before `at`, and that one; of a string without an end, also
    those at the end of the text."""
    start = max(0, at - MARKS_WITHIN)
    before = [found.start() for found in _MARK.finditer(text, start, at + 1)][-MARKS:]
    end = max(at + 1, len(text) - MARKS)
    behind = [found.start() for found in _MARK.finditer(text, end)] if text[at : at + 1] == '"' else []
    return dict.fromkeys([*before, at, *behind, len(text)])


def _other_marks(text: str, at: int) -> Iterator[Change]:
    """Another mark in place of that at `at`, or none if it is doubled, or closes nothing."""
    mark = text[at : at + 1]
    if not mark:
        return
    if mark in _QUOTES + "{}[],:" and _DOUBLED.search(text, max(0, at - COMMA_GAP), at + 1):
        yield Change(_PRESENT, at, at + 1, "")
    if mark == '"' and _BARE_SCALAR.search(text, max(0, at - SCALAR), at):
        yield Change(_PRESENT, at, at + 1, "")
    if mark in "}]" and text[at + 1 : at + 2] in tuple("}]".replace(mark, "")):
        yield Change(_PRESENT, at, at + 2, text[at + 1] + mark)  # out of order
    others = '"' if mark in _QUOTES else "{[" if mark in _OPENING else "}]" if mark in _CLOSING else ""
    for other in others.replace(mark, ""):
        yield Change(_PRESENT + _is_quoted(text, at), at, at + 1, other)


def _is_quoted(text: str, at: int) -> bool:
    """Whether an odd quote at `at` may close one of its kind, in a string that has lost its own."""
    mark = text[at]
    before = text[text.rfind('"', 0, at) + 1 : at]
    return any(opener in before for opener in _OPENERS.get(mark, ""))


def _more_marks(text: str, at: int, closes: bool) -> Iterator[Change]:
    """Another mark before `at`. `closes`: a quote there ends a string; that is done before the line break of
    a bracket that has its own line."""
    is_end = closes and text[at : at + 1] in tuple(_CLOSING)
    found = _LINE_BREAK.search(text, max(0, at - COMMA_GAP), at) if is_end else None
    end = found.start() if found else at
    yield Change(_MISSING, end, end, '"')
    if text[at : at + 1] == '"':
        yield Change(_MISSING, at, at, "\\")
    for bracket in "{[}]":
        yield Change(_MISSING, at, at, bracket)
