"""The differences between two goldens, field by field, for a reader who has seen neither.

Texts are shown as a unified diff, calls argument by argument, repairs and refusals by name. A line
that begins with `-` was expected, one with `+` came instead.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from typing import Any

from .golden import Golden
from .outline import Call, Message

WIDTH = 100  # characters of a value that are shown
NOTHING = Message()


def difference(expected: Golden, actual: Golden) -> list[str]:
    """Return lines that say what differs; none if nothing does."""
    return list(_difference(expected, actual)) if expected != actual else []


def _difference(expected: Golden, actual: Golden) -> Iterator[str]:
    if len(expected.choices) != len(actual.choices):
        yield f"choices: {len(expected.choices)} expected, {len(actual.choices)} came"
    several = max(len(expected.choices), len(actual.choices)) > 1
    for at, (before, after) in enumerate(zip_longest(expected.choices, actual.choices, fillvalue=NOTHING)):
        yield from _message(f"choice {at}, " if several else "", before, after)
    yield from _counts("repairs", expected.repairs, actual.repairs)
    yield from _counts("refused", expected.refused, actual.refused)
    yield from _field("error", expected.error, actual.error)
    yield from _field("crash", expected.crash, actual.crash)
    if expected.unchanged != actual.unchanged:
        yield "bytes: " + (
            "the client no longer gets the bytes the server sent"
            if expected.unchanged
            else "the client now gets the bytes the server sent"
        )


def _message(where: str, before: Message, after: Message) -> Iterator[str]:
    yield from _text(f"{where}content", before.content, after.content)
    yield from _text(f"{where}reasoning", before.reasoning, after.reasoning)
    for at, (old, new) in enumerate(zip_longest(before.calls, after.calls), 1):
        yield from _call(f"{where}call {at}", old, new)
    yield from _field(f"{where}finish_reason", before.finish_reason, after.finish_reason)


def _text(what: str, before: str, after: str) -> Iterator[str]:
    if before == after:
        return
    yield f"{what}:"
    old, new = _shown_lines(before), _shown_lines(after)
    for line in list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]:
        yield f"    {line}"


def _shown_lines(text: str) -> list[str]:
    """Return the lines, with spaces at their ends made visible."""
    lines = text.split("\n") if text else []
    return [
        line[: len(line.rstrip())] + repr(line[len(line.rstrip()) :])[1:-1].replace(" ", "·")
        for line in lines
    ]


def _call(what: str, old: Call | None, new: Call | None) -> Iterator[str]:
    if old == new:
        return
    if old is None or new is None or old.name != new.name or old.values is None or new.values is None:
        yield f"{what}:"
        if old:
            yield f"    - {_written(old)}"
        if new:
            yield f"    + {_written(new)}"
        return
    yield f"{what}, {new.name}:"
    for key in sorted(old.values.keys() | new.values.keys()):
        yield from _argument(key, old.values, new.values)


def _argument(key: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = (_value(values[key]) if key in values else None for values in (before, after))
    if old == new:
        return
    match before.get(key), after.get(key):
        case str(was), str(now) if "\n" in was + now:
            yield from (f"    {line}" for line in _text(f"argument {key}", was, now))
            return
    yield f"    argument {key}:"
    if old is not None:
        yield f"      - {_short(old)}"
    if new is not None:
        yield f"      + {_short(new)}"


def _written(call: Call) -> str:
    return f"{call.name or '(no name)'} {_short(call.arguments, call.values is None)}"


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _short(text: str, is_broken: bool = False) -> str:
    shown = text if len(text) <= WIDTH else f"{text[:WIDTH]}… ({len(text)} characters)"
    return shown + (" (not a JSON object)" if is_broken else "")


def _counts(what: str, before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, 0), after.get(name, 0)
        if old != new:
            yield f"{what}: {name}, {_times(old)} expected, {_times(new)} came"


def _times(count: int) -> str:
    return "none" if count == 0 else str(count)


def _field(what: str, before: Any, after: Any) -> Iterator[str]:
    if before != after:
        yield f"{what}:"
        yield f"    - {_value(before)}"
        yield f"    + {_value(after)}"
