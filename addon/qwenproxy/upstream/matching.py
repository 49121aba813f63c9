"""Finds the recording that answers a request; if there is none, the nearest one and what differs.

No two sessions of an agent send the same requests: dates, folders and their listings, ids of calls
and cache keys differ from run to run. So requests are compared by their `Features`. Some of them must
be equal (DECISIVE): the API, the model, whether it streams, the names of the tools, the roles of the messages
(that is, how far the session is) and the last thing the user said. Of the recordings for which they
are equal, the one with the most other features in common wins. Ties go to the one served least often,
then to the one recorded first.

Texts are compared `settled`: without the blocks in which agents describe their environment, and
without dates, times, ids and folders.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from typing import Any, NamedTuple

from ..apis import CHAT, Api, Turn
from ..recording.format import Recording

Json = dict[str, Any]

MODES = ("replay", "strict", "cycle")
VOLATILE = frozenset(("metadata", "prompt_cache_key", "safety_identifier", "seed", "user"))
SHOWN = 60  # characters of a text that differs
COMPARED = 2_000  # characters of texts whose similarity is measured

_BLOCK = re.compile(
    r"<(env|system-reminder|environment_details|environment_context)\b[^<>]*>.*?</\1>", re.S | re.I
)
_DAY = r"(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_VOLATILE_TEXT = re.compile(
    r"(?P<id>\b(?:call|toolu|chatcmpl|resp|msg|ses|prt|req|run|thread)[-_][\w-]{6,}"
    r"|\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|\b[0-9a-f]{12,}\b)"
    rf"|(?P<date>\b(?:{_DAY},?\s+)?(?:{_MONTH}\s+\d{{1,2}},?|\d{{1,2}}\.?\s+{_MONTH})\s+\d{{4}}\b"
    r"|\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?"
    r"|\b\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?:\s?[ap]m)?\b)"
    r"|(?P<duration>\b\d+(?:\.\d+)?\s?(?:ms|s|sec|secs|seconds?|minutes?)\b)"
    r"|(?P<port>(?<=127\.0\.0\.1:)\d+|(?<=localhost:)\d+)"
    r"|(?P<folder>(?:(?:~|\b[a-z]:)(?:[\\/][\w.@+-]+)*|(?:[\\/][\w.@+-]+)+)[\\/](?=[\w.@+-]))",
    re.I,
)


class Features(NamedTuple):
    """What a request is about, decisive features first."""

    api: str
    model: str
    stream: bool
    tools: tuple[str, ...]
    roles: tuple[str, ...]
    question: str  # the last thing the user said
    calls: tuple[str, ...]
    results: tuple[str, ...]
    history: tuple[str, ...]  # all other messages, the system prompt too
    schemas: str
    settings: str  # every other field


DECISIVE = Features._fields.index("question") + 1


@dataclass(frozen=True, slots=True)
class Miss:
    """No recording answers. Holds the nearest one, if there is any, and what differs."""

    reason: str
    nearest: str = ""
    differs: tuple[str, ...] = ()

    def __str__(self) -> str:
        near = f"; the nearest is {self.nearest}, but {'; '.join(self.differs)}" if self.differs else ""
        return f"{self.reason}{near}"


class Library:
    """Recordings, and how often each was served. `mode` is one of MODES:

    replay  the same request, else the recording that the model names, else the best match
    strict  only the same request (except VOLATILE); each recording once, in the order of recording
    cycle   the recordings of the request's model (or all, if it has none) in turn, whatever is asked; a
            streamed request gets a streamed recording, any other request one that is not streamed

    In all of them a request only gets a recording of its own API.
    """

    def __init__(self, recordings: Iterable[Recording], mode: str = "replay") -> None:
        self.by_name = {recording.name: recording for recording in recordings}
        self._mode = mode
        self._served: Counter[str] = Counter()
        self._turns: Counter[tuple[str, bool, str]] = Counter()
        self._same: dict[str, list[Recording]] = defaultdict(list)
        for recording in sorted(self.by_name.values(), key=lambda r: r.started):
            if recording.request:
                self._same[essence(recording.request, recording.of)].append(recording)

    @cached_property
    def _features(self) -> dict[str, Features]:
        """Return the features of every recording that has a request; this takes some milliseconds each."""
        return {r.name: features(r.request, r.of) for same in self._same.values() for r in same}

    def find(self, request: Json, api: Api = CHAT) -> Recording | Miss:
        """Return the recording that answers, and count it as served."""
        found = self._find(request, api)
        if isinstance(found, Recording):
            self._served[found.name] += 1
        return found

    def _find(self, request: Json, api: Api) -> Recording | Miss:
        model = str(request.get("model", ""))
        if self._mode == "cycle":
            return self._next_of(model, api.asked(request).stream, api)
        same = self._same.get(essence(request, api), [])
        if self._mode == "strict":
            unserved = (r for r in same if not self._served[r.name])
            return next(unserved, None) or self._miss(features(request, api), used_up=same)
        if same:
            return min(same, key=lambda r: self._served[r.name])
        named = self.by_name.get(model)
        if named and named.api != api.name:
            return Miss(f"{model} is a recording of the API {named.api}, not of {api.name}")
        return named or self._best(features(request, api))

    def _next_of(self, model: str, stream: bool, api: Api) -> Recording | Miss:
        of_api = [r for r in self.by_name.values() if r.api == api.name]
        if not of_api:
            return Miss(f"no recording answers this: none is of the API {api.name}")
        ordered = sorted(of_api, key=lambda r: r.started)
        fitting = [r for r in ordered if _streams(r) == stream]
        own = [r for r in fitting if model in (r.name, r.request.get("model"))]
        pool = own or fitting
        if not pool:
            kind = "none is streamed, as this request is" if stream else "all are streamed"
            return Miss(f"no recording answers this: {kind}")
        turns = (model if own else "", stream, api.name)
        turn = self._turns[turns]
        self._turns[turns] += 1
        return pool[turn % len(pool)]

    def _best(self, asked: Features) -> Recording | Miss:
        matching = [name for name, f in self._features.items() if f[:DECISIVE] == asked[:DECISIVE]]
        if not matching:
            return self._nearest(asked)
        likeness = {name: _likeness(asked, self._features[name]) for name in matching}
        return self.by_name[max(matching, key=lambda name: (likeness[name], -self._served[name]))]

    def _miss(self, asked: Features, used_up: list[Recording]) -> Miss:
        if used_up:
            names = ", ".join(r.name for r in used_up)
            return Miss(f"{names} has this request and was already served (--mode strict)")
        return self._nearest(asked, "no recording has exactly this request (--mode strict)")

    def _nearest(self, asked: Features, reason: str = "no recording answers this") -> Miss:
        if not self._features:
            return Miss(f"{reason}: none has a request")
        name = max(self._features, key=lambda name: _nearness(asked, self._features[name]))
        return Miss(reason, name, tuple(differences(asked, self._features[name])) or (ODDS,))


def _streams(recording: Recording) -> bool:
    """Whether it answers a streamed request. The request decides, because errors never look streamed."""
    return recording.of.asked(recording.request).stream if recording.request else recording.is_stream


ODDS = "a date, an id, a folder or the description of an environment differs"


def _likeness(asked: Features, recorded: Features) -> tuple[int, float]:
    equal = sum(a == b for a, b in zip(asked, recorded, strict=True))
    if equal == len(asked):
        return equal, 1.0
    return equal, _ratio(*("\n".join((*f.results, *f.calls, *f.history)) for f in (asked, recorded)))


def _nearness(asked: Features, recorded: Features) -> tuple[int, float, int]:
    decisive = sum(a == b for a, b in zip(asked[:DECISIVE], recorded, strict=False))
    alike = _ratio(asked.question, recorded.question)
    return decisive, alike, -abs(len(asked.roles) - len(recorded.roles))


def _ratio(a: str, b: str) -> float:
    return SequenceMatcher(None, a[-COMPARED:], b[-COMPARED:], autojunk=False).quick_ratio()


# Requests


def essence(request: Json, api: Api = CHAT) -> str:
    """Return the part in which equal requests must be identical."""
    parts = {k: v for k, v in request.items() if k not in VOLATILE}
    return f"{api.name} {json.dumps(parts, sort_keys=True)}"


def features(request: Json, api: Api = CHAT) -> Features:
    turns = list(api.turns(request))
    asked = api.asked(request)
    tools = asked.tools if isinstance(asked.tools, list) else []
    last = max((n for n, turn in enumerate(turns) if turn.role == "user"), default=-1)
    known = VOLATILE | {"model", "tools", "stream", *api.said}
    return Features(
        api=api.name,
        model=str(request.get("model", "")),
        stream=asked.stream,
        tools=tuple(sorted(map(_name, tools))),
        roles=tuple(turn.role for turn in turns),
        question=_said(turns[last]) if last >= 0 else "",
        calls=tuple(_call(*call) for turn in turns for call in turn.calls),
        results=tuple(_text(turn) for turn in turns if turn.role == "tool"),
        history=tuple(_text(turn) for n, turn in enumerate(turns) if turn.role != "tool" and n != last),
        schemas=settled(json.dumps(tools, sort_keys=True)),
        settings=json.dumps({k: v for k, v in request.items() if k not in known}, sort_keys=True),
    )


def _name(tool: Any) -> str:
    function = tool.get("function") if isinstance(tool, dict) else None
    return str(function.get("name", "")) if isinstance(function, dict) else ""


def _texts(turn: Turn) -> list[str]:
    return [settled(text) for text in turn.texts]


def _text(turn: Turn) -> str:
    return "\n".join(_texts(turn))


def _said(turn: Turn) -> str:
    """Return the last part with text: agents put their reminders before it."""
    return next((text for text in reversed(_texts(turn)) if text), "")


def _call(name: Any, arguments: Any) -> str:
    return f"{name} {settled(_canonical(arguments))}"


def _canonical(arguments: Any) -> str:
    try:
        value = json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError):
        return str(arguments)
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def settled(text: str) -> str:
    """Return a text without what differs from run to run."""
    text = _VOLATILE_TEXT.sub(lambda m: "" if m["folder"] else f"<{m.lastgroup}>", _BLOCK.sub("", text))
    return " ".join(text.split())


# Describing differences


def differences(asked: Features, recorded: Features) -> Iterator[str]:
    """Yield a short line for each feature that differs."""
    for name, a, b in zip(Features._fields, asked, recorded, strict=True):
        if a != b:
            yield f"{name}: {_SAY[name](a, b) if name in _SAY else _whole(a, b)}"


def _whole(asked: Any, recorded: Any) -> str:
    return (
        f"{json.dumps(asked, ensure_ascii=False)} asked, {json.dumps(recorded, ensure_ascii=False)} recorded"
    )


def _names(asked: tuple[str, ...], recorded: tuple[str, ...]) -> str:
    missing, more = sorted({*recorded} - {*asked}), sorted({*asked} - {*recorded})
    said = [f"without {', '.join(missing)}"] * bool(missing) + [f"with {', '.join(more)}"] * bool(more)
    return " and ".join(said) or "another number of them"


def _turns(asked: tuple[str, ...], recorded: tuple[str, ...]) -> str:
    common = next((n for n, (a, b) in enumerate(zip(asked, recorded, strict=False)) if a != b), None)
    if common is not None:
        return f"message {common + 1} is {asked[common]} and not {recorded[common]}"
    return f"{len(asked)} messages asked, {len(recorded)} recorded"


def _excerpts(asked: str, recorded: str) -> str:
    at = next((n for n, (a, b) in enumerate(zip(asked, recorded, strict=False)) if a != b), None)
    start = max(0, (min(len(asked), len(recorded)) if at is None else at) - SHOWN // 3)
    return _whole(*(_shown(text, start) for text in (asked, recorded)))


def _shown(text: str, start: int) -> str:
    end = start + SHOWN
    return f"{'…' * (start > 0)}{text[start:end]}{'…' * (end < len(text))}"


def _first(asked: tuple[str, ...], recorded: tuple[str, ...]) -> str:
    pairs = enumerate(zip(asked, recorded, strict=False), 1)
    for number, (a, b) in pairs:
        if a != b:
            return f"number {number}: {_excerpts(a, b)}"
    return f"{len(asked)} asked, {len(recorded)} recorded"


_SAY: dict[str, Any] = {
    "tools": _names,
    "roles": _turns,
    "question": _excerpts,
    "calls": _first,
    "results": _first,
    "history": _first,
    "schemas": _excerpts,
    "settings": _excerpts,
}
