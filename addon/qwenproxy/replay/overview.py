"""Lists the chats in recordings by client, model and repair.

    qwen-fix replay summary [PATH …]

The numbers come from the recorded ledgers. What has none, because the proxy did not record it, runs through
today's rules.
"""

import argparse
import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from ..recording.format import Recording, RecordingError, header
from ..recording.recorder import is_kind
from ..wording import counted
from . import importing
from .rerun import rewrite

RECORDINGS = Path("recordings")
LONGEST = 60  # characters of a model's name

_PRODUCT = re.compile(r"[\w.@+-]+(?:/[\w.+-]+){0,2}(?: \d[\w.]*)?")


@dataclass(slots=True)
class Chats:
    """The chats of one client and model."""

    chats: int = 0
    streamed: int = 0
    calls: int = 0  # found in texts
    repaired: int = 0  # chats
    refused: int = 0
    failed: int = 0  # an error status, broken off, or a failure of the rewriter
    repairs: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)

    def add(self, recording: Recording) -> None:
        ledger = recording.ledger
        self.chats += 1
        self.streamed += recording.is_stream
        self.calls += int(ledger.get("calls", 0))
        self.repaired += is_kind(recording, "repaired")
        self.refused += is_kind(recording, "refused")
        self.failed += is_kind(recording, "failed")
        self.repairs.update(ledger.get("repairs", {}))
        self.refusals.update(ledger.get("refused", {}))


Key = tuple[str, str]  # client, model


def client_of(user_agent: str) -> str:
    """Return the program at the start of a User-Agent: `opencode/1.18.33`, `OpenAI/Python 2.8.0`."""
    product = _PRODUCT.match(user_agent.strip())
    return product[0] if product else "unknown"


def overview(recordings: Iterable[Recording]) -> dict[Key, Chats]:
    """Return {(client, model): chats}."""
    found: dict[Key, Chats] = defaultdict(Chats)
    for recording in recordings:
        client = client_of(header(recording.request_headers, "user-agent"))
        model = "".join(filter(str.isprintable, str(recording.request.get("model", ""))))
        found[client, model[:LONGEST] or "unknown"].add(recording)
    return dict(sorted(found.items()))


def table(found: dict[Key, Chats]) -> Iterator[str]:
    """Yield the chats by client and model, then the repairs and refusals by model."""
    columns = ("chats", "streamed", "calls", "repaired", "refused", "failed")
    rows = [(*key, *(str(getattr(chats, c)) for c in columns)) for key, chats in found.items()]
    yield from _aligned([("client", "model", *columns), *rows], numbers=len(columns))
    for title in ("repairs", "refusals"):
        counts: Counter[tuple[str, str]] = Counter()
        for (_, model), chats in found.items():
            counts.update({(name, model): n for name, n in getattr(chats, title).items()})
        if counts:
            yield ""
            rows = [(name, model, str(n)) for (name, model), n in counts.most_common()]
            yield from _aligned([(title, "model", "times"), *rows], numbers=1)


def _aligned(rows: Sequence[tuple[str, ...]], numbers: int) -> Iterator[str]:
    """Yield the rows in aligned columns; the last `numbers` columns are numbers."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = len(widths) - numbers
    for row in rows:
        cells = [
            c.ljust(w) if n < words else c.rjust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


# Command line


def command(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="qwen-fix replay summary",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths", nargs="*", type=Path, default=[RECORDINGS], help="folders or files (recordings/)"
    )
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    options = parser.parse_args(arguments)
    if missing := why_missing(options.paths):
        print(missing, file=sys.stderr)
        return 2
    recordings, broken = _read(options.paths)
    if not recordings and not broken:
        print(f"no recordings (*.flow) in {', '.join(map(str, options.paths))}", file=sys.stderr)
        return 2
    found = overview(map(with_ledger, recordings))
    if options.json or found:
        print(_as_json(found) if options.json else "\n".join(table(found)))
    if bare := sum(not recording.ledger for recording in recordings):
        print(f"\n{counted(bare, 'chat')} without a ledger: counted by today's rules", file=sys.stderr)
    return 2 if broken else 0


def _read(paths: Sequence[Path]) -> tuple[list[Recording], int]:
    """Return the chats in files and folders, and the number of files that cannot be read."""
    recordings: list[Recording] = []
    broken = 0
    for path in paths:
        for file in sorted(path.glob("*.flow")) if path.is_dir() else [path]:
            try:
                recordings += chats_in(file)
            except RecordingError as e:
                print(e, file=sys.stderr)
                broken += 1
    return recordings, broken


def why_missing(paths: Sequence[Path]) -> str:
    """Say what to do if nothing was named and the default folder is not there; empty if it is."""
    return (
        f"no folder {RECORDINGS} here: name one" if paths == [RECORDINGS] and not RECORDINGS.exists() else ""
    )


def with_ledger(recording: Recording) -> Recording:
    """Return a recording with what today's rules find, unless the proxy has noted what it did."""
    if recording.ledger:
        return recording
    try:
        out, ledger = rewrite(recording, recording.chunks, "tolerant")
    except Exception as e:  # what is recorded may be anything
        return replace(recording, ledger={"failure": repr(e)})
    return replace(recording, out=out, ledger=ledger.as_dict())


def chats_in(file: Path) -> list[Recording]:
    """Return the chats in a file, at least one. Raises RecordingError."""
    if not file.exists():
        raise RecordingError(f"{file}: there is no such file or folder")
    chats, others = importing.read(file, {})
    if not chats:
        raise RecordingError(importing.why_none(file, others))
    return chats


def _as_json(found: dict[Key, Chats]) -> str:
    plain = [
        {"client": client, "model": model} | {f.name: getattr(chats, f.name) for f in fields(chats)}
        for (client, model), chats in found.items()
    ]
    return json.dumps({"chats": plain}, ensure_ascii=False, indent=2)
