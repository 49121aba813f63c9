"""Dialect tables compiled into what each parser state looks out for.

A lookout answers two questions about the text a state holds: which tag stands here, and
may what stands here still become a tag once more text arrives. Both patterns are derived
from the same spelling, so a new spelling in a dialect brings its hold-back along.

The canonical spelling is matched to the letter. The tolerant one also takes blanks around
the `=` and inside the brackets, and names in quotes; a tag read that way, or one that
belongs to another dialect, is not `canonical`. Every repetition is bounded: a tail that
could be held for ever would silence the stream.

Names in braces stand for what changes from tag to tag:

    {name}        any name of a function or parameter
    {tool} {key}  a declared one: the tag counts only if the request, or the tool, has it
    {attributes}  whatever else an opening tag may carry before its `>`
"""

import re
from collections.abc import Iterable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import cache

from .dialects import DIALECTS, Dialect

LEVELS = ("strict", "tolerant", "aggressive")

BLANK = " \t\n\r\f\v"  # what counts as white space around tags
LOOK_AHEAD = 64  # blanks between a tag and what has to follow it
BLANKS = r"[ \t]{0,8}"
FOLLOWING = f"[{BLANK}]{{0,{LOOK_AHEAD}}}"
SPAN = 1024  # characters a spelling with several brackets can have

CALL_KINDS = ("wrap_open", "wrap_close", "call_open", "call_close", "parameter_open", "parameter_close")

_DECLARED = r"[^\s<>\"'={}()\[\],/]{1,128}"
_PLACEHOLDERS = {
    "name": r"[^<>\"'\n]{1,256}",
    "tool": _DECLARED,
    "key": _DECLARED,
    "attributes": r"[^<>\n]{0,256}",
}
_NAMES = ("name", "tool", "key")


class Names:
    """The names that {tool} and {key} stand for. Of tools, case, `_` and `-` do not count."""

    def __init__(self, tools: Iterable[str] = (), keys: Iterable[str] = ()) -> None:
        self._names = {"tool": {fold(name) for name in tools}, "key": set(keys)}

    def has(self, what: str, name: str) -> bool:
        """Whether this is one of them."""
        return (fold(name) if what == "tool" else name) in self._names[what]

    def may_begin(self, what: str, text: str) -> bool:
        """Whether one of them begins so."""
        start = fold(text) if what == "tool" else text
        return any(name.startswith(start) for name in self._names[what])


def fold(name: str) -> str:
    """A name without what models get wrong about it: case, `_` and `-`."""
    return name.replace("_", "").replace("-", "").casefold()


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
        self._canonical = _either(tag_pattern(text, tolerant=False) for text in canonical)
        self._second = {s.text[1] for s in self._plain} | set(BLANK)
        self._several = any("<" in s.text[1:] for s in listed)

    def knowing(self, names: Names) -> "Lookout":
        """The same lookout, with the names that are declared."""
        known = copy(self)
        known._names = names
        return known

    def search(self, text: str, start: int = 0) -> Tag | None:
        """The first complete tag at or after `start` that begins with a bracket."""
        at = text.find("<", start)
        while at >= 0:
            if tag := self.match(text, at):
                return tag
            at = text.find("<", at + 1)
        return None

    def match(self, text: str, start: int) -> Tag | None:
        """The complete tag that begins exactly at `start`."""
        if text[start + 1 : start + 2] in self._second and (match := self._tag.match(text, start)):
            number = (match.lastgroup or "t0")[1:]
            name = match["n" + number] if "n" + number in match.re.groupindex else ""
            return self._read(self._plain[int(number)], match, name)
        return self.match_declared(text, start) if self._other else None

    def match_declared(self, text: str, start: int) -> Tag | None:
        """The same, of the spellings that need a declared name, or no bracket."""
        for spelling, tag, _ in self._other:
            match = tag.match(text, start)
            name = match.groupdict().get("n", "") if match else ""
            if match and (not spelling.declared or self._names.has(spelling.declared, name.strip())):
                return self._read(spelling, match, name)
        return None

    def may_begin(self, text: str, start: int) -> bool:
        """Whether text[start:], not empty, is the beginning of a tag and no more than that."""
        second = text[start + 1 : start + 2]
        if (not second or second in self._second) and self._tail.fullmatch(text, start):
            return True
        return bool(self._other) and self.may_begin_declared(text, start)

    def may_begin_declared(self, text: str, start: int) -> bool:
        """The same, of the spellings that need a declared name, or no bracket."""
        return any(
            self._is_tail(spelling, match)
            for spelling, _, tail in self._other
            if (match := tail.fullmatch(text, start))
        )

    def held_from(self, text: str, start: int = 0) -> int:
        """Where the tail begins that may still become a tag: len(text) if none may."""
        at = text.rfind("<", start)
        if self._several and at >= 0:
            at = text.find("<", max(start, len(text) - SPAN))
        while at >= 0:
            if self.may_begin(text, at):
                return at
            at = text.find("<", at + 1)
        return len(text)

    def _is_tail(self, spelling: Spelling, match: re.Match[str]) -> bool:
        name = match.groupdict().get("n")
        if not spelling.declared or name is None:
            return True
        if match.end("n") == match.end():
            return self._names.may_begin(spelling.declared, name)
        return self._names.has(spelling.declared, name.strip())

    def _read(self, spelling: Spelling, match: re.Match[str], name: str) -> Tag:
        bare = name.strip()
        canonical = bare == name and self._canonical.fullmatch(match[0]) is not None
        return Tag(spelling.kind, bare, match.start(), match.end(), canonical, spelling.dialect)


def spellings(*kinds: str, level: str) -> Iterator[Spelling]:
    """Every spelling of these kinds of tags that the level reads."""
    for kind in kinds:
        for dialect in DIALECTS:
            if LEVELS.index(dialect.level) <= LEVELS.index(level):
                for text in getattr(dialect, kind):
                    yield _spelling(kind, text, dialect, level != "strict")


def _spelling(kind: str, text: str, dialect: Dialect, tolerant: bool) -> Spelling:
    declared = next((name for name in ("tool", "key") if f"{{{name}}}" in text), "")
    return Spelling(kind, text, dialect, tag_pattern(text, tolerant), _tail_pattern(text, tolerant), declared)


def tag_pattern(spelling: str, tolerant: bool) -> str:
    """The pattern of a spelling, complete; its name is the group n."""
    tag, _, follows = spelling.partition("~")
    ahead = f"(?={FOLLOWING}{''.join(_units(follows, tolerant))})" if follows else ""
    return "".join(_units(tag, tolerant)) + ahead


def _tail_pattern(spelling: str, tolerant: bool) -> str:
    """The pattern of its beginnings, whole or cut behind any piece of it."""
    tag, _, follows = spelling.partition("~")
    units = list(_units(tag, tolerant))
    if follows:
        units += [FOLLOWING, *_units(follows, tolerant)]
    return "(?:".join(units) + ")?" * (len(units) - 1)


def _units(spelling: str, tolerant: bool) -> Iterator[str]:
    """The pattern of a spelling, in pieces after each of which the stream may be cut."""
    for unit in re.findall(r'"?\{\w+\}"?|.', spelling):
        word = unit.strip('"{}')
        if word in _PLACEHOLDERS and "{" in unit:
            pattern = _PLACEHOLDERS[word]
            pattern = f"(?P<n>{pattern})" if word in _NAMES else pattern
            quotes = tolerant and (unit[0] == '"' or word == "name")
            yield from ("[\"']?", pattern, "[\"']?") if quotes else (pattern,)
        elif unit == "<" and tolerant:
            yield from ("<", BLANKS)
        elif unit == "=" and tolerant:
            yield from (BLANKS, "=", BLANKS)
        elif unit == ">" and tolerant:
            yield from (BLANKS, ">")
        else:
            yield re.escape(unit)


def _either(patterns: Iterable[str]) -> re.Pattern[str]:
    """A pattern that matches nothing if there are none."""
    return re.compile("|".join(patterns).replace("(?P<n>", "(?:") or r"(?!)")


class Grammar:
    """One lookout per parser state, for one recovery level."""

    def __init__(self, level: str) -> None:
        self.level = level

        def lookout(*kinds: str) -> Lookout:
            return Lookout(spellings(*kinds, level=level))

        self.openers = lookout("wrap_open", "call_open", "think_open", "think_close")
        self.envelope = lookout("call_open", "wrap_close")
        self.body = lookout(*CALL_KINDS)
        self.after = lookout(*CALL_KINDS, "stray")


@cache
def grammar(level: str) -> Grammar:
    """The compiled grammar; compiled once per level."""
    return Grammar(level)
