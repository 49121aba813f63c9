"""What is open at the place of a tag, and so what the tag may be (P21).

What is at a place is compared with the tags that can stand there. Each of these steps is weaker evidence
than the one before: it is spelt exactly, or as in a dialect table; it is similar, with a few slips or
named after the open parameter or tool; it only has the shape of the one tag that can stand there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from ..grammar.dialect import BY_NAME, BY_PLACE, Dialect
from ..grammar.dialects import BASE, foreign
from ..grammar.kinds import CALL_KINDS, CLOSERS, MORE, Cost, TagKind, Wait
from ..grammar.likeness import (
    CLOSES,
    DOCUMENT,
    ENVELOPE,
    FUNCTION,
    OPENS,
    PARAMETER,
    SYNONYMS,
    alike,
    is_plural,
    meant,
    nearly,
    squeeze,
)
from ..grammar.matcher import Tables, TagMatcher
from ..grammar.names import Names
from ..grammar.tag import Tag
from ..grammar.text import BLANK, skip_whitespace
from ..grammar.tokens import LOST, Lost, Token, read_tag
from ..limits import WORDS
from .by_place import (
    attribute_of,
    by_place,
    named_envelope,
    nameless,
    read_odd,
    read_whole,
    whole_closer,
)
from .elements import ELEMENTS, read_element
from .inner_tags import InnerTags
from .lost_bracket import before_value
from .run import Memory
from .slips import Slips, Spellings

NO_NAMES = Names()
_ODD = re.compile(r"""["'<>]""")
_RESULTS = frozenset({"result", "output", "tool_response", "tool_result"})
_SEPARATORS = frozenset({"=", ":", "＝", "=="})  # noqa: RUF001


def _listed(found: Tag | Wait | None) -> list[Tag] | Wait:
    return MORE if found is MORE else [found] if found else []


class Searched(Spellings, Protocol):
    """The tags that are searched in a call, too."""

    body: TagMatcher
    envelope: TagMatcher

    def lost(
        self, kinds: tuple[TagKind, ...], dialects: Sequence[Dialect] = ..., names: Iterable[str] = ...
    ) -> Lost: ...

    def within(self, dialect: Dialect) -> TagMatcher: ...

    def value_ends(self, kept: Iterable[Dialect]) -> TagMatcher: ...

    def closer(self, dialect: Dialect) -> re.Pattern[str]: ...


@dataclass(slots=True)
class Place(Slips):
    """What is open at the place of a tag, and so what that may be. `tags`: the tags that dialect tables have
    there; `body`: those that they have between the parameters of the call."""

    grammar: Searched
    names: frozenset[str] = field(init=False)  # of the tool and its parameters: direct tags
    tags: TagMatcher = field(init=False)
    kept: Sequence[Dialect] = ()  # the dialects that the call keeps to
    word: str = ""  # of the call's opening tag, if that is in no dialect table
    wrap: str = ""  # of the envelope's opening tag, if no table has that
    mark: str = ""  # in bars, of the open value's tag
    element: str = ""  # the element that holds the open value, if its tag is in no dialect table
    around: set[str] = field(default_factory=set)  # elements around the parameters
    inner: InnerTags = field(default_factory=InnerTags)  # of the open value
    wrapped: bool = False  # an envelope is open
    missing: Lost = LOST  # tags without their bracket
    alone: bool = True  # the tag being judged starts its line
    after_value: list[Tag] = field(default_factory=list)  # the tags after the last value
    memory: Memory = field(default_factory=Memory)
    tables: dict[tuple[str, int], Tables] = field(default_factory=dict)  # what is searched in a value
    _odd: Sequence[str] = ()  # declared names with characters that no name in a tag has
    _known: dict[str, list[Tag]] = field(default_factory=dict)  # by the raw tag
    body: TagMatcher = field(init=False)

    def __post_init__(self) -> None:
        names = NO_NAMES
        if self.tool and self.named:
            names = self.toolset.names_of(self.tool)
            self._odd = [name for name in self.tool.arguments.declared if _ODD.search(name)]
        self.names, self.dialect = names.all, BASE[0]
        self.body = self.tags = self.grammar.body.with_names(names)

    def readings(self, text: str, at: int, over: bool) -> list[Tag] | Wait:
        """All tags that may be at `at`, the likeliest first, apart from mere shape; MORE if more text is
        needed."""
        tag = self.tags.match(text, at)
        if tag is None:
            return self._of_no_table(text, at, over)
        if tag.kind is TagKind.STRAY:
            found = _listed(self.slipped(text, at, over)) or self._damaged(text, at, over)
            return MORE if found is MORE else [*found, tag]
        if self.is_foreign(tag):
            closes = self.closes_by_name or self._is_before_own(text, tag.end, over)
            if closes is MORE:
                return MORE
            return [replace(tag, dialect=BY_PLACE, cost=Cost.ALIKE)] if closes and not tag.name else []
        return self._of_table(tag, text, over)

    def _is_before_own(self, text: str, at: int, over: bool) -> bool | Wait:
        """Whether an exact tag of the open value's dialect follows, and not its closing tag: what is before
        it may have lost what is particular to the dialect."""
        tag = self.tags.read(text, skip_whitespace(text, at), over)
        if tag is MORE or tag is None:
            return MORE if tag is MORE else False
        return tag.dialect is self.dialect and tag.exact and tag.kind is not TagKind.PARAMETER_CLOSE

    def _of_table(self, tag: Tag, text: str, over: bool) -> list[Tag] | Wait:
        """All tags that this tag of a dialect table may be."""
        if self.key and self._is_of_others(tag):
            tag = replace(tag, dialect=BY_NAME if tag.dialect.by_name else BY_PLACE, cost=Cost.ALIKE)
        named = self.with_name(tag, text, over)
        if named is MORE:
            return MORE
        if self.may_lack_slash(tag):
            return [tag, replace(tag, kind=TagKind.PARAMETER_CLOSE, cost=Cost.ALIKE)]
        if named.kind is TagKind.WRAP_OPEN and named.raw[-1] == ">" and self.grammar.level != "strict":
            return [named, replace(named, kind=TagKind.WRAP_CLOSE, dialect=BY_PLACE, cost=Cost.ALIKE)]
        return [named]

    def _of_no_table(self, text: str, at: int, over: bool) -> list[Tag] | Wait:
        """All tags that may be at `at`, where no tag of a dialect table is."""
        if not over and self.tags.may_begin(text, at):
            return MORE
        found = read_odd(self._odd, BASE[0], text, at, over)
        if found is None and (slipped := self._slipped_or_opener(text, at, over)):
            return slipped
        if found is None and text[at] == "<":
            found = self._of_element(text, at, over)
        if found:
            return _listed(found)
        return self._damaged(text, at, over) or _listed(self._before_value(text, at, over))

    def _before_value(self, text: str, at: int, over: bool) -> Tag | Wait | None:
        """The opening tag of a parameter that lost its bracket; but not in the line of a closing tag."""
        if not self.tool or self.grammar.level == "strict":
            return None
        found = before_value(text, at, over, self.tool.arguments.declared - self.given)
        goes_on = found and self.key and text[text.rfind("\n", 0, at) + 1 : at].strip()
        return None if goes_on else found

    def _slipped_or_opener(self, text: str, at: int, over: bool) -> list[Tag] | Wait:
        """The tag of another dialect that has slipped here; but what lacks the slash of a closing tag and
        names a tool or a parameter opens that, and what has a slash and names a parameter may open that."""
        found = self.slipped(text, at, over)
        if not isinstance(found, Tag):
            return _listed(found)
        match found.kind, text.startswith("</", at):
            case TagKind.PARAMETER_CLOSE, False:
                return _listed(self._before_value(text, at, over) or found)
            case TagKind.PARAMETER_CLOSE, True:
                openers = self._damaged(text, at, over, TagKind.PARAMETER_OPEN)
                return MORE if openers is MORE else [*openers, found]
            case TagKind.CALL_CLOSE, False:
                openers = self._damaged(text, at, over, TagKind.CALL_OPEN)
                return MORE if openers is MORE else (openers or [found])[:1]
        return [found]

    def _of_element(self, text: str, at: int, over: bool) -> Tag | Wait | None:
        """The tag of an element of any name in which a parameter may open; None if none may."""
        if self.grammar.level == "strict" or not (self.element or (self.tool and not self.key)):
            return None
        read = partial(read_element, declares=self._declares, begins=self._begins)
        return self.recall(ELEMENTS, read, text, at, over)

    def _begins(self, text: str, at: int) -> bool:
        """Whether a parameter begins here as in a dialect table."""
        tag = self.body.match(text, at)
        return tag is not None and tag.kind is TagKind.PARAMETER_OPEN and self._declares(tag.name)

    def _damaged(self, text: str, at: int, over: bool, only: TagKind | None = None) -> list[Tag] | Wait:
        """All tags that may be at `at`, if it is in no dialect table; `only` those of a kind."""
        token = read_whole(text, at, over) if self.grammar.level != "strict" else None
        if not isinstance(token, Token):
            return token or []
        return [tag for tag in self.alike(token) if only in (None, tag.kind)]

    def _is_of_others(self, tag: Tag) -> bool:
        """Whether this may be a tag of a document, in a value that another dialect opened."""
        if tag.dialect.by_name:
            return not self.closes_by_name
        ours = tag.dialect.in_values or tag.dialect in self.kept or self.is_own(tag)
        return tag.kind in CLOSERS and not ours

    def with_name(self, tag: Tag, text: str, over: bool) -> Tag | Wait:
        """The same tag. But if its name is not declared, the tag whose declared name is similar."""
        if self.grammar.level == "strict" or self._is_named(tag):
            return tag
        token = read_tag(text, tag.start, over)
        if token is MORE:
            return MORE
        found = self.alike(token) if token else []
        kinds = (tag.kind, TagKind.WRAP_OPEN)
        return next((other for other in found if other.kind in kinds and self._is_named(other)), tag)

    def _is_named(self, tag: Tag) -> bool:
        """Whether the name in a tag is declared, as far as the declared names are known."""
        if tag.kind is TagKind.CALL_OPEN:
            return self.is_tool(tag.name)
        if tag.kind is TagKind.PARAMETER_OPEN and self.tool and self.tool.arguments.declared:
            key, equals, _ = tag.name.partition("=")
            return self.tool.declares(tag.name) or (bool(equals) and self.tool.declares(key.strip()))
        return True

    def alike(self, token: Token) -> list[Tag]:
        """All tags that a token may be that is in no dialect table, apart from mere shape."""
        marked = token.space != "" and token.space.rstrip(BLANK) == self.mark
        if not (token.bracket or token.closed) or self._is_of_namespace(token, marked):
            return []  # without both brackets a word is a word
        found = self._known.get(token.raw)
        if found is None:
            found = self._read_alike(token, marked)
            if len(self._known) < WORDS:
                self._known[token.raw] = found
        return [tag.moved(token.start - tag.start) for tag in found]

    def _is_of_namespace(self, token: Token, marked: bool) -> bool:
        """Whether the open value has elements in the namespace of this tag. `marked`: so was its own tag."""
        if not token.space or not self.key or marked:
            return False
        return not token.slash or bool(self.inner.words.get(token.space))

    def _read_alike(self, token: Token, marked: bool) -> list[Tag]:
        read = self._closing(token) if token.slash else self._opening(token)
        found = sorted(read, key=lambda tag: tag.cost)
        if marked:  # as the tag that opened the value
            return [replace(tag, cost=min(tag.cost, Cost.TABLE)) for tag in found]
        return found

    def _closing(self, token: Token) -> Iterator[Tag]:
        if token.word and token.word in (self.element, *self.around):
            closes = TagKind.PARAMETER_CLOSE if token.word == self.element else TagKind.STRAY
            yield by_place(token, closes, Cost.TABLE, dialect=ELEMENTS)
            return
        letters = squeeze(token.word + token.name + token.attributes)
        if whole := whole_closer(token, SYNONYMS.get(letters, "")):
            yield whole
        else:
            yield from self._damaged_closing(token, squeeze(token.word), letters)

    def _damaged_closing(self, token: Token, word: str, letters: str) -> Iterator[Tag]:
        """What a closing tag may be by its `word`, all its `letters`, or the name in it."""
        if kind := meant(letters, word):
            yield by_place(token, CLOSES[kind], Cost.ALIKE, token.name)
            attribute = "" if token.space[-1:] == ":" else attribute_of(token)
            name = self.undecorated(attribute, closed=True) or token.name
            if kind == PARAMETER and name not in self.given and self.means(name):
                yield by_place(token, TagKind.PARAMETER_OPEN, Cost.ALIKE, name)  # a slash too many
        elif word and not token.name and (named := self._closed_by_name(token.word, word)):
            yield by_place(token, named, Cost.ALIKE)

    def _closed_by_name(self, raw: str, word: str) -> TagKind | None:
        """What a closing tag closes that is named after it: the envelope, the open parameter or the call;
        None if it is named after nothing that is open. `word` is `raw`, squeezed."""
        if raw == self.wrap:
            return TagKind.WRAP_CLOSE
        if self.key and nearly(word, squeeze(self.key)):
            return TagKind.PARAMETER_CLOSE
        is_call = raw == self.word or (self.tool is not None and word == squeeze(self.tool.name))
        return TagKind.CALL_CLOSE if is_call else None

    def _opening(self, token: Token) -> Iterator[Tag]:
        word, named = squeeze(token.word), attribute_of(token)
        kind = SYNONYMS.get(word, "")
        if named and (tag := self._with_name(token, kind, named)):
            yield tag
            return
        if named and not kind:
            yield from self._element(token, word, named)
        if name := self.undecorated(token.name, token.closed):
            yield from self._named(token, word, name)
        elif token.bracket or meant(word):
            yield from self._nameless(token, word)

    def _with_name(self, token: Token, kind: str, name: str) -> Tag | None:
        """A tag whose name is in an attribute: `<invoke name="…">`."""
        name = self.undecorated(name, closed=True)
        if kind in (PARAMETER, FUNCTION):
            return by_place(token, OPENS[kind], Cost.TABLE, name)
        return by_place(token, TagKind.CALL_OPEN, Cost.TABLE, name) if kind and self.is_tool(name) else None

    def _element(self, token: Token, word: str, name: str) -> Iterator[Tag]:
        """An element of any name that names a parameter, in a call that is written in such elements."""
        if self.spoken and token.bracket and token.closed and word not in DOCUMENT and self.is_free(name):
            yield by_place(token, TagKind.PARAMETER_OPEN, Cost.SHAPE, name)

    def _named(self, token: Token, word: str, name: str) -> Iterator[Tag]:
        kind, near = SYNONYMS.get(word, ""), meant(word)
        if kind in (PARAMETER, FUNCTION) and token.is_plain:
            yield by_place(token, OPENS[kind], Cost.TABLE, name)
        elif near == ENVELOPE:
            yield from named_envelope(token, name, self.is_tool(name))
        elif self.may_have(near, name) or (kind and not token.attributes and BLANK[0] not in name):
            yield by_place(token, OPENS[near], Cost.ALIKE, name)
        else:
            yield from self._shaped(token, name)

    def _shaped(self, token: Token, name: str) -> Iterator[Tag]:
        """An unknown word with a declared name."""
        if token.sep in _SEPARATORS and not token.attributes.strip():
            if self.is_tool(name):
                yield by_place(token, TagKind.CALL_OPEN, Cost.SHAPE, name)
                return
            if self.tool and self.tool.declares(name):
                yield by_place(token, TagKind.PARAMETER_OPEN, Cost.SHAPE, name)
                return
        letters = squeeze(token.word + token.name + token.attributes)
        if alike(letters) == ENVELOPE and not self.means(name):  # `<to=l_call>`
            yield by_place(token, TagKind.WRAP_OPEN, Cost.ALIKE)
            return
        yield from self._joined(token)

    def _nameless(self, token: Token, word: str) -> Iterator[Tag]:
        kind = SYNONYMS.get(word, "")
        found = list(nameless(token, kind, bool(self.key)) if kind else self._joined(token))
        yield from found
        if tag := self._by_name(token):
            yield tag
        elif not (kind or found) and "=" not in token.attributes:
            yield from self._misspelt(token, word)

    def _misspelt(self, token: Token, word: str) -> Iterator[Tag]:
        near = alike(word)
        if near == ENVELOPE:
            yield by_place(token, TagKind.WRAP_OPEN, Cost.ALIKE)
        if near and (not self.key or (nearly(word, near) and not is_plural(word))):
            yield by_place(token, CLOSES[near], Cost.ALIKE)

    def _by_name(self, token: Token) -> Tag | None:
        """The tag of a parameter or a tool that is named after it."""
        if self._declares(token.word):
            return by_place(token, TagKind.PARAMETER_OPEN, Cost.TABLE, token.word, BY_NAME)
        if self.is_tool(token.word) and token.word not in _RESULTS:
            return by_place(token, TagKind.CALL_OPEN, Cost.TABLE, token.word, BY_NAME)
        return None

    def _joined(self, token: Token) -> Iterator[Tag]:
        """`<parameterpath>`: the separator is missing, or is another character."""
        letters = squeeze(token.word + token.name + token.attributes)
        keys = self.tool.arguments.declared if self.tool else ()
        for names, kind in ((keys, PARAMETER), (self.toolset.tools, FUNCTION)):
            for name in sorted(names, key=lambda name: (-len(squeeze(name)), len(name), name)):
                head = letters.removesuffix(squeeze(name))
                if head != letters and alike(head) == kind:
                    yield by_place(token, OPENS[kind], Cost.ALIKE, name)
                    return

    @property
    def is_tight(self) -> bool:
        """Whether the dialect of the open value has no line breaks around values."""
        if self.own and not self.own.by_name:
            return True
        return any(dialect.writing is not None and dialect.writing.tight for dialect in self.kept)

    def speak(self, *dialects: Dialect) -> None:
        """The call is written in these dialects, too."""
        spoken = foreign(*self.spoken, *dialects)
        if spoken != self.spoken:
            self.spoken = spoken
            self.missing = self.grammar.lost(CALL_KINDS, spoken, self.names)

    def set_value(self, key: str, tags: TagMatcher, own: Dialect | None) -> None:
        """The value of this parameter is open; "": none is. `tags` may end it; `own` is as in Slips."""
        self.key, self.tags, self.own, self.element, self.mark = key, tags, own, "", ""
        self.inner = InnerTags()
        self._known.clear()
        self._answers.clear()
        self.memory.clear()
