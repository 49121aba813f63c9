"""A message that breaks off: what may have become a call by then, and what may not.

If the answer was cut (`length`, no finish_reason at all …) a call counts from its `</function>` on,
or from the end of its JSON; before that it is text, or it was streaming and is left open, with
arguments that are true so far (P9). If the model stopped by itself, closers are mended: the value
it stopped in ends there, and the ones before are as they were.
"""

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from fuzz.calls import Call, Piece, Style, text_of, write, write_json
from fuzz.messages import Block, Message
from fuzz.mutations import TEXT, Reading

LINE_BREAKS = ("\r\n", "\n", "\r")  # the last one is half of the first


@dataclass(frozen=True, slots=True)
class Whole:
    """A call without a slip; `style` is None if it is written in JSON."""

    call: Call
    style: Style | None

    @property
    def pieces(self) -> list[Piece]:
        """What it is written of."""
        return write(self.call, self.style) if self.style else [Piece("json", write_json(self.call))]

    @property
    def text(self) -> str:
        return text_of(self.pieces)

    @property
    def certain(self) -> int:
        """The length from which on it is complete."""
        return self._length_to("call_close") if self.style else self.text.rindex("}") + 1

    @property
    def named(self) -> int:
        """The length from which on its name is known, and a client may have been told of it."""
        return self._length_to("call_open")

    @property
    def first_value(self) -> int:
        """The length up to its first value."""
        return self._length_to("parameter_open")

    def _length_to(self, kind: str) -> int:
        """The length up to the end of the tag of this kind, or of all if there is none."""
        size = 0
        for piece in self.pieces:
            size += len(piece.text)
            if piece.kind == kind:
                break
        return size

    def first(self, size: int) -> list[Piece]:
        """The pieces that are complete within the first `size` characters."""
        pieces = self.pieces
        while len(text_of(pieces)) > size:
            pieces.pop()
        return pieces

    def block(self, text: str, readings: Sequence[Reading], slip: str = "") -> Block:
        """What there is of it, as part of a message."""
        canonical = self.style is None or self.style.name == "canonical"
        return Block(self.call.name, text, tuple(readings), canonical, slip)


def cut(parts: Sequence[str | Whole], size: int, stopped: bool) -> tuple[Message, Whole | None]:
    """The first `size` characters of the parts as a message with its legal outcomes; and the call it
    breaks off in. `stopped`: by the model itself."""
    done: list[str | Block] = []
    for part in parts:
        text = part if isinstance(part, str) else part.text
        here, size = text[:size], max(0, size - len(text))
        if isinstance(part, str):
            done.append(here)
        elif len(here) >= part.certain:
            done.append(part.block(here, list(_complete(part, here))))
        elif here:
            done.append(part.block(here, list(_unfinished(part, here, stopped)), slip="cut"))
            return Message(tuple(done)), part
    return Message(tuple(done)), None


def _complete(whole: Whole, text: str) -> Iterator[Reading]:
    lefts = ["", "<"] if text.endswith("<") else [""]  # a bracket alone may begin anything
    yield from (Reading(whole.call.arguments, left, slips=0) for left in lefts)


def _unfinished(whole: Whole, text: str, stopped: bool) -> Iterator[Reading]:
    """A model that stopped in a value has made a call; before the first value, it may have, and so may one
    that stopped behind a value in JSON. Half an opening, behind a call, is one too many."""
    if stopped and len(text) < whole.named and "{" not in text:
        yield Reading(TEXT, slips=0, swallowed=True)
    if stopped and not whole.style:
        yield from _closed(text)
    if stopped and whole.style and len(text) >= whole.named:
        yield from _mended(whole, text)
    if not (stopped and len(text) > whole.first_value):
        yield Reading(TEXT)


def _closed(text: str) -> Iterator[Reading]:
    """JSON that lacks nothing but its last brackets."""
    _, bracket, rest = text.partition("{")
    with contextlib.suppress(KeyError, TypeError):
        yield from (Reading(call["arguments"]) for call in _without_brackets(bracket + rest) if call)


def _mended(whole: Whole, text: str) -> Iterator[Reading]:
    """The values that were closed, and every way to take the one that was not."""
    pieces = whole.first(len(text))
    closed = [piece.key for piece in pieces if piece.kind == "parameter_close"]
    arguments = {key: whole.call.arguments[key] for key in closed}
    opened = [i for i, piece in enumerate(pieces) if piece.kind == "parameter_open"]
    if len(opened) == len(closed):
        yield Reading(arguments)
        return
    key, raw = pieces[opened[-1]].key, text[len(text_of(pieces[: opened[-1] + 1])) :]
    is_text = isinstance(whole.call.arguments[key], str)
    for value in _texts(raw):
        yield Reading(arguments | {key: value})
        if not is_text:
            yield from (Reading(arguments | {key: other}) for other in _typed(value))
    if not is_text:
        yield Reading(arguments)


def _texts(raw: str) -> Iterator[str]:
    """The text of a value that is not closed: all there is, less a line break with the indentation of a
    closing tag, or a partial one."""
    text = _without_start(raw)
    at = text.rfind("<")
    for end in {len(text), at if at >= 0 and "</parameter>".startswith(text[at:]) else len(text)}:
        yield text[:end]
        yield from (re.sub(rf"{line_break}[ \t]*\Z", "", text[:end]) for line_break in LINE_BREAKS)


def _without_start(raw: str) -> str:
    """Without the line break behind the opening tag, or the half of one that there is."""
    if raw == "\r":
        return ""
    return raw[2:] if raw.startswith("\r\n") else raw.removeprefix("\n")


def _typed(text: str) -> Iterator[Any]:
    """What a text may be that is no string: null for nothing, JSON, perhaps without its last brackets, a
    number that ends in its point, and Python's booleans."""
    yield None
    if whole := re.fullmatch(r"\s*(-?\d+)\.\s*", text):
        yield int(whole[1])
    words = {"true": True, "false": False}
    if text.strip().lower() in words:
        yield words[text.strip().lower()]
        return
    yield next(_without_brackets(text), "")


def _without_brackets(text: str) -> Iterator[Any]:
    """What JSON says that is whole but for the last brackets it may lack."""
    for closers in ("", *("".join(few) for n in range(1, 5) for few in product("]}", repeat=n))):
        with contextlib.suppress(ValueError):
            yield json.loads(text + closers)
