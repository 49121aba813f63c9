"""The texts that the deltas of a stream add up to, each with the places of its pieces in the body.

The model's words are spread over many events (or lines of JSON). Here the strings that have the same place in
their events (the content of a choice, the arguments of a call) are joined, with their escapes, so that
whatever is found in a joined text can be overwritten in the body.

The place of a string is its key and the indexes and the item's id in its event. That is enough to tell texts
apart as long as a key occurs only once in an event. If one occurs more often, all events are read as
JSON, which takes ten times as long.
"""

import json
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from .jsonspans import place, spans

_STREAM = re.compile(rb"\s*(?:\xef\xbb\xbf)?(?:data|event|id|retry)?:")
_JSON_LINES = re.compile(rb"\{[^\n]*\}\r?\n\{")
_INDEXES = frozenset((b"index", b"output_index", b"content_index", b"summary_index"))
# Not these, which are the same in each event, and not `token`: its text is that of the content.
_OTHERS = (
    *("finish_reason", "id", "model", "name", "object", "role", "service_tier", "system_fingerprint"),
    *("status", "token", "type"),
)


def _pair(end: bytes) -> re.Pattern[bytes]:
    """Return a pattern for a key with its text or number, and for what ends an event."""
    others = "|".join(_OTHERS).encode()
    return re.compile(
        rb'"(?!(?:%b)")(?P<key>[\w-]+)"\s*:\s*(?:"(?P<text>[^"\\]*(?:\\.[^"\\]*)*)"|(?P<number>\d+))'
        rb"|(?P<end>%b)" % (others, end),
        re.S,
    )


_IN_EVENTS, _IN_LINES = _pair(rb"\n\r?\n|\r\r"), _pair(rb"\n")
_DATA = re.compile(rb"^(?:data:[ ]?)?(\{.*)", re.M)


@dataclass(slots=True)
class Joined:
    """A text, and where its pieces begin in the body."""

    pieces: list[bytes] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)  # of the pieces, in the text
    places: list[int] = field(default_factory=list)  # of the pieces, in the body
    length: int = 0

    @classmethod
    def of(cls, body: bytes) -> "Joined":
        """Return a whole body as a text of one piece."""
        return cls([body], [0], [0], len(body))

    def add(self, piece: bytes, at: int) -> None:
        self.pieces.append(piece)
        self.starts.append(self.length)
        self.places.append(at)
        self.length += len(piece)

    @property
    def text(self) -> bytes:
        return b"".join(self.pieces)

    def in_body(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield where a part of the text is in the body."""
        number = bisect_right(self.starts, start) - 1
        while start < end:
            left = self.starts[number]
            upto = min(end, left + len(self.pieces[number]))
            if start < upto:
                yield self.places[number] + start - left, self.places[number] + upto - left
            start = max(start, upto)
            number += 1


def is_stream(body: bytes) -> bool:
    """Whether these are server-sent events, or lines of JSON."""
    return _STREAM.match(body) is not None or _JSON_LINES.match(body) is not None


def joined(body: bytes) -> list[Joined]:
    """Return the texts of a stream that have more than one piece."""
    found = _by_key(body)
    texts = _by_path(body) if found is None else found
    return [text for text in texts if len(text.pieces) > 1]


def _by_key(body: bytes) -> list[Joined] | None:
    texts: dict[tuple[bytes, ...], Joined] = defaultdict(Joined)
    event: dict[bytes, re.Match[bytes]] = {}
    indexes: list[bytes] = []
    pair = _IN_LINES if _JSON_LINES.match(body) else _IN_EVENTS
    for match in pair.finditer(body + b"\n\n"):
        if match["key"] == b"item_id":
            indexes.append(match["text"] or b"")
        elif match["text"] is not None:
            if match["key"] in event:
                return None
            event[match["key"]] = match
        elif match["key"] in _INDEXES:
            indexes.append(match["number"])
        else:
            for key, found in event.items():
                texts[key, *indexes].add(found["text"], found.start("text"))
            event, indexes = {}, []
    return list(texts.values())


def _by_path(body: bytes) -> list[Joined]:
    texts: dict[tuple[object, ...], Joined] = defaultdict(Joined)
    for line in _DATA.finditer(body):
        try:
            chunk = json.loads(line[1])
        except (ValueError, RecursionError):
            continue
        for span in spans(body[slice(*line.span(1))].decode("latin-1")):
            if span.kind == "string" and span.path[-1] not in _OTHERS:
                at = line.start(1) + span.start
                texts[place(chunk, span.path)].add(body[at : line.start(1) + span.end], at)
    return list(texts.values())
