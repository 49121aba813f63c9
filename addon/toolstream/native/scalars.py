"""A number or a word in a server's arguments: how JSON writes it, and what its schema asks for (P6, P7).

Models write Python's words, numbers that JSON does not have, and null for what they leave out.
"""

from ..grammar.text import JSON_NUMBER
from ..repairs import Repair
from ..schema.coercion import FAILED, NUMBER, OMITTED, coerce, conform
from ..schema.json_write import dump, quoted
from ..schema.python_literals import PYTHON_WORDS
from ..schema.schema import Parameter, Types

_NO_NUMBERS = {"NaN", "Infinity", "+Infinity", "-Infinity"}
_WORDS = {"true", "false", "null", *PYTHON_WORDS, *_NO_NUMBERS}
_KINDS = {'"': "string", "{": "object", "[": "array", "t": "boolean", "f": "boolean", "n": "null"}
STARTS = frozenset("+-.0123456789tfnTFNI")  # first characters of numbers and words
_ANY_NUMBER = Parameter({"type": "number"}, {}, True)


def is_scalar(token: str) -> bool:
    """Whether this is a number or a word, in JSON or as models write it."""
    return token in _WORDS or JSON_NUMBER.fullmatch(token) is not None or NUMBER.fullmatch(token) is not None


def is_whole(token: str) -> bool:
    """Whether this is complete even if nothing follows. (`3.` may be a part of `3.5`.)"""
    return token in _WORDS or JSON_NUMBER.fullmatch(token) is not None


def kind_of(token: str) -> str:
    """The type of a JSON value that begins like this."""
    return _KINDS.get(token[0], "number")


def is_allowed(kind: str, parameter: Parameter) -> bool:
    """Whether a value of this type is allowed. A null is never known to be wrong."""
    types = parameter.types
    return not types or kind == "null" or kind in types or (kind == "number" and "integer" in types)


def may_be_omitted(parameter: Parameter) -> bool:
    """Whether a member with a null or an empty value may have to be left out."""
    types = parameter.types
    return bool(types) and not (parameter.required or {"string", "null"} <= types)


def written(token: str, parameter: Parameter) -> tuple[str, Repair | None]:
    """What to write for a number or word, and the repair that this takes; "" if its member is left out."""
    text = PYTHON_WORDS.get(token, token)
    if text == "null":
        value, _ = conform(None, parameter)
        text = "" if value is OMITTED else text
        return text, None if text == token else Repair.JSON_REPAIRED if text else Repair.WRONG_TYPE
    typed = _typed(text, parameter)
    repair = Repair.WRONG_TYPE if typed != text else Repair.JSON_REPAIRED if text != token else None
    return typed, repair


def _typed(token: str, parameter: Parameter) -> str:
    kind, types = kind_of(token), parameter.types
    if token in _NO_NUMBERS or ("string" in types and not is_allowed(kind, parameter)):
        return quoted(token)
    return _number(token, types) if kind == "number" else token


def _number(token: str, types: Types) -> str:
    """A number as JSON writes it, and as an integer if it has to be and is one."""
    wants_integer = "integer" in types and "number" not in types
    if JSON_NUMBER.fullmatch(token) and not (wants_integer and not token.lstrip("-").isdigit()):
        return token
    value = coerce(token, Parameter({"type": "integer"}, {}, True)) if wants_integer else FAILED
    value = coerce(token, _ANY_NUMBER) if value is FAILED else value
    return token if value is FAILED or value is None else dump(value)
