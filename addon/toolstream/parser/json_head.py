"""The beginning of a JSON call: which tool it names, and where its arguments begin.

From there on a call can stream. Before that it cannot, because most damage is only recognised when all of
the JSON has arrived. So the beginning is looked at, without consuming it, up to the colon of the first
argument: a few dozen characters. A call that does not begin as it should has no head and is read as a
whole: its arguments come before the name, are missing or in a string, or a quote is missing.
"""

import re
from dataclasses import dataclass

from ..grammar.kinds import MORE, Wait
from ..grammar.text import JSON_SPACE as _S
from ..limits import DECLARED_NAME, JSON_HEAD, JSON_KEY, WORD
from ..schema.call_shape import ARGUMENT_KEYS, BESIDE, NAME_KEYS, WRAP_KEYS

_KEY, _TEXT = rf'[^"\\\n]{{0,{WORD}}}', rf'[^"\\\n]{{0,{DECLARED_NAME}}}'
_MEMBER = re.compile(rf'{_S}"(?P<key>{_KEY})"{_S}:{_S}(?:"(?P<text>{_TEXT})"{_S},|(?P<object>\{{))')
_MEMBER_PART = re.compile(rf'{_S}(?:"{_KEY}(?:"{_S}(?::{_S}(?:"{_TEXT}(?:"{_S})?)?)?)?)?')
_FIRST = re.compile(rf'{_S}"(?P<key>[^"\\\n]{{1,{JSON_KEY}}})"{_S}:{_S}(?=["{{\[\-0-9tfn`]|\'\'\')')
_FIRST_PART = re.compile(rf"""{_S}(?:"[^"\\\n]{{0,{JSON_KEY}}}(?:"{_S}(?::{_S}'{{0,2}})?)?)?""")
_EMPTY = re.compile(
    rf'\{{{_S}"name"{_S}:{_S}"(?P<name>{_TEXT})"{_S},{_S}"(?:{"|".join(ARGUMENT_KEYS)})"{_S}:{_S}\{{{_S}\}}'
)
_UNOPENED = re.compile(rf'[(<]?{_S}"(?:{"|".join((*NAME_KEYS, *WRAP_KEYS))})"{_S}:{_S}["{{]')
_UNOPENED_PART = re.compile(rf'[(<]?{_S}(?:"[a-z_]{{0,{WORD}}}(?:"{_S}(?::{_S})?)?)?')
_REST = re.compile(rf',?{_S}"(?P<key>{"|".join(ARGUMENT_KEYS)})"{_S}:{_S}(?=\{{)')
_REST_PART = re.compile(rf',?{_S}(?:"[a-z_]{{0,{WORD}}}(?:"{_S}(?::{_S})?)?)?')
_PYTHON = re.compile(rf"([^\W\d][\w.-]{{0,{DECLARED_NAME}}})\((?={_S}(?:[){{]|\w{{1,{JSON_KEY}}}{_S}=))")
_PYTHON_PART = re.compile(rf"[^\W\d][\w.-]{{0,{DECLARED_NAME}}}(?:\({_S}\w{{0,{JSON_KEY}}}{_S})?")
_OPENING = re.compile(rf"(?:(?P<array>\[){_S})?(?P<object>\{{)?")
# Keys without their last letter, or with one more
_SLIPS = {"argument": "arguments", "parameter": "parameters", "arg": "args", "inputs": "input"}


@dataclass(slots=True)
class Head:
    """The name of the tool, and the first key of the arguments, which is at the index `at`. `brackets`:
    how many brackets close the call after those of its arguments. `array`: it is the first call of an
    array. `slip`: its keys are misspelt."""

    array: bool
    name: str = ""
    key: str = ""
    at: int = 0
    brackets: int = 1
    slip: bool = False


def read_first_key(text: str, at: int, over: bool) -> tuple[str, int] | Wait | None:
    """The first key of the object whose bracket is at `at`, and its index; None if it does not begin as
    it should."""
    if found := _FIRST.match(text, at + 1):
        return found["key"], found.start("key") - 1
    return _more(_FIRST_PART, text, at + 1, over, at)


def lacks_bracket(text: str, at: int, over: bool) -> bool | Wait:
    """Whether the first key of a call is at `at`, without its bracket or with a wrong one."""
    if _UNOPENED.match(text, at):
        return True
    return _more(_UNOPENED_PART, text, at, over, at) is not None and MORE


def read_rest(text: str, at: int, over: bool) -> tuple[str, int] | Wait | None:
    """What comes between the name and the arguments of a JSON call, `, "arguments": `: its key, and the index
    of the bracket after it; None if that is not at `at`."""
    found = _REST.match(text, at)
    return (found["key"], found.end()) if found else _more(_REST_PART, text, at, over, at)


def name_of_python(text: str, at: int, over: bool) -> str | Wait:
    """The name of the tool, if a call as in Python is at `at`; "" if there is none."""
    found = _PYTHON.match(text, at)
    return found[1] if found else _more(_PYTHON_PART, text, at, over, at) or ""


def name_of_empty(text: str, at: int) -> str:
    """The name of a call without arguments whose bracket is at `at`; "" if it is anything else."""
    found = _EMPTY.match(text, at)
    return found["name"] if found else ""


def read_head(text: str, at: int, over: bool) -> Head | Wait | None:
    """The head of the call at `at`, which begins with its own bracket or with that of an array."""
    opening = _read_brackets(text, at, over)
    if not isinstance(opening, re.Match):
        return opening
    head, here = Head(array=bool(opening["array"])), opening.end()
    while found := _MEMBER.match(text, here):
        if here - at > JSON_HEAD:
            return None
        key = _SLIPS.get(found["key"].casefold(), found["key"].casefold())
        head.slip, here = head.slip or key != found["key"], found.end()
        if found["object"] and key in ARGUMENT_KEYS and head.name:
            return _to_first_key(head, text, here - 1, over)
        if not _take_before_arguments(found, key, head):
            return None
    return _more(_MEMBER_PART, text, here, over, at)


def _read_brackets(text: str, at: int, over: bool) -> re.Match[str] | Wait | None:
    """The brackets at `at` with which a call begins."""
    found = _OPENING.match(text, at)
    if found and found["object"]:
        return found
    return MORE if found and found.end() == len(text) and not over else None


def _to_first_key(head: Head, text: str, at: int, over: bool) -> Head | Wait | None:
    """The head, up to the first key of the arguments, whose bracket is at `at`."""
    first = read_first_key(text, at, over)
    if not isinstance(first, tuple):
        return first
    head.key, head.at = first
    return head


def _take_before_arguments(found: re.Match[str], key: str, head: Head) -> bool:
    """Take a member that comes before the arguments: it may name the tool, or be an object around the call.
    Return whether it may stand there."""
    if head.name:
        return key in BESIDE and not found["object"]
    if found["object"]:
        head.brackets += 1
        return key in WRAP_KEYS
    if found["text"] and key in NAME_KEYS:
        head.name = found["text"]
        return True
    return key in BESIDE


def _more(part: re.Pattern[str], text: str, at: int, over: bool, start: int) -> Wait | None:
    """MORE if the text may still become what `part` begins, else None."""
    return MORE if not over and len(text) - start <= JSON_HEAD and part.fullmatch(text, at) else None
