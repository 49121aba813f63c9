"""Messages cut anywhere: no call that was not complete, and what had streamed is true so far (P9)."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fuzz.calls import STYLES, Tool, calls, prose, tools
from fuzz.messages import PLACES, check, outcome_of
from fuzz.settings import fuzzed
from fuzz.truncation import Whole, cut
from support.outcome import run
from toolstream.parser.parser import LEVELS

CUT = ("length", "content_filter", None)


@st.composite
def parts(draw: st.DrawFn, of: list[Tool]) -> list[str | Whole]:
    """Calls without a slip, and prose around them."""
    out: list[str | Whole] = [draw(st.just("") | prose().map("{}\n\n".format))]
    for _ in range(draw(st.integers(1, 2))):
        whole = Whole(draw(calls(of)), draw(st.none() | STYLES))
        out += [whole, draw(st.sampled_from(["\n", "\n\nAnd then:\n\n"]))]
    return out


def shortened(data: st.DataObject, of: list[Tool], stopped: bool) -> Any:
    row = data.draw(parts(of))
    size = sum(len(part if isinstance(part, str) else part.text) for part in row)
    return cut(row, data.draw(st.integers(0, size)), stopped)


@fuzzed(150)
@given(st.data(), st.sampled_from(LEVELS), st.sampled_from(CUT), PLACES)
def test_an_answer_that_was_cut(
    data: st.DataObject, level: str, finish: str | None, places: list[int]
) -> None:
    of = data.draw(tools())
    message, unfinished = shortened(data, of, stopped=False)
    buffered = run([message.text], [tool.declared() for tool in of], finish, recovery=level, live=False)
    check(message, buffered, of, level, finish)
    outcome = outcome_of(message, of, level, places, finish)
    if outcome.open_call is None:
        check(message, outcome, of, level, finish)
        return
    assert unfinished
    assert level != "strict"
    name, fragments = outcome.open_call
    assert name == unfinished.call.name
    assert written_by_us(unfinished, of).startswith(fragments)
    assert outcome.calls == buffered.calls
    assert buffered.text.startswith(outcome.text)


def written_by_us(whole: Whole, of: list[Tool]) -> str:
    """The arguments of the whole call."""
    (call,) = run([whole.text], [tool.declared() for tool in of]).calls
    assert json.dumps(json.loads(call[1])) == json.dumps(whole.call.arguments)
    return call[1]


@fuzzed(150)
@given(st.data(), st.sampled_from(LEVELS), PLACES)
def test_a_model_that_stopped(data: st.DataObject, level: str, places: list[int]) -> None:
    of = data.draw(tools())
    message, _ = shortened(data, of, stopped=True)
    check(message, outcome_of(message, of, level, places), of, level)
