"""Parameters in elements that are in no dialect table.

    <arg name="path">a.py</arg>             an attribute names the parameter; the word may be anything
    <name>path</name> <value>a.py</value>   one element names it, the next one holds its value
    <args> … </args>                        one element around all of them, or around JSON

Between the parameters of a call nothing else can stand. So whatever the words are, an element with a
declared name is a parameter. Its value ends with the closing tag of the element that holds it.
"""

import re
from collections.abc import Callable

from ..grammar.dialect import Dialect
from ..grammar.kinds import MORE, Cost, TagKind, Wait
from ..grammar.likeness import DOCUMENT
from ..grammar.tag import Tag
from ..grammar.text import GAP
from ..limits import ELEMENT
from ..repairs import Repair

ELEMENTS = Dialect("elements", repair=Repair.FOREIGN_SPELLING)

_GAP = GAP.pattern
_WORD, _KEY = r"[A-Za-z][\w-]{0,63}", r"[\w.-]{1,64}"
_NAMED = re.compile(
    rf"""<(?P<word>{_WORD}){_GAP}(?:name|key|id)[ \t]?=[ \t]?["']?(?P<key>{_KEY})["']?[ \t]?>"""
)
_PAIR = re.compile(rf"<(?P<first>{_WORD})>{_GAP}(?P<key>{_KEY}){_GAP}</(?P=first)>{_GAP}<(?P<word>{_WORD})>")
_ATTRIBUTE = rf"""(?:n(?:a(?:me?)?)?|k(?:ey?)?|id?)(?:[ \t]?=[ \t]?["']?(?:{_KEY})?["']?[ \t]?)?"""
_PART = re.compile(
    rf"<(?:{_WORD}(?:{_GAP}(?:{_ATTRIBUTE})?|>{_GAP}(?:[<{{].*|{_KEY}{_GAP}(?:<(?:/.*)?)?)?)?)?", re.DOTALL
)
_AROUND = re.compile(rf"<(?P<word>{_WORD})>{_GAP}(?=(?P<inner>[<{{]))")


def read_element(
    text: str,
    at: int,
    over: bool,
    declares: Callable[[str], bool],
    begins: Callable[[str, int], bool],
    end: int | None = None,
) -> Tag | Wait | None:
    """The tag at `at`: one that opens a parameter, or one around the parameters, which is dropped
    (STRAY). `declares`: whether this is the name of a parameter. `begins`: whether a parameter begins
    here as in a dialect table. Nothing after `end` is looked at."""
    end = at + ELEMENT if end is None else end
    found = _NAMED.match(text, at, end) or _PAIR.match(text, at, end)
    if found and declares(found["key"]) and found["word"] not in DOCUMENT:
        return _of_parameter(found, declares)
    if around := _read_around(text, at, over, declares, begins, end):
        return around
    return MORE if not over and len(text) < end and _PART.fullmatch(text, at) else None


def _of_parameter(found: re.Match[str], declares: Callable[[str], bool]) -> Tag | None:
    """The opening tag of a parameter; None if the element that would name it is a parameter itself."""
    if found.re is _PAIR and declares(found["first"]):
        return None
    return _tag(TagKind.PARAMETER_OPEN, found["key"], found.start(), found.end(), found.string)


def _read_around(
    text: str,
    at: int,
    over: bool,
    declares: Callable[[str], bool],
    begins: Callable[[str, int], bool],
    end: int,
) -> Tag | Wait | None:
    """The same for an element around the parameters: one of them opens in it, or JSON does."""
    around = _AROUND.match(text, at, end)
    if around is None or declares(around["word"]):
        return None
    inner = around.end()
    if around["inner"] != "{" and not begins(text, inner):
        deeper = read_element(text, inner, over, declares, begins, end) if len(text) > inner + 1 else None
        if deeper is MORE or deeper is None:
            return deeper
    return _tag(TagKind.STRAY, "", at, inner, text)


def _tag(kind: TagKind, name: str, start: int, end: int, text: str) -> Tag:
    return Tag(kind, name, start, end, text[start:end], ELEMENTS, Cost.TABLE)


def element_of(tag: Tag) -> str:
    """The word of the element that holds the value, or is around the parameters; "" if the tag is in a
    dialect table."""
    return re.findall(rf"<({_WORD})", tag.raw)[-1] if tag.dialect is ELEMENTS else ""
