"""Takes the spellings of dialect tables apart, into tags and the text between them."""

import re
from functools import cache

from ..limits import LETTERS
from .dialect import Dialect
from .slipped import Between, DirectPiece, Piece, Slipped, TagPiece
from .spelling import FOLLOWING, Spelling, patterns

_PIECE = re.compile(r"<[^<>]*>?|[^<]+")
_PLACEHOLDER = re.compile(r"\{(name|tool|key)\}")


@cache
def in_pieces(spelling: Spelling) -> Slipped | None:
    """A spelling in pieces; None if a slip would leave nothing recognisable."""
    tag, _, follows = spelling.text.partition("~")
    follows = _whole_parameter(follows, spelling.dialect)
    pieces, ahead = _pieces(tag), _pieces(follows, named=False)
    if ahead:
        ahead.insert(0, Between(re.compile(FOLLOWING), re.compile(FOLLOWING), named=False))
    every = [*pieces, *ahead]
    tags = sum(isinstance(piece, TagPiece | DirectPiece) for piece in every)
    if tags == 1 and any(isinstance(piece, TagPiece) for piece in ahead):
        return None  # nothing but what follows says that it is a tag
    if not tags or any(map(_is_short, every)) or spelling.text[0] not in "<{":
        return None
    own, most = len(pieces), max(1, tags - 1)
    return Slipped(spelling.kind, spelling.text, spelling.dialect, every, own, most, tags > 2)


def _whole_parameter(follows: str, dialect: Dialect) -> str:
    """What has to follow, completed to the whole tag if it is the beginning of a parameter's tag."""
    return next((text for text in dialect.parameter_open if follows and text.startswith(follows)), follows)


def _pieces(text: str, named: bool = True) -> list[Piece]:
    return [_piece(piece, text.count("<") == 1, named) for piece in _PIECE.findall(text)]


def _is_short(piece: Piece) -> bool:
    """Whether a slip would leave nothing recognisable of this piece."""
    return isinstance(piece, TagPiece) and (len(piece.head) < LETTERS or "{" in piece.head)


def _piece(text: str, alone: bool, named: bool) -> Piece:
    """A tag, or the text between two. `alone`: it is the only tag. `named`: the name in it has to be
    declared."""
    text = text.replace("{attributes}", "")
    name = _PLACEHOLDER.search(text)
    if text[0] != "<":
        pattern, begins = patterns(text, False)
        return Between(
            re.compile(pattern),
            re.compile(begins),
            named and name is not None,
            named and name is not None and name[0] == text,
        )
    if name is None:
        return TagPiece(text.removesuffix(">"), named=False, end=text[-1] == ">", alone=alone)
    head = text[: name.start()]
    if head in ("<", "</"):
        return DirectPiece(head)
    return TagPiece(head, named=True, end=True, alone=alone)
