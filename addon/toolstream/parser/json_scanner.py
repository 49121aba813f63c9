"""Finds where a JSON text ends while it streams, also if tags may end it.

`JsonScanner` counts brackets outside of strings and looks at each character once. `WholeJson` is a value
that may end there. `JsonBody` is such a text between tags: it ends at its last bracket, or at a tag that
cannot be part of it.
"""

import re
from collections.abc import Callable

from ..grammar.kinds import TagKind
from ..grammar.matcher import Tag, TagMatcher

TRIES = 8  # tags in what looks like a string at which the JSON is read, for a quote may be missing
LINE = 64  # characters of a line that are looked at for whitespace

_OUTSIDE = re.compile(r'["{}\[\]]')
_INSIDE = re.compile(r'["\\]')


class JsonScanner:
    """Follows one JSON object or array; `feed` says where it ends."""

    __slots__ = ("_depth", "_escaped", "in_string")

    def __init__(self) -> None:
        self._depth = 0
        self._escaped = False
        self.in_string = False

    def feed(self, text: str) -> int | None:
        """The offset in `text` just past the end of the JSON, or None if it goes on."""
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
    """Follows the text of a value that should be one object or array: whether it is `complete`."""

    __slots__ = ("_scanner", "_spoilt", "complete")

    def __init__(self) -> None:
        self.complete = self._spoilt = False
        self._scanner = JsonScanner()

    def feed(self, text: str) -> None:
        """Go on by `text`; after the end only whitespace may come."""
        if not (self.complete or self._spoilt):
            end = self._scanner.feed(text)
            self.complete, text = end is not None, text[end or 0 :]
        if self.complete and not text.isspace() and text:
            self.complete, self._spoilt = False, True


class JsonBody:
    """A JSON text that stands between tags. Feed it; once it has `ended`, `text` is the JSON and `rest`
    what follows. It ends at its last bracket, or at a tag that cannot be in it.

    No string of JSON holds a line break. So a tag that starts a line ends what looks like a string, if
    the text before it is `readable`: then a quote was lost. Else a model wrote a line break as it is.
    """

    def __init__(self, tags: TagMatcher, readable: Callable[[str], bool]) -> None:
        self.ended = False
        self.rest = ""
        self._suspect = 0  # where an envelope opens at the start of a line in what looks like a string
        self._size = 0
        self._tags = tags
        self._readable = readable
        self._scanner = JsonScanner()
        self._read: list[str] = []
        self._line = ""  # the end of what was read, as far as it is of one line
        self._text = ""  # received, not yet looked at
        self._tries = 0

    @property
    def text(self) -> str:
        """The JSON so far."""
        return "".join(self._read)

    @property
    def pending(self) -> str:
        """What was received and is not handed back."""
        return self.text + self._text

    @property
    def unsure(self) -> str:
        """What would be read if the JSON were none: from the first envelope on that starts a line."""
        return self.text[self._suspect :] if self._suspect else ""

    def feed(self, text: str, over: bool = False) -> None:
        """Take text; `over`: no more comes."""
        self._text += text
        while not self.ended and self._step(over):
            pass

    def _step(self, over: bool) -> bool:
        """Go on to the next tag; False if none has come."""
        tag = self._tags.search(self._text, over) if "<" in self._text else None
        before = tag.start if tag else len(self._text) if over else self._tags.hold_from(self._text)
        end = self._scanner.feed(self._text[:before])
        self._take(before if end is None else end)
        if end is not None or (tag and self._ends_it()):
            self.ended, self.rest, self._text = True, self._text, ""
        elif tag:
            self._note(tag)
            self._scanner.feed(self._text[: tag.end - tag.start])
            self._take(tag.end - tag.start)
        return tag is not None

    def _note(self, tag: Tag) -> None:
        if tag.kind is TagKind.WRAP_OPEN and not (self._suspect or self._line.strip(" \t")):
            self._suspect = self._size

    def _ends_it(self) -> bool:
        """Whether the tag that comes next ends the JSON although brackets are missing."""
        if not self._scanner.in_string:
            return True
        if self._line.strip(" \t") or self._tries == TRIES:
            return False
        self._tries += 1
        return self._readable(self.text)

    def _take(self, end: int) -> None:
        taken, self._text = self._text[:end], self._text[end:]
        self._read.append(taken)
        self._size += len(taken)
        line = taken.rfind("\n") + 1
        self._line = taken[line:] if line else (self._line + taken)[:LINE]
