"""A cache of repeated envelopes. It only saves time: without it the output is the same.

A stream repeats one envelope (id, model, created …) around one changing string. A frame that was read in
full and holds one text and nothing else leaves a template: the bytes around that text, which may occur
more than once in the frame. The next frame with the same bytes around its text needs no JSON parser. Its
reading shares `json` and `facts` with the first one and has no `data`: an encoder that edits it has to
read both.

Some servers change more than the text: a clock, the number of the event, the usage so far. Once an exact
template has failed, the next one allows other numbers in these members (`CHANGING`), and nothing else.
"""

import re
from collections.abc import Callable
from json.decoder import scanstring  # type: ignore[attr-defined]

from ..limits import TEMPLATE_TRIES, TEMPLATES
from .base import At, CallPiece, Reading, Slice

OPEN = At.OPEN
Read = Callable[[bytes], Reading]

# Members whose numbers do not tell where the text is, or what it is
CHANGING = re.compile(
    rb'"(created|created_at|sequence_number|usage|timings)":\s*'
    rb'(?P<value>-?\d[-+.\deE]*|"[^"\\]*"|\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})'
)
NUMERIC = b"0123456789.+-"
_NOT_PLAIN = re.compile(rb'["\\\x00-\x1f]')
_STRING = re.compile(rb' ?"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)


class Gap:
    """Bytes of an envelope that do not change, except for the numbers in some members. `parts` are the
    bytes before, between and after those; `members` are (key, value without its digits, the part after
    it)."""

    __slots__ = ("members", "parts")

    def __init__(self, written: bytes) -> None:
        self.members: list[tuple[str, bytes, bytes]] = []
        found = list(CHANGING.finditer(written))
        edges = [0, *(edge for member in found for edge in member.span("value")), len(written)]
        self.parts = [written[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
        for member, part in zip(found, self.parts[1:], strict=True):
            self.members.append((member[1].decode(), member["value"].translate(None, NUMERIC), part))

    def end(self, frame: bytes, at: int, reading: Reading) -> int:
        """Where the gap ends, if it is in the frame at `at`; -1 if it is not. Its numbers are put into
        the reading."""
        if not frame.startswith(self.parts[0], at):
            return -1
        at += len(self.parts[0])
        for key, value, part in self.members:
            end = frame.find(part, at)
            number = frame[at:end]
            if end < 0 or number.translate(None, NUMERIC) != value:
                return -1
            if not value and number.isdigit():
                reading.json[key] = int(number)
            at = end + len(part)
        return at


class Template:
    """A frame around one text, with these bytes at its `head` and its `tail`. `reading` is overwritten by the
    next frame of this envelope."""

    __slots__ = ("first", "head", "reading", "slice", "tail")

    def __init__(self, head: bytes, tail: bytes, reading: Reading) -> None:
        self.first = reading.slices[0]  # of the last frame whose reading was not overwritten
        self.reading = copied(reading)
        self.slice = self.reading.slices[0]
        self.head, self.tail = head, tail
        self.reading.start, self.reading.end = len(head), -len(tail)

    def read(self, frame: bytes) -> Reading | None:
        """The reading of the frame, if it has this envelope."""
        if not (frame.startswith(self.head) and frame.endswith(self.tail)):
            return None
        reading = self.reading
        return self._with(frame, frame[reading.start : reading.end])

    def _with(self, frame: bytes, inside: bytes) -> Reading | None:
        """The reading of a frame in which this is the inside of the string; None if it cannot be one."""
        try:
            text = written = inside.decode()
            if _NOT_PLAIN.search(inside):
                text, end = scanstring(f'{written}"', 0)
                if end != len(written) + 1:
                    return None
        except ValueError:
            return None
        if not text:
            return None
        reading, piece = self.reading, self.slice
        reading.frame, reading.data, piece.text = frame, "", text
        if piece.call_piece:
            piece.call_piece.text, piece.lane = text, self.first.lane
        return reading

    def is_like(self, piece: Slice) -> bool:
        """Whether the template is for the same text as this slice."""
        own, other = self.slice.call_piece, piece.call_piece
        if own and other:
            return self.slice.paths == piece.paths and own.index == other.index
        return self.slice.paths == piece.paths and self.slice.lane is piece.lane


class Changing(Template):
    """A frame around one text, in which some numbers differ from frame to frame."""

    __slots__ = ("_after", "_before")

    def __init__(self, before: Gap, after: Gap, reading: Reading) -> None:
        super().__init__(before.parts[0], after.parts[-1], reading)
        self._before, self._after = before, after

    def read(self, frame: bytes) -> Reading | None:
        if not (frame.startswith(self.head) and frame.endswith(self.tail)):
            return None
        reading, before, after = self.reading, self._before, self._after
        start = before.end(frame, 0, reading) if before.members else len(self.head)
        end = len(frame) - len(self.tail)
        if after.members and start >= 0:
            end = frame.find(after.parts[0], start)
            if end < 0 or after.end(frame, end, reading) != len(frame):
                return None
        if start < 0:
            return None
        reading.start, reading.end = start, end
        return self._with(frame, frame[start:end])


class Copies(Template):
    """A frame that holds the same text more than once, because servers send a field under two names."""

    __slots__ = ("_gaps", "_size")

    def __init__(self, gaps: list[bytes], reading: Reading) -> None:
        super().__init__(gaps[0], gaps[-1], reading)
        self._gaps, self._size = gaps, sum(map(len, gaps))
        self.reading.start = self.reading.end = 0

    def read(self, frame: bytes) -> Reading | None:
        if not (frame.startswith(self.head) and frame.endswith(self.tail)):
            return None
        size = (len(frame) - self._size) // (len(self._gaps) - 1)
        inside = frame[len(self.head) : len(self.head) + size]
        if frame != inside.join(self._gaps):
            return None
        return self._with(frame, inside)


class Envelopes:
    """Reads frames as a wire's `read` does, from templates where possible."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._templates: list[Template] = []
        self._tries = 0  # templates learned since one was last used

    def known(self, frame: bytes) -> Reading | None:
        """The reading of a frame whose envelope is known. The next frame overwrites it; use `copied` to
        keep it."""
        for template in self._templates:
            if reading := template.read(frame):
                self._tries = 0
                return reading
        return None

    def read(self, frame: bytes) -> Reading:
        """The reading of a frame."""
        for template in self._templates:
            if known := template.read(frame):
                self._tries = 0
                reading = copied(known)
                template.first = reading.slices[0]
                return reading
        reading = self._read(frame)
        if any(piece.at is OPEN for piece in reading.slices):  # a new lane may have the same envelope
            self._templates = []
        if self._tries < TEMPLATE_TRIES and len(reading.slices) == 1:
            self._learn(reading)
        return reading

    def _learn(self, reading: Reading) -> None:
        """Remember the envelope of a frame that holds one text and nothing else."""
        (piece,) = reading.slices
        if not _is_only_text(reading, piece):
            return
        self._tries += 1
        if (written := _around(reading.frame, piece)) is None:
            return
        others = [template for template in self._templates if not template.is_like(piece)]
        failed = len(others) < len(self._templates)  # an exact template of this text
        template = _template(written, reading, exact=not failed)
        known = template.read(reading.frame)
        if known and known.slices[0].text == piece.text:
            self._templates = [template, *others][:TEMPLATES]


def _is_only_text(reading: Reading, piece: Slice) -> bool:
    """Whether a frame holds this text and nothing else."""
    if reading.ends or reading.error is not None or piece.at is not At.TEXT:
        return False
    names_call = piece.call_piece is not None and bool(piece.call_piece.name)
    return bool(piece.text and piece.paths) and not names_call


def _template(written: list[bytes], reading: Reading, exact: bool) -> Template:
    """The template for a frame with these bytes around its text."""
    if len(written) > 2:
        return Copies(written, reading)
    head, tail = written
    if not exact:
        before, after = Gap(head), Gap(tail)
        if before.members or after.members:
            return Changing(before, after, reading)
    return Template(head, tail, reading)


def copied(known: Reading) -> Reading:
    """A copy of a reading, which no other frame overwrites."""
    (piece,) = known.slices
    call = piece.call_piece
    if call:
        call = CallPiece(call.group, call.index, call.id, call.name, call.text, call.foreign, call.whole)
    slices = [Slice(None if call else piece.lane, piece.text, piece.paths, piece.at, call)]
    reading = Reading(known.frame, known.data, dict(known.json), slices, (), known.facts)
    reading.start, reading.end = known.start, known.end
    return reading


def _around(frame: bytes, piece: Slice) -> list[bytes] | None:
    """The bytes around the copies of a text; None if it is not clear where they are."""
    edges = [0, len(frame)]
    for path in piece.paths:
        key = f'"{path[-1]}":'.encode()
        at = frame.find(key)
        if at < 0 or frame.find(key, at + 1) >= 0:
            return None
        written = _STRING.match(frame, at + len(key))
        if written is None:
            return None
        edges += written.span(1)
    edges.sort()
    return [frame[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True)]
