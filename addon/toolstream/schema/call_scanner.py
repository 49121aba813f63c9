"""Follows a JSON call key by key while it streams, to tell whether it may still be one.

Only a complete call is certain. But most other JSON is ruled out early: by its first key that no call
has, or by the first letter of a name that no tool has.
"""

import re
from enum import Enum

from ..grammar.names import Names
from ..grammar.text import BLANK
from ..limits import DEPTH, WORD
from .call_shape import ARGUMENT_KEYS, NAME_KEYS, TYPES, WRAP_KEYS

_CALLS, _FUNCTION = "tool_calls", "function"
_MARK = re.compile(rf"[^{BLANK}]")
_QUOTE = re.compile(r'["\\]')
_NESTED = re.compile(r'["{}\[\]]')
_AFTER_VALUE = {"{": "},", "[": "],"}  # marks that may come next, by the open bracket
_AFTER_COMMA = {"{": '"', "[": "{"}


class Progress(Enum):
    """How far a text has come."""

    MORE = 0  # it may be a call, and is not complete
    ENDED = 1  # it may be one, and is complete
    HOPELESS = 2  # it is no call


class CallScanner:
    """Follows a JSON call, or an array of calls, that may have these `keys`. `end` is an offset in the
    text that was fed last: the end of the call, or the character that rules it out."""

    def __init__(self, names: Names, keys: frozenset[str]) -> None:
        self.named = False  # it has named a declared tool
        self.arguments = 0  # keys for arguments that it has had
        self.end = 0
        self.in_message = False  # the calls are in a list under `tool_calls`, as in a message of an API
        self.nested = False  # the name and the arguments are in an object under `function` or the like
        self._first = frozenset(WRAP_KEYS) - keys  # keys of such an object, which are nothing else
        self._names, self._keys = names, keys | {_CALLS} | self._first
        self._outer = False  # the bracket of that message is open
        self._open = ""  # the brackets that are open
        self._word: str | None = None  # the string we are in, if it is a key or a value of the call
        self._quoted = False  # we are in a string
        self._escaped = False
        self._expected = "[{"  # marks that may come next, outside of the arguments
        self._key = ""
        self._may_nest = False  # `function` may be a key with an object

    @property
    def lacks_bracket(self) -> bool:
        """Whether one call has its name and its arguments, and nothing but its last bracket is to come."""
        has_all = self.named and self.arguments == 1 and self._open == "{"
        return has_all and not self._quoted and self._expected == _AFTER_VALUE["{"]

    @property
    def in_string(self) -> bool:
        """Whether a string of the arguments is open."""
        return self._quoted and self._word is None

    def feed(self, text: str) -> Progress:
        """Read on."""
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
        """The character at this offset rules the text out."""
        self.end = at
        return -1

    @property
    def _in_call(self) -> bool:
        return self._open.lstrip("[") in (("", "{", "{{") if self.nested else ("", "{"))

    def _outside(self, text: str, at: int) -> int:
        """The offset after the next mark; -1 if the mark may not stand there."""
        in_call = self._in_call
        marks, expected = (_MARK, self._expected) if in_call else (_NESTED, '"{}[]')
        found = marks.search(text, at)
        if found is None:
            return len(text)
        mark = found[0]
        if mark not in expected or len(self._open) > DEPTH:
            return self._fail(found.start())
        if mark == '"':
            self._quoted, self._word = True, "" if in_call else None
        elif mark in "[{":
            self._open_bracket(mark, in_call)
        elif mark in "]}":
            self._close_bracket()
        elif mark == ",":
            self._expected, self._key = _AFTER_COMMA[self._open[-1]], ""
        else:
            self._expect_value()
        return found.end()

    def _open_bracket(self, mark: str, in_call: bool) -> None:
        self._open += mark
        self._expected = '"}' if mark == "{" else "{"
        if in_call and self._key in WRAP_KEYS:
            self._key = ""  # its members are those of the call

    def _close_bracket(self) -> None:
        self._open = self._open[:-1]
        if self._outer and not self._open:
            self._open, self._outer = "{", False
        self._expected = _AFTER_VALUE.get(self._open[-1:], "")

    def _expect_value(self) -> None:
        """A colon stands after a key."""
        if self._key == _CALLS:
            self._open_list()
        elif (self._key in self._first and not self.in_message) or (
            self._may_nest and self._key == _FUNCTION
        ):
            self.nested, self._keys = True, frozenset({"name", "arguments"})
            self._expected = "{"
        else:
            self._expected = '"{['

    def _open_list(self) -> None:
        """All calls stand in one list, as in a message of an API."""
        self.in_message = self._outer = True
        self._keys = self._keys - {_CALLS} | {_FUNCTION}
        self._open, self._expected, self._key = "", "[", ""

    def _in_string(self, text: str, at: int) -> int:
        """The offset after the next quote or backslash of a string; -1 if the string rules the text out."""
        if self._escaped:
            self._escaped = False
            return at + 1
        found = _QUOTE.search(text, at)
        end = found.start() if found else len(text)
        if self._word is not None and (wrong := self._read_on(self._word, text[at:end])) is not None:
            return self._fail(at + wrong)
        if found is None:
            return end
        self._escaped = found[0] == "\\"
        if self._escaped:
            return end + 1
        self._quoted = False
        return end + 1 if self._word is None or self._close_word(self._word) else self._fail(end)

    def _read_on(self, word: str, letters: str) -> int | None:
        """Read more letters of a word; return the index of the one that rules it out."""
        self._word = whole = (word + letters)[: WORD + 1]
        if self._may_be(whole):
            return None
        return next(n for n in range(len(letters)) if not self._may_be(whole[: len(word) + n + 1]))

    def _close_word(self, word: str) -> bool:
        """Whether this key, or this value of a key, may stand here."""
        self._word = None
        if not self._key:
            self._key, self._expected = word, ":"
            self.arguments += word in ARGUMENT_KEYS
            known, self._keys = self._keys, self._keys - self._first
            return word in known
        self._expected = "},"
        if self._key in NAME_KEYS:
            self.named = self._names.has("tool", word)
            return self.named
        if self._key != "type":
            return True
        self._may_nest = not self.in_message and _FUNCTION not in self._keys
        self._keys = self._keys | {_FUNCTION}
        return word in TYPES

    def _may_be(self, word: str) -> bool:
        """Whether a word that begins like this may stand here."""
        if not self._key:
            return any(key.startswith(word) for key in self._keys)
        return self._key not in NAME_KEYS or self._names.may_begin("tool", word)
