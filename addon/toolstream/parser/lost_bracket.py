"""The opening tag of a parameter that has lost its last bracket, before a value on its line."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from ..grammar.dialect import BY_PLACE
from ..grammar.kinds import MORE, Cost, TagKind, Wait
from ..grammar.likeness import NAME_ATTRIBUTES, PARAMETER, alike, squeeze
from ..grammar.tag import Tag
from ..grammar.text import end_of
from ..grammar.tokens import MARK
from ..limits import TAG

# The tag, up to the name
_IN_ATTRIBUTE = rf"[ \t]{{1,8}}(?:{'|'.join(sorted(NAME_ATTRIBUTES))})[ \t]{{0,8}}"
_OPENER = re.compile(
    rf"""<(?:{MARK})?(\w{{1,32}})(?P<equals>=|{_IN_ATTRIBUTE}=[ \t]{{0,8}})(?P<quote>["']?)"""
)
_LINE = re.compile(r"[^<\r\n]*+")
_SEPARATOR = re.compile(r"""(?:[ \t]*:[ \t]*|[ \t]*)(?=[^\s:=>"']|\Z)(?!/>)""")
# After a name in quotes: what separates it from its value, the rest of a name that is longer, attributes
_QUOTED_SEPARATOR = re.compile(r"[)\]}]?[ \t]*+(?::[ \t]*+)?")
_LONGER = re.compile(r"""[^\s"'<>]{1,128}["'>]""")
_SET = r"""[\w:.-]{1,32}=(?:"[^"<>\n]{0,64}"|'[^'<>\n]{0,64}')"""
_FLAG = r"""[\w:.-]{1,32}=["'](?:true|false)(?!["'])"""  # that has lost its last quote, too
_ATTRIBUTES = re.compile(rf"(?:[ \t]{{1,8}}{_SET}|(?!)){{0,4}}+(?:[ \t]{{1,8}}{_FLAG})?")
_LOOSE = r"""[\w:.-]{1,32}[ \t]{0,8}=[ \t]{0,8}(?:"[^"<>\n]{0,64}"|'[^'<>\n]{0,64}'|[^\s"'<>=]{1,64})"""
# The rest of a tag: attributes, or one character too many, or anything after a blank; up to a bracket that
# is no arrow, and no sign with blanks around it
_REST = re.compile(
    rf"""(?:{_SET})?(?:[ \t]{{1,8}}{_LOOSE}){{0,4}}(?:[^\s<>]|["']?[ \t]{{0,8}})/?>
    |[ \t,;][^<>\n]{{0,{TAG}}}+(?<![\s=-])>""",
    re.VERBOSE,
)


def before_value(text: str, at: int, over: bool, free: Collection[str]) -> Tag | Wait | None:
    """The opening tag of one of these parameters without its bracket, whose value follows on the same line:
    `<parameter=ids: [1, 2]`, `<parameter name="ids"[1, 2]`."""
    found = _OPENER.match(text, at, at + TAG)
    if found is None or alike(squeeze(found[1])) != PARAMETER:
        return None
    key = max((key for key in free if text.startswith(key, found.end())), key=len, default="")
    read = _value_after_quoted if _has_quotes(found) else _value_after
    end = read(text, found.end() + len(key), at + TAG, over) if key else None
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


def _value_after(text: str, after: int, stop: int, over: bool) -> int | Wait | None:
    """The index where the value begins after a name without quotes; None if the tag goes on there."""
    separator = _SEPARATOR.match(text, after, stop)
    if separator is None:
        return None
    end = separator.end()
    line = _line_end(text, end, stop)
    if line == len(text) and not over:
        return MORE
    return None if text[end:line].rstrip()[-1:] in ("", ">") else end  # the value is in the tag


def _value_after_quoted(text: str, after: int, stop: int, over: bool) -> int | Wait | None:
    """The index where the value begins after a name in quotes, of which the last may be missing, or in an
    attribute; None if the tag goes on there."""
    if text.startswith(('"', "'"), after):
        after += 1
    elif _LONGER.match(text, after, stop):
        return None
    if _REST.match(text, after, stop):
        return None
    end = end_of(_ATTRIBUTES, text, after)
    if _REST.match(text, end, stop):
        return None
    line = _line_end(text, end, stop)
    if not over and line >= len(text) - 1:
        return MORE
    if line == len(text) or _is_rest(text, end, line):
        return None  # the message may have ended in the tag
    return end_of(_QUOTED_SEPARATOR, text, end)


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
