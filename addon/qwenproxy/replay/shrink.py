"""Reduces a recording to the smallest one that still shows something, as a case for `tests/cases`.

    qwen-fix replay shrink FILE --keep repair=stray-closer    a repair is made
                                --keep refused=fenced         a candidate is refused
                                --keep crash                  an exception is raised
                                --keep changed                the result is not the same as before

FILE is a recording, or any file that `import` reads. Its text is taken out of the deltas and
reduced by delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing
input", 2002): by lines, by tags and words, by characters. Then the tools are reduced. A step counts only
if it adds no repair or refusal, so that a case shows one thing.

"Before" means the last rules in git that give the golden, or those of `--against`. They determine what
the case expects. It fails until the change is undone, or approved by editing the case.

A case cannot show what is only in the chunks, such as calls that the server parsed itself. Then
the events are reduced instead, and written as a recording.
"""

# Here are the command, its files and the rules from before. How something is reduced is in `reduction`.

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..options import RECOVERIES
from ..recording.format import IMPORT, Recording, RecordingError, save
from . import casefile, importing, other_version
from .casefile import Case, CaseError
from .golden import GoldenError, golden_path
from .golden import load as load_golden
from .golden_diff import difference
from .other_version import TODAY, NoSuchRulesError, Rules
from .reduction import Watch, Wish, as_golden, cases_of, parse, shrink_case, shrink_events
from .rerun import outcome

Json = dict[str, Any]


class ShrinkError(Exception):
    """There is nothing to reduce. The message says why."""


def command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="qwen-fix replay shrink",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--keep", required=True, metavar="WHAT", help="see above")
    parser.add_argument("--request", type=Path, metavar="FILE.json", help="with the tools, if FILE has none")
    parser.add_argument("--against", default="", metavar="REV|DIR", help="the rules from before")
    parser.add_argument(
        "--into", type=Path, default=Path(), metavar="DIR", help="for a reduced recording (.)"
    )
    parser.add_argument("--recovery", choices=RECOVERIES, default="tolerant")
    options = parser.parse_args(arguments)
    try:
        return _shrink(options)
    except BrokenPipeError:
        raise
    except (ShrinkError, NoSuchRulesError) as e:
        print(e, file=sys.stderr)
        return 1
    except (RecordingError, GoldenError, OSError) as e:
        print(e, file=sys.stderr)
        return 2
    except Exception as e:
        print(f"{options.file}: cannot be reduced: {e!r}", file=sys.stderr)
        return 2


def _shrink(options: argparse.Namespace) -> int:
    recording = _only_chat(options.file, importing.read_request(options.request))
    wish = read_wish(options.keep)
    if wish.kind == "changed":
        before = rules_before(options.file, recording, options.recovery, options.against)
        print(f"compared with {before.name} rules", file=sys.stderr)
        wish = dataclasses.replace(wish, before=before)
    if case := _as_case(recording, wish, options.recovery):
        print(case, end="")
        return 0
    smaller = shrink_events(recording, wish, options.recovery)
    if smaller is recording:
        raise ShrinkError(_nothing_of(wish, recording, options.recovery))
    return _save_events(recording, smaller, options.into)


def _only_chat(path: Path, request: Json) -> Recording:
    chats, others = importing.read(path, request)
    if not chats:
        raise RecordingError(importing.why_none(path, others))
    if len(chats) != 1:
        raise RecordingError(f"{path}: holds {len(chats)} chats; {IMPORT} makes a recording of each")
    return chats[0]


def read_wish(text: str) -> Wish:
    """Read the value of `--keep`. Raises ShrinkError."""
    kind, _, name = text.partition("=")
    if (kind in ("repair", "refused")) != bool(name) or kind not in ("repair", "refused", "crash", "changed"):
        raise ShrinkError(f"--keep {text}: write repair=NAME, refused=NAME, crash or changed")
    return Wish(kind, name)


def rules_before(path: Path, recording: Recording, recovery: str, against: str) -> Rules:
    """Return the rules that "changed" compares with. Raises NoSuchRulesError, GoldenError."""
    if against:
        return (
            other_version.from_directory(Path(against))
            if Path(against).is_dir()
            else other_version.from_git(against)
        )
    if not golden_path(path).exists():
        raise NoSuchRulesError(f"{path}: there is no golden to say what it was before; use --against")
    expected = load_golden(golden_path(path))
    for revision in other_version.history():
        rules = other_version.from_git(revision)
        if outcome(recording, recording.chunks, recovery, rules) == expected:
            return rules
    raise NoSuchRulesError(f"{path}: no rules in git give its golden; name the rules with --against")


def _as_case(recording: Recording, wish: Wish, recovery: str) -> str:
    """Return the reduced case; empty if the text alone does not show it."""
    try:
        cases = cases_of(recording, recovery)
    except CaseError as e:
        print(f"cannot be a case: {e}", file=sys.stderr)
        return ""
    for case in cases:
        shows = Watch(wish, case)
        if shows(case):
            smaller = shrink_case(case, shows)
            _tell_difference(smaller, wish)
            return _written(smaller, wish, recording.name)
    return ""


def _tell_difference(case: Case, wish: Wish) -> None:
    """Print how today's result of the reduced case differs from what it expects."""
    if wish.before:
        differs = difference(as_golden(parse(case, wish.before)), as_golden(parse(case)))
        print("today the result is different:", *differs, sep="\n  ", file=sys.stderr)


def _written(case: Case, wish: Wish, name: str) -> str:
    rules = wish.before or TODAY
    found, buffered = parse(case, rules), parse(case, rules, live=False)
    case = dataclasses.replace(case, title=f"{wish} in {name}")
    if found.crash:
        case = dataclasses.replace(case, text=case.input, bug=f"crashes with {found.crash}")
    else:
        expected = {word: getattr(found, word) for word in ("text", "calls", "open", "repairs", "refused")}
        case = dataclasses.replace(
            case, **expected, buffered=buffered.text, buffered_repairs=buffered.repairs
        )
    return casefile.write(case)


def _save_events(recording: Recording, smaller: Recording, directory: Path) -> int:
    path = directory / f"{recording.name}-shrunk.flow"
    save(dataclasses.replace(smaller, name=path.stem), path)
    print(
        f"the text alone does not show it; {path}: "
        f"{len(smaller.chunks)} of {len(recording.of.frames(recording.body))} events"
    )
    for chunk in smaller.chunks:
        print(chunk.decode("utf-8", "replace").rstrip())
    return 0


def _nothing_of(wish: Wish, recording: Recording, recovery: str) -> str:
    now = outcome(recording, recording.chunks, recovery)
    if wish.kind == "changed":
        return f"{recording.name}: the result is the same as before"
    shown = [f"repair={name}" for name in now.repairs] + [f"refused={name}" for name in now.refused]
    return f"{recording.name}: does not show {wish}; it shows {', '.join(shown) or 'nothing to keep'}"
