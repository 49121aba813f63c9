"""Tags that are in no dialect table: what is said about a tag that was recognised by its place (P21)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ..grammar.brackets import CLOSE
from ..grammar.dialect import BY_NAME, BY_PLACE, Body, Dialect
from ..grammar.kinds import MORE, Cost, TagKind, Wait
from ..grammar.likeness import CLOSES, ENVELOPE, FUNCTION, NAME_ATTRIBUTES, PARAMETER, is_plural, squeeze
from ..grammar.tag import Tag
from ..grammar.text import end_of, read_literal, skip_whitespace
from ..grammar.tokens import Token, read_tag

OPENERS = frozenset({TagKind.PARAMETER_OPEN, TagKind.CALL_OPEN, TagKind.WRAP_OPEN, TagKind.NAMELESS_OPEN})

_EXACT_CLOSERS = {"</parameter": PARAMETER, "</function": FUNCTION, "</tool_call": ENVELOPE}
_NO_NAME = re.compile(r"""\s*[=:][\s"']*""")
_ON_LINE = re.compile(r"[ \t]*")
_LATE = re.compile(r"[ \t]*\r?\n[ \t]*(?=>[ \t]*(?:[\r\n<]|\Z))")  # before a bracket on the next line
_ATTRIBUTE = re.compile(r"""\s*=\s*["']?([^"'<>\s]{1,128})""")


def attribute_of(token: Token) -> str:
    """The name in an attribute of a tag; "" if there is none."""
    found = _ATTRIBUTE.match(token.attributes) if token.name in NAME_ATTRIBUTES else None
    return found[1] if found else ""


def is_by_place(tag: Tag) -> bool:
    """Whether a tag is in no dialect table, but was recognised by its place."""
    return tag.dialect is BY_PLACE or tag.dialect is BY_NAME


def is_in_table(tag: Tag) -> bool:
    """Whether a tag is in a dialect table."""
    return tag.spelt and not is_by_place(tag)


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


def whole_closer(token: Token, kind: str) -> Tag | None:
    """A closing tag with one of Qwen's words, of this `kind`, and both brackets; or an exact one without its
    last bracket. None if it is neither."""
    cut = _EXACT_CLOSERS.get(token.raw.strip(), "")
    whole = kind and token.bracket and token.closed and not token.name
    if not (whole or cut):
        return None
    plain = cut or _has_one_bracket(token)
    return by_place(token, CLOSES[kind or cut], Cost.TABLE if plain else Cost.ALIKE)


def _has_one_bracket(token: Token) -> bool:
    """Whether a token begins with one plain bracket, and no namespace follows that."""
    return token.raw[0] == "<" and token.raw.count("<") == 1 and not token.space


def read_odd(names: Iterable[str], dialect: Dialect, text: str, at: int, over: bool) -> Tag | Wait | None:
    """The opening tag, in this dialect, of one of these parameters, whose names contain signs of tags."""
    for name in names:
        raw = f"<parameter={name}>"
        found = read_literal(text, at, raw, over)
        if found is MORE:
            return MORE
        if found:
            return Tag(TagKind.PARAMETER_OPEN, name, at, at + len(raw), raw, dialect, Cost.EXACT)
    return None


def nameless(token: Token, kind: str, in_value: bool) -> Iterator[Tag]:
    """What a tag without a name may be whose word is one of Qwen's, of this `kind`."""
    has_no_name = _NO_NAME.fullmatch(token.attributes) or not (in_value or token.attributes)
    if kind == PARAMETER and has_no_name:
        yield by_place(token, TagKind.PARAMETER_OPEN, Cost.ALIKE)
    if kind == ENVELOPE:
        yield by_place(token, TagKind.WRAP_OPEN, Cost.TABLE if token.is_intact else Cost.ALIKE)
    if _may_lack_slash(token, in_value):
        yield by_place(token, CLOSES[kind], Cost.ALIKE)


def _may_lack_slash(token: Token, in_value: bool) -> bool:
    """Whether an opening tag may be a closing one without its slash: not an element around others."""
    around = in_value and is_plural(squeeze(token.word))
    return not (token.raw.endswith("/>") or token.space or around)


def named_envelope(token: Token, name: str, is_tool: bool) -> Iterator[Tag]:
    """What an envelope's tag with a name may be: the function's tag, if a tool has that name; else one of an
    envelope with attributes, or cut."""
    if is_tool and token.sep == "=":
        yield by_place(token, TagKind.CALL_OPEN, Cost.ALIKE, name)
        return
    yield by_place(token, TagKind.WRAP_OPEN, Cost.ALIKE)
    yield by_place(token, TagKind.WRAP_CLOSE, Cost.ALIKE)


def after_last_opener(spoken: Iterable[Dialect], text: str, at: int, over: bool) -> int | Wait:
    """The index after the last of several tags with which a call opens in one of these dialects, if its
    arguments are JSON; `at` if that tag is not there."""
    for dialect in spoken:
        for spelling in dialect.call_open if dialect.body is Body.JSON else ():
            last = spelling[spelling.rfind("<") :]
            found = "{" not in last and read_literal(text, at, last, over)
            if found:
                return MORE if found is MORE else at + len(last)
    return at


def index_after(text: str, tag: Tag) -> int:
    """The index where what follows a tag begins, after a surplus bracket."""
    at = tag.end if tag.spelt else end_of(_ON_LINE, text, tag.end)
    if tag.raw[-1] not in CLOSE:
        at = end_of(_LATE, text, at)
    return skip_whitespace(text, at + text.startswith(">", at))
