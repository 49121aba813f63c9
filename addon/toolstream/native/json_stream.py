"""The arguments of a call that the server parsed itself, read while they stream: one JSON object.

One method per state. What fits the schema passes as it came. What the schema proves wrong is proved by its
first character, so that all that was sent before stays valid: a string where none is allowed is held and
written as what it says, anything else where only a string will do is written as a string. Escapes, Python's
words and commas before a closing bracket are put right in place. Where the text is no JSON the reading
breaks off (`_in_rest`), and it is known what could have come there (`_expect`).
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum, auto

from ..grammar.text import JSON_NUMBER, JSON_STRING_REST, JSON_WHITESPACE, end_of
from ..limits import HELD, OPEN_BRACKETS, TOKEN
from ..repairs import Ledger, Refused, Repair
from ..schema.coercion import FAILED, OMITTED, coerce
from ..schema.json_read import loads
from ..schema.json_scanner import JsonScanner
from ..schema.json_write import doubled_escapes, dump, escaped, quoted
from ..schema.schema import Parameter, Tool
from .passthrough import Passthrough

_KINDS = {'"': "string", "{": "object", "[": "array", "t": "boolean", "f": "boolean", "n": "null"}
_KINDS |= dict.fromkeys("-0123456789", "number") | {"T": "boolean", "F": "boolean", "N": "null"}
_PYTHON = {"True": "true", "False": "false", "None": "null"}
_STRING = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+"')
_STRING_PART = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+\\?')
_TOKEN = re.compile(r'[^\s,:"{}\[\]]*+')
_EMPTY_VALUE = re.compile(r'[ \t\n\r]*+:[ \t\n\r]*+""')
_EMPTY_VALUE_PART = re.compile(r'[ \t\n\r]*+(?::[ \t\n\r]*+"?)?')
ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_ESCAPE_PART = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?")
# Inside of a string; of the first one, all but what may begin a tag (or a line that a tag follows)
_CLEAN = re.compile(
    r'(?:[^"\\<\x00-\x1f]++|\\["\\/bft]|\\r(?=[^<\\]|\\[^un])|\\n(?=[^<\\]|\\[^u])|\\u(?!003[cC])[0-9a-fA-F]{4}'
    r"|(?!))*+"
)
_CLEAN_NESTED = re.compile(r'(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|(?!))*+')

State = Callable[[], bool]


class Expect(Enum):
    """What may come where the reading broke off."""

    NOTHING = auto()  # nothing that could be read
    FIRST = auto()  # the first member or item
    VALUE = auto()
    COMMA = auto()


NOTHING, FIRST, VALUE, COMMA = Expect


class Frame:
    """An object or array that is open: what is known of it, and where in it we are."""

    __slots__ = ("count", "is_array", "key", "parameter")

    def __init__(self, parameter: Parameter, is_array: bool) -> None:
        self.parameter = parameter
        self.is_array = is_array
        self.count = 0  # of members or items that have begun
        self.key = ""  # of the one that has begun last

    @property
    def closer(self) -> str:
        return "]" if self.is_array else "}"

    def child(self) -> Parameter:
        """What is known of the next value."""
        return self.parameter.item(self.count) if self.is_array else self.parameter.member(self.key)


class JsonStream(Passthrough, ABC):
    """Reads one object: `_run` lets the states look at `_text`, which is what came. What stands before the
    object, and tags in its strings, are left to a subclass."""

    def __init__(self, tool: Tool, ledger: Ledger) -> None:
        super().__init__()
        self.complete = False  # what went out is one JSON object
        self.preset = ""  # a member to write first
        self._tool, self._ledger = tool, ledger
        self._repairs: set[Repair] = set()  # each is counted once
        self._state: State = self._at_start
        self._expect = NOTHING  # where the reading broke off, of what can be continued
        self._frames: list[Frame] = []
        self._given: set[str] = set()
        self._example = False  # the value holds an opening tag: closing ones may be its own
        self._scanner = JsonScanner()

    @abstractmethod
    def _at_start(self) -> bool:
        """Before the object, which `_open` opens."""

    @abstractmethod
    def _at_tag_in_string(self) -> bool:
        """In a string of the outermost object, at `<` or an escape, where a tag may begin."""

    def _run(self) -> None:
        while self._state():
            pass
        if self._held_size > HELD:
            self._ledger.refuse(Refused.LIMIT, self.pending)
            self._release()
            self._go(self._in_literal)
            self._in_literal()

    def _go(self, state: State) -> bool:
        self._state = state
        return True

    def repair(self, repair: Repair) -> None:
        """Count a repair, once for these arguments, which are rewritten from here on."""
        self.change()
        self.count(repair)

    def count(self, repair: Repair) -> None:
        """Count a repair that is made elsewhere, once for these arguments."""
        if repair not in self._repairs:
            self._repairs.add(repair)
            self._ledger.repaired(repair)

    def _skip_whitespace(self) -> str:
        """Whitespace passes; returns the character after it, "" if none has come."""
        if self._text[:1] in (" ", "\t", "\n", "\r"):
            self._pass(end_of(JSON_WHITESPACE, self._text))
        return self._text[:1]

    def _in_rest(self) -> bool:
        """After the object, or where it cannot be read any more: all is held to the end."""
        self._hold(len(self._text))
        return False

    def _in_literal(self) -> bool:
        self._pass(len(self._text))
        return False

    def _after_object(self) -> bool:
        return self._skip_whitespace() != "" and self._go(self._in_rest)

    # In the object

    def _open(self, parameter: Parameter) -> bool:
        self._frames.append(Frame(parameter, self._text[0] == "["))
        self._pass(1)
        if len(self._frames) > OPEN_BRACKETS:
            return self._go(self._in_literal)
        return self._go(self._at_first)

    def _at_first(self) -> bool:
        """After `{` or `[`."""
        frame, char = self._frames[-1], self._skip_whitespace()
        if char == "":
            return False
        if self.preset and len(self._frames) == 1:
            self._put(0, self.preset if char == "}" else self.preset + ", ")
            self.preset = ""
        elif char == "}" and len(self._frames) == 1:
            return self._at_empty()
        if char == frame.closer:
            return self._go(self._after_value)
        self._expect = FIRST
        return self._at_item(char)

    def _at_item(self, char: str) -> bool:
        if self._frames[-1].is_array:
            return self._go(self._at_value)
        return self._go(self._at_key) if char == '"' else self._break_off()

    def _at_empty(self) -> bool:
        """`{}`: the arguments, or a false start before them."""
        at = end_of(JSON_WHITESPACE, self._text, 1)
        if at == len(self._text) < TOKEN:
            return False
        if self._text[at : at + 1] == "{":
            self.repair(Repair.REPEATED_ARGUMENTS)
            self._put(at + 1, "")
            return True
        return self._go(self._after_value)

    def _at_key(self) -> bool:
        found = _STRING.match(self._text)
        if found is None:
            if len(self._text) < TOKEN and _STRING_PART.fullmatch(self._text):
                return False
            return self._break_off()
        key = loads(joined(found[0]))
        if not isinstance(key, str):
            return self._break_off()
        frame = self._frames[-1]
        if len(self._frames) == 1 and "=" in key and not self._tool.declares(key):
            return self._at_damaged_key(found.end(), key)
        frame.key = key
        self._pass(found.end())
        return self._go(self._at_colon)

    def _at_damaged_key(self, end: int, key: str) -> bool:
        """`"K=V": ""` was `"K": "V"`."""
        name, _, text = key.partition("=")
        name, frame = name.strip(), self._frames[-1]
        fits = self._tool.declares(name) and name not in self._given
        empty = _EMPTY_VALUE.match(self._text, end) if fits else None
        if fits and not empty and len(self._text) < TOKEN and _EMPTY_VALUE_PART.fullmatch(self._text, end):
            return False
        if empty is None:
            frame.key = key
            self._pass(end)
            return self._go(self._at_colon)
        self.repair(Repair.DAMAGED_KEY)
        value = coerce(text, self._tool.parameter(name))
        value = text if value in (FAILED, OMITTED) else value
        self._put(empty.end(), f"{quoted(name)}: {dump(value)}")
        self._given.add(name)
        frame.key, frame.count = name, frame.count + 1
        return self._go(self._after_value)

    def _at_colon(self) -> bool:
        char = self._skip_whitespace()
        if char == "":
            return False
        if char != ":":
            self._expect = NOTHING
            return self._break_off()
        self._pass(1)
        return self._go(self._at_value)

    def _at_value(self) -> bool:
        """The first character of a value decides whether it may be what it is."""
        char = self._skip_whitespace()
        if char == "":
            return False
        kind = _KINDS.get(char, "")
        self._expect = VALUE
        if not kind:
            return self._break_off()
        frame = self._frames[-1]
        parameter = frame.child()
        if len(self._frames) == 1:
            self._given.add(frame.key)
        if kind in ("object", "array"):
            frame.count += 1
            if _fits(kind, parameter) or "string" not in parameter.types:
                return self._open(parameter)
            self.repair(Repair.WRONG_TYPE)
            self._put(0, '"')
            self._scanner = JsonScanner()
            return self._go(self._in_quoted)
        if kind != "string":
            return self._at_scalar(parameter)
        frame.count += 1
        self._example = False
        if _fits(kind, parameter):
            self._pass(1)
            return self._go(self._in_string)
        self._hold(1)
        return self._go(self._in_wrong_string)

    def _at_scalar(self, parameter: Parameter) -> bool:
        """A number or a word; complete only if something follows it."""
        end = end_of(_TOKEN, self._text)
        if end == len(self._text):
            return end > TOKEN and self._break_off()
        token = _PYTHON.get(self._text[:end], self._text[:end])
        if token not in ("true", "false", "null") and not JSON_NUMBER.fullmatch(token):
            return self._break_off()
        written = _typed(token, parameter)
        frame = self._frames[-1]
        if written != token:
            self.repair(Repair.WRONG_TYPE)
        if written != self._text[:end]:
            if written == token:
                self.repair(Repair.JSON_REPAIRED)
            self._put(end, written)
        else:
            self._pass(end)
        frame.count += 1
        return self._go(self._after_value)

    def _after_value(self) -> bool:
        """A comma, or the end of the object or array. A comma waits for what follows it."""
        frame, char = self._frames[-1], self._skip_whitespace()
        if char == "":
            return False
        if char == frame.closer:
            self._pass(1)
            self._frames.pop()
            self.complete = not self._frames
            return self._go(self._after_value if self._frames else self._after_object)
        self._expect = COMMA if char == "," else NOTHING
        if char != ",":
            return self._break_off()
        at = end_of(JSON_WHITESPACE, self._text, 1)
        if at == len(self._text) < TOKEN:
            return False
        char = self._text[at : at + 1]
        if char == frame.closer:
            self.repair(Repair.JSON_REPAIRED)
            self._put(1, "")
            return True
        if not frame.is_array and char != '"':
            return self._break_off()
        self._pass(at)
        self._expect = NOTHING
        return self._at_item(char)

    def _break_off(self) -> bool:
        return self._go(self._in_rest)

    # In a value

    def _in_quoted(self) -> bool:
        """An object or array where only a string will do: its text is the string."""
        if not self._text:
            return False
        end = self._scanner.feed(self._text)
        size = len(self._text) if end is None else end
        self._put(size, escaped(self._text[:size]))
        if end is None:
            return False
        self._put(0, '"')
        return self._go(self._after_value)

    def _hold_string(self) -> bool:
        """Hold the rest of a string, without its closing quote; False if that has not come."""
        self._hold(end_of(JSON_STRING_REST, self._text))
        return self._text[:1] == '"'

    def _in_wrong_string(self) -> bool:
        """A string where none is allowed: written as what it says."""
        if not self._hold_string():
            return False
        frame = self._frames[-1]
        frame.count -= 1
        parameter = frame.child()
        frame.count += 1
        text = unescaped("".join(self._held)[1:])
        value = coerce(text, parameter) if text is not None else FAILED
        self._go(self._after_value)
        if value is FAILED:
            self._ledger.refuse(Refused.MISFIT, f"{frame.key}={text}")
            self._release()
            self._pass(1)
            return True
        self.repair(Repair.WRONG_TYPE)
        self._take_held()
        self._put(1, "null" if value is OMITTED else dump(value))
        return True

    def _in_string(self) -> bool:
        outer = len(self._frames) == 1
        self._pass(end_of(_CLEAN if outer else _CLEAN_NESTED, self._text))
        char = self._text[:1]
        if char == "":
            return False
        if char == '"':
            self._pass(1)
            return self._go(self._after_value)
        if char < " ":
            self.repair(Repair.JSON_REPAIRED)
            self._put(1, escaped(char))
            return True
        if char == "\\" and not ESCAPE.match(self._text):
            if _ESCAPE_PART.fullmatch(self._text):
                return False
            self.repair(Repair.JSON_REPAIRED)
            self._put(1, r"\\")
            return True
        return self._at_tag_in_string()


def _fits(kind: str, parameter: Parameter) -> bool:
    """Whether a value of this kind may stand here. Nothing is known to be wrong with a null."""
    types = parameter.types
    return not types or kind == "null" or kind in types or (kind == "number" and "integer" in types)


def _typed(token: str, parameter: Parameter) -> str:
    """A number or word as its schema wants it."""
    kind = _KINDS[token[0]]
    types = parameter.types
    if not _fits(kind, parameter):
        return quoted(token) if "string" in types else token
    if kind != "number" or "number" in types or "integer" not in types or token.lstrip("-").isdigit():
        return token
    value = coerce(token, Parameter({"type": "integer"}, {}, True))
    return token if value is FAILED or value is None else dump(value)


def joined(text: str) -> str:
    """Text with no pair of surrogates cut in two."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def unescaped(inside: str) -> str:
    """The text of the inside of a JSON string; what is no escape stays as it is."""
    try:
        text = json.loads(f'"{inside}"', strict=False)
    except ValueError:
        text = json.loads(f'"{doubled_escapes(inside)}"', strict=False)
    return str(text)
