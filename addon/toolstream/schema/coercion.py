"""Turns a value into what its schema asks for. Types come from the schema alone.

    coerce(text, parameter)     -> value, FAILED (pass the text on as a string) or OMITTED
    conform(value, parameter)   -> (value, changed), recursively, for a value that already was JSON

An array or object that is valid JSON and fits its schema is written as it arrived. What is not quite JSON
is read by more and more lenient readers, so that well-formed JSON never reaches a repair.
"""

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from enum import Enum, auto
from typing import Any

from ..grammar.text import JSON_NUMBER
from ..limits import DEPTH, DIGITS, MAGNITUDE
from .escapes import doubled_escapes
from .json_read import Json
from .json_write import (
    LENIENT,
    STRICT,
    as_written,
    dump,
    encodable,
)
from .python_literals import read_python_literal
from .schema import Parameter, allows, type_of

NULL = "null"
_NULLS = ("null", "none", "undefined")
_BOOLEANS = {"true": True, "false": False}
CONTAINERS = frozenset({"array", "object"})
_NO_KEY = re.compile(r"""["'`{}\[\]:,<>\n]""")  # marks that tell that a key has swallowed more than a key
_LEADS = {"array": "[", "object": "{", "null": "n"}  # the first characters of types other than string
_INTEGER = re.compile(r"(-?(?:0|[1-9][0-9]*+))(?:\.0++)?")
NUMBER = re.compile(
    r"(?P<sign>[+-]?)(?=\.?[0-9])0*+(?P<whole>[0-9]*+)(?P<fraction>\.[0-9]*+)?(?P<rest>[eE][+-]?[0-9]++)?"
)


class NoValue(Enum):
    """What happens to a text that has no JSON value."""

    FAILED = auto()  # does not fit its schema: the text goes out as a string, the client's validator answers
    OMITTED = auto()  # null or empty, and optional: the key is left out


FAILED, OMITTED = NoValue.FAILED, NoValue.OMITTED


def coerce(text: str, parameter: Parameter) -> Any:
    """The JSON value of a complete text, or FAILED, or OMITTED."""
    return coerced(text, parameter)[0]


def conform(value: Any, parameter: Parameter) -> tuple[Any, bool]:
    """A parsed JSON value, with everything coerced that does not fit the schema; and whether anything
    was.

    OMITTED for a null or empty value that may be left out. What cannot be coerced stays as it is.
    """
    try:
        return _conform(value, parameter, 0)
    except RecursionError:
        return value, False


def coerced(text: str, parameter: Parameter) -> tuple[Any, str]:
    """The value of a complete text, and its JSON text if that is already known, else ""."""
    types = parameter.types
    if not types or "string" in types:
        return _string_unless(text, parameter)
    bare = text.strip()
    if not bare or bare.lower() in _NULLS:
        return _absent(bare, parameter), ""
    for kind, read in _SCALARS.items():
        if kind in types and (value := read(bare)) is not FAILED:
            return value, ""
    return _container(bare, parameter, _READERS) if types & CONTAINERS else (FAILED, "")


def _string_unless(text: str, parameter: Parameter) -> tuple[Any, str]:
    """The text itself, unless it is clearly one of the other allowed types."""
    if text == NULL and "null" in parameter.types:
        return None, ""
    bare = text.strip()
    if bare[:1] in ("[", "{") and bare[0] in leads(parameter):
        value, written = _container(bare, parameter, _READERS[:1])
        if value is not FAILED:
            return value, written
    return text, ""


def leads(parameter: Parameter) -> str:
    """The first characters of a value that may turn out not to be a string."""
    types = parameter.types or CONTAINERS
    return "".join(lead for kind, lead in _LEADS.items() if kind in types)


def _absent(bare: str, parameter: Parameter) -> Any:
    """The value of an empty text or a null."""
    if "null" in parameter.types and (bare or parameter.required):
        return None
    if not parameter.required:
        return OMITTED
    return None if bare else FAILED


def _boolean(bare: str) -> Any:
    return _BOOLEANS.get(bare.lower(), FAILED)


def _as_json(bare: str) -> str:
    """A number as JSON writes it: without a plus or leading zeros, and with digits on both sides of the
    point. Anything else is returned as it is."""
    found = NUMBER.fullmatch(bare)
    if found is None:
        return bare
    fraction = found["fraction"] or ""
    sign, rest = found["sign"].removeprefix("+"), found["rest"] or ""
    return f"{sign}{found['whole'] or '0'}{fraction if len(fraction) > 1 else ''}{rest}"


def _integer(bare: str) -> Any:
    """The integer, however it is written: `5`, `5.0`, `1e3`, `007`, `+7`, `5.`."""
    bare = _as_json(bare)
    if found := _INTEGER.fullmatch(bare):
        return int(found[1]) if len(found[1]) <= DIGITS else FAILED
    if not JSON_NUMBER.fullmatch(bare):
        return FAILED
    try:
        number = Decimal(bare)
        whole = abs(number.adjusted()) <= MAGNITUDE and number == int(number)
    except ArithmeticError:
        return FAILED
    return int(number) if whole else FAILED


def _number(bare: str) -> Any:
    bare = _as_json(bare)
    if not JSON_NUMBER.fullmatch(bare):
        return FAILED
    if bare.removeprefix("-").isdigit():
        return _integer(bare)
    try:
        return as_written(bare)
    except ValueError:
        return FAILED


_SCALARS: dict[str, Callable[[str], Any]] = {"boolean": _boolean, "integer": _integer, "number": _number}


def _read_invalid_escapes(text: str) -> Any:
    return LENIENT.decode(doubled_escapes(text))


Reader = Callable[[str], Any]
_READERS: tuple[Reader, ...] = (
    STRICT.decode,
    LENIENT.decode,
    _read_invalid_escapes,
    read_python_literal,
)


def _container(bare: str, parameter: Parameter, readers: tuple[Reader, ...]) -> tuple[Any, str]:
    """An array or object, conformed, and its JSON text. The first of the readers that can read it counts."""
    try:
        value, exact = _read(bare, readers)
        if isinstance(value, str):
            bare = value.strip()
            value, exact = _read(bare, readers)
        if type_of(value) not in (parameter.types or CONTAINERS) & CONTAINERS:
            return FAILED, ""
        value, changed = _conform(value, parameter, 0)
        return value, encodable(bare) if exact and not changed else dump(value)
    except (ValueError, RecursionError):
        return FAILED, ""


def _read(text: str, readers: tuple[Reader, ...]) -> tuple[Any, bool]:
    """The value, and whether the text is valid JSON as it stands. ValueError if no reader can read it."""
    for reader in readers:
        try:
            value = reader(text)
        except (ValueError, RecursionError):
            continue
        if too_deep(text, value):
            break
        return value, reader is readers[0]
    raise ValueError("cannot be read")


def too_deep(text: str, value: Any) -> bool:
    """Whether what was read from a text is nested more deeply than any tool wants."""
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


def is_wanted(value: Any, parameter: Parameter) -> bool:
    """Whether a guess is what the schema describes, once it is conformed: types, keys that are declared and
    that are required, items. What nothing is known of fits."""
    try:
        return _fits(value, parameter)
    except RecursionError:
        return False


def _fits(value: Any, parameter: Parameter) -> bool:
    kind = type_of(value)
    if kind not in CONTAINERS:
        value, _ = _conform(value, parameter, 0)
        return value is OMITTED or allows(parameter.types, type_of(value))
    if not allows(parameter.types, kind):
        return False
    if kind == "array":
        return all(_fits(item, parameter.item(index)) for index, item in enumerate(value))
    return parameter.required_keys <= value.keys() and all(
        _knows(parameter, key) and _fits(member, parameter.member(key)) for key, member in value.items()
    )


def _knows(parameter: Parameter, key: str) -> bool:
    """Whether a key may be meant: one that is declared, or, where none is, one that looks like a key."""
    if parameter.declared:
        return key in parameter.declared or bool(parameter.member(key).types)
    return bool(key) and not _NO_KEY.search(key)


def _conform(value: Any, parameter: Parameter, depth: int) -> tuple[Any, bool]:
    types = parameter.types
    if not types or depth > DEPTH:
        return value, False
    if value is None:
        return (None, False) if "null" in types or parameter.required else (OMITTED, True)
    kind = type_of(value)
    if not allows(types, kind):
        return _converted(value, kind, parameter)
    if kind == "array":
        return _conform_items(value, parameter, depth)
    return conform_members(value, parameter, depth) if kind == "object" else (value, False)


def _converted(value: Any, kind: str, parameter: Parameter) -> tuple[Any, bool]:
    """A value of a type that its schema does not allow, converted to one that it does allow; unchanged if
    that is impossible."""
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


def conform_members(value: Json, parameter: Parameter, depth: int) -> tuple[Json, bool]:
    pairs = {key: _conform(member, parameter.member(key), depth + 1) for key, member in value.items()}
    changed = any(changed for _, changed in pairs.values())
    if not changed:
        return value, False
    return {key: member for key, (member, _) in pairs.items() if member is not OMITTED}, True


def fits_as_text(value: Any, parameter: Parameter) -> bool:
    return not isinstance(value, str) or not parameter.types or "string" in parameter.types
