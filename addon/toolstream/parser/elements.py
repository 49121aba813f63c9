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
from ..limits import ELEMENT, NESTED
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
    text: str, over: bool, declares: Callable[[str], bool], begins: Callable[[str, int], bool]
) -> Tag | Wait | None:
    """The tag with which a text begins: one that opens a parameter, or one around the parameters, which is
    dropped (STRAY). `declares`: whether this is the name of a parameter. `begins`: whether a parameter begins
    at an index as in a dialect table. No more than ELEMENT characters are looked at."""
    if found := _named(text, 0, declares):
        return _of_parameter(found, declares)
    if around := _around(text, declares, begins):
        return _tag(TagKind.STRAY, "", 0, around, text)
    return MORE if not over and len(text) < ELEMENT and _PART.fullmatch(text) else None


def _named(text: str, at: int, declares: Callable[[str], bool]) -> re.Match[str] | None:
    """An element at `at` that names a parameter."""
    found = _NAMED.match(text, at, ELEMENT) or _PAIR.match(text, at, ELEMENT)
    return found if found and declares(found["key"]) and found["word"] not in DOCUMENT else None


def _of_parameter(found: re.Match[str], declares: Callable[[str], bool]) -> Tag | None:
    """The opening tag of a parameter; None if the element that would name it is a parameter itself."""
    if found.re is _PAIR and declares(found["first"]):
        return None
    return _tag(TagKind.PARAMETER_OPEN, found["key"], found.start(), found.end(), found.string)


def _around(text: str, declares: Callable[[str], bool], begins: Callable[[str, int], bool]) -> int:
    """Where the content begins of the element with which a text begins, if the parameters are in it: one of
    them opens there, or JSON does, or another element that they are in; 0 if they are not."""
    content = inner = 0
    for _ in range(NESTED):
        around = _AROUND.match(text, inner, ELEMENT)
        if around is None or declares(around["word"]):
            return 0
        inner = around.end()
        content = content or inner
        if around["inner"] == "{" or begins(text, inner):
            return content
        if found := _named(text, inner, declares):
            return content if _of_parameter(found, declares) else 0
    return 0


def _tag(kind: TagKind, name: str, start: int, end: int, text: str) -> Tag:
    return Tag(kind, name, start, end, text[start:end], ELEMENTS, Cost.TABLE)


def element_of(tag: Tag) -> str:
    """The word of the element that holds the value, or is around the parameters; "" if the tag opens none,
    or is in a dialect table."""
    words: list[str] = re.findall(rf"<({_WORD})", tag.raw) if tag.dialect is ELEMENTS else []
    return words[-1] if words else ""
