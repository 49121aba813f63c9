"""Finds tags in the text that a state holds.

A matcher answers two questions: which tag stands here? And may the text here still become a tag when more
arrives? Both patterns are made from the same spelling.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ..limits import SPELLING
from .kinds import MORE, Cost, TagKind, Wait
from .names import Names, fold
from .spelling import Spelling
from .tag import Tag
from .text import BLANK
from .tokens import Lost

_WORD = re.compile(r"</?([A-Za-z][\w-]*)")
_BRACKET_IN_IT = re.compile(r"(?<!^)<|\{members\}")  # a string in the members of an object may hold one
_PLACEHOLDER = re.compile(r"\{\w+\}")
_THINK = ("<think>", "</think>")  # never a declared name, whatever the tools are called


class TagMatcher:
    """The tags that one state reacts to, and the tails of a text that may still become one."""

    def __init__(self, spellings: Iterable[Spelling]) -> None:
        listed = list(spellings)
        self._names = Names()
        self._plain = [s for s in listed if not s.declared and s.text[0] == "<"]
        self._compile_other([s for s in listed if s not in self._plain])
        self._tags: dict[str, re.Pattern[str]] = {}  # by the character after the bracket
        # By that character, "" if none has arrived yet, and whether another bracket follows
        self._tails = {("", False): _either(s.tail for s in self._plain)}
        self._groups: dict[str, tuple[Spelling, str]] = {}  # by its group: a spelling, its name's group
        self._compile_plain()
        self._note_first(listed)
        self.words = frozenset(m[1] for s in listed if (m := _WORD.match(s.text)))
        self._several = any("<" in s.text[1:] for s in listed)

    def _note_first(self, listed: list[Spelling]) -> None:
        """Note how the other spellings may begin: those without a bracket, and the others after their
        bracket."""
        bare = [s.text for s in listed if s.text[0] != "<"]
        self._bare = bool(bare)
        self._bare_named = any(map(_PLACEHOLDER.match, bare))
        self._bare_literal = {fold(text[0]) for text in bare if not _PLACEHOLDER.match(text)}
        self._bare_first: set[str] = set(self._bare_literal)
        bracketed = {_letters(s.text, 0) for s, _, _ in self._other if s.text[0] == "<"}
        self._named_after = {letters[:-1] for letters in bracketed if letters[-1:] == "{"}
        self._literal = bracketed - {before + "{" for before in self._named_after}
        self._declared_first: set[str] = set()

    def _compile_other(self, others: list[Spelling]) -> None:
        """Spellings that begin with no bracket or have a declared name: each by itself, and all together,
        to rule all of them out in one search."""
        self._other = [(s, re.compile(s.tag), re.compile(s.tail)) for s in others]
        self._other_tags = _either(s.tag for s in others)
        self._other_tails = _either(s.tail for s in others)

    def _compile_plain(self) -> None:
        """The other spellings, in one pattern for each character that may come after their bracket."""
        for i, s in enumerate(self._plain):
            self._groups[f"t{i}"] = s, f"n{i}" if "?P<n>" in s.tag else ""
        for first in {s.text[1] for s in self._plain}:
            self._compile_after(first)

    def _compile_after(self, first: str) -> None:
        same = {i: s for i, s in enumerate(self._plain) if s.text[1] == first}
        self._tags[first] = _either(_numbered(s.tag, i) for i, s in same.items())
        self._tails[first, False] = _either(s.tail for s in same.values())
        self._tails[first, True] = _either(s.tail for s in same.values() if _BRACKET_IN_IT.search(s.text))

    def with_names(self, names: Names) -> "TagMatcher":
        """The same matcher, with these declared names."""
        known: TagMatcher | None = names.matchers.get(self)
        if known is not None:
            return known
        known = names.matchers[self] = TagMatcher.__new__(TagMatcher)
        known.__dict__.update(self.__dict__)
        known._names = names
        known._declared_first = set(self._literal)
        known._bare_first = self._bare_literal | (names.first_letters if self._bare_named else set())
        for before in self._named_after:
            known._declared_first |= {before, *(before + letter for letter in names.first_letters)}
        return known

    def same_names(self, other: "TagMatcher") -> "TagMatcher":
        """The other matcher, with the declared names of this one."""
        return other.with_names(self._names)

    def search(self, text: str, over: bool = True, start: int = 0) -> Tag | None:
        """The first complete tag from `start` on that begins with a bracket. Unless the text is `over`,
        nothing is found inside of what may still become a longer tag."""
        at = text.find("<", start)
        while at >= 0:
            if tag := self.match(text, at):
                return tag
            if self._several and not over and self.may_begin(text, at):
                return None
            at = text.find("<", at + 1)
        return None

    def match(self, text: str, start: int) -> Tag | None:
        """The complete tag that begins exactly at `start`."""
        bracket = text.startswith("<", start)
        if not (bracket or self._bare):
            return None
        tags = self._tags.get(_first_after(text, start)) if bracket else None
        if tags and (match := tags.match(text, start)):
            spelling, group = self._groups[match.lastgroup or ""]
            return _read(spelling, match, match[group] if group else "")
        return self.match_declared(text, start) if self._other else None

    def read(self, text: str, start: int, over: bool) -> Tag | Wait | None:
        """The complete tag that begins exactly at `start`; MORE if the text from there on may still become
        one. None if it is none."""
        tag = self.match(text, start)
        if tag or over:
            return tag
        return MORE if start >= len(text) or self.may_begin(text, start) else None

    def match_declared(self, text: str, start: int) -> Tag | None:
        """The complete tag at `start`, among the spellings that need a declared name or have no bracket."""
        if not self._may_be_declared(text, start) or not self._other_tags.match(text, start):
            return None
        for spelling, tag, _ in self._other:
            match = tag.match(text, start)
            name = match.groupdict().get("n", "") if match else ""
            if (
                match
                and match[0] not in _THINK
                and (not spelling.declared or self._names.has(spelling.declared, name.strip()))
            ):
                return _read(spelling, match, name)
        return None

    def may_begin(self, text: str, start: int) -> bool:
        """Whether text[start:], which is not empty, is an unfinished tag and nothing more."""
        bracket = text.startswith("<", start)
        if not (bracket or self._bare):
            return False
        more = text.find("<", start + 1, start + SPELLING) >= 0
        tails = self._tails.get((_first_after(text, start), more)) if bracket else None
        if tails and tails.fullmatch(text, start):
            return True
        return bool(self._other) and self.may_begin_declared(text, start)

    def may_begin_declared(self, text: str, start: int) -> bool:
        """Whether text[start:] is an unfinished tag, among the spellings that need a declared name or have no
        bracket."""
        if not self._may_be_declared(text, start) or not self._other_tails.fullmatch(text, start):
            return False
        return any(
            self._is_tail(spelling, match)
            for spelling, _, tail in self._other
            if (match := tail.fullmatch(text, start))
        )

    def hold_from(self, text: str, start: int = 0) -> int:
        """The index of the tail that may still become a tag; len(text) if there is none."""
        at = text.rfind("<", start)
        if self._several and at >= 0:
            at = text.find("<", max(start, len(text) - SPELLING))
        while at >= 0:
            if self.may_begin(text, at):
                return at
            at = text.find("<", at + 1)
        return len(text)

    def _may_be_declared(self, text: str, start: int) -> bool:
        """Whether the character after the bracket, or in its place, can begin one of those spellings."""
        if self._bare and (first := text[start : start + 1]) != "<":
            return first in "_-" or fold(first)[:1] in self._bare_first
        letters = _letters(text, start)
        return letters[-1:] in "_-" or letters in self._declared_first

    def _is_tail(self, spelling: Spelling, match: re.Match[str]) -> bool:
        name = match.groupdict().get("n")
        if not spelling.declared or name is None:
            return True
        if match.end("n") == match.end():
            return self._names.may_begin(spelling.declared, name)
        return self._names.has(spelling.declared, name.strip())


def _read(spelling: Spelling, match: re.Match[str], name: str) -> Tag:
    raw, dialect, name = match[0], spelling.dialect, name.strip()
    if spelling.kind is TagKind.CALL_OPEN and raw.endswith("/>"):
        name = name.removesuffix("/").rstrip()
    cost = Cost.EXACT if not dialect.damaged and spelling.is_exact(raw, name) else Cost.TABLE
    return Tag(spelling.kind, name, match.start(), match.end(), raw, dialect, cost)


def _letters(text: str, start: int) -> str:
    """The first character after a bracket, folded, with the slash that may stand before it."""
    first = text[start + 1 : start + 2]
    return "/" + fold(text[start + 2 : start + 3])[:1] if first == "/" else fold(first)[:1]


def _first_after(text: str, start: int) -> str:
    """The first character after a bracket and the whitespace after it; "" if none has arrived."""
    first = text[start + 1 : start + 2]
    return first if first not in BLANK else text[start + 1 : start + 10].lstrip(BLANK)[:1]


def _numbered(pattern: str, number: int) -> str:
    """The pattern of a spelling, with groups that say which spelling it is."""
    return f"(?P<t{number}>{pattern.replace('?P<n>', f'?P<n{number}>')})"


def _either(patterns: Iterable[str]) -> re.Pattern[str]:
    """One pattern for all of these; without any, a pattern that never matches."""
    return re.compile("|".join(patterns).replace("(?P<n>", "(?:") or r"(?!)")


@dataclass(frozen=True, slots=True)
class Tables:
    """What is searched in a value: tags `within` it, including those of examples; tags that may come
    `after` it; `plain` text, which can be skipped; its `closer`, which may be the end; and tags that are
    `missing` their bracket."""

    within: TagMatcher
    after: TagMatcher
    plain: re.Pattern[str]
    closer: re.Pattern[str]
    missing: Lost
