"""A number or a word in a server's arguments, as JSON writes it and its schema wants it (P6, P7).

Models write Python's words, numbers that JSON does not have, and null for what they leave out.
"""

from ..grammar.text import JSON_NUMBER
from ..repairs import Repair
from ..schema.coercion import FAILED, NUMBER, OMITTED, coerce, conform
from ..schema.json_write import dump, quoted
from ..schema.python_literals import PYTHON_WORDS
from ..schema.schema import Parameter

_NO_NUMBERS = {"NaN", "Infinity", "+Infinity", "-Infinity"}
_WORDS = {"true", "false", "null", *PYTHON_WORDS, *_NO_NUMBERS}
_KINDS = {'"': "string", "{": "object", "[": "array", "t": "boolean", "f": "boolean", "n": "null"}
STARTS = frozenset("+-.0123456789tfnTFNI")  # how numbers and words begin
_ANY_NUMBER = Parameter({"type": "number"}, {}, True)


def is_scalar(token: str) -> bool:
    """Whether it is a number or a word, in JSON or in what models write for it."""
    return token in _WORDS or JSON_NUMBER.fullmatch(token) is not None or NUMBER.fullmatch(token) is not None


def is_whole(token: str) -> bool:
    """Whether it is one that nothing need follow: `3.` may be a part of `3.5`."""
    return token in _WORDS or JSON_NUMBER.fullmatch(token) is not None


def kind_of(token: str) -> str:
    """The type of a JSON value that begins so."""
    return _KINDS.get(token[0], "number")


def is_allowed(kind: str, parameter: Parameter) -> bool:
    """Whether a value of this kind may stand here. Nothing is known to be wrong with a null."""
    types = parameter.types
    return not types or kind == "null" or kind in types or (kind == "number" and "integer" in types)


def may_be_omitted(parameter: Parameter) -> bool:
    """Whether a null or an empty value means that the member is left out."""
    types = parameter.types
    return bool(types) and not (parameter.required or {"string", "null"} <= types)


def written(token: str, parameter: Parameter) -> tuple[str, Repair | None]:
    """What to write for a number or word, and what was mended; "" if its member is left out."""
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
    if kind != "number":
        return token
    wants_integer = "integer" in types and "number" not in types
    if JSON_NUMBER.fullmatch(token) and not (wants_integer and not token.lstrip("-").isdigit()):
        return token
    value = coerce(token, Parameter({"type": "integer"}, {}, True)) if wants_integer else FAILED
    value = coerce(token, _ANY_NUMBER) if value is FAILED else value
    return token if value is FAILED or value is None else dump(value)
