"""What regular expressions have to avoid."""

import contextlib
import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest

import qwenproxy
import toolstream

_parser: Any = vars(re)["_parser"]
_constants: Any = vars(re)["_constants"]
MODULES = sorted(
    module.name
    for package in (toolstream, qwenproxy)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
)


def patterns(name: str) -> dict[str, re.Pattern[Any]]:
    """The patterns of a module, and those that are written as text or bytes to be put together."""
    found = {}
    for key, value in vars(importlib.import_module(name)).items():
        if isinstance(value, re.Pattern):
            found[key] = value
        elif isinstance(value, str | bytes) and ("*+" if isinstance(value, str) else b"*+") in value:
            with contextlib.suppress(re.error):  # a piece that is no pattern by itself
                found[key] = re.compile(value)
    return found


def possessives(parsed: Any) -> Iterator[Any]:
    """What is repeated by each `*+`, `++` and `{…}+`."""
    for op, argument in parsed:
        if op is _constants.POSSESSIVE_REPEAT:
            yield argument[2]
        for part in _parts(argument):
            yield from possessives(part)


def _parts(argument: Any) -> Iterator[Any]:
    if isinstance(argument, _parser.SubPattern):
        yield argument
    elif isinstance(argument, tuple | list):
        for part in argument:
            yield from _parts(part)


def is_safe(repeated: Any) -> bool:
    """Whether it cannot fail half-way, or there is always one more alternative, which fails at once."""
    match list(repeated):
        case [(_constants.SUBPATTERN, argument)]:
            return is_safe(argument[-1])
        case [(_constants.BRANCH, (_, alternatives))]:
            return _fails_at_once(*alternatives[-1])
        case parts:
            return all(_is_simple(op, argument) for op, argument in parts)


def _fails_at_once(*parts: Any) -> bool:
    """Whether it is `(?!)`, which Python 3.11 knows as an empty assertion and 3.12 by a name of its own."""
    ((op, argument),) = parts if len(parts) == 1 else ((None, None),)
    return op is _constants.FAILURE or (op is _constants.ASSERT_NOT and not len(argument[1]))


def _is_simple(op: Any, argument: Any) -> bool:
    """Whether it is about single characters only."""
    if op in (_constants.POSSESSIVE_REPEAT, _constants.MAX_REPEAT):
        return len(argument[2]) == 1 and _is_simple(*argument[2][0])
    return op in (_constants.LITERAL, _constants.NOT_LITERAL, _constants.IN, _constants.ANY)


@pytest.mark.parametrize("name", MODULES)
def test_what_is_repeated_for_good_cannot_fail_half_way(name: str) -> None:
    """Python before 3.11.5 does not go back to where that repetition began: Debian 12 has 3.11.2."""
    for key, pattern in patterns(name).items():
        for repeated in possessives(_parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)):
            assert is_safe(repeated), f"{key}: put |(?!) last"


@pytest.mark.parametrize(
    "pattern", [r"(?:a|bc)*+", r"(?:x(?=a))++", r"(?:x(?:a|bc|(?!)))*+", r"(?:x(?:yz)?)*+"]
)
def test_the_check_sees_what_it_is_for(pattern: str) -> None:
    (repeated,) = possessives(_parser.parse(pattern))
    assert not is_safe(repeated)


@pytest.mark.parametrize("pattern", [r"(?:x(?:a|bc)|(?!))*+", r"[ab]*+", r"(?:\\.[^x]*+)*+"])
def test_the_check_sees_what_is_right(pattern: str) -> None:
    assert all(is_safe(repeated) for repeated in possessives(_parser.parse(pattern)))
