"""Changes one value in a JSON text, and not one byte more."""

import json
import re
from collections.abc import Iterator, Mapping
from json.decoder import scanstring  # type: ignore[attr-defined]

from ..schema.json_write import quoted

Path = tuple[str | int, ...]  # keys and positions, from the outermost value on
Edit = tuple[Path, str]  # the place of a value, and the JSON text to put there
Edits = list[Edit]

# Returns (value, its end). StopIteration if there is no value
_SCAN = json.JSONDecoder(strict=False).scan_once  # type: ignore[attr-defined]
_SPACE = " \t\n\r"
# A member that is not the last one: a key, and a string or a literal, without escapes. Most are such
_PLAIN_MEMBER = re.compile(r'"([^"\\]*)":[ ]?(?=(["\w.-]))(?:"[^"\\]*"|[\w.+-]+),[ ]?')


def span(text: str, path: Path) -> tuple[int, int] | None:
    """Where the value at `path` is in a JSON text; None if there is none. Of a repeated key the last one
    counts."""
    at = _skip(text, 0)
    for step in path:
        found = None
        for key, start in _members(text, at):
            if key == step:
                found = start
                if not _may_repeat(text, step, start):
                    break
        if found is None:
            return None
        at = found
    return at, _end_of_value(text, at)


def value_at(text: str, path: Path) -> str:
    """The value at `path` as it is written; "" if there is none."""
    where = span(text, path)
    return text[slice(*where)] if where else ""


def splice(text: str, edits: Edits) -> str:
    """The JSON text with the values at some paths replaced. Paths that do not exist are ignored."""
    spans = [(where, new) for path, new in edits if (where := span(text, path))]
    for (start, end), new in sorted(spans, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def with_members(text: str, changes: Mapping[str, str]) -> str:
    """The JSON text of an object with members replaced or added. `changes` are JSON texts, by their keys."""
    missing = [key for key in changes if span(text, (key,)) is None]
    text = splice(text, [((key,), new) for key, new in changes.items()])
    return extended(text, [f"{quoted(key)}:{changes[key]}" for key in missing])


def extended(text: str, added: list[str]) -> str:
    """The JSON text of an object or array with these members or elements after its own."""
    if not added:
        return text
    text = text.rstrip()
    inside, closer = text[:-1].rstrip(), text[-1]
    is_empty = inside.endswith(("{", "["))
    return f"{inside}{'' if is_empty else ','}{','.join(added)}{closer}"


def _members(text: str, at: int) -> Iterator[tuple[str | int, int]]:
    """(key or position, start of the value) of an object or array."""
    opener, number = text[at], 0
    if opener not in "{[":
        return
    at = _skip(text, at + 1)
    while text[at] not in "}]":
        if opener == "{" and (plain := _PLAIN_MEMBER.match(text, at)):
            yield plain[1], plain.start(2)
            at = plain.end()
            if text[at] in _SPACE:
                at = _skip(text, at)
            continue
        key: str | int = number
        if opener == "{":
            key, at = scanstring(text, at + 1, False)
            at = at + 1 if text[at] == ":" else _skip(text, at) + 1
            if text[at] in _SPACE:
                at = _skip(text, at)
        yield key, at
        number += 1
        at = _end_of_value(text, at)
        if text[at] in _SPACE:
            at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _may_repeat(text: str, step: str | int, at: int) -> bool:
    """Whether a key may come again after `at`, be it with escapes in it."""
    return isinstance(step, str) and (text.find("\\", at) >= 0 or text.find(f'"{step}"', at) >= 0)


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\n", "\r"):
        at += 1
    return at


def _end_of_value(text: str, at: int) -> int:
    end: int = _SCAN(text, at)[1]
    return end


def members(text: str) -> dict[str | int, str]:
    """The values of an object or array as they are written, by key or position. Of a repeated key the
    last one counts."""
    return {key: text[start : _end_of_value(text, start)] for key, start in _members(text, _skip(text, 0))}
