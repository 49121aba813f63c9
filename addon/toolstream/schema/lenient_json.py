"""Reads text that is not quite JSON, if there is only one way to read it.

The result tells whether a reading is safe: every letter of the text must be in the value, in its order,
and every string of the value must occur in the text unchanged. A file in a string must not lose a quote
to a lucky guess.

These are tried in turn: brackets that are doubled, or missing at the end; line breaks as two characters;
numbers that are none of JSON's; keys written as in a tag; Python's notation; one wrong mark
(`least_change`); and the json-repair library, if it is installed, for texts that are short enough for its
quadratic time.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from ..grammar.text import COMMENT, JSON_CLOSERS, JSON_STRING
from ..limits import COMMA_GAP, ONE_CHANGE, PLACES, SCALAR, SMALL, WORD
from .call_shape import NAME_KEYS
from .coercion import FAILED, coerce
from .escapes import with_paths
from .inner_quotes import quotes_escaped
from .json_read import keys_of, loads, loads_if, strings_of
from .json_scanner import JsonScanner
from .json_write import dump, escaped
from .least_change import QUOTES, least_change, unpaired
from .python_literals import as_json
from .schema import Parameter

try:
    from json_repair import repair_json
except ImportError:  # mitmproxy was installed alone: that one repair is off
    repair_json = None  # type: ignore[assignment]

_ANY = Parameter({"type": ["object", "array"]}, {}, True)
_MARKS, _NONE = re.compile(r"""\\+(?=["'/])|[\s"'{}\[\],:]+"""), re.compile(r"\bNone\b")
_BREAKS = re.compile(r"\\[nrt]")
_EMPTY = re.compile(r"""(?:[:=\[,({]|["']\s)\s*(?:""|'')""")  # a string that says nothing
_RUNS_BEFORE = re.compile(r"""(?:\\(?:[nrt][ ]*)?|[,:{\[]\s*["']\s+)\Z""")
_RUNS_ON = re.compile(r"""[ ]*\\[nrt]|\s+["']\s*[,:}\]]""")
_KEY_END = re.compile(r'(?<!\\)"\s{0,8}:')
_CONTROLS, _BEGINNING = re.compile(r"[\b\f\n\r\t]+\w"), 16  # and a word, at the beginning of a string
# The rest of `\"` in the place of a quote, before one word; an `n` may be a line break, but not in a key
_HALF_QUOTE = re.compile(r'\\(?=[bfrt][\w-]{2,64}"|\w[\w.-]{0,64}"\s{0,8}:)')
_ESCAPES = re.compile(r"(?:\\[bfnrt]){1,64}\w")
_BACKSLASHES = re.compile(r"\\+")  # one or two: of an escape, or of what should have been one
_STRING = rf'{JSON_STRING.pattern}|(?P<unclosed>".*+)'
_BRACKET_OR_STRING = re.compile(rf"{_STRING}|[{{}}\[\]]", re.DOTALL)
_STRING_OR_BREAK = re.compile(rf"{_STRING}|\\[nrt]", re.DOTALL)
_STRING_OR_COMMENT = re.compile(rf"{_STRING}|(?<=[\s,{{\[]){COMMENT}", re.DOTALL)
_STRING_OR_SCALAR = re.compile(
    rf"{_STRING}|(?<=[:\[,\s])(?P<scalar>[+-]?\.?\d[\d.]{{0,{SCALAR}}})(?=\s*+[,}}\]])",
    re.DOTALL,
)
_STRING_OR_HALF_QUOTE = re.compile(rf"{_STRING}|(?<=[:{{\[,\s]){_HALF_QUOTE.pattern}", re.DOTALL)
_NAME_EQUALS = re.compile(
    rf"""([{{,]\s{{0,64}})"({"|".join(NAME_KEYS)})[ \t]?[=:][ \t]?([\w.-]{{1,{WORD}}})["'>]{{0,2}}"""
    r"(?=\s*[,}])"
)
_ARGUMENTS_EQUAL = re.compile(rf'"(arguments|parameters)="(\w{{1,{WORD}}})="')
_KEY_EQUALS = re.compile(rf"""([{{,]\s{{0,64}})"?(\w{{1,{WORD}}})"?[ \t]?=[ \t]?(?=["\[{{])""")


def _is_any(value: Any) -> bool:
    return isinstance(value, (dict, list))


def read_damaged(text: str, accept: Callable[[Any], bool] = _is_any, is_value: bool = False) -> Any:
    """The object or array that a text, which is no JSON, stands for; None if that is not certain. `accept`
    says whether a value may be meant. `is_value`: the text was not cut off, whatever it ends with, and it
    does not harm much if it is not read."""
    text = with_paths(text.strip())
    value = _read_damaged(text, accept, is_value)
    return value if all(_begins_in_quotes(string, text) for string in strings_of(value)) else None


def _read_damaged(text: str, accept: Callable[[Any], bool], is_value: bool) -> Any:
    is_all = is_value or text[-1:] in ("}", "]")
    if (value := _rewritten(text, accept, is_all)) is not None:
        return value
    if (value := coerce(text, _ANY)) is not FAILED:
        return value
    for read in (least_change, quotes_escaped, *((_in_python,) if is_all else ())):
        if (value := read(text, accept)) is not None:
            return value
    return None if is_value else _repaired(text)


def _rewritten(text: str, accept: Callable[[Any], bool], is_all: bool) -> Any:
    """What it says once its brackets, line breaks or keys are rewritten."""
    closed = with_brackets(text) if is_all and text[:2] not in ("[[", "{{") else ""
    rewritten = (_with_spaces(text), _with_quotes(text), _uncommented(text), _with_whole_quotes(text))
    for attempt in (_undoubled(text), closed, *rewritten):
        if (value := loads_if(attempt, accept)) is not None:
            return value
    value = loads_if(_as_json(text), accept)
    return value if value is not None and _all_stand_in(strings_of(value), text) else None


def _in_python(text: str, accept: Callable[[Any], bool]) -> Any:
    """What is written as in Python, and has a slip in it."""
    try:
        json = as_json(text)
    except ValueError:
        return None
    closed = with_brackets(json)
    value = loads(closed) if closed else least_change(json, accept)
    return value if value is not None and accept(value) else None


def _repaired(text: str) -> Any:
    """What the json-repair library makes of it."""
    if repair_json is None or len(text) > SMALL or text[-1:] != JSON_CLOSERS.get(text[:1], ""):
        return None
    try:
        value = loads(repair_json(text, ensure_ascii=False))
    except (ValueError, RecursionError):  # it is nested too deeply
        return None
    same = same_letters(value, text) or _same_but_breaks(dump(value), text)
    if not same or unpaired(value):  # a quote at the end of a string may have been dropped
        return None
    if len(list(keys_of(value))) < len(_KEY_END.findall(text)):  # one has become a string, or a part of one
        return None
    return value if _all_stand_in(strings_of(value), text) else None


def same_letters(value: Any, text: str) -> bool:
    """Whether a value contains everything that the text says, in the same order, ignoring JSON's marks."""
    return _letters(dump(value)) == _letters(text)


def _same_but_breaks(value: str, text: str) -> bool:
    """Whether the letters are the same, apart from line breaks that are written unescaped in the text."""
    (bare, breaks), (bare_text, in_text) = _BREAKS.subn("", value), _BREAKS.subn("", text)
    return breaks >= in_text and _letters(bare) == _letters(bare_text)


def _as_json(text: str) -> str:
    """JSON for keys that are written as in tags (`{"name="bash"}`, `{"name=bash"}`), without surplus
    brackets; "" if there is nothing like that."""
    written = _NAME_EQUALS.sub(r'\1"\2": "\3"', text)
    written = _ARGUMENTS_EQUAL.sub(r'"\1": {"\2": "', written)
    written = _KEY_EQUALS.sub(r'\1"\2": ', written)
    end = JsonScanner().feed(written) or len(written)
    return written[:end] if written != text and not written[end:].strip("}] \t\r\n") else ""


def _with_spaces(text: str) -> str:
    """With blanks for the `\\n` between members that should have been line breaks; "" if there are none."""
    spaced = _STRING_OR_BREAK.sub(lambda found: found[0] if found[0][0] == '"' else " ", text)
    return spaced if spaced != text else ""


def _with_quotes(text: str) -> str:
    """With quotes around numbers that JSON does not have (`05`, `+5`, `.5`), which the schema types later; ""
    if there are none."""
    quoted = _STRING_OR_SCALAR.sub(_quoted_if_odd, text)
    return quoted if quoted != text else ""


def is_half_quote(text: str, at: int) -> bool | None:
    """Whether a backslash at `at`, where a string should begin, is the rest of `\\"`. None if it may as well
    begin an escape of a string that lost its quote."""
    if _HALF_QUOTE.match(text, at):
        return True
    return None if _ESCAPES.match(text, at) else False


def _with_whole_quotes(text: str) -> str:
    """With a quote in the place of a backslash that is the rest of `\\"`; "" if there is none."""
    quoted = _STRING_OR_HALF_QUOTE.sub(lambda found: '"' if found[0] == "\\" else found[0], text)
    return quoted if quoted != text else ""


def _begins_in_quotes(string: str, text: str) -> bool:
    """Whether a string that begins with an escape has its quote before that. Else the backslash may stand for
    the quote."""
    if not _CONTROLS.match(string):
        return True
    head = escaped(string)[:_BEGINNING]
    places = [*islice(_places(head, text), PLACES)]
    return not places or any(text[max(0, at - 1) : at] in tuple(QUOTES) for at in places)


def _uncommented(text: str) -> str:
    """Without the comments between its parts; "" if there are none."""
    bare = _STRING_OR_COMMENT.sub(lambda found: found[0] if found[0][0] == '"' else " ", text)
    return bare if bare != text else ""


def _quoted_if_odd(found: re.Match[str]) -> str:
    scalar = found["scalar"]
    return found[0] if not scalar or loads(f"[{scalar}]") is not None else f'"{scalar}"'


def _undoubled(text: str) -> str:
    """`{{…}}`, as a template writes it, without the outer brackets; "" if it is anything else."""
    return text[1:-1] if text.startswith("{{") and text.endswith("}}") else ""


def with_brackets(text: str) -> str:
    """With the brackets that are missing at the end; "" if none are, or others, or a quote."""
    open_brackets: list[str] = []
    for found in _BRACKET_OR_STRING.finditer(text):
        mark = found[0]
        if mark in JSON_CLOSERS:
            open_brackets.append(mark)
        elif found["unclosed"] or (
            mark in ("}", "]") and (not open_brackets or JSON_CLOSERS[open_brackets.pop()] != mark)
        ):
            return ""
    return text + "".join(JSON_CLOSERS[mark] for mark in reversed(open_brackets)) if open_brackets else ""


def with_last_bracket(text: str) -> str:
    """With the bracket that closes the first one, after another one; "" if it is there."""
    closer = JSON_CLOSERS.get(text[:1], "")
    return text + closer if text[-1:] in JSON_CLOSERS.values() and text[-1:] != closer else ""


def _all_stand_in(strings: Iterable[str], text: str) -> bool:
    listed = list(strings)
    if listed.count("") > len(_EMPTY.findall(text)):
        return False
    if len(text) > ONE_CHANGE:
        return False
    return all(_stands_in(string, text) or _stands_in(escaped(string), text) for string in set(listed))


def _stands_in(string: str, text: str) -> bool:
    """Whether the string occurs in the text with its own ends: not inside an escape, not next to
    whitespace that is written as an escape, and not next to whitespace before a quote."""
    return any(
        not (_RUNS_BEFORE.search(text, max(0, at - COMMA_GAP), at) or _RUNS_ON.match(text, at + len(string)))
        for at in islice(_places(string, text), PLACES)
    )


def _places(string: str, text: str) -> Iterator[int]:
    at = text.find(string)
    while at >= 0:
        yield at
        at = text.find(string, at + 1)


def _letters(text: str) -> str:
    """What no repair may change. Runs of backslashes count as one, and the marks of JSON not at all."""
    return _BACKSLASHES.sub(r"\\", _MARKS.sub("", _NONE.sub("null", text))).casefold()
