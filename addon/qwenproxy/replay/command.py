"""Recordings as regression tests, and the other commands for recordings.

    qwen-fix replay [PATH …]                     compare with the goldens (recordings/)
    qwen-fix replay --golden [PATH …]            write the goldens that are missing or differ
    qwen-fix replay summary [PATH …]             list the chats by client, model and repair
    qwen-fix replay import FILE … --into DIR     make recordings from other files
    qwen-fix replay shrink FILE --keep WHAT      reduce one to a case for tests/cases
    qwen-fix replay record NAME --backend URL    record one answer of a live server
    qwen-fix replay compare DIR --backend URL    send the same requests to a live server

Each recording runs through today's rules at many cuts (`rerun`). The result must be the same at
each cut, and must equal the golden. Goldens are only written on request, and never if the cuts
disagree. So the diff of a golden shows a change of behaviour. A recording without a golden is new:
its expected result is not known yet.

Exit code 0: everything is the same. 1: something is new or changed. 2: a file is broken; the others are run.
"""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path

from ..options import RECOVERIES
from ..recording.format import RecordingError
from ..recording.format import load as load_recording
from ..wording import counted, instead
from . import compare, importing, overview, record, shrink
from .golden import SUFFIX, GoldenError, dumps, golden_path
from .golden import load as load_golden
from .golden_diff import difference
from .overview import RECORDINGS
from .rerun import SMALL_PIECES_LIMIT, Run, run

SHOWN_CUTS = 3  # how many disagreeing cuts are shown
WORTH_A_PROCESS = 2_000_000  # bytes of recordings; starting a process takes as long as these
BAR = 30  # characters


class Status(Enum):
    """The status of a recording, the worst last."""

    SAME = "same"
    NEW = "new"
    CHANGED = "changed"
    BROKEN = "broken"

    @property
    def exit_code(self) -> int:
        return {Status.SAME: 0, Status.BROKEN: 2}.get(self, 1)


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one recording."""

    path: Path
    status: Status
    lines: list[str] = field(default_factory=list)  # why it is not the same
    wrote: bool = False  # whether its golden was written

    def __str__(self) -> str:
        if self.wrote:
            return f"{golden_path(self.path)}: written"
        return "\n  ".join([f"{self.path}: {self.status.value}", *self.lines])


def replay(path: Path, recovery: str = "tolerant", write: bool = False) -> Report:
    """Run one recording. Compare the result with its golden, or write the golden."""
    try:
        result = run(load_recording(path), recovery)
        if write:
            return write_golden(path, result)
        lines = [*_against_golden(path, result), *_disagreements(result)]
        is_new = not lines and not golden_path(path).exists()
    except (RecordingError, GoldenError) as e:
        return Report(path, Status.BROKEN, [str(e)])
    except Exception as e:
        return Report(path, Status.BROKEN, [f"cannot be replayed: {e!r}"])
    if is_new:
        return Report(path, Status.NEW, [f"it has no {golden_path(path).name} yet"])
    return Report(path, Status.CHANGED if lines else Status.SAME, lines)


def _against_golden(path: Path, result: Run) -> list[str]:
    expected = golden_path(path)
    return difference(load_golden(expected), result.golden) if expected.exists() else []


def _disagreements(result: Run) -> Iterator[str]:
    for name, differs in result.disagreements[:SHOWN_CUTS]:
        yield f"{name}, the result differs from that of its own pieces:"
        yield from (f"  {line}" for line in differs)
    more = len(result.disagreements) - SHOWN_CUTS
    if more > 0:
        yield f"and at {more} more of {result.cuts} cuts"


def write_golden(path: Path, result: Run) -> Report:
    """Write a golden, unless it is the same already or depends on the cut."""
    if result.disagreements or result.golden.crash:
        lines = ["its golden was not written:", *_disagreements(result), result.golden.crash]
        return Report(path, Status.CHANGED, [line for line in lines if line])
    text = dumps(result.golden)
    target = golden_path(path)
    if target.exists() and target.read_text("utf-8") == text:
        return Report(path, Status.SAME)
    target.write_text(text, "utf-8")
    return Report(path, Status.SAME, wrote=True)


# Many


def find(paths: Iterable[Path]) -> tuple[list[Path], list[Report]]:
    """Return the recordings at these paths, and reports on what is wrong there."""
    found: list[Path] = []
    wrong = []
    for path in paths:
        flows = sorted(path.glob("*.flow")) if path.is_dir() else [path]
        names = {golden_path(flow) for flow in flows}
        found += flows
        if path.is_dir():
            wrong += [_orphan(g) for g in sorted(path.glob(f"*{SUFFIX}")) if g not in names]
    return found, wrong


def _orphan(path: Path) -> Report:
    return Report(path, Status.BROKEN, ["a golden without its recording"])


def replay_all(paths: Sequence[Path], recovery: str, write: bool, progress: "Progress") -> list[Report]:
    """Run many recordings, in several processes if that is faster."""
    processes = os.cpu_count() or 1
    if processes == 1 or sum(path.stat().st_size for path in paths if path.exists()) < WORTH_A_PROCESS:
        return [progress.after(replay(path, recovery, write)) for path in paths]
    with ProcessPoolExecutor(processes) as pool:
        futures = [pool.submit(replay, path, recovery, write) for path in paths]
        for future in as_completed(futures):
            progress.after(future.result())
        return [future.result() for future in futures]


class Progress:
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._shown = sys.stderr.isatty() and total > 1

    def after(self, report: Report) -> Report:
        self._done += 1
        if self._shown:
            filled = BAR * self._done // self._total
            bar = f"[{'#' * filled}{'.' * (BAR - filled)}] {self._done}/{self._total} {report.path.stem}"
            print(f"\r\x1b[K{bar[:79]}", end="", file=sys.stderr, flush=True)
            if self._done == self._total:
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        return report


def summary(reports: Sequence[Report]) -> str:
    """`12 recordings: 10 same, 2 changed`."""
    counts = [(sum(r.status is status for r in reports), status.value) for status in Status]
    said = ", ".join(f"{count} {name}" for count, name in counts if count)
    return f"{counted(len(reports), 'recording')}: {said or 'nothing to do'}"


def advice(reports: Sequence[Report], asked: Sequence[str]) -> str:
    """Say what to do about new or changed recordings. `asked`: the given options and paths."""
    changed = [r.path for r in reports if r.status is Status.CHANGED]
    new = [r.path for r in reports if r.status is Status.NEW]
    write = f"`qwen-fix replay --golden {shlex.join(asked)}`"
    lines = []
    if new:
        lines.append(f"To keep the results of the new ones, {write} writes them, for you to review.")
    if changed:
        lines += [
            f"If the change is intended, {write} approves it and `git diff` shows it for review.",
            "If not, this reduces it to a test case:",
            f"  qwen-fix replay shrink {shlex.quote(str(changed[0]))} --keep changed",
        ]
    return "\n".join(lines)


# Command line


def command_replay(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="qwen-fix replay",
        description="Run recordings through today's rules and compare them with their goldens.",
        epilog="Each runs in its own pieces, whole, byte by byte, at random cuts, with one character per "
        f"delta and all text in one. Answers above {SMALL_PIECES_LIMIT >> 10} KiB are not cut into single "
        "bytes and characters. Other commands: summary, import, shrink, record, compare; each has a --help.",
    )
    parser.add_argument(
        "paths", nargs="*", type=Path, default=[RECORDINGS], help=".flow files, directories (recordings/)"
    )
    parser.add_argument("--golden", action="store_true", help="rewrite the goldens that differ")
    parser.add_argument("--json", action="store_true", help="print the reports as JSON")
    parser.add_argument("--recovery", choices=RECOVERIES, default="tolerant")
    options = parser.parse_args(arguments)
    if missing := overview.why_missing(options.paths):
        return complain(missing)
    paths, wrong = find(options.paths)
    empty = [
        complain(f"{folder}: no recordings (*.flow) in it") for folder in options.paths if is_empty(folder)
    ]
    if not paths and not wrong:
        return 2
    reports = [*replay_all(paths, options.recovery, options.golden, Progress(len(paths))), *wrong]
    level = [] if options.recovery == "tolerant" else ["--recovery", options.recovery]
    asked = [*level, *map(str, options.paths)]
    print(_as_json(reports) if options.json else _as_text(reports, asked))
    return max([*empty, *(r.status.exit_code for r in reports)])


def is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.glob("*.flow"))


def complain(line: str) -> int:
    print(line, file=sys.stderr)
    return 2


def _as_text(reports: Sequence[Report], asked: Sequence[str]) -> str:
    said = [str(r) for r in reports if r.status is not Status.SAME or r.wrote]
    return "\n".join(filter(None, [*said, summary(reports), advice(reports, asked)]))


def _as_json(reports: Sequence[Report]) -> str:
    plain = [asdict(r) | {"path": str(r.path), "status": r.status.value} for r in reports]
    return json.dumps({"recordings": plain, "summary": summary(reports)}, ensure_ascii=False, indent=2)


COMMANDS = {
    "summary": overview.command,
    "import": importing.command,
    "shrink": shrink.command,
    "record": record.command,
    "compare": compare.command,
}


def main(arguments: Sequence[str]) -> int:
    if arguments and (command := COMMANDS.get(arguments[0])):
        return command(arguments[1:])
    if arguments and (line := no_command(arguments[0])):
        return complain(line)
    return command_replay(arguments)


def no_command(word: str) -> str:
    """Say what to write instead of a word that is no command, and no path either; empty if it is one."""
    path = Path(word)
    if word.startswith("-") or path == RECORDINGS or path.suffix or len(path.parts) != 1 or path.exists():
        return ""
    return f"{word}: there is no such file, folder or command; {instead(word, COMMANDS)}"
