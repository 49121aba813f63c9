"""Turns parameter values into fragments of one JSON arguments string, typed by the schema.

A value arrives as text in pieces. If its type can only be string, each piece leaves at once as the
inside of a JSON string. If it may be a string or something else, the first character that is not
white space decides: only `{`, `[` or the beginning of `null` can still be another type and is held.
Every other type is held to the end of the value and written whole. So is, whatever its type, a value
that the user's rules want to see first; what they add comes before the object is closed.

Three functions do the typing, for text, for parsed JSON and for a whole object:

    coerce(text, parameter)             -> value, FAILED (pass the text on as a string) or OMITTED
    conform(value, parameter)           -> (value, changed), for what was JSON already, recursively
    write_object(tool, arguments, text) -> (JSON object, repairs)

What the model wrote well is not written again: numbers keep their own text (`1.10` is not `1.1`),
and an array or object that is JSON and fits its schema goes out as it came in. What is not quite
JSON is read by ever more lenient readers, so that the well-formed never reaches a repair.
"""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum, auto
from json import JSONDecoder, dumps
from json.encoder import encode_basestring
from math import isfinite
from typing import TYPE_CHECKING, Any

from .repairs import EXCERPT, Repair
from .schema import Parameter, Tool, type_of

if TYPE_CHECKING:
    from .rules import ToolRules

DEPTH = 64  # levels of nesting that are read; the stack is finite and no tool comes near it
LIMIT = 1 << 20  # characters of a value held to be typed (P19); a longer one goes on as a string
DIGITS = 4300  # of an integer; Python clients parse no more (sys.get_int_max_str_digits)
MAGNITUDE = 308  # decimal exponent past which a double overflows

_NULL = "null"
_NULLS = ("null", "none")
_BOOLEANS = {"true": True, "false": False}
_CONTAINERS = frozenset({"array", "object"})
_LEADS = {"array": "[", "object": "{", "null": "n"}  # how a value starts that may turn out not to be a string
_INTEGER = re.compile(r"(-?(?:0|[1-9][0-9]*+))(?:\.0++)?")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPE_OR_LONE_BACKSLASH = re.compile(r'(\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))|\\')
_PYTHON_TOKEN = re.compile(
    r"""[uU]?(?:'(?P<single>[^'\\]*+(?:\\.[^'\\]*+)*+)'|"(?P<double>[^"\\]*+(?:\\.[^"\\]*+)*+)")"""
    r"|(?P<space>\s++)|(?P<mark>[][{}(),:])|(?P<word>[\w.+-]++)|(?P<junk>.)",
    re.DOTALL,
)
_PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}
_PYTHON_ESCAPE = re.compile(
    r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(\r?\n|.))", re.DOTALL
)
_PYTHON_ESCAPES = {
    **dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)),
    **{char: char for char in "\\'\""},
    **dict.fromkeys(("\n", "\r\n"), ""),
}


class Verdict(Enum):
    """What became of a value that has no JSON value."""

    FAILED = auto()  # does not fit its schema: the text goes out as a string, the client's validator answers
    OMITTED = auto()  # null or empty, and optional: the key is left out


FAILED, OMITTED = Verdict.FAILED, Verdict.OMITTED


class Written(float):
    """A number that remembers how it was written."""

    __slots__ = ("text",)
    text: str


_IDLE, _STREAMING, _DECIDING, _HOLDING, _DROPPING = range(5)


class ArgumentsWriter:
    """Writes one call's arguments as fragments of one JSON object, while the values stream.

    `begin`, `feed` and `end` return what can be sent now, often "". `repairs` is for the caller
    to drain. `pending` is what was fed of the open value and is in no fragment yet. The `rules` have
    to be live.
    """

    __slots__ = (
        *("_held", "_key", "_leads", "_opener", "_parameter", "_seen", "_size", "_state", "_tool"),
        *("_absent", "_rules", "given", "repairs"),
    )

    def __init__(self, tool: Tool | None, rules: "ToolRules | None" = None) -> None:
        self.given: set[str] = set()
        self.repairs: list[tuple[Repair, str]] = []
        self._tool = tool or Tool("")
        self._rules = rules
        self._absent: set[str] = set()  # of what was given: null or empty, so that it was left out
        self._opener = "{"
        self._state = _IDLE
        self._key = ""
        self._parameter = self._tool.arguments
        self._held: list[str] = []
        self._leads = ""
        self._seen = ""
        self._size = 0  # of what is held

    @property
    def pending(self) -> str:
        return "".join(self._held)

    @property
    def streaming(self) -> bool:
        """Whether the open value is a string that goes out as it comes."""
        return self._state == _STREAMING

    def begin(self, key: str) -> str:
        """A parameter opens; of a key that was given before, the value is dropped."""
        before = self.end()
        if key in self.given:
            self._state = _DROPPING
            self.repairs.append((Repair.REPEATED_PARAMETER, key[:EXCERPT]))
            return before
        self.given.add(key)
        self._key = key
        self._parameter = self._tool.parameter(key)
        types = self._parameter.types
        self._leads = _leads(self._parameter)
        self._state = _DECIDING if not types or "string" in types else _HOLDING
        waits = self._rules is not None and self._wait_for_rules(self._rules)
        return before if self._leads or self._state == _HOLDING or waits else before + self._stream()

    def _wait_for_rules(self, rules: "ToolRules") -> bool:
        """Whether a rule wants to see the value: all of it, or only if it is empty."""
        if self._key in rules.held:
            self._state = _HOLDING
        return self._key in rules.held or self._key in rules.if_empty

    def feed(self, text: str) -> str:
        """A piece of the open value."""
        if self._state == _STREAMING:
            inside = encode_basestring(text)[1:-1]
            return inside if inside.isascii() or inside.isprintable() else _encodable(inside)
        if self._state == _DECIDING:
            return self._decide(text)
        if self._state == _HOLDING:
            self._held.append(text)
            self._size += len(text)
            if self._size > LIMIT:
                return self._give_up()
        return ""

    def end(self) -> str:
        """The open value is complete."""
        state, self._state = self._state, _IDLE
        if state == _STREAMING:
            return '"'
        return self._resolve() if state in (_DECIDING, _HOLDING) else ""

    def close(self) -> str:
        """The object is complete."""
        rest = self.end() + (self._appended(self._rules) if self._rules else "")
        return rest + ("{}" if self._opener == "{" else "}")

    def _appended(self, rules: "ToolRules") -> str:
        """What rules add."""
        arguments, applied = rules.appended(self.given - self._absent)
        self.repairs += applied
        return "".join([self._member(key) + dump(value) for key, value in arguments.items()])

    def _give_up(self) -> str:
        """Too much is held to be typed, or to be shown to a rule: it goes on as a string."""
        if self._leads or "string" not in self._parameter.types:
            self.repairs.append((Repair.COERCION_FAILED, self._key[:EXCERPT]))
        return self._stream()

    def _decide(self, text: str) -> str:
        self._held.append(text)
        # white space can precede an array or object, but not a `null` that is exactly null
        self._seen += text if self._seen or self._leads in ("n", "") else text.lstrip()
        lead = self._seen[:1]
        if not lead or (lead == "n" in self._leads and _NULL.startswith(self._seen)):
            return ""
        if lead in self._leads and lead != "n":
            self._state = _HOLDING
            return ""
        return self._stream()

    def _stream(self) -> str:
        self._state = _STREAMING
        return f'{self._member(self._key)}"{escaped(self._taken())}'

    def _resolve(self) -> str:
        text = self._taken()
        value, written = _coerce(text, self._parameter)
        if value is OMITTED:
            self._absent.add(self._key)
            return ""
        failed = value is FAILED
        if failed:
            value = "" if text.isspace() else text
        if self._rules:
            value, applied = self._rules.value(self._key, value)
            self.repairs += applied
            if value is OMITTED:
                return ""
            if applied:
                failed, written = False, ""
        if failed:
            self.repairs.append((Repair.COERCION_FAILED, _excerpt(self._key, text)))
        return self._member(self._key) + (written or dump(value))

    def _member(self, key: str) -> str:
        opener, self._opener = self._opener, ", "
        return f"{opener}{quoted(key)}: "

    def _taken(self) -> str:
        text = "".join(self._held)
        self._held.clear()
        self._seen, self._size = "", 0
        return text


class DeferredArguments:
    """Collects the `values` of a call whose tool is not known yet, for an `ArgumentsWriter`."""

    __slots__ = ("_open", "given", "repairs", "values")

    def __init__(self) -> None:
        self.given: set[str] = set()
        self.repairs: list[tuple[Repair, str]] = []  # always empty: nothing is typed yet
        self.values: list[tuple[str, str]] = []
        self._open: tuple[str, list[str]] | None = None

    streaming = False

    def begin(self, key: str) -> str:
        self.given.add(key)
        self._open = key, []
        return ""

    def feed(self, text: str) -> str:
        if self._open:
            self._open[1].append(text)
        return ""

    def end(self) -> str:
        if self._open:
            self.values.append((self._open[0], "".join(self._open[1])))
            self._open = None
        return ""

    def close(self) -> str:
        return self.end()


def write_object(
    tool: Tool | None, arguments: dict[str, Any], text: str
) -> tuple[str, list[tuple[Repair, str]]]:
    """A whole arguments object, conformed; `text` is what it was read from, kept if nothing changes."""
    parameters = (tool or Tool("")).arguments
    own = _reading_of(text, arguments)
    try:
        members, changed = _conform_members(arguments if own is None else own, parameters, 0)
        written = _encodable(text.strip()) if own is not None and not changed else dump(members)
    except RecursionError:
        return "{}" if own is None else _encodable(text), [(Repair.COERCION_FAILED, text[:EXCERPT])]
    misfits = [key for key, value in members.items() if not _fits_as_text(value, parameters.member(key))]
    return written, [(Repair.COERCION_FAILED, _excerpt(key, members[key])) for key in misfits]


def typed(values: Iterable[tuple[str, str]], tool: Tool) -> dict[str, Any]:
    """Arguments as they are typed by the schema; a text stands for a value that cannot be. Of a key
    that comes twice the first value counts."""
    arguments: dict[str, Any] = {}
    for key, text in values:
        if key not in arguments:
            value = coerce(text, tool.parameter(key))
            arguments[key] = ("" if text.isspace() else text) if value is FAILED else value
    return {key: value for key, value in arguments.items() if value is not OMITTED}


def coerce(text: str, parameter: Parameter) -> Any:
    """The JSON value of a complete text, or FAILED, or OMITTED."""
    return _coerce(text, parameter)[0]


def conform(value: Any, parameter: Parameter) -> tuple[Any, bool]:
    """A parsed JSON value in which what does not fit the schema is coerced; and whether anything was.

    OMITTED for a null or empty value that may be left out. What cannot be coerced stays as it is.
    """
    try:
        return _conform(value, parameter, 0)
    except RecursionError:
        return value, False


def dump(value: Any) -> str:
    """JSON text. Numbers as they were written; NaN and infinities, which JSON lacks, as strings."""
    match value:
        case str():
            return quoted(value)
        case dict():
            return "{" + ", ".join([f"{quoted(key)}: {dump(member)}" for key, member in value.items()]) + "}"
        case list():
            return "[" + ", ".join([dump(item) for item in value]) + "]"
        case None | True | False:
            return str(value).lower() if value is not None else _NULL
        case Written():
            return value.text
        case float() if not isfinite(value):
            return quoted(dumps(value))
    return repr(value)


def quoted(text: str) -> str:
    """A JSON string."""
    return f'"{escaped(text)}"'


def escaped(text: str) -> str:
    """The inside of a JSON string. A lone surrogate becomes an escape, since UTF-8 cannot hold it."""
    return _encodable(encode_basestring(text)[1:-1])


def _encodable(json: str) -> str:
    """With surrogates, which are neither ASCII nor printable, escaped."""
    return json if json.isascii() else _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", json)


def _excerpt(key: str, text: str) -> str:
    return f"{key}={text[:EXCERPT]}"[:EXCERPT]


# Text to values


def _coerce(text: str, parameter: Parameter) -> tuple[Any, str]:
    """The value, and its JSON text if that is known already."""
    types = parameter.types
    if not types or "string" in types:
        return _string_unless(text, parameter)
    bare = text.strip()
    if not bare or bare.lower() in _NULLS:
        return _absent(bare, parameter), ""
    for kind, read in _SCALARS.items():
        if kind in types and (value := read(bare)) is not FAILED:
            return value, ""
    return _container(bare, parameter, _READERS) if types & _CONTAINERS else (FAILED, "")


def _string_unless(text: str, parameter: Parameter) -> tuple[Any, str]:
    """The text itself, unless it is beyond doubt one of the other types that are allowed."""
    if text == _NULL and "null" in parameter.types:
        return None, ""
    bare = text.strip()
    if bare[:1] in ("[", "{") and bare[0] in _leads(parameter):
        value, written = _container(bare, parameter, _READERS[:1])
        if value is not FAILED:
            return value, written
    return text, ""


def _leads(parameter: Parameter) -> str:
    """The first characters that leave it open whether a value is a string."""
    types = parameter.types or _CONTAINERS
    return "".join(lead for kind, lead in _LEADS.items() if kind in types)


def _absent(bare: str, parameter: Parameter) -> Any:
    """An empty value, or a null."""
    if "null" in parameter.types and (bare or parameter.required):
        return None
    if not parameter.required:
        return OMITTED
    return None if bare else FAILED


def _boolean(bare: str) -> Any:
    return _BOOLEANS.get(bare.lower(), FAILED)


def _integer(bare: str) -> Any:
    """`5`, and what is whole however it is written: `5.0`, `1e3`."""
    if found := _INTEGER.fullmatch(bare):
        return int(found[1]) if len(found[1]) <= DIGITS else FAILED
    if not _NUMBER.fullmatch(bare):
        return FAILED
    try:
        number = Decimal(bare)
        whole = abs(number.adjusted()) <= MAGNITUDE and number == int(number)
    except ArithmeticError:
        return FAILED
    return int(number) if whole else FAILED


def _number(bare: str) -> Any:
    if not _NUMBER.fullmatch(bare):
        return FAILED
    if bare.removeprefix("-").isdigit():
        return _integer(bare)
    try:
        return as_written(bare)
    except ValueError:
        return FAILED


_SCALARS: dict[str, Callable[[str], Any]] = {"boolean": _boolean, "integer": _integer, "number": _number}


def as_written(text: str) -> float:
    """A number that `dump` writes as it was; for `parse_float`. ValueError if it overflows to infinity."""
    number = float(text)
    if not isfinite(number):
        raise ValueError("overflows a double")
    if repr(number) == text:
        return number
    written = Written(number)
    written.text = text
    return written


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_STRICT = JSONDecoder(parse_float=as_written, parse_constant=_refuse_constant)
_LENIENT = JSONDecoder(parse_float=as_written, parse_constant=_refuse_constant, strict=False)


def doubled_escapes(json: str) -> str:
    """JSON in which `\\d` and `C:\\users` mean what they say."""
    return _ESCAPE_OR_LONE_BACKSLASH.sub(lambda found: found[1] or r"\\", json)


def _read_invalid_escapes(text: str) -> Any:
    return _LENIENT.decode(doubled_escapes(text))


def _read_python_literal(text: str) -> Any:
    """Not `ast`: its time, memory and stack are not bounded by the size of the input, and it warns."""
    out: list[str] = []
    opened: list[list[int]] = []
    for token in _PYTHON_TOKEN.finditer(text):
        kind = token.lastgroup or ""
        if kind == "mark":
            _mark(token[0], out, opened)
        elif kind in ("single", "double"):
            out.append(quoted(_PYTHON_ESCAPE.sub(_python_escape, token[kind])))
        elif kind == "word":
            out.append(_PYTHON_WORDS.get(token[0], token[0]))
        elif kind == "junk":
            raise ValueError("not a Python literal")
    return _STRICT.decode(" ".join(out))


def _mark(mark: str, out: list[str], opened: list[list[int]]) -> None:
    """A bracket, comma or colon; `opened` has the place of each open bracket and the commas in it."""
    if mark in "([{":
        opened.append([len(out), 0])
    elif mark in ")]}":
        mark = _close_bracket(mark, out, opened)
    elif mark == "," and opened:
        opened[-1][1] += 1
    out.append(mark)


def _close_bracket(mark: str, out: list[str], opened: list[list[int]]) -> str:
    """What closes it in JSON: nothing for parentheses that only group."""
    if not opened:
        raise ValueError("nothing to close")
    start, commas = opened.pop()
    if out[-1] == ",":
        out.pop()
    if mark != ")":
        return mark
    if out[start] != "(":
        raise ValueError("closes another bracket")
    is_tuple = commas or start == len(out) - 1
    out[start] = "[" if is_tuple else ""
    return "]" if is_tuple else ""


def _python_escape(found: re.Match[str]) -> str:
    octal, hexadecimal = found[1], found[2] or found[3] or found[4]
    if octal or hexadecimal:
        return chr(int(octal, 8) if octal else int(hexadecimal, 16))
    return _PYTHON_ESCAPES.get(found[5], found[0])


Reader = Callable[[str], Any]
_READERS: tuple[Reader, ...] = (
    _STRICT.decode,
    _LENIENT.decode,
    _read_invalid_escapes,
    _read_python_literal,
)


def _container(bare: str, parameter: Parameter, readers: tuple[Reader, ...]) -> tuple[Any, str]:
    """An array or object, read by the first reader that can and conformed; and its JSON text."""
    try:
        value, exact = _read(bare, readers)
        if isinstance(value, str):
            bare = value.strip()
            value, exact = _read(bare, readers)
        if type_of(value) not in (parameter.types or _CONTAINERS) & _CONTAINERS:
            return FAILED, ""
        value, changed = _conform(value, parameter, 0)
        return value, _encodable(bare) if exact and not changed else dump(value)
    except (ValueError, RecursionError):
        return FAILED, ""


def _read(text: str, readers: tuple[Reader, ...]) -> tuple[Any, bool]:
    """The value, and whether the text is JSON as it stands. ValueError if nothing can read it."""
    for reader in readers:
        try:
            value = reader(text)
        except (ValueError, RecursionError):
            continue
        if _too_deep(text, value):
            break
        return value, reader is readers[0]
    raise ValueError("cannot be read")


def _too_deep(text: str, value: Any) -> bool:
    if sum(map(text.count, "[{(")) <= DEPTH:
        return False
    level = [value]
    for _ in range(DEPTH):
        level = [child for node in level for child in _children(node)]
    return any(isinstance(node, list | dict) for node in level)


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values()
    return node if isinstance(node, list) else ()


# Values that are JSON already


def _conform(value: Any, parameter: Parameter, depth: int) -> tuple[Any, bool]:
    types = parameter.types
    if not types or depth > DEPTH:
        return value, False
    if value is None:
        return (None, False) if "null" in types or parameter.required else (OMITTED, True)
    kind = type_of(value)
    if kind == "array" and kind in types:
        return _conform_items(value, parameter, depth)
    if kind == "object" and kind in types:
        return _conform_members(value, parameter, depth)
    if kind in types or (kind == "integer" and "number" in types):
        return value, False
    return _converted(value, kind, parameter)


def _converted(value: Any, kind: str, parameter: Parameter) -> tuple[Any, bool]:
    """A value of a type that its schema does not allow, as one that it does; itself if there is none."""
    other: Any = FAILED
    if kind == "string":
        other = coerce(value, parameter)
    elif kind == "number" and "integer" in parameter.types:
        other = _integer(dump(value))
    if other is FAILED and kind != "string" and "string" in parameter.types:
        other = dump(value)
    return (value, False) if other is FAILED else (other, True)


def _conform_items(value: list[Any], parameter: Parameter, depth: int) -> tuple[list[Any], bool]:
    pairs = [_conform(item, parameter.item(index), depth + 1) for index, item in enumerate(value)]
    changed = any(changed for _, changed in pairs)
    return [item for item, _ in pairs] if changed else value, changed


def _conform_members(value: dict[str, Any], parameter: Parameter, depth: int) -> tuple[dict[str, Any], bool]:
    pairs = {key: _conform(member, parameter.member(key), depth + 1) for key, member in value.items()}
    changed = any(changed for _, changed in pairs.values())
    if not changed:
        return value, False
    return {key: member for key, (member, _) in pairs.items() if member is not OMITTED}, True


def _fits_as_text(value: Any, parameter: Parameter) -> bool:
    return not isinstance(value, str) or not parameter.types or "string" in parameter.types


def _reading_of(text: str, arguments: dict[str, Any]) -> dict[str, Any] | None:
    """The text as an object, numbers as written; None if that is not what `arguments` is."""
    try:
        own = _STRICT.decode(text)
        return own if isinstance(own, dict) and own == arguments else None
    except (ValueError, RecursionError):
        return None
