"""Runs a recording through today's rules, at many cuts.

The network cuts bytes, the engine cuts text. So an answer is run in its own pieces, as a whole,
byte by byte and at random cuts. It is also rewritten with one character in each delta, and with
all text in one delta. The result must be the same each time.

Cutting an answer into bytes or characters costs about 3 µs per byte, and all other cuts together another
3 µs. Answers above SMALL_PIECES_LIMIT are not cut into bytes or characters.

The user's rules that were in force during the recording apply again.

Events without text (usage, errors, comments, `[DONE]` …) must leave unchanged and in order, whatever
happens to the texts. `lost_events` checks that.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from toolstream import Ledger
from toolstream.wire.chat_json import choices_of, delta_of, read_chunk
from toolstream.wire.json_edit import splice
from toolstream.wire.sse import EventSplitter, read_data, replace_data

from ..recording.format import Recording, header
from ..rules.file import read_text
from .golden import Golden, golden
from .golden_diff import difference
from .other_version import TODAY, Rules

SMALL_PIECES_LIMIT = 1 << 18  # bytes
RANDOM_CUTS = 10
MOST_PIECES = 40  # most pieces of a random cut
CONTENT = ("choices", 0, "delta", "content")

Cut = Callable[[], list[bytes]]  # built when it is run, because it may be large


@dataclass(frozen=True, slots=True)
class Run:
    """The result of a recording, and every cut that gives another result."""

    golden: Golden
    disagreements: list[tuple[str, list[str]]]  # (cut, what differs)
    cuts: int


def run(recording: Recording, recovery: str = "tolerant") -> Run:
    """Run a recording at every cut."""
    expected = outcome(recording, recording.chunks, recovery)
    disagreements = []
    if lost := lost_events(recording, recovery):
        disagreements.append(("in its own pieces", lost))
    count = 1
    for name, cut in cuts(recording):
        count += 1
        if differs := difference(expected, outcome(recording, cut(), recovery)):
            disagreements.append((name, differs))
    return Run(expected, disagreements, count)


def outcome(
    recording: Recording, pieces: list[bytes], recovery: str = "tolerant", rules: Rules = TODAY
) -> Golden:
    """Return the result of an answer that arrives in these pieces."""
    sent, ledger = rewrite(recording, pieces, recovery, rules)
    return golden(b"".join(pieces), sent, recording.is_stream, ledger)


def rewrite(
    recording: Recording, pieces: list[bytes], recovery: str, rules: Rules = TODAY
) -> tuple[bytes, Ledger]:
    """Return what the client is sent. If the answer broke off: what was certain until then."""
    if not is_read(recording):
        return b"".join(pieces), Ledger()
    own = user_rules(recording.rules)
    if not recording.is_stream:
        sent, ledger = rules.completion(recording.request, b"".join(pieces), recovery=recovery, **own)
        return sent, ledger
    rewriter = rules.rewriter(recording.request, recovery=recovery, **own)
    out = [sent for piece in pieces for sent in rewriter.feed(piece)]
    if not recording.aborted:
        out += rewriter.close()
    return b"".join(out), rewriter.ledger


@lru_cache(maxsize=8)
def user_rules(text: str) -> dict[str, Any]:
    """Return the user's rules in a recording as keyword arguments for the library; {} if there are none, so
    that older versions of the library work, too."""
    return {"rules": read_text(text, "its rules").for_model("")} if text else {}


def is_read(recording: Recording) -> bool:
    """Whether the addon reads such an answer at all."""
    is_json = header(recording.headers, "content-type").startswith("application/json")
    return recording.status < 400 and (recording.is_stream or is_json)


# Cuts


def cuts(recording: Recording) -> Iterator[tuple[str, Cut]]:
    """Yield every cut of an answer by name, except its own pieces."""
    if not recording.is_stream:
        return
    body = recording.body
    yield "whole", lambda: [body] if body else []
    small = len(body) <= SMALL_PIECES_LIMIT
    if small:
        yield "byte by byte", lambda: [body[i : i + 1] for i in range(len(body))]
    for seed in range(RANDOM_CUTS):
        yield f"at random cut {seed}", lambda seed=seed: at_random(body, seed)  # type: ignore[misc]
    if recording.aborted:
        return  # it may have ended inside an event, or while text was held back
    if small:
        yield "with one character per delta", lambda: one_character_per_delta(body)
    yield "with all text in one delta", lambda: all_text_in_one_delta(body)


def at_random(body: bytes, seed: int) -> list[bytes]:
    """Cut the body at random; the same seed gives the same pieces."""
    choose = random.Random(f"{seed} {len(body)}")
    count = choose.randint(1, MOST_PIECES)
    places = sorted(choose.randint(0, len(body)) for _ in range(count))
    pieces = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
    return [piece for piece in pieces if piece]


def events_of(body: bytes) -> list[bytes]:
    """Return the events of a stream. The last one may be incomplete."""
    splitter = EventSplitter()
    events = splitter.feed(body)
    return [*events, bytes(splitter.pending)] if splitter.pending else events


def one_character_per_delta(body: bytes) -> list[bytes]:
    """Return the events of a stream, with one character of text in each delta."""
    events = []
    for event in events_of(body):
        text = plain_text(event)
        events += [with_text(event, character) for character in text] if text else [event]
    return events


def all_text_in_one_delta(body: bytes) -> list[bytes]:
    """Return the events of a stream, with adjacent deltas of text joined."""
    events: list[bytes] = []
    texts: list[str] = []
    first = b""
    for event in [*events_of(body), b""]:
        text = plain_text(event)
        if text and (not texts or _index(event) == _index(first)):
            first = first if texts else event
            texts.append(text)
            continue
        if texts:
            events.append(with_text(first, "".join(texts)))
        first, texts = (event, [text]) if text else (b"", [])
        events += [event] if event and not text else []
    return events


def plain_text(event: bytes) -> str:
    """Return the text of an event that holds nothing else; "" for any other event."""
    choice = _only_choice(event)
    delta = delta_of(choice)
    other = any(v for k, v in delta.items() if k not in ("role", "content"))
    content = delta.get("content")
    if other or choice.get("finish_reason") or not isinstance(content, str):
        return ""
    return content


def _only_choice(event: bytes) -> dict[str, Any]:
    chunk = read_chunk(read_data(event) or "") or {}
    choices = choices_of(chunk)
    return choices[0][1] if len(choices) == 1 and not chunk.get("usage") else {}


def _index(event: bytes) -> Any:
    return _only_choice(event).get("index", 0)


def with_text(event: bytes, text: str) -> bytes:
    """Return the event with another text."""
    data = read_data(event)
    assert data is not None
    return replace_data(event, splice(data, [(CONTENT, json.dumps(text))]))


# Events that must not change


def lost_events(recording: Recording, recovery: str = "tolerant") -> list[str]:
    """Say which events without choices did not leave unchanged."""
    if not recording.is_stream or recording.aborted:
        return []
    sent, _ = rewrite(recording, recording.chunks, recovery)
    before, after = (_without_choices(body) for body in (recording.body, sent))
    if before == after:
        return []
    missing = [event.decode("utf-8", "replace").strip() for event in before if event not in after]
    return [
        f"events without choices: {len(before)} came, {len(after)} left",
        *(f"    - {e}" for e in missing),
    ]


def _without_choices(body: bytes) -> list[bytes]:
    return [e for e in events_of(body) if not choices_of(read_chunk(read_data(e) or "") or {})]
