"""YAML with line numbers, read key by key.

Each method raises a `WrongError` with the line, the key and what to write instead.
Values are plain JSON data. The language is YAML 1.2, in which yes and no are strings.
"""

import re
from collections.abc import Collection, Iterator
from math import isfinite
from typing import Any, TypeVar

from ..wording import instead

try:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
    from ruamel.yaml.scalarbool import ScalarBoolean
except ImportError:  # then `parse` refuses every file
    YAML = CommentedMap = MarkedYAMLError = ScalarBoolean = None  # type: ignore[assignment, misc]
    CollectionEndEvent = CollectionStartEvent = None  # type: ignore[assignment, misc]

Name = TypeVar("Name", bound=str)

# Some texts take hours to build, so these bounds are checked first.
LARGEST = 1_000_000  # characters in a file
MOST = 100_000  # keys, values, lists and mappings: 10,000 rules
DEEPEST = 20
_TOO_DEEP = f"more than {DEEPEST} levels deep; write fewer"
_DUPLICATE = re.compile(r'found duplicate key "(.*?)" with value')


class WrongError(Exception):
    """What is wrong at a line of the file, counted from 0."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class Block:
    """A mapping in the file, which knows the lines of its keys."""

    def __init__(self, data: CommentedMap) -> None:
        self._data = data

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def __iter__(self) -> Iterator[str]:
        for key in self._data:
            if not isinstance(key, str):
                raise self.wrong(key, "write it in quotes")
            yield key

    def line(self, key: Any = None) -> int:
        try:
            return int(self._data.lc.key(key)[0])
        except (KeyError, TypeError):  # merged from another place
            return int(self._data.lc.line or 0)

    def wrong(self, key: Any, message: str) -> WrongError:
        return WrongError(self.line(key), f"{key}: {message}")

    def only(self, known: Collection[str]) -> None:
        """Raise for a key that is not one of these."""
        for key in self:
            if key not in known:
                raise self.wrong(key, f"there is no such key; {instead(key, known)}")

    def block(self, key: str, what: str) -> "Block":
        """Return a mapping inside this one; an empty one if the key is missing."""
        found = self._data.get(key)
        if found is None:
            return Block(CommentedMap())
        if not isinstance(found, CommentedMap):
            raise self.wrong(key, f"write {what} below it")
        return Block(found)

    def blocks(self, key: str, what: str) -> list["Block"]:
        found = self._data.get(key)
        listed = [] if found is None else found
        if not isinstance(listed, list) or not all(isinstance(entry, CommentedMap) for entry in listed):
            raise self.wrong(key, f"write {what} below it")
        return [Block(entry) for entry in listed]

    def text(self, key: str, what: str) -> str:
        found = self._data.get(key)
        if not isinstance(found, str) or not found:
            raise self.wrong(key, f"write {what}")
        return str(found)

    def flag(self, key: str, default: bool) -> bool:
        found = self._data.get(key, default)
        if not isinstance(found, bool):
            raise self.wrong(key, "write true or false")
        return found

    def choice(self, key: str, choices: Collection[Name]) -> Name:
        found = self.text(key, f"one of {', '.join(choices)}")
        for choice in choices:
            if found == choice:
                return choice
        raise self.wrong(key, f"there is no {found}; {instead(found, choices)}")

    def names(self, key: str) -> tuple[str, ...]:
        found = self._data.get(key)
        if not isinstance(found, list) or not found or not all(isinstance(n, str) and n for n in found):
            raise self.wrong(key, "write a list of parameters, such as [path, content]")
        return tuple(map(str, found))

    def value(self, key: str) -> Any:
        try:
            _bound(self._data[key])
            return _plain(self._data[key])
        except ValueError as e:
            raise self.wrong(key, str(e)) from None

    def values(self, key: str) -> tuple[Any, ...]:
        found = self.value(key)
        if not isinstance(found, list) or not found:
            raise self.wrong(key, "write a list of values, such as [content, count]")
        return tuple(found)


def parse(text: str) -> Block:
    """Return the mapping that a file holds."""
    data = _load(text)
    if not isinstance(data, CommentedMap):
        raise WrongError(0, "write a mapping, such as tools:")
    return Block(data)


def _load(text: str) -> Any:
    if YAML is None:
        raise WrongError(0, "it cannot be read without ruamel.yaml: pip install ruamel.yaml")
    try:
        _refuse_huge(text)
        return YAML(typ="rt").load(text)
    except WrongError:
        raise
    except MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark
        raise WrongError(mark.line if mark else 0, _complaint(str(e.problem or e.context))) from None
    except Exception as e:  # for a scalar that is not a date, a control character …
        raise WrongError(0, _complaint(str(e))) from None


def _refuse_huge(text: str) -> None:
    """Raise for a text that is too large or too deep to be built."""
    if len(text) > LARGEST:
        line = text.count("\n", 0, LARGEST)
        raise WrongError(line, f"the file has more than {LARGEST} characters; write fewer rules")
    depth = 0
    for number, event in enumerate(YAML(typ="rt").parse(text)):
        if isinstance(event, CollectionStartEvent):
            depth += 1
        elif isinstance(event, CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise WrongError(event.start_mark.line, _TOO_DEEP)
        if number > MOST:
            raise WrongError(event.start_mark.line, f"more than {MOST} keys and values; write fewer rules")


def _bound(value: Any) -> None:
    """Raise ValueError for a value that becomes huge once its aliases (`*name`) are expanded."""
    inside, found = [(value, 0)], 0
    while inside:
        value, depth = inside.pop()
        members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        inside += [(member, depth + 1) for member in members]
        found += 1
        if depth > DEEPEST:
            raise ValueError(_TOO_DEEP)
        if found + len(inside) > MOST:
            raise ValueError("too many values; write them without *")


def _complaint(problem: str) -> str:
    if found := _DUPLICATE.match(problem):
        return f"{found[1]}: written twice; write it once"
    if "'\\t'" in problem:
        return "a tab; write spaces"
    return f"not YAML: {' '.join(problem.split())}"


def _plain(value: Any) -> Any:
    """Return a value as plain JSON data. Raises ValueError for a value that JSON does not have."""
    match value:
        case None | bool():
            return value
        case ScalarBoolean():
            return bool(value)
        case str():
            return str(value)
        case int():
            return int(value)
        case float() if isfinite(value):
            return float(value)
        case CommentedMap():
            if not all(isinstance(key, str) for key in value):
                raise ValueError("write keys in quotes")
            return {str(key): _plain(member) for key, member in value.items()}
        case list():
            return [_plain(item) for item in value]
    raise ValueError("write a value that JSON has, or put it in quotes")
