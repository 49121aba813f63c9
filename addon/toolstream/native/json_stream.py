"""Splits a JSON object into tokens while it streams (P15). It only knows states; the mender decides what to
do with a token.

There is one method for each state, in the table `_READERS`. A token is as much as is certain: the letters of
a string come in pieces that end between two escapes; keys, numbers and words come whole, once something
follows them. What models write in place of numbers and words is read as well. `peek` returns the next
token, or None if more text is needed; `advance` goes past it. Text in tokens that were not gone past is
still `pending`.
"""

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import ClassVar, NamedTuple

from ..grammar.kinds import MORE, Wait
from ..grammar.text import JSON_CLOSERS, JSON_STRING_REST, JSON_WHITESPACE, end_of
from ..limits import JSON_KEY, LOOK_AHEAD, TOKEN
from ..schema.escapes import ESCAPE, ESCAPE_PART, is_bare, may_begin_path
from ..schema.json_scanner import JsonScanner
from .scalars import STARTS, is_scalar, is_whole

# `|(?!)`, which never matches, stands last in what is repeated for good (`*+`): before 3.11.5 Python does not
# go back to where the last repetition began if that fails half-way.
_LETTERS = re.compile(rf'(?:[^"\\\x00-\x1f]++|{ESCAPE.pattern}|(?!))*+')
_LETTERS_OF_PATH = re.compile(r'(?:[^"\\\x00-\x1f]++|\\["\\]|(?!))*+')
_BACKSLASH = re.compile(r"\\")
_BEFORE_ESCAPE = re.compile(r'[^"\\\x00-\x1f]*+')
_STRING = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"')
_STRING_PART = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+\\?')
# A key after its first quote; what has to follow a string that contains quotes; and the beginnings of
# these
_GAP = rf"\s{{0,{LOOK_AHEAD}}}+"
_KEY_AFTER = re.compile(rf'[^\W\d][^"\\\n]{{0,{JSON_KEY}}}"{_GAP}:')
_KEY_PART = re.compile(rf'(?:[^\W\d][^"\\\n]{{0,{JSON_KEY}}}(?:"{_GAP})?)?')
_AFTER = re.compile(rf'{_GAP}(?:\}}[\s}}]{{0,{LOOK_AHEAD}}}+\Z|,{_GAP}"([^"\\]{{1,{JSON_KEY}}})"{_GAP}:)')
_AFTER_PART = re.compile(
    rf'{_GAP}(?:\}}[\s}}]{{0,{LOOK_AHEAD}}}+|,{_GAP}(?:"[^"\\]{{0,{JSON_KEY}}}(?:"{_GAP})?)?)?'
)
_SPACE = re.compile(r"(?:[ \t\n\r]|\\[nrt])*")  # models write line breaks as in strings
_WORD = re.compile(r'[^\s,:"{}\[\]\\]*+')


class State(Enum):
    """Where in the object reading continues."""

    __hash__ = object.__hash__  # members are compared by identity: this one is quick

    START = auto()  # before the bracket
    FIRST = auto()  # after a bracket that opens: a member or item, or the end
    FURTHER = auto()  # the same after a comma
    COLON = auto()
    VALUE = auto()
    STRING = auto()  # in a string that is a value
    AS_TEXT = auto()  # in an object or array that is read as text
    NEXT = auto()  # after a value: a comma, or the end
    OVER = auto()  # after the object
    REST = auto()  # in what follows the object
    BROKEN = auto()  # this is no JSON


class Kind(Enum):
    """What a token is."""

    __hash__ = object.__hash__

    SPACE = auto()
    OPEN = auto()  # `{` or `[`
    CLOSE = auto()
    KEY = auto()
    COLON = auto()
    COMMA = auto()
    QUOTE = auto()  # a string begins that is a value
    LETTERS = auto()  # of that string
    CONTROL = auto()  # a character in it that has to be escaped
    BACKSLASH = auto()  # one in it that escapes nothing
    QUOTES = auto()  # the rest of it, from the first of its own quotes on, which lack their backslash
    MARKED = auto()  # quotes too many where it begins; of three, all of it up to the last quote
    UNQUOTE = auto()  # it ends
    SCALAR = auto()  # a number or a word
    RAW = auto()  # a piece of an object or array that is read as text
    RAW_END = auto()  # the last piece of it
    AFTER = auto()  # something follows the object; without text
    BROKEN = auto()  # it cannot be read on; without text
    REST = auto()  # what is not read


class Token(NamedTuple):
    """What a token is, its text, and the state after it."""

    kind: Kind
    text: str
    then: State


_IN_TEXT = (State.STRING, State.AS_TEXT, State.REST, State.BROKEN)


class JsonStream:
    """Reads one object. `is_key`: whether this may be the key of its next member."""

    def __init__(self, is_key: Callable[[str], bool] = bool) -> None:
        self._is_key = is_key
        self.state = State.START
        self._text, self._at = "", 0
        self._open: list[str] = []  # the brackets
        self._token: Token | None = None
        self._scanner = JsonScanner()
        self._head: str | None = None  # the beginning of the string, while it may be a path
        self._bare = False  # the string is a path whose backslashes are no escapes
        self._begun = False  # the string is not empty
        self._searched = (0, 0)  # (quotes that it contains, characters in which they were counted)
        self._ends = False  # the next quote ends it
        self._over = False

    @property
    def is_settled(self) -> bool:
        """Whether the open string has begun, and backslashes in it are certainly escapes."""
        return self._begun and self._head is None and not self._bare

    @property
    def depth(self) -> int:
        """How many objects and arrays are open."""
        return len(self._open)

    @property
    def in_array(self) -> bool:
        """Whether the innermost of these is an array."""
        return self._open[-1:] == ["["]

    @property
    def pending(self) -> str:
        """The text that was received and is in no token that was gone past."""
        return self._text[self._at :]

    @property
    def held(self) -> int:
        """The number of characters of that text."""
        return len(self._text) - self._at

    def feed(self, text: str) -> None:
        """Take the next piece."""
        self._text, self._at = self.pending + text, 0

    def finish(self) -> None:
        """Nothing follows: a whole number or word at the end is a token now."""
        self._over = True

    def peek(self) -> Token | None:
        """The next token; None if more text is needed."""
        spaced = self._at < len(self._text) and self._text[self._at] in " \t\n\r\\"
        if spaced and self.state not in _IN_TEXT and (end := self._end_of_space()) != self._at:
            self._token = Token(Kind.SPACE, self._text[self._at : end], self.state) if end else None
        else:
            self._token = self._READERS[self.state](self, self._text[self._at : self._at + 1])
        return self._token

    def _end_of_space(self) -> int | None:
        """Where the whitespace that begins here ends; None if more text is needed. Between the parts of
        the object, a backslash and a letter count as whitespace, too."""
        text, at = self._text, self._at
        if self.state is State.OVER:
            return end_of(JSON_WHITESPACE, text, at)
        return None if text[at:] == "\\" else end_of(_SPACE, text, at)

    def advance(self, token: Token) -> None:
        """Go past the token, unless it has to be read in another way."""
        if token is not self._token:
            return
        if token.kind is Kind.OPEN:
            self._open.append(token.text)
        elif token.kind is Kind.CLOSE:
            self._open.pop()
        elif token.kind is Kind.QUOTE:
            self._head, self._bare, self._begun, self._ends = "", False, False, False
            self._searched = (0, 0)
        elif self.state is State.STRING:
            is_all = token.kind is Kind.QUOTES or (token.kind is Kind.MARKED and token.text != '"')
            self._begun, self._ends = True, is_all
            self._head = self._head + token.text if self._head is not None and token.text != '"' else None
        self._at += len(token.text)
        self.state = token.then

    def read_as_text(self) -> None:
        """Read the object or array that opens now as the text of a string."""
        self.state, self._token, self._scanner = State.AS_TEXT, None, JsonScanner()

    def drop(self) -> None:
        """Forget everything that is pending."""
        self._text, self._at, self._token = "", 0, None

    def break_off(self) -> None:
        """From here on this is not JSON."""
        self.state, self._token = State.BROKEN, None

    def begin_again(self) -> None:
        """Another object follows this one, and is read in its place."""
        self._at += 1
        self.state, self._token, self._open = State.FIRST, None, ["{"]

    # States

    def _at_start(self, char: str) -> Token | None:
        return Token(Kind.OPEN, char, State.FIRST) if char else None

    def _at_member(self, char: str) -> Token | None:
        if char == JSON_CLOSERS[self._open[-1]]:
            return Token(Kind.CLOSE, char, State.NEXT if len(self._open) > 1 else State.OVER)
        if self.in_array:
            return self._at_value(char)
        return self._key() if char == '"' else self._broken(char)

    def _key(self) -> Token | None:
        found = _STRING.match(self._text, self._at)
        end = end_of(_SPACE, self._text, found.end()) if found else len(self._text)
        if found and self._text[end : end + 1] == ":":
            return Token(Kind.KEY, found[0], State.COLON)
        is_part = self._text[end:] in ("", "\\") and (found or _STRING_PART.fullmatch(self._text, self._at))
        return None if is_part and self.held < TOKEN else self._broken()

    def _at_colon(self, char: str) -> Token | None:
        return Token(Kind.COLON, char, State.VALUE) if char == ":" else self._broken(char)

    def _at_value(self, char: str) -> Token | None:
        if char == '"':
            return Token(Kind.QUOTE, char, State.STRING)
        if char in ("{", "["):
            return Token(Kind.OPEN, char, State.FIRST)
        return self._scalar() if char in STARTS else self._broken(char)

    def _scalar(self) -> Token | None:
        end = end_of(_WORD, self._text, self._at)
        word = self._text[self._at : end]
        if end == len(self._text) and not (self._over and is_whole(word)):
            return self._broken() if len(word) > TOKEN else None
        return Token(Kind.SCALAR, word, State.NEXT) if is_scalar(word) else self._broken()

    def _in_string(self, char: str) -> Token | None:
        if self._head is not None:
            self._settle(self._head)
        end = end_of(self._letters, self._text, self._at)
        if end > self._at:
            return Token(Kind.LETTERS, self._text[self._at : end], State.STRING)
        if char == '"':
            return self._at_quote(self._text[self._at + 1 : self._at + 2])
        part = _BACKSLASH if self._bare else ESCAPE_PART
        if char == "" or self._head is not None or part.fullmatch(self._text, self._at):
            return None
        return Token(Kind.BACKSLASH if char == "\\" else Kind.CONTROL, char, State.STRING)

    def _at_quote(self, after: str) -> Token | None:
        """It ends the string, unless a letter is right after it: then it may be one of the string's own."""
        if self._ends or self.depth > 1:
            return Token(Kind.UNQUOTE, '"', State.NEXT)
        if not after and not self._over:
            return None
        if not self._begun:
            return self._at_first_quote(after)
        end = self._end_after_quotes() if after.isalnum() or after == "_" else None
        if end is None:
            return Token(Kind.UNQUOTE, '"', State.NEXT)
        return None if end is MORE else Token(Kind.QUOTES, self._text[self._at : end], State.STRING)

    def _at_first_quote(self, after: str) -> Token | None:
        """The string is empty, unless a letter or one more quote is right after it."""
        triple = after == '"'
        size = self._size_of_marked(triple) if triple or after.isalnum() else None
        if size is None:
            return Token(Kind.UNQUOTE, '"', State.NEXT)
        if size is MORE:
            return None
        kind = Kind.QUOTES if size > 1 and not triple else Kind.MARKED
        return Token(kind, self._text[self._at : self._at + size], State.STRING)

    def _size_of_marked(self, triple: bool) -> int | Wait | None:
        """The size of what is marked by quotes too many where the string begins. That is one quote; or, if
        the quotes are `triple` or the one has a partner in the string, all up to the last quote. None if no
        end of the string is found, so that they are not too many; MORE if more text can tell."""
        end = self._end_of_marked('"""' if triple else '"', self._at + 1 + triple)
        if not isinstance(end, int):
            return end
        has_partner = self._text.count(r"\"", self._at, end) % 2 == 1
        return end - self._at if triple or has_partner else 1

    def _end_of_marked(self, mark: str, start: int) -> int | Wait | None:
        """The index of the quote that ends the string, the last one of a `mark` which comes not before
        `start`. None if a quote alone comes first that ends nothing and is not escaped."""
        text, start = self._text, max(start, self._at + self._searched[1])
        while (end := text.find(mark, start)) >= 0:
            after = end + len(mark)
            if not self._over and (_AFTER_PART.fullmatch(text, after) or text[after:] == '"'):
                break
            if self._is_end(after):
                return after - 1
            if mark == '"' and not _is_escaped(text, end):
                return None
            start = end + 1
        else:
            start = max(start, len(text) - len(mark) + 1)
        self._searched = 0, start - self._at
        return None if self._over else MORE

    def _end_after_quotes(self) -> int | Wait | None:
        """Where a string ends that contains quotes, the first of them here: at a quote that is followed by
        the next key or by the end. None if that is not clear, because a key may begin or a quote has no
        partner; MORE if more text is needed."""
        text, (quotes, size) = self._text, self._searched
        while found := JSON_STRING_REST.match(text, self._at + size):
            end = found.end()
            if not self._over and (_KEY_PART.fullmatch(text, end) or _AFTER_PART.fullmatch(text, end)):
                break
            if _KEY_AFTER.match(text, end):
                return None
            if not quotes % 2 and self._is_end(end):
                return end - 1
            quotes, size = quotes + 1, end - self._at
            self._searched = quotes, size
        else:
            rest = text[self._at + size :]
            is_cut = (len(rest) - len(rest.rstrip("\\"))) % 2  # in an escape
            self._searched = quotes, size + len(rest) - is_cut
        return None if self._over else MORE

    def _is_end(self, after: int) -> bool:
        """Whether what is after a quote shows that a string ends there: the next key, or the end."""
        found = _AFTER.match(self._text, after)
        return found is not None and (found[1] is None or self._is_key(found[1]))

    @property
    def _letters(self) -> re.Pattern[str]:
        if self._head is not None:
            return _BEFORE_ESCAPE
        return _LETTERS_OF_PATH if self._bare else _LETTERS

    def _settle(self, head: str) -> None:
        """Decide whether the string that begins like this is a path, if possible."""
        end = end_of(_BEFORE_ESCAPE, self._text, self._at)
        head += self._text[self._at : end]
        if end == len(self._text) and may_begin_path(head):
            return
        bare = is_bare(head, self._text, end, over=False)
        if bare is not None:
            self._head, self._bare = None, bare

    def _as_text(self, char: str) -> Token | None:
        if not char:
            return None
        end = self._scanner.feed(self.pending)
        if end is None:
            return Token(Kind.RAW, self.pending, State.AS_TEXT)
        return Token(Kind.RAW_END, self.pending[:end], State.NEXT)

    def _after_value(self, char: str) -> Token | None:
        if char == ",":
            return Token(Kind.COMMA, char, State.FURTHER)
        if char == JSON_CLOSERS[self._open[-1]]:
            return Token(Kind.CLOSE, char, State.NEXT if len(self._open) > 1 else State.OVER)
        return self._broken(char)

    def _after_object(self, char: str) -> Token | None:
        return Token(Kind.AFTER, "", State.REST) if char else None

    def _in_rest(self, char: str) -> Token | None:
        return Token(Kind.REST, self.pending, self.state) if char else None

    def _broken(self, char: str = "?") -> Token | None:
        return Token(Kind.BROKEN, "", State.BROKEN) if char else None

    _READERS: ClassVar = {
        State.START: _at_start,
        State.FIRST: _at_member,
        State.FURTHER: _at_member,
        State.COLON: _at_colon,
        State.VALUE: _at_value,
        State.STRING: _in_string,
        State.AS_TEXT: _as_text,
        State.NEXT: _after_value,
        State.OVER: _after_object,
        State.REST: _in_rest,
        State.BROKEN: _in_rest,
    }


def _is_escaped(text: str, at: int) -> bool:
    """Whether a backslash before this index is one that escapes."""
    before = text[max(0, at - LOOK_AHEAD) : at]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1
