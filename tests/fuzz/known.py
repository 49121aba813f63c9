"""What the fuzzer has found: case files in `findings`, replayed by `make test` at every cut.

The format is that of tests/cases; in `findings/arguments`, #input is the arguments of a call of the
first tool that the server parsed. A finding that is not mended yet says `#bug`; as long as it does,
the oracles excuse its slip (`excused`), so that others can be found. Mended, it loses that line, and
with it the excuse.
"""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from qwenproxy.casefile import Case, Parsed, read_tool, write
from support import cases

FOLDER = Path(__file__).parent / "findings"
ARGUMENTS = FOLDER / "arguments"


@cache
def read_all(folder: Path = FOLDER) -> tuple[cases.Case, ...]:
    """Every finding of a folder."""
    return tuple(cases.read_all(folder))


def excused(name: str) -> bool:
    """Whether a finding, by the name of its file, is known and not mended yet."""
    found = [case for case in read_all(FOLDER) + read_all(ARGUMENTS) if case.file == name]
    assert found, f"no finding {name}"
    return any(case.bug for case in found)


def case_text(
    tools: Iterable[Any],
    text: str,
    left: str,
    calls: Sequence[tuple[str, Any]],
    level: str,
    finish: str | None = "stop",
) -> str:
    """The case to keep for a finding; its title, the reason and its #repairs are to be written."""
    written = tuple((name, json.dumps(arguments, ensure_ascii=False)) for name, arguments in calls)
    case = Case(tuple(read_tool(tool.declared()) for tool in tools), text, finish, recovery=level)
    expected = Parsed(left, written)
    return "as a case:\n\n" + write("what it shows", case, expected, expected, "why") + "\n"
