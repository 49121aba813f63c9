"""Sends recorded requests to a live server again, and says what changed.

    qwen-fix replay compare DIR --backend http://localhost:8080

Use it for a new version of a server, another quantisation or template. Each request is sent as it was
recorded, streamed or not. Both answers go through today's rules, so a difference comes from the
server. Calls, finish_reason, repairs, refusals and leaks are compared. The wording of texts is compared
only with `--exact`: few models say the same twice.

An answer *leaks* if it had to be rewritten.

Exit code 0: everything is the same. 1: something changed. 2: a file or the server is at fault.
"""

import argparse
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..recording.format import Headers, Recording, RecordingError, load
from .golden import Golden
from .golden_diff import difference
from .record import ServerError, add_options, ask, read_headers
from .rerun import outcome


@dataclass(frozen=True, slots=True)
class Comparison:
    """One recording and the server's answer of today, or the `error` that prevented it."""

    path: Path
    recorded: Golden = field(default_factory=Golden)
    now: Golden = field(default_factory=Golden)
    lines: list[str] = field(default_factory=list)
    error: str = ""

    def __str__(self) -> str:
        if self.error:
            return f"{self.path}: {self.error}"
        return "\n  ".join([f"{self.path}: {'changed' if self.lines else 'same'}", *self.lines])


Ask = Callable[[Recording], Recording]


def compare(path: Path, asked: Ask, exact: bool = False) -> Comparison:
    """Send the recorded request again and compare the answers. Raises ServerError."""
    try:
        recording = load(path)
    except RecordingError as e:
        return Comparison(path, error=str(e).removeprefix(f"{path}: "))
    if not recording.request:
        return Comparison(path, error="it has no request to send")
    try:
        answered = dataclasses.replace(asked(recording), rules=recording.rules)
        before, now = (outcome(r, r.chunks) for r in (recording, answered))
    except ServerError:
        raise
    except Exception as e:
        return Comparison(path, error=f"cannot be compared: {e!r}")
    return Comparison(path, before, now, _differences(before, now, exact))


def _differences(before: Golden, now: Golden, exact: bool) -> list[str]:
    lines = difference(*(_compared(golden, exact) for golden in (before, now)))
    if leaks(before) != leaks(now):
        lines.append(
            "it leaked before and does not now" if leaks(before) else "it leaks now and did not before"
        )
    return lines


def _compared(golden: Golden, exact: bool) -> Golden:
    """Return the part of an answer that is compared. Leaks are reported separately."""
    golden = dataclasses.replace(golden, unchanged=True)
    if exact:
        return golden
    choices = tuple(dataclasses.replace(c, content="", reasoning="") for c in golden.choices)
    return dataclasses.replace(golden, choices=choices)


# Rates


def leaks(golden: Golden) -> bool:
    """Whether the answer had to be rewritten."""
    return not golden.unchanged


def rates(goldens: Iterable[Golden]) -> Counter[str]:
    """Count the answers by kind, the calls, and each repair and refusal."""
    counts: Counter[str] = Counter()
    for golden in goldens:
        counts["answers"] += 1
        counts["answers that leak"] += leaks(golden)
        counts["answers with an error"] += bool(golden.error)
        counts["calls"] += sum(len(choice.calls) for choice in golden.choices)
        counts.update({f"repair {name}": n for name, n in golden.repairs.items()})
        counts.update({f"refused {name}": n for name, n in golden.refused.items()})
    return counts


def table(compared: Sequence[Comparison]) -> Iterator[str]:
    """Yield the rates side by side."""
    before, now = rates(c.recorded for c in compared), rates(c.now for c in compared)
    names = sorted(name for name in before.keys() | now.keys() if before[name] or now[name])
    width = max(map(len, names), default=0)
    yield f"{'':{width}}  recorded     now"
    for name in names:
        mark = "" if before[name] == now[name] else "  *"
        shown = [_rate(counts[name], counts["answers"], name) for counts in (before, now)]
        yield f"{name:{width}}  {shown[0]:>8}  {shown[1]:>6}{mark}"


def _rate(count: int, total: int, name: str) -> str:
    return f"{100 * count // total} %" if name.startswith("answers ") and total else str(count)


# Command line


def command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="qwen-fix replay compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="DIR", help="recordings, or directories of them"
    )
    add_options(parser)
    parser.add_argument("--exact", action="store_true", help="also compare the wording")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    options = parser.parse_args(arguments)
    try:
        headers = read_headers(options.header)
        compared = [compare(p, _asker(options, headers), options.exact) for p in _files(options.paths)]
    except (ServerError, RecordingError) as e:
        print(e, file=sys.stderr)
        return 2
    print(_as_json(compared) if options.json else _as_text(compared))
    return 2 if any(c.error for c in compared) else int(any(c.lines for c in compared))


def _files(paths: Iterable[Path]) -> list[Path]:
    files = [f for path in paths for f in (sorted(path.glob("*.flow")) if path.is_dir() else [path])]
    if not files:
        raise RecordingError(f"no recordings (*.flow) in {', '.join(map(str, paths))}")
    return files


def _asker(options: argparse.Namespace, headers: Headers) -> Ask:
    def asked(recording: Recording) -> Recording:
        request = recording.request | ({"model": options.model} if options.model else {})
        path = urlsplit(recording.url).path
        return ask(options.backend, recording.name, request, recording.of, path, headers)

    return asked


def _as_text(compared: Sequence[Comparison]) -> str:
    asked = [c for c in compared if not c.error]
    same = sum(not c.lines for c in asked)
    said = [str(c) for c in compared if c.error or c.lines]
    if asked:
        said += [f"{len(asked)} asked again: {same} same, {len(asked) - same} changed", *table(asked)]
    return "\n".join(said)


def _as_json(compared: Sequence[Comparison]) -> str:
    asked = [c for c in compared if not c.error]
    plain: dict[str, Any] = {
        "recordings": [{"path": str(c.path), "error": c.error, "lines": c.lines} for c in compared],
        "recorded": rates(c.recorded for c in asked),
        "now": rates(c.now for c in asked),
    }
    return json.dumps(plain, ensure_ascii=False, indent=2)
