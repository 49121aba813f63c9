"""The envelope that a stream repeats around one changing string: id, model, created …

A chunk that was read in full leaves a `Template`: the text before and after that string. The next chunk
that has the same text on both sides needs no JSON parser, and one whose content only shrinks is written
into its own envelope, byte for byte as the server spelled it. Where nobody has to see the string at once,
a `Shortcut` tells by one pattern that an event may pass.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum, auto
from functools import lru_cache
from json.decoder import scanstring  # type: ignore[attr-defined]

from ..limits import LOOK_AHEAD, PATTERNS
from ..schema.json_read import Json
from ..schema.json_write import quoted
from .chat_completions import NATIVE, Synthesis, delta_of, fields_of, is_bare, reasoning_in
from .json_edit import Path, span

DATA = "data: "

# What can pass unread inside of a JSON string. Prose: all but the beginning of a tag; whitespace at its end
# is the second group. Payload: escapes only if they mean the same in the string it goes into, and a line
# break only if its line does not stay empty. Plain: what is no more than itself in JSON that is in JSON,
# and line breaks that no tag follows.
#
# `|(?!)`, which never matches, stands last in what is repeated for good (`*+`): before 3.11.5 Python does
# not go back to where the last repetition began if that fails half-way.
_RUN = rb'[^<\\"\x00-\x1f]++'
_GAP = rb"(?: |\\[fnrt]|(?!))"
PROSE = rb'((?:%b*+(?:[^<\\"\x00-\x20]++|\\["\\/b])|(?!))*+)(%b{0,%d}+)' % (_GAP, _GAP, LOOK_AHEAD)
PAYLOAD = rb'((?:%b|\\["\\/bf]|(?!))++|(?:%b|\\["\\/bfnt]|(?!))++(?<=[^\\][^ "\\]))' % (_RUN, _RUN)
PLAIN = rb'((?:%b|\\\\n(?=[^<\\"])|(?!))++)' % _RUN


class Kind(StrEnum):
    """What the one changing string of a delta is."""

    CONTENT = auto()
    REASONING = auto()  # whatever the field is called
    ARGUMENTS = auto()
    OTHER = auto()


class Unseen(StrEnum):
    """What the strings that pass unseen are part of."""

    TEXT = auto()
    VALUE = auto()  # of a call that is being written
    ARGUMENTS = auto()  # of a call that the server parsed


# To look up a member of an enum takes Python 3.11 ten times as long as to look up a global name
CONTENT, REASONING, ARGUMENTS, OTHER = Kind
IN_TEXT, IN_VALUE, IN_ARGUMENTS = Unseen
_MAY_PASS = {IN_TEXT: PROSE, IN_VALUE: PAYLOAD, IN_ARGUMENTS: PLAIN}


@dataclass(frozen=True, slots=True)
class Template:
    """An event around one changing string, which may stand in it several times."""

    head: str
    tails: tuple[str, ...]  # what stands after the string, each time
    kind: Kind
    index: int
    role: bool  # the delta names the role as well
    bare: bool  # nothing but the string, and perhaps the role, is worth keeping
    synthesis: Synthesis
    call: int  # the index of the call whose arguments the string is part of; else -1

    def read(self, event: str) -> str | None:
        """The string, if the event has this envelope."""
        if not event.startswith(self.head):
            return None
        try:
            text, end = scanstring(event, len(self.head))
        except ValueError:
            return None
        tails = self.tails
        after = tails[0] if len(tails) == 1 else event[len(self.head) : end - 1].join(tails)
        return text if event[end - 1 :] == after else None

    def write(self, text: str) -> bytes:
        """The event with another string."""
        inside = quoted(text)[1:-1]
        return (self.head + inside + inside.join(self.tails)).encode()


@dataclass(frozen=True, slots=True)
class Shortcut:
    """What becomes of every event of a template whose text nobody has to see at once: it passes, or the text
    goes into a delta of a call. The pattern's groups are the text, and whitespace at its end that has to
    wait."""

    pattern: re.Pattern[bytes]
    template: Template
    of: Unseen
    waits: bool  # whitespace at the end of the text does; asked for each event
    head: bytes = b""
    tail: bytes = b""

    def write(self, event: bytes, text: bytes) -> bytes:
        """The event to send for one that matches, with `text` in it."""
        if not self.head:
            return event
        return self.head + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + self.tail


def shortcut_of(template: Template, of: Unseen, number: int = 0) -> Shortcut:
    """The shortcut for what may pass unseen; `number`: of the call whose value it is part of."""
    inside = _MAY_PASS[of]
    pattern = _letters(template.head, template.tails, inside)
    around = template.synthesis.around_arguments(number) if of is IN_VALUE else ()
    return Shortcut(pattern, template, of, of is IN_TEXT, *around)


@lru_cache(maxsize=PATTERNS)
def _letters(head: str, tails: tuple[str, ...], inside: bytes) -> re.Pattern[bytes]:
    first, *more = (re.escape(tail.encode()) for tail in tails)
    copies = b"".join(b"\\1\\2" + tail if inside is PROSE else b"\\1" + tail for tail in more)
    return re.compile(re.escape(head.encode()) + inside + first + copies)


def unquoted(inside: bytes) -> str:
    """What the inside of a JSON string says."""
    text: str = scanstring(inside.decode() + '"', 0)[0]
    return text


def learn(event: bytes, data: str, chunk: Json) -> Template | None:
    """The template of an event that holds one choice without finish_reason, and one string worth reading."""
    choice = chunk["choices"][0]
    if (
        not event.startswith(DATA.encode())
        or len(chunk["choices"]) > 1
        or choice.get("finish_reason") is not None
    ):
        return None
    delta = delta_of(choice)
    kind, places = _changing(delta)
    spans = [where for place in places if (where := span(data, ("choices", 0, "delta", *place)))]
    if not spans:
        return None
    head, *tails = _around(event.decode(), sorted(spans))
    index = choice.get("index", 0)
    template = Template(
        head,
        tuple(tails),
        kind,
        index,
        bool(delta.get("role")),
        is_bare(chunk, delta, {"tool_calls"} if kind is ARGUMENTS else fields_of(delta, places)),
        Synthesis(chunk, index),
        delta["tool_calls"][0]["index"] if kind is ARGUMENTS else -1,
    )
    return template if template.read(event.decode()) is not None else None


def _around(event: str, spans: list[tuple[int, int]]) -> Iterator[str]:
    """An event's text without the strings at these places of its data: what stands around them."""
    done = 0
    for start, end in spans:
        yield event[done : len(DATA) + start + 1]
        done = len(DATA) + end - 1
    yield event[done:]


def _changing(delta: Json) -> tuple[Kind, list[Path]]:
    """The one text of a delta that changes from chunk to chunk, and where in the delta it stands."""
    keys = [k for k, v in delta.items() if v not in (None, "", []) and k != "role"]
    _, places = reasoning_in(delta)
    if keys == ["tool_calls"]:
        match delta["tool_calls"]:
            case [{"index": int(), "function": {"arguments": str()} as function, **rest}]:
                if not rest and len(function) == 1:
                    return ARGUMENTS, [NATIVE]
    elif places and set(keys) == {place[0] for place in places}:
        return REASONING, places
    elif len(keys) == 1 and isinstance(delta[keys[0]], str):
        return CONTENT if keys == ["content"] else OTHER, [(keys[0],)]
    return OTHER, []
