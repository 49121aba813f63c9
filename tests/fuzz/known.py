"""What the fuzzer has found: case files in `findings`, replayed by `make test` at many cuts.

The format is that of tests/cases; in `findings/arguments`, #input is the arguments of a call of the
first tool that the server parsed.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from qwenproxy.replay.casefile import Case, tool_of, write

FOLDER = Path(__file__).parent / "findings"
ARGUMENTS = FOLDER / "arguments"
FOUND, MOST = (
    "found-",
    20,
)  # how the name of a case begins that nobody has looked at yet, and how many are kept


def case_text(
    tools: Iterable[Any],
    text: str,
    left: str,
    calls: Sequence[tuple[str, Any]],
    level: str,
    finish: str | None = "stop",
    **other: Any,
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
        **{"bug": "why", "title": "what it shows"} | other,
    )
    return write(found)


def keep(title: str, case: str) -> Path | None:
    """Write a case into `findings`, under a name of its own; None if there are as many as anybody reads."""
    name = re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-")
    digest = hashlib.sha256(case.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    path = FOLDER / f"{FOUND}{name}-{digest}.txt"
    if len(list(FOLDER.glob(f"{FOUND}*"))) >= MOST:
        return None
    path.write_text(case, "utf-8")
    return path
