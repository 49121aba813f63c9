"""Tags that are in no dialect table: what is said about a tag that was recognised by its place (P21)."""

from __future__ import annotations

import re
from collections.abc import Collection

from ..grammar.brackets import CLOSE
from ..grammar.dialect import Dialect
from ..grammar.kinds import MORE, Cost, TagKind, Wait
from ..grammar.likeness import PARAMETER, alike, squeeze
from ..grammar.tag import Tag
from ..grammar.text import end_of, skip_whitespace
from ..grammar.tokens import Token, read_tag
from ..limits import TAG
from ..repairs import Repair

BY_PLACE = Dialect("by_place", damaged=True, repair=Repair.DAMAGED_TAG)
BY_NAME = Dialect("by_name", damaged=True, by_name=True, common=True, repair=Repair.DAMAGED_TAG)
OPENERS = frozenset({TagKind.PARAMETER_OPEN, TagKind.CALL_OPEN, TagKind.WRAP_OPEN, TagKind.NAMELESS_OPEN})

NAME_ATTRIBUTES = frozenset({"name", "key", "id", "tool", "function", "parameter"})  # they hold the name
_ON_LINE = re.compile(r"[ \t]*")
_LATE = re.compile(r"[ \t]*\r?\n[ \t]*(?=>[ \t]*(?:[\r\n<]|\Z))")  # before a bracket on the next line
_OPENER, _LINE = re.compile(r"<(\w{1,32})="), re.compile(r"[^<\r\n]*+")
_SEPARATOR = re.compile(r"""(?:[ \t]*:[ \t]*|[ \t]*)(?=[^\s:=>"']|\Z)(?!/>)""")
ATTRIBUTE = re.compile(r"""\s*=\s*["']?([^"'<>\s]{1,128})""")


def attribute_of(token: Token) -> str:
    """The name in an attribute of a tag; "" if there is none."""
    found = ATTRIBUTE.match(token.attributes) if token.name in NAME_ATTRIBUTES else None
    return found[1] if found else ""


def is_by_place(tag: Tag) -> bool:
    """Whether a tag is in no dialect table, but was recognised by its place."""
    return tag.dialect is BY_PLACE or tag.dialect is BY_NAME


def is_cut(token: Token, text: str) -> bool:
    """Whether the message ends inside of this tag."""
    return token.end == len(text) and not token.closed


def read_whole(text: str, at: int, over: bool) -> Token | Wait | None:
    """The token at `at`; None if there is none, or if the message ends inside of it."""
    token = read_tag(text, at, over)
    return None if isinstance(token, Token) and is_cut(token, text) else token


def by_place(token: Token, kind: TagKind, cost: Cost, name: str = "", dialect: Dialect = BY_PLACE) -> Tag:
    """The tag that a token stands for."""
    return Tag(kind, name, token.start, token.end, token.raw, dialect, cost)


def before_value(text: str, at: int, over: bool, free: Collection[str]) -> Tag | Wait | None:
    """The opening tag of one of these parameters without its bracket, whose value follows on the same line:
    `<parameter=ids: [1, 2]`."""
    found = _OPENER.match(text, at, at + TAG)
    if found is None or alike(squeeze(found[1])) != PARAMETER:
        return None
    key = max((key for key in free if text.startswith(key, found.end())), key=len, default="")
    separator = _SEPARATOR.match(text, found.end() + len(key))
    if not key or separator is None:
        return None
    end = separator.end()
    line = end_of(_LINE, text[: at + TAG], end)
    if line == len(text) and not over:
        return MORE
    if text[end:line].rstrip()[-1:] in ("", ">"):
        return None  # the value is in the tag
    return Tag(TagKind.PARAMETER_OPEN, key, at, end, text[at:end], BY_PLACE, Cost.ALIKE)


def index_after(text: str, tag: Tag) -> int:
    """The index where what follows a tag begins, after a surplus bracket."""
    at = tag.end if tag.spelt else end_of(_ON_LINE, text, tag.end)
    if tag.raw[-1] not in CLOSE:
        at = end_of(_LATE, text, at)
    return skip_whitespace(text, at + text.startswith(">", at))
