"""The cases of `tests/cases`. Their format is explained in addon/qwenproxy/replay/casefile.py."""

import contextlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from qwenproxy.replay import casefile
from qwenproxy.replay.casefile import Case

CASES = Path(__file__).parent.parent / "cases"


@lru_cache  # six test files read them all
def read_all(folder: Path = CASES) -> tuple[Case, ...]:
    files = sorted(folder.glob("*.txt"))
    return tuple(case for path in files for case in casefile.read(path.read_text("utf-8"), path.stem))


def by_file(cases: Iterable[Case]) -> dict[str, list[Case]]:
    """Group the cases by file, for tests that take a whole file at once."""
    files: dict[str, list[Case]] = {}
    for case in cases:
        files.setdefault(case.file, []).append(case)
    return files


@contextlib.contextmanager
def named(case: Case) -> Iterator[None]:
    """Add the name of the case to any failure."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"in the case: {case}")
        raise


def read_tool(line: str) -> dict[str, Any]:
    """`name(key: type, key?: type)` as a request declares it."""
    return casefile.read_tool(line).declared()
