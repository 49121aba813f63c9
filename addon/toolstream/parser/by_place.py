"""Tags that are in no dialect table: what is said about a tag that was recognised by its place (P21)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from ..grammar.brackets import CLOSE
from ..grammar.dialect import Dialect
from ..grammar.kinds import MORE, Cost, TagKind, Wait
from ..grammar.likeness import CLOSES, ENVELOPE, FUNCTION, PARAMETER, alike, is_plural, squeeze
from ..grammar.tag import Tag
from ..grammar.text import end_of, read_literal, skip_whitespace
from ..grammar.tokens import MARK, Token, read_tag
from ..limits import TAG
from ..repairs import Repair

BY_PLACE = Dialect("by_place", damaged=True, repair=Repair.DAMAGED_TAG)
BY_NAME = Dialect("by_name", damaged=True, by_name=True, common=True, repair=Repair.DAMAGED_TAG)
OPENERS = frozenset({TagKind.PARAMETER_OPEN, TagKind.CALL_OPEN, TagKind.WRAP_OPEN, TagKind.NAMELESS_OPEN})

_EXACT_CLOSERS = {"</parameter": PARAMETER, "</function": FUNCTION, "</tool_call": ENVELOPE}
_NAME_ATTRIBUTES = frozenset({"name", "key", "id", "tool", "function", "parameter"})  # they hold the name
_NO_NAME = re.compile(r"""\s*[=:][\s"']*""")
_ON_LINE = re.compile(r"[ \t]*")
_LATE = re.compile(r"[ \t]*\r?\n[ \t]*(?=>[ \t]*(?:[\r\n<]|\Z))")  # before a bracket on the next line
_ATTRIBUTE = re.compile(r"""\s*=\s*["']?([^"'<>\s]{1,128})""")

# An opening tag of a parameter up to its name
_IN_ATTRIBUTE = rf"[ \t]{{1,8}}(?:{'|'.join(sorted(_NAME_ATTRIBUTES))})[ \t]{{0,8}}"
_OPENER = re.compile(
    rf"""<(?:{MARK})?(\w{{1,32}})(?P<equals>=|{_IN_ATTRIBUTE}=[ \t]{{0,8}})(?P<quote>["']?)"""
)
_LINE = re.compile(r"[^<\r\n]*+")
_SEPARATOR = re.compile(r"""(?:[ \t]*:[ \t]*|[ \t]*)(?=[^\s:=>"']|\Z)(?!/>)""")
# Behind a name in quotes: what separates it from its value, the rest of a name that is longer, attributes
_QUOTED_SEPARATOR = re.compile(r"[)\]}]?[ \t]*+(?::[ \t]*+)?")
_LONGER = re.compile(r"""[^\s"'<>]{1,128}["'>]""")
_SET = r"""[\w:.-]{1,32}=(?:"[^"<>\n]{0,64}"|'[^'<>\n]{0,64}')"""
_FLAG = r"""[\w:.-]{1,32}=["'](?:true|false)(?!["'])"""  # that has lost its last quote, too
_ATTRIBUTES = re.compile(rf"(?:[ \t]{{1,8}}{_SET}|(?!)){{0,4}}+(?:[ \t]{{1,8}}{_FLAG})?")
_LOOSE = r"""[\w:.-]{1,32}[ \t]{0,8}=[ \t]{0,8}(?:"[^"<>\n]{0,64}"|'[^'<>\n]{0,64}'|[^\s"'<>=]{1,64})"""
# The rest of a tag: attributes, or one character too many, or anything behind a blank; up to a bracket that
# is no arrow, and no sign with blanks around it
_REST = re.compile(
    rf"""(?:{_SET})?(?:[ \t]{{1,8}}{_LOOSE}){{0,4}}(?:[^\s<>]|["']?[ \t]{{0,8}})/?>
    |[ \t,;][^<>\n]{{0,{TAG}}}+(?<![\s=-])>""",
    re.VERBOSE,
)


def attribute_of(token: Token) -> str:
    """The name in an attribute of a tag; "" if there is none."""
    found = _ATTRIBUTE.match(token.attributes) if token.name in _NAME_ATTRIBUTES else None
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


def index_after(text: str, tag: Tag) -> int:
    """The index where what follows a tag begins, after a surplus bracket."""
    at = tag.end if tag.spelt else end_of(_ON_LINE, text, tag.end)
    if tag.raw[-1] not in CLOSE:
        at = end_of(_LATE, text, at)
    return skip_whitespace(text, at + text.startswith(">", at))


# The opening tag of a parameter that has lost its last bracket, before a value on its line


def before_value(text: str, at: int, over: bool, free: Collection[str]) -> Tag | Wait | None:
    """The opening tag of one of these parameters without its bracket, whose value follows on the same line:
    `<parameter=ids: [1, 2]`, `<parameter name="ids"[1, 2]`."""
    found = _OPENER.match(text, at, at + TAG)
    if found is None or alike(squeeze(found[1])) != PARAMETER:
        return None
    key = max((key for key in free if text.startswith(key, found.end())), key=len, default="")
    read = _value_after_quoted if _has_quotes(found) else _value_after
    end = read(text, found.end() + len(key), at + TAG, found["quote"], over) if key else None
    if end is MORE or end is None:
        return end
    return Tag(TagKind.PARAMETER_OPEN, key, at, end, text[at:end], BY_PLACE, Cost.ALIKE)


def without_value(tag: Tag, text: str, over: bool) -> Tag | Wait:
    """The opening tag of a parameter. If its name is in quotes and its bracket is lost, its value may have
    been read as a part of it."""
    found = _OPENER.match(tag.raw)
    if tag.exact or found is None or not _has_quotes(found):
        return tag
    opener = before_value(text, tag.start, over, (tag.name,))
    if opener is MORE:
        return MORE
    if opener is None or opener.end >= tag.end:
        return tag
    return replace(tag, raw=opener.raw, end=opener.end, cost=Cost.ALIKE)


def _has_quotes(opener: re.Match[str]) -> bool:
    """Whether a name follows that is in quotes, as that in an attribute should be."""
    return bool(opener["quote"]) or opener["equals"] != "="


def _value_after(text: str, behind: int, stop: int, _: str, over: bool) -> int | Wait | None:
    """The index where the value begins behind a name without quotes; None if the tag goes on there."""
    separator = _SEPARATOR.match(text, behind, stop)
    if separator is None:
        return None
    end = separator.end()
    line = _line_end(text, end, stop)
    if line == len(text) and not over:
        return MORE
    return None if text[end:line].rstrip()[-1:] in ("", ">") else end  # the value is in the tag


def _value_after_quoted(text: str, behind: int, stop: int, quote: str, over: bool) -> int | Wait | None:
    """The same behind a name in quotes, of which the last may be missing, or in an attribute."""
    if quote and text.startswith(quote, behind):
        behind += 1
    elif _LONGER.match(text, behind, stop):
        return None
    if _REST.match(text, behind, stop):
        return None
    end = end_of(_ATTRIBUTES, text, behind)
    if _REST.match(text, end, stop):
        return None
    line = _line_end(text, end, stop)
    if not over and line >= len(text) - 1:
        return MORE
    return None if _is_rest(text, end, line) else end_of(_QUOTED_SEPARATOR, text, end)


def _line_end(text: str, at: int, stop: int) -> int:
    """The index where the line ends, or the next tag begins."""
    found = _LINE.match(text, at, stop)
    return found.end() if found else at


def _is_rest(text: str, at: int, end: int) -> bool:
    """Whether what stands here, up to the end of the line or the next tag, belongs to a tag: nothing, a late
    bracket, the `=` of a value in the tag, or one character in the place of the bracket."""
    rest = text[at:end]
    if len(rest) == 1:
        return not (rest.isalnum() and text.startswith("</", end))
    rest = rest.strip()
    return not rest or rest[0] == "=" or rest.find(">") == len(rest) - 1
