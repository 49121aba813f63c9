"""Messages made of prose and calls, and the check that their outcome is one of the legal ones.

A message is a row of parts: text, and calls, each with the readings that are legal for it. Text
is expected byte for byte as P11 says: without the blanks before a call, and without those behind
one if another call or the end follows. Only where a reading leaves a piece of a damaged call as
text, blanks are not compared, since no policy says which of them go.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from hypothesis import strategies as st

from fuzz.calls import STYLES, Tool, calls, prose, text_of, write, write_json, written
from fuzz.known import case_text, excused
from fuzz.mutations import TEXT, Reading, damaged
from support.cuts import cut_at, per_character, units
from support.outcome import Outcome, run
from toolstream.grammar import BLANK

Named = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Block:
    """A call as it is written. `canonical`: but for its slip, the strict level reads it."""

    name: str
    text: str
    readings: tuple[Reading, ...]
    values: tuple[str, ...] = ()  # as they are written
    canonical: bool = True
    slip: str = ""
    known: tuple[str, ...] = ()  # findings that excuse what happens today

    def legal(self, level: str) -> list[Reading]:
        """The readings at a recovery level; strict mends nothing."""
        if level != "strict":
            return list(self.readings)
        clean = [reading for reading in self.readings if not reading.slips and self.canonical]
        return [*clean, Reading(TEXT)] if self.slip or not clean else clean


@dataclass(frozen=True, slots=True)
class Expected:
    """One legal outcome."""

    text: str
    calls: list[Named]
    exact: bool  # every blank of the text counts

    def matches(self, text: str, calls: Sequence[Named]) -> bool:
        if normal(calls) != normal(self.calls):
            return False
        return text == self.text if self.exact else squashed(text) == squashed(self.text)


@dataclass(frozen=True, slots=True)
class Message:
    """Text and calls in turn."""

    parts: tuple[str | Block, ...]

    @property
    def text(self) -> str:
        return "".join(part.text if isinstance(part, Block) else part for part in self.parts)

    @property
    def blocks(self) -> list[Block]:
        return [part for part in self.parts if isinstance(part, Block)]

    def legal(self, level: str) -> Iterator[Expected]:
        """Every outcome that is legal at this level, the likeliest first."""
        for chosen in product(*(block.legal(level) for block in self.blocks)):
            yield self._expected(chosen)

    def _expected(self, chosen: Sequence[Reading]) -> Expected:
        text, calls, behind_call, readings = "", [], False, iter(chosen)
        exact = True
        for part in self.parts:
            if isinstance(part, str):
                text += part
                behind_call = behind_call and not part.strip(BLANK)
                continue
            reading = next(readings)
            left = part.text if reading.is_text else reading.left
            exact = exact and (reading.is_text or not left)
            text = text + left if left else text.rstrip(BLANK)
            behind_call = not left
            calls += reading.calls(part.name)
        return Expected(text.rstrip(BLANK) if behind_call else text, calls, exact)


PLACES = st.lists(st.integers(0, 1 << 16), max_size=5)


def outcome_of(
    message: Message, tools: Sequence[Tool], level: str, places: Sequence[int], finish: str | None = "stop"
) -> Outcome:
    """What becomes of a message, which must be the same at every cut; and for a caller that does not
    stream, if the model stopped by itself."""
    declared, text = [tool.declared() for tool in tools], message.text
    whole = run([text], declared, finish, recovery=level)
    size = len(units(text)) + 1
    for pieces in (cut_at(text, [place % size for place in places]), per_character(text)):
        assert run(pieces, declared, finish, recovery=level).events == whole.events, f"cut into {pieces}"
    if finish == "stop":
        assert run([text], declared, finish, recovery=level, live=False).events == whole.events
    return whole


def check(
    message: Message, outcome: Outcome, tools: Sequence[Tool], level: str, finish: str | None = "stop"
) -> None:
    """AssertionError, with a case to keep, unless the outcome is legal."""
    calls = [(name, json.loads(arguments)) for name, arguments in outcome.calls]
    legal = list(message.legal(level))
    assert outcome.open_call is None, "a call that was not cut is left open"
    if not any(expected.matches(outcome.text, calls) for expected in legal):
        repeated = "repeated-parameter" in outcome.repairs  # P8: those values are dropped
        if _excused(message, level) and (repeated or not lost(message, outcome)):
            return
        best = legal[0]
        raise AssertionError(
            f"not a legal outcome ({', '.join(b.slip for b in message.blocks if b.slip) or 'no slip'})\n"
            f"text   {outcome.text!r}\ncalls  {outcome.calls}\nrepairs {outcome.repairs}\n"
            f"but one of\n{''.join(f'  {e.text!r} {e.calls}' + chr(10) for e in legal)}"
            + case_text(tools, message.text, best.text, best.calls, level, finish)
        )


def _excused(message: Message, level: str) -> bool:
    known = [name for block in message.blocks for name in block.known]
    if level == "strict":
        known += ["strict-mends" for block in message.blocks if block.slip]
        known += ["strict-foreign-example" for block in message.blocks if not block.canonical]
    return any(map(excused, known))


def lost(message: Message, outcome: Outcome) -> list[str]:
    """The lines of the input, of values and of prose, whose letters are in no text and in no argument."""
    said = [part for part in message.parts if isinstance(part, str)]
    said += [value for block in message.blocks for value in block.values]
    kept = "".join(map(_letters, [outcome.text, *_texts(outcome)]))
    return [line for text in said for line in text.splitlines() if _letters(line) not in kept]


def _texts(outcome: Outcome) -> Iterator[str]:
    for _, arguments in outcome.calls:
        yield from (f"{key} {written(value)}" for key, value in json.loads(arguments).items())


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.replace("\\n", ""))).casefold()  # JSON may be read or not


def normal(calls: Sequence[Named]) -> list[tuple[str, str]]:
    """JSON written alike: with the keys in order, and numbers that tell 5 from 5.0."""
    return [(name, json.dumps(arguments)) for name, arguments in calls]


def squashed(text: str) -> str:
    """The text without its blanks."""
    return re.sub(f"[{BLANK}]+", "", text)


# Strategies

BETWEEN = st.one_of(st.sampled_from(["\n", "\n\n", "\r\n"]), prose().map("\n\n{}\n\n".format))
LEAD = st.one_of(st.sampled_from(["", "\n", " \n"]), prose().map("{}\n".format), prose().map("{}\n\n".format))
TAIL = st.one_of(st.sampled_from(["", "\n"]), prose().map("\n\n{}".format), prose().map("\n{}\n".format))


@st.composite
def right(draw: st.DrawFn, of: list[Tool]) -> Block:
    """A call without a slip, in any dialect."""
    call = draw(calls(of))
    if draw(st.integers(0, 5)) == 0:
        text = write_json(call, draw(st.sampled_from([None, 1])))
        return Block(call.name, text, (Reading(call.arguments),), canonical=False)
    style = draw(STYLES)
    values, canonical = tuple(map(written, call.arguments.values())), style.name == "canonical"
    text, reading = text_of(write(call, style)), Reading(call.arguments, slips=0)
    return Block(call.name, text, (reading,), values, canonical)


@st.composite
def slipped(draw: st.DrawFn, of: list[Tool]) -> Block:
    """A call with one slip."""
    call, style = draw(calls(of)), draw(STYLES)
    slip = draw(damaged(call, style, of))
    values, canonical = tuple(map(written, call.arguments.values())), style.name == "canonical"
    return Block(call.name, slip.text, slip.readings, values, canonical, slip.name, slip.known)


@st.composite
def messages(draw: st.DrawFn, of: list[Tool], slip: bool) -> Message:
    """One to three calls, one of them with a slip or none, prose before, between and behind."""
    blocks = draw(st.lists(right(of), min_size=0 if slip else 1, max_size=2))
    if slip:
        blocks.insert(draw(st.integers(0, len(blocks))), draw(slipped(of)))
    in_line = not slip and blocks[0].text.startswith("<tool_call>")  # else it must start a line
    parts: list[Any] = [draw(prose().map("{}: ".format) | LEAD if in_line else LEAD)]
    for block in blocks:
        parts += [block, draw(BETWEEN)]
    return Message((*parts[:-1], draw(TAIL)))
