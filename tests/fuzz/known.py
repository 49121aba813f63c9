"""What the fuzzer has found: case files in `findings`, replayed by `make test` at many cuts.

The format is that of tests/cases; in `findings/arguments`, #input is the arguments of a call of the
first tool that the server parsed.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from qwenproxy.replay.casefile import Case, tool_of, write

FOLDER = Path(__file__).parent / "findings"
ARGUMENTS = FOLDER / "arguments"


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
    found = Case(
        tuple(tool_of(tool.declared()) for tool in tools),
        text,
        finish,
        recovery=level,
        text=left,
        calls=written,
        bug="why",
        title="what it shows",
    )
    return "as a case:\n\n" + write(found) + "\n"
