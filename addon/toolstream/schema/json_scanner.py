"""Finds the end of a JSON text while it streams.

`JsonScanner` counts brackets outside of strings and looks at each character once. `WholeJson` says
whether the text so far is exactly one object or array. `quotes_all` says whether the brackets it counts can
be trusted.
"""

import re

from ..grammar.text import JSON_SPACE, JSON_STRING

_OUTSIDE = re.compile(r'["{}\[\]]')
_INSIDE = re.compile(r'["\\]')
# Brackets and what stands between them, a string in either quotes, a number or literal, a key
_QUOTED = re.compile(
    rf"(?:[\s{{}}\[\],:=]|{JSON_STRING.pattern}|'[^'\\]*+(?:\\.[^'\\]*+)*+'"
    rf"|(?:-?[\d.]++|true|false|null|True|False|None)(?={JSON_SPACE}[,}}\]])|[\w.-]++(?={JSON_SPACE}[:=])|(?!))*+",
    re.DOTALL,
)


class JsonScanner:
    """Follows one JSON object or array. `opened`: how many of its brackets were read before."""

    __slots__ = ("_depth", "_escaped", "in_string")

    def __init__(self, opened: int = 0) -> None:
        self._depth = opened
        self._escaped = False
        self.in_string = False

    def feed(self, text: str) -> int | None:
        """The offset in `text` just after the end of the JSON; None if it goes on."""
        at = 0
        if self._escaped and text:
            at, self._escaped = 1, False
        while match := (_INSIDE if self.in_string else _OUTSIDE).search(text, at):
            at = match.end()
            match match[0]:
                case '"':
                    self.in_string = not self.in_string
                case "\\" if at == len(text):
                    self._escaped = True
                case "\\":
                    at += 1
                case "{" | "[":
                    self._depth += 1
                case _:
                    self._depth -= 1
                    if self._depth <= 0:
                        return at
        return None


class WholeJson:
    """Follows the text of a value that should be one object or array. `complete`: so far it is."""

    __slots__ = ("_scanner", "_spoilt", "complete")

    def __init__(self) -> None:
        self.complete = self._spoilt = False
        self._scanner = JsonScanner()

    def feed(self, text: str) -> None:
        """Read on. After the end only whitespace may follow."""
        if not (self.complete or self._spoilt):
            end = self._scanner.feed(text)
            self.complete, text = end is not None, text[end or 0 :]
        if self.complete and not text.isspace() and text:
            self.complete, self._spoilt = False, True


def quotes_all(text: str) -> bool:
    """Whether every string in this text of an object or array has its quotes, so that no bracket which was
    counted belongs to a value."""
    return _QUOTED.fullmatch(text) is not None


def ends_in_string(text: str) -> bool:
    """Whether such a text ends inside of a string in single quotes."""
    quoted = _QUOTED.match(text)
    rest = text[quoted.end() :] if quoted else ""
    return rest[:1] == "'" and "'" not in rest[1:]
