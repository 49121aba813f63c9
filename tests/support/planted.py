"""Failures that are planted, to see what they cost."""

import importlib
import inspect
import json
import pkgutil
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from itertools import count
from types import ModuleType
from typing import Any, TypeVar

import pytest

M = TypeVar("M")
T = TypeVar("T")
Point = tuple[Any, str]  # where a function is looked up: a class or module, and its name there


class PlantedError(RuntimeError): ...


def modules_of(package: ModuleType) -> list[ModuleType]:
    """All modules of a package, those of the packages in it included."""
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [importlib.import_module(module.name) for module in found]


def functions(modules: list[ModuleType], handling: Mapping[Any, Container[str]]) -> Iterator[Point]:
    """Every function of these modules, as its users among them find it; those apart that failures are handled
    with, by their owner."""
    for module in modules:
        for name, value in vars(module).items():
            if getattr(value, "__module__", "") != module.__name__:
                continue
            points: Iterable[Point] = ()
            if inspect.isclass(value):
                points = (
                    (value, n) for n, v in vars(value).items() if inspect.isfunction(v) and n[:2] != "__"
                )
            elif inspect.isfunction(value):
                points = ((user, name) for user in modules if vars(user).get(name) is value)
            yield from ((owner, n) for owner, n in points if n not in handling.get(owner, ()))


def failures(
    points: list[Point], uses: Iterable[int], make: Callable[[], M], act: Callable[[M], T]
) -> Iterator[tuple[str, T]]:
    """What `act` with what was made comes to if one use of one function raises, for each of these functions
    and uses; with where that was."""
    counts = _counts(points, make, act)
    for owner, name in points:
        for use in uses:
            if use <= counts[owner, name]:
                made = make()
                with pytest.MonkeyPatch.context() as patch:
                    _plant(patch, owner, name, use)
                    outcome = act(made)
                yield f"{getattr(owner, '__name__', owner)}.{name}, use {use}", outcome


def _counts(points: list[Point], make: Callable[[], M], act: Callable[[M], object]) -> Counter[Point]:
    """How often each function is used."""
    counts: Counter[Point] = Counter()
    made = make()
    with pytest.MonkeyPatch.context() as patch:
        for point in points:
            _wrap(patch, *point, lambda point=point: counts.update([point]))
        act(made)
    return counts


def _plant(patch: pytest.MonkeyPatch, owner: Any, name: str, use: int) -> None:
    number = count(1)

    def fail() -> None:
        if next(number) == use:
            raise PlantedError

    _wrap(patch, owner, name, fail)


def _wrap(patch: pytest.MonkeyPatch, owner: Any, name: str, before: Callable[[], None]) -> None:
    original = getattr(owner, name)

    def wrapped(*args: Any, **more: Any) -> Any:
        before()
        return original(*args, **more)

    patch.setattr(owner, name, wrapped)


def can_run(text: str) -> bool:
    """Whether these are the arguments of a call that can run."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
