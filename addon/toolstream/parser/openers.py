"""What an opening tag outside of calls may be that is in no dialect table, by its words and names.

What stands around it is evidence, too: `chain` asks for that.
"""

# ruff: noqa: RUF001

from __future__ import annotations

import re
from collections.abc import Iterable

from ..grammar.brackets import CLOSE, OPEN
from ..grammar.dialect import BY_PLACE
from ..grammar.kinds import MORE, Cost, TagKind, Wait
from ..grammar.likeness import DOCUMENT, FUNCTION, SYNONYMS, is_structural, squeeze
from ..grammar.tag import Tag
from ..grammar.tokens import Token
from ..limits import LETTERS
from ..schema.declared import DeclaredTools
from .by_place import attribute_of, by_place

OF_NO_TOOL = frozenset({TagKind.PARAMETER_OPEN, TagKind.NAMELESS_OPEN})
_SIGNS = f":=＝/{OPEN}{CLOSE}"
_PROSE = re.compile(rf"[:;.,!*-]?([^\W_]{{1,64}})(?![\w{_SIGNS}-])[ \t]{{0,8}}[^\s{_SIGNS}]")
_NAMED_PART = re.compile(r"""[^\w\s<]{0,4}(?:\w{0,16}[=:][ \t]?)?["']?([\w.-]{0,128})["']?[^\w\s<>]{0,3}""")
_NAMED_LINE = re.compile(_NAMED_PART.pattern + ">")


def chosen(token: Token, readings: Iterable[Tag], tools: DeclaredTools, wrapped: bool) -> Tag | None:
    """The reading that fits here: an envelope, a function, or in an envelope a parameter or the closing
    tag."""
    wrap = _first(readings, TagKind.WRAP_OPEN)
    tag = wrap or _function(token, readings, tools, wrapped)
    return tag or (_in_envelope(token, readings) if wrapped else None)


def _first(readings: Iterable[Tag], kind: TagKind) -> Tag | None:
    return next((tag for tag in readings if tag.kind is kind), None)


def _function(token: Token, readings: Iterable[Tag], tools: DeclaredTools, wrapped: bool) -> Tag | None:
    """A function's tag; in an envelope, any tag that carries the name of a tool."""
    if token.slash and not wrapped:
        return None  # a closing tag with a name
    if tag := _first(readings, TagKind.CALL_OPEN):
        return tag
    name = next((name for name in _names_in(token, tools) if name and tools.find(name)), "")
    return by_place(token, TagKind.CALL_OPEN, Cost.SHAPE, name) if name else None


def _names_in(token: Token, tools: DeclaredTools) -> Iterable[str]:
    """What may be the name of a tool in an unknown tag; some may be empty."""
    if token.sep == "=" and not tools.any_tool.declares(token.name):
        yield token.name
    if squeeze(token.word) not in DOCUMENT:
        yield attribute_of(token)


def _in_envelope(token: Token, readings: Iterable[Tag]) -> Tag | None:
    """What only stands in an envelope: another one that is called a function, and has its name somewhere
    else; a parameter; or the closing tag."""
    if token.closed and not token.slash and SYNONYMS.get(squeeze(token.raw)) == FUNCTION:
        return by_place(token, TagKind.WRAP_OPEN, Cost.TABLE)
    for tag in readings:
        if (tag.kind in OF_NO_TOOL and tag.spelt) or (tag.kind is TagKind.WRAP_CLOSE and token.slash):
            return tag
    return None


def is_unknown_word(token: Token, tools: DeclaredTools) -> bool:
    """Whether a token is nothing but a word in brackets, which names no tool and is in no document."""
    plain = token.bracket and token.closed and not (token.slash or token.name or token.attributes.strip())
    word = squeeze(token.word)
    return plain and len(word) >= LETTERS and word not in DOCUMENT and tools.find(token.word) is None


def named_line(text: str, at: int, over: bool, tools: DeclaredTools) -> Tag | Wait | None:
    """A function's tag of which little is left but the name of a tool and its last bracket."""
    found = _NAMED_LINE.match(text, at)
    if found is None or tools.find(found[1], False) is None:
        return MORE if not over and _NAMED_PART.fullmatch(text, at) else None
    return Tag(TagKind.CALL_OPEN, found[1], at, found.end(), found[0], BY_PLACE, Cost.ALIKE)


def is_word(text: str, at: int, tools: DeclaredTools) -> bool:
    """Whether there is a word of prose at `at`: it has no bracket, and neither the end of a tag nor a
    name follows."""
    found = _PROSE.match(text, at)
    return found is not None and not is_structural(found[1]) and tools.find(found[1]) is None
