"""Which tags each state of the parser searches, for each recovery level; and which dialect a call keeps
to.

Tags that are spelt exactly as in one taught dialect need no repair.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import product

from ..limits import CANONICAL
from .dialects import BASE, DIALECTS, FOREIGN, TAUGHT, Dialect
from .in_pieces import in_pieces
from .kinds import CALL_KINDS, OPENS_A_CALL, THINK, Cost, TagKind
from .matcher import TagMatcher
from .slipped import Slipped
from .spelling import Spelling, patterns, read_spelling
from .tag import Tag
from .text import GAP
from .tokens import Lost, lost

LEVELS = ("strict", "tolerant", "aggressive")
_IN_VALUES = [dialect for dialect in DIALECTS if dialect.in_values]
# Of the dialects of other models only the call's own may go on after a value: an example of another one
# directly after a quoted closing tag is payload.
_COMMON = [dialect for dialect in DIALECTS if dialect not in TAUGHT[1:]]


def spellings(*kinds: TagKind, level: str, dialects: Iterable[Dialect] = DIALECTS) -> Iterator[Spelling]:
    """Every spelling of these kinds of tags that this recovery level reads."""
    read = [d for d in dialects if LEVELS.index(d.level) <= LEVELS.index(level)]
    for kind, dialect in product(kinds, read):
        for text in getattr(dialect, kind.value):
            yield read_spelling(kind, text, dialect, level != "strict")


def _in_text(level: str) -> list[TagKind]:
    """What is searched outside of calls."""
    kinds = [TagKind.WRAP_OPEN, TagKind.CALL_OPEN, TagKind.NAMELESS_OPEN, *THINK, TagKind.COMMENT_OPEN]
    if level != "strict":
        kinds += [TagKind.RESULT_OPEN, TagKind.RESULT_CLOSE]
        kinds += [TagKind.WRAP_CLOSE, TagKind.CALL_CLOSE, TagKind.PARAMETER_CLOSE]
    if level == "aggressive":
        kinds.append(TagKind.PARAMETER_OPEN)
    return kinds


def _in_envelope(level: str) -> list[TagKind]:
    """What is searched after the opening tag of an envelope."""
    kinds = [TagKind.WRAP_OPEN, TagKind.WRAP_CLOSE, TagKind.CALL_OPEN]
    kinds += [TagKind.CALL_IN_ENVELOPE, TagKind.NAMELESS_OPEN]
    return kinds if level == "strict" else [*kinds, TagKind.PARAMETER_OPEN]


class Grammar:
    """One matcher for each parser state, for one recovery level."""

    def __init__(self, level: str) -> None:
        self.level = level
        matcher, inside = self._matcher, self._inside
        self.openers = matcher(*_in_text(level))
        self.envelope = matcher(*_in_envelope(level))
        self.lines = matcher(TagKind.LINE_OPEN)
        self.body = matcher(*CALL_KINDS, TagKind.STRAY)
        self.after = self.body
        self.ends_json = matcher(TagKind.WRAP_OPEN, TagKind.WRAP_CLOSE, TagKind.CALL_CLOSE)
        self.values = inside(*_IN_VALUES)
        self._value_ends: dict[tuple[str, ...], TagMatcher] = {}
        for dialect in TAUGHT[1:]:
            self.value_ends([dialect])
        self._within = {
            dialect.name: inside(*_IN_VALUES, dialect)
            for dialect in DIALECTS
            if dialect.parameter_open and not dialect.in_values
        }
        self._closers = {dialect.name: _closer(dialect) for dialect in DIALECTS if dialect.parameter_close}
        self._slipped: dict[tuple[tuple[str, ...], tuple[TagKind, ...]], Sequence[Slipped]] = {}
        self._words: dict[tuple[tuple[str, ...], tuple[TagKind, ...]], frozenset[str]] = {}

    def _matcher(self, *kinds: TagKind, dialects: Iterable[Dialect] = DIALECTS) -> TagMatcher:
        return TagMatcher(spellings(*kinds, level=self.level, dialects=dialects))

    def _inside(self, *dialects: Dialect) -> TagMatcher:
        """What is searched in a value. Examples there may be in any dialect."""
        level = "tolerant" if self.level == "strict" else self.level
        return TagMatcher(spellings(*CALL_KINDS, level=level, dialects=dialects))

    def slipped(self, kinds: tuple[TagKind, ...], dialects: Sequence[Dialect] = FOREIGN) -> Sequence[Slipped]:
        """The spellings of these kinds that are also recognised with a slip in them."""
        key = tuple(dialect.name for dialect in dialects), kinds
        if key not in self._slipped:
            found = map(in_pieces, spellings(*kinds, level=self.level, dialects=dialects))
            self._slipped[key] = [one for one in found if one]
        return self._slipped[key]

    def nearly_wraps(self, word: str) -> bool:
        """Whether a tag with this word may be a misspelt opening tag of an envelope."""
        text = f"<{word}>"
        return any(piece.is_near(text) for one in self.slipped((TagKind.WRAP_OPEN,)) for piece in one.tags)

    def _words_of(self, kinds: tuple[TagKind, ...], dialects: Sequence[Dialect]) -> frozenset[str]:
        """How the tags of these spellings begin after their bracket."""
        key = tuple(dialect.name for dialect in dialects), kinds
        if key not in self._words:
            self._words[key] = frozenset(w for one in self.slipped(kinds, dialects) for w in one.words)
        return self._words[key]

    def lost(
        self, kinds: tuple[TagKind, ...], dialects: Sequence[Dialect] = FOREIGN, names: Iterable[str] = ()
    ) -> Lost:
        """What such tags look like without their opening bracket. `names`: names of tags that are named
        after a tool or parameter."""
        words = self._words_of(kinds, dialects)
        direct = any(dialect.by_name for dialect in dialects)
        return lost(words.union(f"{name}>" for name in names if direct))

    def value_ends(self, kept: Iterable[Dialect]) -> TagMatcher:
        """The tags that may follow a value, in a call that keeps to the dialects `kept`."""
        own = [dialect for dialect in TAUGHT[1:] if dialect in kept]
        key = tuple(dialect.name for dialect in own)
        if key not in self._value_ends:
            self._value_ends[key] = self._matcher(*CALL_KINDS, TagKind.STRAY, dialects=[*_COMMON, *own])
        return self._value_ends[key]

    def within(self, dialect: Dialect) -> TagMatcher:
        """The tags that are searched in a value that this dialect opened."""
        return self._within.get(dialect.name, self.values)

    def closer(self, dialect: Dialect) -> re.Pattern[str]:
        """The closing tag of such a value, with the line break before it and the whitespace after it; in
        Qwen's own dialect, with the call's closing tags after it."""
        return self._closers.get(dialect.name, self._closers[BASE[0].name])


def _closer(dialect: Dialect) -> re.Pattern[str]:
    tags = (dialect.parameter_close, dialect.call_close, dialect.wrap_close)
    value, call, envelope = (rf"(?:{'|'.join(map(re.escape, tag))}){GAP.pattern}" for tag in tags)
    after = f"(?:{call}(?:{envelope})?)?" if dialect in BASE else ""
    return re.compile(rf"(?:\r?\n[ \t]*+)?{value}{after}")


@cache
def grammar(level: str) -> Grammar:
    """The compiled grammar of a recovery level. Each level is compiled once."""
    return Grammar(level)


def kept_to(tags: Iterable[Tag], among: Iterable[Dialect] = TAUGHT) -> Sequence[Dialect]:
    """Those of these taught dialects in whose canonical spelling all of the tags are, apart from a slip; BASE
    if there are none."""
    kept = list(among)
    for tag in tags:
        own = tag.dialect if tag.cost is Cost.EXACT or tag.cost is Cost.ALIKE else None
        names = _taught_in(tag.kind, tag.raw, tag.name) if tag.spelt else ()
        kept = [dialect for dialect in kept if dialect is own or dialect.name in names]
    return kept or BASE


def keeps_to(tag: Tag, dialects: Iterable[Dialect]) -> bool:
    """Whether a tag is in the canonical spelling of one of these dialects."""
    for dialect in dialects:  # noqa: SIM110  (mostly one, for which `any` takes longer)
        if is_canonical(tag, dialect):
            return True
    return False


def is_canonical(tag: Tag, dialect: Dialect) -> bool:
    """Whether a tag is spelt exactly as models are taught in this dialect."""
    if dialect.taught and tag.dialect is dialect and tag.cost is Cost.EXACT:
        return True
    return tag.spelt and dialect.name in _taught_in(tag.kind, tag.raw, tag.name)


@lru_cache(CANONICAL)
def _taught_in(kind: TagKind, raw: str, name: str) -> set[str]:
    """The names of the taught dialects that have this tag, with this name in it."""
    found = set()
    for dialect in TAUGHT:
        for match in (pattern.fullmatch(raw) for pattern in _exact(dialect.name, kind)):
            if match and match.groupdict().get("n", "") == name:
                found.add(dialect.name)
    return found


@cache
def _exact(name: str, kind: TagKind) -> list[re.Pattern[str]]:
    """The canonical spellings of one kind of tag in a taught dialect."""
    kinds = [kind, *OPENS_A_CALL] if kind is TagKind.CALL_OPEN else [kind]
    listed = [text for d in TAUGHT if d.name == name for k in kinds for text in getattr(d, k.value)]
    return [re.compile(patterns(text.partition("~")[0], tolerant=False)[0]) for text in listed]
