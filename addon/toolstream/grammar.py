"""Dialect tables compiled into what each parser state looks out for.

A lookout answers two questions about the text a state holds: which tag stands here, and
may what stands here still become a tag once more text arrives. Both patterns are derived
from the same spelling, so a new spelling in a dialect brings its hold-back along.

The canonical spelling is matched to the letter. The tolerant one also takes blanks around
the `=` and inside the brackets, and names in quotes; a tag read that way, or one that
belongs to another dialect, is not `canonical`. Every repetition is bounded: a tail that
could be held for ever would silence the stream.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from .dialects import DIALECTS

BLANK = " \t\n\r\f\v"  # what counts as white space around tags
NAME = r"[^<>\"'\n]{1,256}"
BLANKS = r"[ \t]{0,8}"
ATTRIBUTES = r"[^<>\n]{0,256}"

CALL_KINDS = ("wrap_open", "wrap_close", "call_open", "call_close", "parameter_open", "parameter_close")


@dataclass(frozen=True, slots=True)
class Tag:
    """A complete tag at text[start:end]; `name`, without blanks around it, is empty for closing tags."""

    kind: str
    name: str
    start: int
    end: int
    canonical: bool


class Lookout:
    """The tags one state reacts to, and the tails that may yet become one."""

    def __init__(self, *kinds: str, tolerant: bool) -> None:
        self._kinds: dict[str, str] = {}  # group of the pattern -> kind of tag
        tags: list[str] = []
        tails: list[str] = []
        canonical: list[str] = []
        for kind in kinds:
            for spelling, is_canonical in spellings(kind, tolerant):
                units = list(_units(spelling, tolerant))
                group = f"t{len(tags)}"
                self._kinds[group] = kind
                tags.append(f"(?P<{group}>{''.join(units).replace(NAME, f'(?P<n{group}>{NAME})')})")
                tails.append("(?:".join(units) + ")?" * (len(units) - 1))
                if is_canonical:
                    canonical.append("".join(_units(spelling, tolerant=False)))
        self._tag = re.compile("|".join(tags))
        self._tail = re.compile("|".join(tails))
        self._canonical = re.compile("|".join(canonical))
        self._second = {s[1] for kind in kinds for s, _ in spellings(kind, tolerant)} | set(BLANK)

    def search(self, text: str, start: int = 0) -> Tag | None:
        """The first complete tag at or after `start`."""
        match = self._tag.search(text, start)
        return self._read(match) if match else None

    def match(self, text: str, start: int) -> Tag | None:
        """The complete tag that begins exactly at `start`."""
        match = self._tag.match(text, start)
        return self._read(match) if match else None

    def may_begin(self, text: str, start: int) -> bool:
        """Whether text[start:], not empty, is the beginning of a tag and no more than that."""
        if text[start + 1 : start + 2] in self._second or start + 1 == len(text):
            return self._tail.fullmatch(text, start) is not None
        return False

    def held_from(self, text: str, start: int = 0) -> int:
        """Where the tail begins that may still become a tag: len(text) if none may."""
        at = text.rfind("<", start)
        return at if at >= 0 and self.may_begin(text, at) else len(text)

    def _read(self, match: re.Match[str]) -> Tag:
        group = match.lastgroup or ""
        name = match["n" + group] if "n" + group in match.re.groupindex else ""
        bare = name.strip()
        canonical = bare == name and self._canonical.fullmatch(match[0]) is not None
        return Tag(self._kinds[group], bare, match.start(), match.end(), canonical)


def spellings(kind: str, tolerant: bool) -> Iterator[tuple[str, bool]]:
    """(spelling, canonical) of one kind of tag; strict reads the first dialect alone."""
    for dialect in DIALECTS if tolerant else DIALECTS[:1]:
        for spelling in getattr(dialect, kind):
            yield spelling, dialect is DIALECTS[0]


def _units(spelling: str, tolerant: bool) -> Iterator[str]:
    """The pattern of a spelling, in pieces after each of which the stream may be cut."""
    for unit in re.findall(r'"?\{\w+\}"?|.', spelling):
        match unit:
            case "{name}" | '"{name}"' if tolerant:
                yield from ("[\"']?", NAME, "[\"']?")
            case "{name}" | '"{name}"':
                yield NAME
            case "{attributes}":
                yield ATTRIBUTES
            case "<" if tolerant:
                yield from ("<", BLANKS)
            case "=" if tolerant:
                yield from (BLANKS, "=", BLANKS)
            case ">" if tolerant:
                yield from (BLANKS, ">")
            case _:
                yield re.escape(unit)


class Grammar:
    """One lookout per parser state, for one recovery level."""

    def __init__(self, tolerant: bool) -> None:
        def lookout(*kinds: str) -> Lookout:
            return Lookout(*kinds, tolerant=tolerant)

        self.openers = lookout("wrap_open", "call_open", "think_open", "think_close")
        self.envelope = lookout("call_open", "wrap_close")
        self.body = lookout(*CALL_KINDS)
        self.after = lookout(*CALL_KINDS, "stray")


@cache
def grammar(tolerant: bool) -> Grammar:
    """The compiled grammar; compiled once per level."""
    return Grammar(tolerant)
