"""Runs a recording through today's rules, at many cuts.

The network cuts bytes, the engine cuts text. So an answer is run in its own pieces, as a whole,
byte by byte and at random cuts. It is also rewritten with one character in each delta, and with
all text in one delta. The result must be the same each time.

Cutting an answer into bytes or characters costs about 3 µs per byte, and all other cuts together another
3 µs. Answers above SMALL_PIECES_LIMIT are not cut into bytes or characters.

The user's rules that were in force during the recording apply again.

Events that are no part of a message (usage, errors, comments, `[DONE]` …) must leave unchanged and in
order, whatever happens to the texts. `lost_events` checks that.
"""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from toolstream import Ledger
from toolstream.wire.base import At, Kind, LaneId, Reading
from toolstream.wire.json_edit import Path, splice

from ..apis import CHAT, Api
from ..recording.format import Recording, header, parse_object
from ..rules.file import read_text
from .golden import Golden, golden
from .golden_diff import difference
from .other_version import TODAY, Rules

SMALL_PIECES_LIMIT = 1 << 18  # bytes
RANDOM_CUTS = 10
MOST_PIECES = 40  # most pieces of a random cut

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
    return golden(b"".join(pieces), sent, recording.is_stream, ledger, recording.of)


def rewrite(
    recording: Recording, pieces: list[bytes], recovery: str, rules: Rules = TODAY
) -> tuple[bytes, Ledger]:
    """Return what the client is sent. If the answer broke off: what was certain until then."""
    if not is_read(recording) or not rules.read(recording.of):
        return b"".join(pieces), Ledger()
    own = user_rules(recording.rules) | api_words(recording.of)
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


def api_words(api: Api) -> dict[str, Any]:
    """Return the API as a keyword argument for the library; {} for chat completions, which older versions
    know without being told."""
    return {} if api is CHAT else {"api": api.name}


def is_read(recording: Recording) -> bool:
    """Whether the addon reads such an answer at all."""
    is_json = header(recording.headers, "content-type").startswith("application/json")
    return recording.status < 400 and (recording.is_stream or is_json)


# Cuts


def cuts(recording: Recording) -> Iterator[tuple[str, Cut]]:
    """Yield every cut of an answer by name, except its own pieces."""
    if not recording.is_stream:
        return
    body, api = recording.body, recording.of
    yield "whole", lambda: [body] if body else []
    small = len(body) <= SMALL_PIECES_LIMIT
    if small:
        yield "byte by byte", lambda: [body[i : i + 1] for i in range(len(body))]
    for seed in range(RANDOM_CUTS):
        yield f"at random cut {seed}", lambda seed=seed: at_random(body, seed)  # type: ignore[misc]
    if recording.aborted:
        return  # it may have ended inside an event, or while text was held back
    if small:
        yield "with one character per delta", lambda: one_character_per_delta(body, api)
    yield "with all text in one delta", lambda: all_text_in_one_delta(body, api)


def at_random(body: bytes, seed: int) -> list[bytes]:
    """Cut the body at random; the same seed gives the same pieces."""
    choose = random.Random(f"{seed} {len(body)}")
    count = choose.randint(1, MOST_PIECES)
    places = sorted(choose.randint(0, len(body)) for _ in range(count))
    pieces = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
    return [piece for piece in pieces if piece]


@dataclass(frozen=True, slots=True)
class Delta:
    """A frame of a stream that holds nothing but a piece of content."""

    lane: LaneId
    text: str
    path: Path  # where the text stands in its JSON


def one_character_per_delta(body: bytes, api: Api = CHAT) -> list[bytes]:
    """Return the frames of a stream, with one character of text in each delta."""
    frames: list[bytes] = []
    for frame, delta in _deltas(body, api):
        frames += [with_text(frame, delta, c, api) for c in delta.text] if delta else [frame]
    return frames


def all_text_in_one_delta(body: bytes, api: Api = CHAT) -> list[bytes]:
    """Return the frames of a stream, with adjacent deltas of one text joined."""
    frames: list[bytes] = []
    texts: list[str] = []
    first: tuple[bytes, Delta] | None = None
    for frame, delta in [*_deltas(body, api), (b"", None)]:
        if first and delta and delta.lane is first[1].lane:
            texts.append(delta.text)
            continue
        if first:
            frames.append(with_text(*first, "".join(texts), api))
        first, texts = ((frame, delta), [delta.text]) if delta else (None, [])
        frames += [frame] if frame and not delta else []
    return frames


def _deltas(body: bytes, api: Api) -> list[tuple[bytes, Delta | None]]:
    """Return the frames of a stream, and which of them are deltas of content."""
    wire = api.wire({})
    return [(frame, _delta(wire.read(frame), api)) for frame in api.frames(body)]


def _delta(reading: Reading, api: Api) -> Delta | None:
    if len(reading.slices) != 1 or any(reason for _, reason in reading.ends):
        return None
    part = reading.slices[0]
    lane = part.lane
    is_content = lane is not None and lane.kind is Kind.CONTENT and part.at is At.TEXT
    if not is_content or not part.text or len(part.paths) != 1:
        return None
    value = parse_object(api.data(reading.frame).encode("utf-8", "surrogatepass"))
    return None if lane is None or value.get("usage") else Delta(lane, part.text, tuple(part.paths[0]))


def with_text(frame: bytes, delta: Delta, text: str, api: Api = CHAT) -> bytes:
    """Return the frame with another text."""
    return api.with_data(frame, splice(api.data(frame), [(delta.path, json.dumps(text))]))


# Frames that must not change


def lost_events(recording: Recording, recovery: str = "tolerant") -> list[str]:
    """Say which frames that are no part of a message did not leave unchanged."""
    if not recording.is_stream or recording.aborted:
        return []
    sent, _ = rewrite(recording, recording.chunks, recovery)
    before, after = (_staying(body, recording.of) for body in (recording.body, sent))
    if before == after:
        return []
    missing = [frame.decode("utf-8", "replace").strip() for frame in before if frame not in after]
    return [
        f"events beside the message: {len(before)} came, {len(after)} left",
        *(f"    - {frame}" for frame in missing),
    ]


def _staying(body: bytes, api: Api) -> list[bytes]:
    return [frame for frame in api.frames(body) if _stays(frame, api)]


def _stays(frame: bytes, api: Api) -> bool:
    value = parse_object(api.data(frame).encode("utf-8", "surrogatepass"))
    return not value or api.stays(value)
