"""Runs the fuzz tests and the gates with other examples until the time is over: `make fuzz SECONDS=600`.

Before that it runs once, in full, the tests that `make test` shortens (`pytest --thorough`): every case at
every cut, and more. That takes about a minute on two cores, which does not count. `--only` leaves it out.

A round is one test or one gate with a seed of its own; they take turns, on all cores. The first finding of
a test ends it: its smallest example is printed, how to see it again and how to keep it. A finding of a gate
is made as small as it can be and kept in tests/fuzz/findings, and the gates go on. At the end the examples
of each test are counted, and each row of the gates is printed beside its bar. The exit status is 1 if
anything was found or a bar missed.
"""

import argparse
import importlib.util
import os
import secrets
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GATES = HERE / "gates.py"
TIMES = "4"  # as many examples in a round as the test names
KEPT = 2  # findings of one round of a gate

KEEP = """
See it again:  {python} tests/fuzz/run.py --only {name} --seed {seed}
Keep it:       write the text, its tools and what should have become of it as a case into
               tests/fuzz/findings/<what-it-shows>.txt (or findings/arguments/). `make test` replays
               it at many cuts; with a line `#bug <why>` it is expected to fail until it is mended.
"""


@dataclass(frozen=True)
class Round:
    """What became of one test with one seed."""

    name: str
    seed: int
    examples: int
    finding: str = ""
    rows: dict[str, Any] = field(default_factory=dict)  # of a gate: the tallies by name
    kept: tuple[str, ...] = ()


def main() -> int:
    asked = arguments()
    if not asked.only and thorough(asked.jobs):
        return 1
    os.environ.setdefault("FUZZ", TIMES)
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "addon")]
    tests = [(path, name) for path, name in find(HERE) if asked.only in f"{path.stem}.{name}"]
    if not tests:
        print(f"no test is named {asked.only!r}", file=sys.stderr)
        return 2
    totals: Counter[str] = Counter()
    rows: dict[str, Any] = {}
    kept: list[str] = []
    for done in rounds(tests, asked.seed, asked.seconds, asked.jobs):
        totals[done.name] += done.examples
        kept += done.kept
        for name, row in done.rows.items():
            rows[name] = rows[name] + row if name in rows else row
        print(f"{done.name}  seed {done.seed}  {done.examples} examples", flush=True)
        if done.finding:
            print(f"\n{done.finding}{KEEP.format(python=sys.executable, name=done.name, seed=done.seed)}")
            return 1
    print("\n".join(["", *(f"{examples:9} {name}" for name, examples in sorted(totals.items()))]))
    missed = table(rows) if rows else False
    print(f"{totals.total():9} examples, {'these findings:' if kept else 'no finding'}", *kept, sep="\n  ")
    return int(bool(kept or missed))


def table(rows: dict[str, Any]) -> bool:
    """Print the rows of the gates; whether a bar is missed, and not by chance."""
    from fuzz.gates import is_missed, line

    print("\n".join(["", *(line(name, row) for name, row in sorted(rows.items())), ""]))
    return any(is_missed(name, row) for name, row in rows.items())


def thorough(jobs: int) -> int:
    """Run what `make test` shortens, in full; the exit status of pytest."""
    print("pytest --thorough", flush=True)
    pytest = [sys.executable, "-m", "pytest", "--thorough", "-n", str(jobs)]
    return subprocess.run(pytest, cwd=ROOT).returncode


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="begin no round after so many")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="of the first round")
    parser.add_argument("--only", default="", help="tests whose name, module.test, has this in it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    return parser.parse_args()


def find(folder: Path) -> Iterator[tuple[Path, str]]:
    """The tests of a folder that take examples; and the gates."""
    for path in sorted(folder.glob("test_*.py")):
        yield from ((path, name) for name, test in vars(load(path)).items() if hasattr(test, "hypothesis"))
    if folder == GATES.parent:
        from fuzz import gates

        yield from ((GATES, gate) for gate in gates.GATES)


def rounds(tests: list[tuple[Path, str]], seed: int, seconds: float, jobs: int) -> Iterator[Round]:
    """Rounds of the tests in turn, as they end; none begins after the time is over, or after a finding."""
    end = time.monotonic() + seconds
    running: set[Future[Round]] = set()
    with ProcessPoolExecutor(jobs) as pool:
        for number in count():
            if number and time.monotonic() > end:
                break
            path, name = tests[number % len(tests)]
            running.add(pool.submit(play, path, name, seed + number))
            if len(running) >= jobs:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        yield from (future.result() for future in running)


def play(path: Path, name: str, seed: int) -> Round:
    """One test, or one gate, with one seed."""
    if path == GATES:
        return play_gate(name, seed)
    from hypothesis import seed as seeded

    test = getattr(load(path), name)
    inner, examples = test.hypothesis.inner_test, 0

    def counted(*args: Any, **kwargs: Any) -> None:
        nonlocal examples
        examples += 1
        inner(*args, **kwargs)

    test.hypothesis.inner_test = counted
    finding = ""
    try:
        seeded(seed)(test)()
    except BaseException as error:
        finding = "".join(traceback.format_exception(error, limit=-2))
    finally:
        test.hypothesis.inner_test = inner
    return Round(f"{path.stem}.{name}", seed, examples, finding)


def play_gate(name: str, seed: int) -> Round:
    """One gate with one seed; what it finds is kept."""
    from fuzz.gates import is_finding, measure, tally
    from fuzz.known import keep
    from fuzz.shrink import as_case, shrunk

    judged = measure(name, seed)
    found = [pair for pair in judged if is_finding(*pair)]
    small = [(shrunk(sample, why), why) for sample, why in found[:KEPT]]
    kept = [keep(sample.row, as_case(sample, why)) for sample, why in small]
    paths = tuple(str(path.relative_to(ROOT)) for path in kept if path)
    return Round(f"gates.{name}", seed, len(judged), rows=tally(judged), kept=paths)


def load(path: Path) -> ModuleType:
    """The module in a file, loaded once."""
    name = f"fuzzed_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec
        assert spec.loader
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


if __name__ == "__main__":
    sys.exit(main())
