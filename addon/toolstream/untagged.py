"""A JSON call with no tag around it: `{"name": …, "arguments": {…}}` as the message, bare or fenced.

Most JSON in an answer is no call, and has to stream on. So while it comes it is followed key by
key, and is `hopeless` as soon as it says anything that such a call does not: then it is text.
"""

import re
from enum import Enum

from .grammar import BLANK, Names
from .hermes import ARGUMENT_KEYS, KEYS, NAME_KEYS, WRAP_KEYS, Call, read_calls

WORD = 256  # characters of a key or name
DEPTH = 64  # brackets open at once
FENCED = 64  # blanks between the JSON and the end of its fence
TYPES = frozenset({"function", "tool_call", "tool_use"})
DRIFT = frozenset({*KEYS, *NAME_KEYS, *ARGUMENT_KEYS, *WRAP_KEYS})

_MARK = re.compile(rf"[^{BLANK}]")
_QUOTE = re.compile(r'["\\]')
_NESTED = re.compile(r'["{}\[\]]')
_FENCE = re.compile(r"(?P<run>`{3,16}|~{3,16})[ \t]{0,8}[\w+-]{0,16}[ \t]{0,8}\r?\n\s{0,16}(?=[{\[])")
_FENCE_PART = re.compile(
    r"`{1,16}|~{1,16}|(?:`{3,16}|~{3,16})[ \t]{0,8}[\w+-]{0,16}[ \t]{0,8}(?:\r|\r?\n\s{0,16})?"
)


class Verdict(Enum):
    """What a text is so far."""

    MORE = 0  # it may be a call
    ENDED = 1  # it may be one, and is complete
    HOPELESS = 2


class CallScanner:
    """Follows a JSON call, or an array of calls, that may have these `keys`. `end` is the offset in the
    last text just past it, or past what makes it hopeless."""

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

    def feed(self, text: str) -> Verdict:
        """Go on by `text`."""
        self.end = 0
        while self.end < len(text):
            at = self._in_string(text, self.end) if self._quoted else self._outside(text, self.end)
            if at < 0:
                return Verdict.HOPELESS
            self.end = at
            if not (self._open or self._expected):
                return Verdict.ENDED
        return Verdict.MORE if self._may_go_on() else Verdict.HOPELESS

    @property
    def _in_call(self) -> bool:
        return self._open.lstrip("[") in ("", "{")

    def _outside(self, text: str, at: int) -> int:
        """The offset behind the next mark; -1 if it may not stand there."""
        found = (_MARK if self._in_call else _NESTED).search(text, at)
        if found is None:
            return len(text)
        mark = found[0]
        if self._in_call and mark not in self._expected:
            return -1
        if len(self._open) > DEPTH:
            return -1
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
        """The offset behind the next quote or backslash of a string; -1 if it may not say this."""
        if self._escaped:
            self._escaped = False
            return at + 1
        found = _QUOTE.search(text, at)
        end = found.start() if found else len(text)
        if self._word is not None:
            self._word = (self._word + text[at:end])[: WORD + 1]
        if found is None:
            return end
        self._escaped = found[0] == "\\"
        if self._escaped:
            return end + 1
        self._quoted = False
        return end + 1 if self._word is None or self._close_word(self._word) else -1

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

    def _may_go_on(self) -> bool:
        """Whether the word we are in may become one that may stand there."""
        if self._word is None:
            return True
        if not self._key:
            return any(key.startswith(self._word) for key in self._keys)
        return self._key not in NAME_KEYS or self._names.may_begin("tool", self._word)


class UntaggedCall:
    """A text that may be a JSON call. Feed it; once it is certain `rest` is what follows. After
    `Verdict.ENDED` `text` is the JSON. `fenced`: it stands in a Markdown fence, which belongs to it."""

    def __init__(self, names: Names, drift: bool) -> None:
        self.rest = ""
        self.fenced = False
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
    def calls(self) -> list[Call] | None:
        """The calls of the JSON; None if it is anything else."""
        found = read_calls(self.text, self._drift) or []
        complete = self._drift or len(found) == self._scanner.arguments
        return found if complete and all(name for name, _ in found) else None

    @property
    def named(self) -> bool:
        """Whether it names a declared tool, so that a user may wonder why it is none."""
        return self._scanner.named

    def feed(self, text: str, over: bool = False) -> Verdict:
        """Take text; `over`: no more comes."""
        self._text += text
        return self._state(over)

    def _at_start(self, over: bool) -> Verdict:
        if self._text[:1] in ("{", "["):
            self._state = self._in_json
            return self._in_json(over)
        if fence := _FENCE.match(self._text):
            self._fence, self.fenced = fence["run"], True
            self._text = self._text[fence.end() :]
            self._state = self._in_json
            return self._in_json(over)
        if _FENCE_PART.fullmatch(self._text) and not over:
            return Verdict.MORE
        return self._give_up(1)

    def _in_json(self, over: bool) -> Verdict:
        verdict = self._scanner.feed(self._text)
        if verdict is Verdict.HOPELESS:
            return self._give_up(self._scanner.end)
        end = self._scanner.end if verdict is Verdict.ENDED else len(self._text)
        self._read.append(self._text[:end])
        self._text = self._text[end:]
        if verdict is Verdict.MORE:
            return self._give_up(0) if over else verdict
        self._state = self._behind_json
        return self._behind_json(over)

    def _behind_json(self, over: bool) -> Verdict:
        """Nothing else may stand on the line; in a fence, its end has to come."""
        mark, run = re.escape(self._fence[:1]), len(self._fence)
        fence = rf"[{BLANK}]{{0,{FENCED}}}{mark}{{{run},16}}" if self.fenced else ""
        if found := re.match(rf"{fence}[ \t]{{0,{FENCED}}}(?=\r?\n|\r?\Z)", self._text):
            if over or found.end() < len(self._text.removesuffix("\r")):
                self.rest = self._text[found.end() :]
                return Verdict.ENDED
            return Verdict.MORE
        partial = self.fenced and not self._text.strip(BLANK + self._fence[0])
        if not partial or len(self._text) > FENCED + run:
            return self._give_up(0)
        return Verdict.ENDED if over and not self._text.strip() else Verdict.MORE

    def _give_up(self, end: int) -> Verdict:
        """It is text: up to `end` for certain."""
        self.rest = self._text[end:]
        return Verdict.HOPELESS
