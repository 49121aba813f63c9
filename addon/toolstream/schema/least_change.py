"""Reads JSON with one wrong mark: finds the smallest change that makes it the JSON that the caller wants.

Where a decoder stops, a mark is wrong: the one there, or one shortly before. So each possible change of
one mark is tried: a doubled mark is removed, a mark is replaced by another one, a missing mark is added.
Letters never change. A change counts if all of the text is JSON after it, and the caller accepts the
value. If the cheapest changes give different values, nothing is certain.

Adding a mark costs more than changing one. A string that contains an unpaired quote costs extra: a
doubled quote at its end may also be a quote of the string that lacks its backslash.
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

QUOTES = "\"'`“”„‘’«»"
_OPENING, _CLOSING = "{[(<", "}])>"
# By a wrong mark: the ones that may be meant
_INSTEAD = {
    mark: others.replace(mark, "")
    for marks, others in ((QUOTES, '"'), (_OPENING, "{["), (_CLOSING, "}]"))
    for mark in marks
}
_MARK = re.compile(rf"[{re.escape(QUOTES + _OPENING + _CLOSING)},:;=.]")
_ODD_QUOTE = rf"[{QUOTES.replace(chr(34), '')}]"
_ODD_OPENING = re.compile(rf"([{{\[,:]\s*+){_ODD_QUOTE}")
_ODD_CLOSING = re.compile(rf"{_ODD_QUOTE}(?=\s*+[}}\],:])")
_TWO = re.compile(r"""['"`]\s*[+,;:]?\s*['"`]""")  # two strings with a mark between them, not one
_ODD_PAIRS = ("'", "`", "“”", "‘’", "«»")
_BARE_QUOTE = re.compile(r'(?<!\\)"')
_OPENERS = {"”": "“„", "’": "‘", "»": "«", "'": "'", "`": "`"}  # of the quotes that may close a string
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\],"]', re.DOTALL)  # or a quote without a partner
_BEFORE_VALUE = {"{": '{"":', "[": "["}
_BARE_SCALAR = re.compile(r"[:\[,]\s*+(?:-?[\d.eE+-]++|true|false|null)\Z")  # that has not begun with a quote
_DOUBLED = re.compile(r"(?<!\\)(\S)\s*+\1\Z")
_BETWEEN = re.compile(r"[,:]\s")
_BLANKS = re.compile(r"([:,\[])([ \t]+)\Z")
_COMPACT = {mark: re.compile(rf'(?<!\\)"{mark}(?=\S)') for mark in ",:"}
_LINE_BREAK = re.compile(r"\r?\n[ \t]*\Z")

_PRESENT, _MISSING = 1, 2  # the cost of changing a mark, and of adding one


class Change(NamedTuple):
    """Writing `mark` in place of text[at:end], and what that costs."""

    cost: int
    at: int
    end: int
    mark: str


def least_change(text: str, accept: Callable[[Any], bool]) -> Any:
    """The value of a text that is JSON except for one mark; None if that is not certain. `accept` says
    whether a value may be meant."""
    if len(text) > ONE_CHANGE or text[-1:] not in tuple(_CLOSING):
        return None
    if (at := _end_of_json(text)) is None:
        return None
    for straight in (_straightened(text), _straightened(_BARE_QUOTE.sub(r"\"", text))):
        value = _value(straight)
        if value is not None and not _is_odd(value) and accept(value):
            return value
    return _cheapest(text, at, accept)


def _is_odd(value: Any) -> bool:
    """Whether a string in it has an odd quote without a partner, or looks like two strings."""
    return bool(unpaired(value, *_ODD_PAIRS)) or any(map(_TWO.search, strings_of(value)))


def _cheapest(text: str, at: int, accept: Callable[[Any], bool]) -> Any:
    """The value after the cheapest change of one mark; None if changes that cost the same differ."""
    cheapest: list[Any] = []
    least = _MISSING + _MISSING
    for change, value in _readings(text, sorted(_changes(text, at))):
        if change.cost > least:
            break
        cost = change.cost + unpaired(value) + _merged(value)
        if cost <= least and accept(value):
            cheapest, least = [*(cheapest if cost == least else ()), value], cost
    return cheapest[0] if len({dump(value) for value in cheapest}) == 1 else None


def _readings(text: str, changes: list[Change]) -> Iterator[tuple[Change, Any]]:
    """The value of the text after each change that makes it JSON. A change is first tried on a shorter
    text, in which what comes before all changes is left out."""
    skipped, short = _beginning(text, min(change.at for change in changes))
    for change in changes:
        rest = change.mark + text[change.end :]
        if _value(short + text[skipped : change.at] + rest) is not None:
            yield change, _value(text[: change.at] + rest)


def _beginning(text: str, end: int) -> tuple[int, str]:
    """The index after the last comma in text[:end], and the shortest JSON that may be followed by the
    same as the text before it."""
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
    """The index at which the text stops being JSON; None if it does not, or nobody can tell."""
    try:
        _, end = LENIENT.raw_decode(text)
    except JSONDecodeError as error:
        return error.pos
    except (ValueError, RecursionError):
        return None
    end = end_of(JSON_WHITESPACE, text, end)
    return end if end < len(text) else None


def _straightened(text: str) -> str:
    """With JSON's own quotes in place of others."""
    return _ODD_CLOSING.sub('"', _ODD_OPENING.sub(r'\1"', text))


def unpaired(value: Any, *pairs: str) -> int:
    """How many strings have a quote without its partner. `pairs`: such quotes, instead of the straight
    one."""
    return sum(
        string.count(pair[0]) % 2 if len(pair) == 1 else string.count(pair[0]) != string.count(pair[1])
        for string in strings_of(value)
        for pair in pairs or '"'
    )


def _merged(value: Any) -> int:
    """How many strings look like two, or the rest of one: they begin with what stands between two of them,
    or have it after a quote without a partner."""
    return sum(
        1 if _BETWEEN.match(string) else 2 * (string.count('"') % 2 and '",' in string)
        for string in strings_of(value)
    )


# The changes


def _changes(text: str, at: int) -> Iterator[Change]:
    """Every change of one mark, for a decoder that stopped at `at`."""
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
    """Where the wrong mark may be: the last marks before `at` and the one there; for a string without an
    end, also the marks at the end of the text."""
    start = max(0, at - MARKS_WITHIN)
    before = [found.start() for found in _MARK.finditer(text, start, at + 1)][-MARKS:]
    end = max(at + 1, len(text) - MARKS)
    after = [found.start() for found in _MARK.finditer(text, end)] if text[at : at + 1] == '"' else []
    return dict.fromkeys([*before, at, *after, len(text)])


def _other_marks(text: str, at: int) -> Iterator[Change]:
    """Replacing the mark at `at` by another one, or removing it if it is doubled, or closes nothing."""
    mark = text[at : at + 1]
    if not mark:
        return
    if mark in QUOTES + "{}[],:" and _DOUBLED.search(text, max(0, at - COMMA_GAP), at + 1):
        yield Change(_PRESENT, at, at + 1, "")
    if mark == '"' and _BARE_SCALAR.search(text, max(0, at - SCALAR), at):
        yield Change(_PRESENT, at, at + 1, "")
    if mark in "}]" and text[at + 1 : at + 2] in tuple("}]".replace(mark, "")):
        yield Change(_PRESENT, at, at + 2, text[at + 1] + mark)  # out of order
    for other in _INSTEAD.get(mark, ""):
        yield Change(_PRESENT + _is_quoted(text, at), at, at + 1, other)


def _is_quoted(text: str, at: int) -> bool:
    """Whether an odd quote at `at` may close another of its kind, in a string that has lost its own
    closing quote."""
    mark = text[at]
    before = text[text.rfind('"', 0, at) + 1 : at]
    return any(opener in before for opener in _OPENERS.get(mark, ""))


def _first_of_string(text: str, at: int) -> int:
    """Where a string that lacks its first quote begins, if `at` is after its blanks: only one blank belongs
    to the mark before it, a comma or a colon, and none if others of its kind are without."""
    found = _BLANKS.search(text, max(0, at - SCALAR), at)
    if found is None:
        return at
    compact = _COMPACT[found[1]].search(text) if found[1] in _COMPACT else True
    return found.start(2) + (not compact and found[2][0] == " ")


def _more_marks(text: str, at: int, closes: bool) -> Iterator[Change]:
    """Adding a mark before `at`. `closes`: a quote added there ends a string. Before a bracket on a line
    of its own it is added before the line break."""
    is_end = closes and text[at : at + 1] in tuple(_CLOSING)
    found = _LINE_BREAK.search(text, max(0, at - COMMA_GAP), at) if is_end else None
    end = found.start() if found else at
    first = _first_of_string(text, end)
    yield Change(_MISSING, first, first, '"')
    if text[at : at + 1] == '"':
        yield Change(_MISSING, at, at, "\\")
    for bracket in "{[}]":
        yield Change(_MISSING, at, at, bracket)
