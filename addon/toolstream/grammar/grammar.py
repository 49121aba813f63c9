"""Dialect tables compiled into what each parser state looks out for.

A lookout answers two questions about the text a state holds: which tag stands here, and
may what stands here still become a tag once more text arrives. Both patterns are derived
from the same spelling, so a new spelling in a dialect brings its hold-back along.

The canonical spelling is matched to the letter. The tolerant one also takes blanks around
the `=` and inside the brackets, and names in quotes; a tag read that way, or one that
belongs to another dialect, is not `canonical`. Every repetition is bounded: a tail that
could be held for ever would silence the stream.

Words in braces stand for what changes from tag to tag:

    {name}          any name of a function or parameter
    {tool} {key}    a declared one: the tag counts only if the request, or the tool, has it
    {word}          a name without blanks
    {attributes}    whatever else an opening tag may carry before its `>`
    {members}       the same, with whatever in quotes
    {pair}          a name and, in quotes, what it is set to
    {cut}           a `>` that is missing: the line ends, or the next tag begins
    {gap}           blanks
    {slot}          a word that says what belongs in its place
    {number}        digits
    {closer}        what a made-up closing tag of a call is called
"""

import re
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import cache
from itertools import product

from ..limits import (
    ATTRIBUTES,
    DECLARED_NAME,
    MADE_UP_NAME,
    MEMBERS,
    NAME,
    NUMBER,
    QUOTED,
    SLOT,
    SPELLING,
    TAG_GAP,
)
from .dialects import DIALECTS, Dialect
from .names import Names, fold
from .text import BLANK, GAP

LEVELS = ("strict", "tolerant", "aggressive")

BLANKS = rf"[ \t]{{0,{TAG_GAP}}}"
FOLLOWING = GAP.pattern

CALL_KINDS = ("wrap_open", "wrap_close", "call_open", "call_close", "parameter_open", "parameter_close")

_DECLARED = rf"[^\s<>\"'={{}}()\[\],/]{{1,{DECLARED_NAME}}}"
_MEMBER = rf"[^<>\"'\n]|\"[^\"\n]{{0,{QUOTED}}}\"|'[^'\n]{{0,{QUOTED}}}'"
_CLOSER = r"functions?|tools?|calls?|tool_?calls?|function_?calls?|invoke|invocation|parameters?|param"
MADE_UP_CLOSER = re.compile(rf"_?(?:[a-z]+_)?(?:{_CLOSER})(?:_[a-z]+)?")
_PLACEHOLDERS = {  # -> its pattern, and that of its beginnings
    "name": (rf"[^<>\"'\n]{{1,{NAME}}}",) * 2,
    "tool": (_DECLARED,) * 2,
    "key": (_DECLARED,) * 2,
    "word": (rf"[^\s<>\"'=]{{1,{NAME}}}",) * 2,
    "pair": (
        rf"[^\s<>\"'=]{{1,{DECLARED_NAME}}}=(?:\"[^\"<>\n]{{0,{QUOTED}}}\"|'[^'<>\n]{{0,{QUOTED}}}')",
        rf"[^\s<>\"'=]{{1,{DECLARED_NAME}}}(?:=(?:\"[^\"<>\n]{{0,{QUOTED}}}\"?|'[^'<>\n]{{0,{QUOTED}}}'?)?)?",
    ),
    "attributes": (rf"[^<>\n]{{0,{ATTRIBUTES}}}",) * 2,
    "members": (
        rf"(?:{_MEMBER}){{1,{MEMBERS}}}",
        rf"(?:{_MEMBER}){{0,{MEMBERS}}}(?:\"[^\"\n]{{0,{QUOTED}}}|'[^'\n]{{0,{QUOTED}}})?",
    ),
    "cut": (rf"{BLANKS}(?=[\r\n]|<)", BLANKS),
    "gap": (FOLLOWING,) * 2,
    "slot": (r"(?:name|tool|function|tool_name|function_name|NAME)", rf"[A-Za-z_]{{1,{SLOT}}}"),
    "number": (rf"\d{{1,{NUMBER}}}",) * 2,
    "closer": (MADE_UP_CLOSER.pattern, rf"[a-z_]{{1,{MADE_UP_NAME}}}"),
}
_THINK = ("<think>", "</think>")  # whatever the tools are called
_NAMED = ("name", "tool", "key", "word", "pair")


@dataclass(frozen=True, slots=True)
class Tag:
    """A complete tag at text[start:end]; `name`, without blanks around it, is empty for closing tags."""

    kind: str
    name: str
    start: int
    end: int
    canonical: bool
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class Spelling:
    """One spelling of one kind of tag, and its patterns."""

    kind: str
    text: str
    dialect: Dialect
    tag: str
    tail: str
    declared: str = ""  # the placeholder whose name has to be a declared one


class Lookout:
    """The tags one state reacts to, and the tails that may yet become one."""

    def __init__(self, spellings: Iterable[Spelling]) -> None:
        listed = list(spellings)
        self._names = Names()
        self._plain = [s for s in listed if not s.declared and s.text[0] == "<"]
        self._other = [(s, re.compile(s.tag), re.compile(s.tail)) for s in listed if s not in self._plain]
        self._tag = _either(
            f"(?P<t{i}>{s.tag.replace('?P<n>', f'?P<n{i}>')})" for i, s in enumerate(self._plain)
        )
        self._tail = _either(s.tail for s in self._plain)
        canonical = [s.text for s in listed if s.dialect is DIALECTS[0]]
        self._canonical = _either(_patterns(text, tolerant=False)[0] for text in canonical)
        self._first = {s.text[1] for s in self._plain}  # behind the bracket
        self._bare = any(s.text[0] != "<" for s in listed)
        self._declared_first: set[str] = set()
        self._several = any("<" in s.text[1:] for s in listed)

    def knowing(self, names: Names) -> "Lookout":
        """The same lookout, with the names that are declared."""
        known = copy(self)
        known._names = names
        literal = {fold(s.text[1]) for s, _, _ in self._other if s.text[0] == "<" and s.text[1] != "{"}
        known._declared_first = literal | names.first_letters if self._other else set()
        return known

    def search(self, text: str, over: bool = True) -> Tag | None:
        """The first complete tag that begins with a bracket. Unless the text is `over`, a tag within
        what may still become one is none."""
        at = text.find("<")
        while at >= 0:
            if tag := self.match(text, at):
                return tag
            if self._several and not over and self.may_begin(text, at):
                return None
            at = text.find("<", at + 1)
        return None

    def match(self, text: str, start: int) -> Tag | None:
        """The complete tag that begins exactly at `start`."""
        if _first_behind(text, start) in self._first and (match := self._tag.match(text, start)):
            number = (match.lastgroup or "t0")[1:]
            name = match["n" + number] if "n" + number in match.re.groupindex else ""
            return self._read(self._plain[int(number)], match, name)
        return self.match_declared(text, start) if self._other else None

    def match_declared(self, text: str, start: int) -> Tag | None:
        """The same, of the spellings that need a declared name, or no bracket."""
        if not self._may_be_declared(text, start):
            return None
        for spelling, tag, _ in self._other:
            match = tag.match(text, start)
            name = match.groupdict().get("n", "") if match else ""
            if (
                match
                and match[0] not in _THINK
                and (not spelling.declared or self._names.has(spelling.declared, name.strip()))
            ):
                return self._read(spelling, match, name)
        return None

    def may_begin(self, text: str, start: int) -> bool:
        """Whether text[start:], not empty, is the beginning of a tag and no more than that."""
        first = _first_behind(text, start)
        if (not first or first in self._first) and self._tail.fullmatch(text, start):
            return True
        return bool(self._other) and self.may_begin_declared(text, start)

    def may_begin_declared(self, text: str, start: int) -> bool:
        """The same, of the spellings that need a declared name, or no bracket."""
        return self._may_be_declared(text, start) and any(
            self._is_tail(spelling, match)
            for spelling, _, tail in self._other
            if (match := tail.fullmatch(text, start))
        )

    def held_from(self, text: str, start: int = 0) -> int:
        """Where the tail begins that may still become a tag: len(text) if none may."""
        at = text.rfind("<", start)
        if self._several and at >= 0:
            at = text.find("<", max(start, len(text) - SPELLING))
        while at >= 0:
            if self.may_begin(text, at):
                return at
            at = text.find("<", at + 1)
        return len(text)

    def _may_be_declared(self, text: str, start: int) -> bool:
        """Whether what stands behind a bracket is no reason why none of those spellings stands here."""
        if self._bare and text[start : start + 1] != "<":
            return True
        first = text[start + 1 : start + 2]
        return first in "_-" or fold(first)[:1] in self._declared_first

    def _is_tail(self, spelling: Spelling, match: re.Match[str]) -> bool:
        name = match.groupdict().get("n")
        if not spelling.declared or name is None:
            return True
        if match.end("n") == match.end():
            return self._names.may_begin(spelling.declared, name)
        return self._names.has(spelling.declared, name.strip())

    def _read(self, spelling: Spelling, match: re.Match[str], name: str) -> Tag:
        bare = name.strip()
        taught = spelling.dialect is DIALECTS[0] and bare == name
        canonical = taught and self._canonical.fullmatch(match[0]) is not None
        return Tag(spelling.kind, bare, match.start(), match.end(), canonical, spelling.dialect)


def _first_behind(text: str, start: int) -> str:
    """The character behind a bracket, and the blanks that may be in it; empty if none has come."""
    first = text[start + 1 : start + 2]
    return first if first not in BLANK else text[start + 1 : start + 10].lstrip(BLANK)[:1]


def spellings(*kinds: str, level: str, dialects: Iterable[Dialect] = DIALECTS) -> Iterator[Spelling]:
    """Every spelling of these kinds of tags that the level reads."""
    read = [d for d in dialects if LEVELS.index(d.level) <= LEVELS.index(level)]
    for kind, dialect in product(kinds, read):
        for text in getattr(dialect, kind):
            yield _spelling(kind, text, dialect, level != "strict")


def _spelling(kind: str, text: str, dialect: Dialect, tolerant: bool) -> Spelling:
    declared = next((name for name in ("tool", "key") if f"{{{name}}}" in text), "")
    kind = "call_open" if kind in ("call_in_envelope", "line_open") else kind
    tag, tail = _patterns(text, tolerant and not declared)
    return Spelling(kind, text, dialect, tag, tail, declared)


def _patterns(spelling: str, tolerant: bool) -> tuple[str, str]:
    """The pattern of a spelling, and of its beginnings: whole, or cut behind any piece of it. The
    group n is the name."""
    tag, _, follows = spelling.partition("~")
    units, ahead = list(_units(tag, tolerant)), list(_units(follows, tolerant))
    whole = "".join(unit for unit, _ in units)
    if ahead:
        whole += f"(?={FOLLOWING}{''.join(unit for unit, _ in ahead)})"
        units += [(FOLLOWING, FOLLOWING), *ahead]
    tail = units.pop()[1]
    for unit, beginning in reversed(units):
        same = unit == beginning
        tail = f"{unit}(?:{tail})?" if same else f"(?:{unit}(?:{tail})|{beginning})"
    return whole, tail


def _units(spelling: str, tolerant: bool) -> Iterator[tuple[str, str]]:
    """A spelling in pieces, each with its pattern and that of its beginnings."""
    for unit in re.findall(r'"\{\w+\}"|\{\w+\}|.', spelling, re.DOTALL):
        word = unit.strip('"').strip("{}")
        if len(unit) > 1 and word in _PLACEHOLDERS:
            yield from _placeholder(word, unit[0] == '"', tolerant)
        elif unit == "<" and tolerant:
            yield from ((p, p) for p in ("<", BLANKS))
        elif unit == "/" and tolerant:
            yield from ((p, p) for p in ("/", BLANKS))
        elif unit == "=" and tolerant:
            yield from ((p, p) for p in (BLANKS, "=", BLANKS))
        elif unit == ">" and tolerant:
            yield from ((p, p) for p in (BLANKS, ">"))
        else:
            yield (re.escape(unit),) * 2


def _placeholder(word: str, in_quotes: bool, tolerant: bool) -> Iterator[tuple[str, str]]:
    pattern, beginning = _PLACEHOLDERS[word]
    if word in _NAMED:
        pattern, beginning = f"(?P<n>{pattern})", f"(?P<n>{beginning})"
    quote = "[\"']?" if tolerant and (in_quotes or word == "name") else '"' if in_quotes else ""
    yield from ((p, p) for p in [quote] if p)
    yield pattern, beginning
    yield from ((p, p) for p in [quote] if p)


def _either(patterns: Iterable[str]) -> re.Pattern[str]:
    """A pattern that matches nothing if there are none."""
    return re.compile("|".join(patterns).replace("(?P<n>", "(?:") or r"(?!)")


class Grammar:
    """One lookout per parser state, for one recovery level."""

    def __init__(self, level: str) -> None:
        self.level = level

        def lookout(*kinds: str) -> Lookout:
            return Lookout(spellings(*kinds, level=level))

        def inside(*dialects: Dialect) -> Lookout:  # examples may be in any dialect
            known = "tolerant" if level == "strict" else level
            return Lookout(spellings(*CALL_KINDS, level=known, dialects=dialects))

        openers = ["wrap_open", "call_open", "nameless_open", "think_open", "think_close", "comment_open"]
        if level != "strict":
            openers += ["result_open", "result_close", "wrap_close", "call_close", "parameter_close"]
        if level == "aggressive":
            openers += ["parameter_open"]
        wrapped = ["wrap_open", "wrap_close", "call_open", "call_in_envelope", "nameless_open"]
        self.openers = lookout(*openers)
        self.envelope = lookout(*wrapped, *(["parameter_open"] if level != "strict" else []))
        self.lines = lookout("line_open")
        self.body = lookout(*CALL_KINDS, "stray")
        self.after = lookout(*CALL_KINDS, "stray")
        self.ends_json = lookout("wrap_open", "wrap_close", "call_close")
        shared = [dialect for dialect in DIALECTS if dialect.in_values]
        self.values = inside(*shared)
        self._within = {
            dialect.name: inside(*shared, dialect)
            for dialect in DIALECTS
            if dialect.parameter_open and not dialect.in_values
        }

    def within(self, dialect: Dialect) -> Lookout:
        """What a value that this dialect opened looks out for."""
        return self._within.get(dialect.name, self.values)


@cache
def grammar(level: str) -> Grammar:
    """The compiled grammar; compiled once per level."""
    return Grammar(level)
