"""JSON from outside, read without an exception whatever it holds: texts, and members of an object."""

from collections.abc import Callable, Iterable, Mapping
from json import JSONDecoder
from typing import Any

Json = dict[str, Any]

_STRICT = JSONDecoder()
_LOOSE = JSONDecoder(strict=False)


def loads(text: str, strict: bool = True) -> Any:
    """The value of a JSON text; None if it is not valid JSON, is nested too deeply, or has a number that
    is too long.

    Unless `strict`, strings may contain line breaks as they are. If a key comes twice, the last value
    counts.
    """
    decoder = _STRICT if strict else _LOOSE
    try:
        if text.startswith(("{", '"')):  # what `decode` does beside this is about whitespace
            value, end = decoder.scan_once(text, 0)  # type: ignore[attr-defined]
            if end == len(text):
                return value
        return decoder.decode(text)
    except (ValueError, RecursionError, StopIteration):
        return None


def loads_if(text: str, accept: Callable[[Any], bool]) -> Any:
    """The value of a text as for `loads`, not `strict`, if `accept` says so; None if it does not."""
    value = loads(text, strict=False)
    return value if value is not None and accept(value) else None


def loads_object(text: str, strict: bool = True) -> Json | None:
    """The value of a text that should be an object, as for `loads`; None if it is anything else."""
    value = loads(text, strict)
    return value if isinstance(value, dict) else None


def object_in(json: Mapping[str, Any], key: str) -> Json:
    """The object that is this member; {} if it is missing or anything else."""
    value = json.get(key)
    return value if isinstance(value, dict) else {}


def objects_in(json: Mapping[str, Any], key: str) -> list[Json]:
    """The items of the array that is this member, so that their places stay; {} for an item that is no
    object."""
    value = json.get(key)
    return [item if isinstance(item, dict) else {} for item in value] if isinstance(value, list) else []


def text_in(json: Mapping[str, Any], key: str) -> str:
    """The string that is this member; "" if it is missing or anything else."""
    value = json.get(key)
    return value if isinstance(value, str) else ""


def strings_of(value: Any) -> Iterable[str]:
    """Every string in a value, keys too."""
    left = [value]  # not by recursion: a value may be nested more deeply than the stack
    while left:
        part = left.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            left += reversed([each for member in part.items() for each in member])
        elif isinstance(part, list):
            left += reversed(part)


def keys_of(value: Any) -> Iterable[str]:
    """Every key in a value."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, dict):
            yield from part
            left += part.values()
        elif isinstance(part, list):
            left += part
