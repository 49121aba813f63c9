"""Finds every key, string and number of a JSON text, so that it can be replaced in place.

No objects are built and nothing is rewritten. Replacing a span by text of the same length
leaves every other byte, and every length, as it was. The text must be valid JSON.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(r'"(?P<string>(?:[^"\\]|\\.)*)"|(?P<number>-?\d[\d.eE+-]*)|[{}\[\]:,]', re.S)

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A `key`, `string` (both without quotes) or `number`. A key has the path of its value."""

    kind: str
    path: Path
    start: int
    end: int


def spans(text: str, start: int = 0, end: int | None = None) -> Iterator[Span]:
    """Yield the spans of the JSON document at text[start:end], in order."""
    frames: list[str | int] = []  # the last key of every open object, the index of every open array
    is_key = False
    for match in _TOKEN.finditer(text, start, len(text) if end is None else end):
        match match[0]:
            case "{":
                frames.append("")
                is_key = True
            case "[":
                frames.append(0)
            case "}" | "]":
                frames.pop()
                is_key = False
            case ",":
                last = frames[-1]
                is_key = isinstance(last, str)
                frames[-1] = last + 1 if isinstance(last, int) else last
            case ":":
                is_key = False
            case _ if is_key:
                frames[-1] = match[1]
                yield Span("key", tuple(frames), *match.span(1))
            case _:
                kind = str(match.lastgroup)
                yield Span(kind, tuple(frames), *match.span(kind))


# Keys of an event that say to which block or item its text belongs, where the API has such
ADDRESS = ("type", "item_id", "output_index", "content_index", "summary_index", "index")


def place(chunk: Any, path: Path) -> tuple[Any, ...]:
    """Return to which text of the answer the string at `path` of a chunk belongs."""
    address = chunk if isinstance(chunk, dict) else {}
    found: list[Any] = [address[key] for key in ADDRESS if isinstance(address.get(key), str | int)]
    value = chunk
    for part in path:
        try:
            value = value[part]
        except (LookupError, TypeError):
            return path  # a key with an escape in it
        index = value.get("index", part) if isinstance(part, int) and isinstance(value, dict) else part
        found.append(index if isinstance(index, str | int) else part)
    return tuple(found)
