"""A cache of repeated envelopes. An optimisation: without it nothing changes but the time.

A stream repeats one envelope (id, model, created …) around one changing string. A frame that was read in full
and holds nothing but one text leaves a template: the bytes before and after that text, as often as it stands
in the frame. The next frame that has the same bytes there needs no JSON parser. Its reading shares `json` and
`facts` with the first one, and has no `data`: an encoder that edits it has to read both.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from json.decoder import scanstring  # type: ignore[attr-defined]

from ..limits import TEMPLATE_TRIES, TEMPLATES
from .base import At, Reading, Slice
from .json_edit import span

OPEN = At.OPEN
Read = Callable[[bytes], Reading]


@dataclass(slots=True)
class Template:
    """A frame around one text. `gaps` are the bytes before it, between its copies, and after it."""

    gaps: tuple[bytes, ...]
    reading: Reading
    size: int  # of all gaps

    def read(self, frame: bytes) -> str | None:
        """The text, if the frame has this envelope."""
        gaps = self.gaps
        head = gaps[0]
        if not (frame.startswith(head) and frame.endswith(gaps[-1])):
            return None
        inside = frame[len(head) : len(head) + (len(frame) - self.size) // (len(gaps) - 1)]
        if len(gaps) > 2 and frame != inside.join(gaps):
            return None
        try:
            text = inside.decode()
            if b"\\" not in inside and b'"' not in inside:
                return text
            text, end = scanstring(text + '"', 0)
        except ValueError:
            return None
        return text if end == len(inside.decode()) + 1 else None


class Envelopes:
    """`read` in place of the wire's own."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._templates: list[Template] = []
        self._seen: Slice | None = None  # the text of the last frame, if it could be learned from
        self._tries = 0  # templates learned since one was of use

    def read(self, frame: bytes) -> Reading:
        """The slices of a frame."""
        for template in self._templates:
            text = template.read(frame)
            if text:
                self._tries = 0
                known = template.reading
                piece = known.slices[0]
                call = piece.piece and replace(piece.piece, text=text)
                pieces = [Slice(None if call else piece.lane, text, piece.paths, At.TEXT, call)]
                return Reading(frame, "", known.json, pieces, (), known.facts)
        reading = self._read(frame)
        if any(piece.at is OPEN for piece in reading.slices):  # what comes next may have the same envelope
            self._templates = []
        if self._tries < TEMPLATE_TRIES:
            self._learn(reading)
        return reading

    def _learn(self, reading: Reading) -> None:
        """Remember the envelope of a frame, if the one before it was of the same kind."""
        before, self._seen = self._seen, None
        if len(reading.slices) != 1 or reading.ends or reading.error is not None:
            return
        (piece,) = reading.slices
        call = piece.piece
        if piece.at is not At.TEXT or not (piece.text and piece.paths) or (call and (call.id or call.name)):
            return
        self._seen = piece
        if before is None or before.paths != piece.paths:
            return
        self._tries += 1
        template = _template(reading, piece)
        if template and template.read(reading.frame) == piece.text:
            self._templates = [template, *self._templates][:TEMPLATES]


def _template(reading: Reading, piece: Slice) -> Template | None:
    """The template of a frame whose data stands in it in one piece."""
    data = reading.data.encode()
    at = reading.frame.find(data)
    spans = sorted(where for path in piece.paths if (where := span(reading.data, path)))
    if at < 0 or not data or len(spans) < len(piece.paths):
        return None
    gaps, done = [], 0
    for start, end in spans:
        edges = [at + len(reading.data[:edge].encode()) for edge in (start + 1, end - 1)]
        gaps.append(reading.frame[done : edges[0]])
        done = edges[1]
    gaps.append(reading.frame[done:])
    return Template(tuple(gaps), reading, sum(map(len, gaps)))
