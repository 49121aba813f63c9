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
from itertools import pairwise, product
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from fuzz.calls import STYLES, Tool, calls, prose, text_of, write, write_json
from fuzz.known import case_text
from fuzz.mutations import TEXT, Reading, damaged
from fuzz.soup import is_subsequence
from support.cuts import cut_at, per_character, units
from support.outcome import Outcome, run
from toolstream.grammar.text import BLANK, trailing

Named = tuple[str, Any]

_LAST_RUN = re.compile(r"(?:\r?\n)?(?:</parameter>\s*)?</(?:function|invoke)>(?:\s*</tool_call>)?\s*$")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')  # of JSON


@dataclass(frozen=True, slots=True)
class Block:
    """A call as it is written. `canonical`: but for its slip, the strict level reads it."""

    name: str
    text: str
    readings: tuple[Reading, ...]
    canonical: bool = True
    slip: str = ""

    @property
    def may_be_markup(self) -> bool:
        """Whether right behind another tag it may be part of any document: a bare call in tags that XML
        has, too."""
        return self.text.startswith(("<invoke ", "<function "))

    def may_be_once(self, following: "Block") -> bool:
        """Whether a slip may make one call, whose tag was written twice, of a call without arguments and the
        next one of its tool."""
        slipped = bool(self.slip or following.slip) and self.name == following.name
        return slipped and not any(reading.arguments for reading in self.readings)

    def legal(self, level: str) -> list[Reading]:
        """The readings at a recovery level; strict mends nothing."""
        if level != "strict":
            return list(self.readings)
        clean = [r for r in self.readings if not r.slips and (self.canonical or r.swallowed)]
        unclear = [reading for reading in self.readings if reading.unclear or reading.runs_on]
        return [*clean, Reading(TEXT), *unclear] if self.slip or not clean else clean


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
        return "".join(map(written, self.parts))

    @property
    def blocks(self) -> list[Block]:
        return [part for part in self.parts if isinstance(part, Block)]

    def legal(self, level: str) -> Iterator[Expected]:
        """Every outcome that is legal at this level, the likeliest first."""
        for chosen in product(*(block.legal(level) for block in self.blocks)):
            if any(reading.runs_on for reading in chosen):
                yield from self._running_on(chosen)
            else:
                yield self._expected(chosen)
        for block, following in pairwise(self.blocks):
            if block.may_be_once(following):
                yield from Message(tuple(part for part in self.parts if part is not block)).legal(level)

    def _running_on(self, chosen: Sequence[Reading]) -> Iterator[Expected]:
        """A value has taken in all that follows, up to the closing tags that the message ends with."""
        at = next(i for i, reading in enumerate(chosen) if reading.runs_on)
        block, reading = self.blocks[at], chosen[at]
        before = self.parts[: self.parts.index(block)]
        opened = re.compile(f'<parameter(?:={reading.runs_on}| name="{reading.runs_on}")>(?:\r?\n)?')
        *_, start = (found.end() for found in opened.finditer(block.text))
        text = block.text[start:] + "".join(map(written, self.parts[self.parts.index(block) + 1 :]))
        if end := _LAST_RUN.search(text):
            run_on = {**(reading.arguments or {}), reading.runs_on: text[: end.start()]}
            expected = Message(before)._expected(chosen[:at])
            yield Expected(before_call(expected.text), [*expected.calls, (block.name, run_on)], exact=False)

    def _expected(self, chosen: Sequence[Reading]) -> Expected:
        text, gap, calls, behind_call, readings = "", "", [], False, iter(chosen)
        exact, unclear = True, False
        for part in self.parts:
            if unclear:
                text += written(part)
                continue
            if isinstance(part, str):
                behind_call = behind_call and not part.strip(BLANK)
                text, gap = (text, gap + part) if behind_call else (text + gap + part, "")
                continue
            reading = next(readings)
            left = part.text if reading.is_text else reading.left
            exact = exact and reading.exact and (reading.is_text or not left)
            unclear = reading.unclear
            text, gap = (text + gap + left if left else text if behind_call else before_call(text)), ""
            behind_call = not left
            calls += reading.calls(part.name)
        return Expected(text, calls, exact)


def written(part: str | Block) -> str:
    """A part of a message as the model writes it."""
    return part if isinstance(part, str) else part.text


# What may wait at the end of a value: a closing tag, half an escape, or in JSON a quote and what may stand
# behind it
_MAY_WAIT = re.compile(r"'?[\s,}\]]*(?:[<\\]|\Z)")

PLACES = st.lists(st.integers(0, 1 << 16), max_size=5)


def outcome_of(
    message: Message, tools: Sequence[Tool], level: str, places: Sequence[int], finish: str | None = "stop"
) -> Outcome:
    """What becomes of a message, which must be the same at every cut; and for a caller that does not
    stream, if the model stopped by itself. Only a call whose end is unclear may have streamed: what
    became of it is then what such a caller gets."""
    declared, text = [tool.declared() for tool in tools], message.text
    whole = run([text], declared, finish, recovery=level)
    size = len(units(text)) + 1
    for pieces in (cut_at(text, [place % size for place in places]), per_character(text)):
        assert run(pieces, declared, finish, recovery=level).events == whole.events, f"cut into {pieces}"
    if finish != "stop":
        return whole
    buffered = run([text], declared, finish, recovery=level, live=False)
    if whole.open_call:
        check_unclear(text, whole, buffered)
    else:
        assert buffered.events == whole.events
    return buffered


def check_unclear(text: str, streamed: Outcome, buffered: Outcome) -> None:
    """A call was left open because its end is unclear, or because its JSON is: all that followed has streamed
    as its value, or waits: in a value that does not stream, or from a bracket on that may begin its end, or
    half an escape; without streaming it is text. So is one that has a parameter which cannot be read; where
    it has streamed, what follows is text, too."""
    if "unread-parameter" in streamed.refused:
        assert buffered.calls[: len(streamed.calls)] == streamed.calls
        return
    assert {"unclear-end", "truncated"} & {*streamed.refused}
    assert streamed.refused == buffered.refused
    assert buffered.open_call is None
    assert buffered.calls == streamed.calls
    assert is_subsequence(streamed.text, buffered.text)
    assert streamed.open_call
    _, quote, value = _STRING.sub("", streamed.open_call[1]).partition('"')
    if quote:
        said = json.loads(f'"{value}"').rstrip(BLANK)
        as_written = (text.rpartition(form)[2] for form in (said, value) if form in text)  # in XML or JSON
        held = min(as_written, key=len) if said else ""
        assert _MAY_WAIT.match(held), f"{held!r} is not in {streamed.open_call}"


def check(
    message: Message, outcome: Outcome, tools: Sequence[Tool], level: str, finish: str | None = "stop"
) -> None:
    """AssertionError, with a case to keep, unless the outcome is legal."""
    calls = [(name, json.loads(arguments)) for name, arguments in outcome.calls]
    legal = list(message.legal(level))
    assert outcome.open_call is None, "a call that was not cut is left open"
    if not any(expected.matches(outcome.text, calls) for expected in legal):
        best = legal[0]
        raise AssertionError(
            f"not a legal outcome ({', '.join(b.slip for b in message.blocks if b.slip) or 'no slip'})\n"
            f"text   {outcome.text!r}\ncalls  {outcome.calls}\nrepairs {outcome.repairs}\n"
            f"but one of\n{''.join(f'  {e.text!r} {e.calls}' + chr(10) for e in legal)}"
            + "as a case:\n\n"
            + case_text(tools, message.text, best.text, best.calls, level, finish)
        )


def normal(calls: Sequence[Named]) -> list[tuple[str, str]]:
    """JSON written alike: with the keys in order, and numbers that tell 5 from 5.0."""
    return [(name, json.dumps(arguments)) for name, arguments in calls]


def before_call(text: str) -> str:
    """What is left of the text before a call: without its blanks from their first line break on (P11)."""
    return text[: trailing(text, 0, len(text))]


def squashed(text: str) -> str:
    """The text without its blanks."""
    return re.sub(f"[{BLANK}]+", "", text)


# Strategies

PROSE_BETWEEN = prose().map("\n\n{}\n\n".format)
BETWEEN = st.one_of(st.sampled_from(["\n", "\n\n", "\r\n"]), PROSE_BETWEEN)
LEAD = st.one_of(st.sampled_from(["", "\n", " \n"]), prose().map("{}\n".format), prose().map("{}\n\n".format))
TAIL = st.one_of(st.sampled_from(["", "\n"]), prose().map("\n\n{}".format), prose().map("\n{}\n".format))


@st.composite
def right(draw: st.DrawFn, of: list[Tool]) -> Block:
    """A call without a slip, in any dialect."""
    call = draw(calls(of))
    if draw(st.integers(0, 5)) == 0:
        text = write_json(call, draw(st.sampled_from([None, 1])))
        return Block(call.name, text, (Reading(call.arguments, slips=0),))
    style = draw(STYLES)
    text, reading = text_of(write(call, style)), Reading(call.arguments, slips=0)
    return Block(call.name, text, (reading,), style.name == "canonical")


@st.composite
def slipped(draw: st.DrawFn, of: list[Tool]) -> Block:
    """A call with one slip."""
    call, style = draw(calls(of)), draw(STYLES)
    slip = draw(damaged(call, style, of))
    canonical = style.name == "canonical"
    return Block(call.name, slip.text, slip.readings, canonical, slip.name)


@st.composite
def messages(draw: st.DrawFn, of: list[Tool], slip: bool) -> Message:
    """One to three calls, one of them with a slip or none, prose before, between and behind: also between
    what is left of a slip and a bare call that, right behind a tag, is no call."""
    blocks = draw(st.lists(right(of), min_size=0 if slip else 1, max_size=2))
    if slip:
        blocks.insert(draw(st.integers(0, len(blocks))), draw(slipped(of)))
    for block, after in pairwise(blocks):  # whose parameters are they?
        assume(after.slip not in ("drop call_open", "swap call_open") or "parameter" in block.text)
    in_line = not slip and blocks[0].text.startswith("<tool_call>")  # else it must start a line
    parts: list[Any] = [draw(prose().map("{}: ".format) | LEAD if in_line else LEAD)]
    for block, after in zip(blocks, [*blocks[1:], None], strict=True):
        parts += [block, draw(PROSE_BETWEEN if block.slip and after and after.may_be_markup else BETWEEN)]
    return Message((*parts[:-1], draw(TAIL)))
