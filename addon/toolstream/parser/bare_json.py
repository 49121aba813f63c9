"""A JSON call without a tag around it: `{"name": …, "arguments": {…}}` as the message, bare or in a fence.

Most JSON in an answer is no call and has to stream on. So it is followed key by key while it arrives. As
soon as it has anything that such a call does not have, it is hopeless, and it is text.
"""

import re
from enum import Enum

from ..grammar.names import Names
from ..grammar.text import BLANK
from ..limits import AFTER_JSON, DEPTH, FENCE_GAP, FENCE_INDENT, FENCE_INFO, FENCE_RUN, WORD
from ..repairs import Repair
from ..schema.json_call import (
    ARGUMENT_KEYS,
    KEYS,
    NAME_KEYS,
    WRAP_KEYS,
    Call,
    read_calls,
)

TYPES = frozenset({"function", "tool_call", "tool_use"})
DRIFT = frozenset({*KEYS, *NAME_KEYS, *ARGUMENT_KEYS, *WRAP_KEYS})

_MARK = re.compile(rf"[^{BLANK}]")
_QUOTE = re.compile(r'["\\]')
_NESTED = re.compile(r'["{}\[\]]')
_RUN = rf"`{{3,{FENCE_RUN}}}|~{{3,{FENCE_RUN}}}"
_INFO = rf"[ \t]{{0,{FENCE_GAP}}}[\w+-]{{0,{FENCE_INFO}}}[ \t]{{0,{FENCE_GAP}}}"
_FENCE = re.compile(rf"(?P<run>{_RUN}){_INFO}\r?\n\s{{0,{FENCE_INDENT}}}(?=[{{\[])")
_FENCE_PART = re.compile(
    rf"`{{1,{FENCE_RUN}}}|~{{1,{FENCE_RUN}}}|(?:{_RUN}){_INFO}(?:\r|\r?\n\s{{0,{FENCE_INDENT}}})?"
)


class Progress(Enum):
    """How far a text has come."""

    MORE = 0  # it may be a call
    ENDED = 1  # it may be one, and is complete
    HOPELESS = 2


class CallScanner:
    """Follows a JSON call, or an array of calls, that may have these `keys`. `end` is the offset in the
    last text just past it, or of the character that makes it hopeless."""

    def __init__(self, names: Names, keys: frozenset[str]) -> None:
        self.named = False  # it names a declared tool
        self.arguments = 0  # how often it says which
        self.end = 0
        self._names, self._keys = names, keys
        self._open = ""  # brackets
        self._word: str | None = None  # the string we are in, if it is a key or a value of the call
        self._quoted = False  # we are in a string
        self._escaped = False
        self._expected = "[{"  # marks that may come next, where the call itself is written
        self._key = ""

    def feed(self, text: str) -> Progress:
        """Go on by `text`."""
        self.end = 0
        while self.end < len(text):
            at = self._in_string(text, self.end) if self._quoted else self._outside(text, self.end)
            if at < 0:
                return Progress.HOPELESS
            self.end = at
            if not (self._open or self._expected):
                return Progress.ENDED
        return Progress.MORE

    def _fail(self, at: int) -> int:
        """At the character at this offset it is hopeless."""
        self.end = at
        return -1

    @property
    def _in_call(self) -> bool:
        return self._open.lstrip("[") in ("", "{")

    def _outside(self, text: str, at: int) -> int:
        """The offset after the next mark; -1 if it may not stand there."""
        found = (_MARK if self._in_call else _NESTED).search(text, at)
        if found is None:
            return len(text)
        mark = found[0]
        if (self._in_call and mark not in self._expected) or len(self._open) > DEPTH:
            return self._fail(found.start())
        if mark == '"':
            self._quoted, self._word = True, "" if self._in_call else None
        elif mark in "[{":
            self._open += mark
            self._expected = '"}' if mark == "{" else "{"
        elif mark in "]}":
            self._open = self._open[:-1]
            self._expected = ("}," if self._open.endswith("{") else "],") if self._open else ""
        else:
            self._expected = '"{[' if mark == ":" else '"' if self._open.endswith("{") else "{"
            self._key = self._key if mark == ":" else ""
        return found.end()

    def _in_string(self, text: str, at: int) -> int:
        """The offset after the next quote or backslash of a string; -1 if it may not say this."""
        if self._escaped:
            self._escaped = False
            return at + 1
        found = _QUOTE.search(text, at)
        end = found.start() if found else len(text)
        if self._word is not None:
            known = len(self._word)
            self._word = (self._word + text[at:end])[: WORD + 1]
            if not self._may_be(self._word):
                sizes = range(known, len(self._word))
                return self._fail(
                    at - known + next(n for n in sizes if not self._may_be(self._word[: n + 1]))
                )
        if found is None:
            return end
        self._escaped = found[0] == "\\"
        if self._escaped:
            return end + 1
        self._quoted = False
        return end + 1 if self._word is None or self._close_word(self._word) else self._fail(end)

    def _close_word(self, word: str) -> bool:
        """Whether this key, or this value of a key, may stand here."""
        self._word = None
        if not self._key:
            self._key, self._expected = word, ":"
            self.arguments += word in ARGUMENT_KEYS
            return word in self._keys
        self._expected = "},"
        if self._key in NAME_KEYS:
            self.named = self._names.has("tool", word)
            return self.named
        return self._key != "type" or word in TYPES

    def _may_be(self, word: str) -> bool:
        """Whether a word that begins so may stand where we are."""
        if not self._key:
            return any(key.startswith(word) for key in self._keys)
        return self._key not in NAME_KEYS or self._names.may_begin("tool", word)


class BareJsonCall:
    """A text that may be a JSON call, or an array of them. Feed it; once it has `ended`, `rest` is what
    follows, and `calls` what was found: None if it is text.

    `named`: it names a declared tool, so that a user may wonder why it is none. `fenced`: it stands in
    a Markdown fence, which belongs to it.
    """

    unsure, cut = "", False  # see `JsonEnvelope`
    repairs = (Repair.UNTAGGED_JSON,)

    def __init__(self, names: Names, drift: bool) -> None:
        self.ended = self.fenced = False
        self.rest = ""
        self.calls: list[Call] | None = None
        self._drift = drift
        self._scanner = CallScanner(names, DRIFT if drift else KEYS)
        self._read: list[str] = []
        self._text = ""  # received, not yet looked at
        self._fence = ""
        self._state = self._at_start

    @property
    def text(self) -> str:
        """The JSON so far."""
        return "".join(self._read)

    @property
    def named(self) -> bool:
        return self._scanner.named

    def feed(self, text: str, over: bool) -> None:
        """Take text; `over`: no more comes."""
        self._text += text
        while not self.ended and self._state(over):
            pass

    def _at_start(self, over: bool) -> bool:
        fence = _FENCE.match(self._text)
        if fence:
            self._fence, self.fenced = fence["run"], True
            self._text = self._text[fence.end() :]
        elif self._text[:1] not in ("{", "["):
            partial = _FENCE_PART.fullmatch(self._text) and not over
            return not partial and self._decide(1)
        self._state = self._in_json
        return True

    def _in_json(self, over: bool) -> bool:
        progress = self._scanner.feed(self._text)
        if progress is Progress.HOPELESS:
            return self._decide(self._scanner.end)
        end = self._scanner.end if progress is Progress.ENDED else len(self._text)
        self._read.append(self._text[:end])
        self._text = self._text[end:]
        if progress is Progress.MORE:
            return over and self._decide(0)
        self._state = self._behind_json
        return True

    def _behind_json(self, over: bool) -> bool:
        """Nothing else may stand on the line; in a fence, its end has to come."""
        found = self._closing.match(self._text)
        if found and (over or found.end() < len(self._text.removesuffix("\r"))):
            return self._decide(found.end(), is_call=True)
        blank = not self._text.strip(BLANK + self._fence[:1])
        if found or (self.fenced and blank and len(self._text) <= AFTER_JSON + len(self._fence)):
            return over and self._decide(0, is_call=not self._text.strip())
        return self._decide(0)

    @property
    def _closing(self) -> re.Pattern[str]:
        """The rest of the line after the JSON, or its fence."""
        mark, run = re.escape(self._fence[:1]), len(self._fence)
        fence = rf"[{BLANK}]{{0,{AFTER_JSON}}}{mark}{{{run},{FENCE_RUN}}}" if self.fenced else ""
        return re.compile(rf"{fence}[ \t]{{0,{AFTER_JSON}}}(?=\r?\n|\r?\Z)")

    def _decide(self, end: int, is_call: bool = False) -> bool:
        """It is decided; `end` is where what belongs to it ends in the text."""
        self.ended, self.rest, self._text = True, self._text[end:], ""
        found = (read_calls(self.text, self._drift) or []) if is_call else []
        complete = self._drift or len(found) == self._scanner.arguments
        self.calls = found if found and complete and all(name for name, _ in found) else None
        return False
