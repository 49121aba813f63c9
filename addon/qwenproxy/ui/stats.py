"""Counts of what happened, by model, by client and by API, since the start or the last reset.

Everything counts chats unless stated otherwise. `Counts.as_json` adds the share of each number. The number
of models and clients is limited, because clients choose both names.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from toolstream import Named, Refused, Repair

from .report import Kind, Report

Json = dict[str, Any]

MOST_NAMES = 50  # models, and clients; further ones count as OTHERS
OTHERS = "others"
MOST_MINUTES = 2000  # entries of the history: one for each model and minute with chats


@dataclass(slots=True)
class Counts:
    """The counts of some chats."""

    chats: int = 0
    calls: int = 0  # calls that clients got
    answers: int = 0  # answers to requests with tools
    seconds: float = 0.0  # in total
    flags: Counter[str] = field(default_factory=Counter)
    kinds: Counter[Kind] = field(default_factory=Counter)
    fates: Counter[Kind] = field(default_factory=Counter)  # of those that leaked or were damaged
    repairs: Counter[Repair] = field(default_factory=Counter)  # repairs, not chats
    refusals: Counter[Refused] = field(default_factory=Counter)
    silent: int = 0  # chats that the server gave no answer to
    last_error: str = ""  # of the server, with the status
    last_unread: str = ""  # why an answer was not read

    def add(self, report: Report) -> None:
        self.chats += 1
        self.calls += report.calls
        self.answers += report.is_answer
        self.seconds += report.seconds
        self.kinds[report.kind] += 1
        if report.leaked or report.damaged:
            self.fates[report.kind] += 1
        for name in ("streamed", "with_tools", "leaked", "damaged", "truncated"):
            self.flags[name] += bool(getattr(report, name))
        self.repairs.update(report.ledger.repairs)
        self.refusals.update(report.ledger.refused)
        if report.kind == Kind.BACKEND_ERROR:
            self.silent += not report.status
            self.last_error = ": ".join(filter(None, (str(report.status or "no answer"), report.down)))
        if report.kind == Kind.NOT_READ:
            self.last_unread = report.unread

    def as_json(self) -> Json:
        """Return the numbers, each with its share of the chats; for `leaked` and `damaged` of the answers to
        requests with tools."""
        flags = {name: self._share(self.flags[name]) for name in ("streamed", "with_tools", "truncated")}
        faults = {name: share(self.flags[name], self.answers) for name in ("leaked", "damaged")}
        kinds = {FIELDS[kind]: self._share(self.kinds[kind]) for kind in Kind}
        numbers = {"chats": self.chats, "answers": self.answers, "calls": self.calls}
        return {
            **(numbers | {"seconds": round(self.seconds, 3)} | flags | faults | kinds),
            "repairs": self._named(self.repairs),
            "refusals": self._named(self.refusals),
        }

    def _share(self, count: int) -> Json:
        return share(count, self.chats)

    def _named(self, counts: Counter[Any]) -> Json:
        found: list[tuple[Named, int]] = counts.most_common()
        return {str(name): self._share(n) | {"words": name.words} for name, n in found}


FIELDS = {
    Kind.PASSED: "passed",
    Kind.REPAIRED: "repaired",
    Kind.WOULD_REPAIR: "would_repair",
    Kind.LEFT: "left",
    Kind.FAILED_OPEN: "failed_open",
    Kind.BROKEN_OFF: "broken_off",
    Kind.CLIENT_LEFT: "client_left",
    Kind.NOT_READ: "not_read",
    Kind.BACKEND_ERROR: "backend_errors",
}


def share(count: int, of: int) -> Json:
    return {"count": count, "share": round(count / of, 4) if of else 0.0}


class Stats:
    """The counts of all chats so far. `clock` gives Unix time."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        self.since = self._clock()
        self.total = Counts()
        self.models: dict[str, Counts] = {}
        self.clients: dict[str, Counts] = {}
        self.apis: dict[str, Counts] = {}
        self._history: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])

    def add(self, report: Report) -> None:
        self.total.add(report)
        model = add_to(self.models, report.model, report)
        add_to(self.clients, report.client, report)
        add_to(self.apis, report.api, report)
        if report.is_answer:
            entry = self._history[int(self._clock()) // 60, model]
            entry[0] += 1
            entry[1] += report.leaked
            if len(self._history) > MOST_MINUTES:
                del self._history[next(iter(self._history))]

    @property
    def seconds(self) -> float:
        return self._clock() - self.since

    def as_json(self) -> Json:
        return {
            "since": moment(self.since),
            "seconds": round(self.seconds, 1),
            "total": self.total.as_json(),
            "models": {name: counts.as_json() for name, counts in self.models.items()},
            "clients": {name: counts.as_json() for name, counts in self.clients.items()},
            "apis": {name: counts.as_json() for name, counts in self.apis.items()},
            "history": [
                {"minute": moment(minute * 60), "model": model, "answers": answers, "leaked": leaked}
                for (minute, model), (answers, leaked) in self._history.items()
            ],
        }


def add_to(counts: dict[str, Counts], name: str, report: Report) -> str:
    """Count a chat under its name; return the name it was counted under."""
    if name not in counts and len(counts) >= MOST_NAMES:
        name = OTHERS
    counts.setdefault(name, Counts()).add(report)
    return name


def moment(seconds: float) -> str:
    """Format a Unix time as 2026-11-28T08:15:12Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
