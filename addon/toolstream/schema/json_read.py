"""JSON read without an exception, whatever the text is: a caller that may get anything asks for a value."""

from collections.abc import Iterable
from json import JSONDecoder
from typing import Any

Json = dict[str, Any]

_STRICT = JSONDecoder()
_LOOSE = JSONDecoder(strict=False)


def loads(text: str, strict: bool = True) -> Any:
    """What a JSON text says; None if it is none, or nested too deeply, or has a number that is too long.

    Unless `strict`, strings may hold line breaks as they are. Of a key that comes twice the last value
    counts.
    """
    decoder = _STRICT if strict else _LOOSE
    try:
        if text.startswith("{"):  # what `decode` does beside this is about whitespace
            value, end = decoder.scan_once(text, 0)  # type: ignore[attr-defined]
            if end == len(text):
                return value
        return decoder.decode(text)
    except (ValueError, RecursionError, StopIteration):
        return None


def loads_object(text: str, strict: bool = True) -> Json | None:
    """The same for a text that should be an object; None if it is anything else."""
    value = loads(text, strict)
    return value if isinstance(value, dict) else None


def strings_of(value: Any) -> Iterable[str]:
    """Every string in a value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from (key, *strings_of(member))
    elif isinstance(value, list):
        for item in value:
            yield from strings_of(item)


def keys_of(value: Any) -> Iterable[str]:
    """Every key in a value."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from (key, *keys_of(member))
    elif isinstance(value, list):
        for item in value:
            yield from keys_of(item)
