"""Whatever a model writes: what policies say of any text. That no cut matters and nothing is lost is the
matter of the gate, `soup`.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fuzz.messages import before_call
from fuzz.settings import fuzzed
from fuzz.soup import FINISH, OPTIONS, SOUP, TOOLS
from support.cuts import at_random, cut_at, joined, per_character, units
from support.outcome import run, text_of
from toolstream import ToolCallParser
from toolstream.grammar.brackets import OPEN
from toolstream.grammar.grammar import grammar
from toolstream.grammar.kinds import TagKind
from toolstream.grammar.text import BLANK
from toolstream.grammar.tokens import held_from, next_place
from toolstream.repairs import Repair

LOSSY = {Repair.EMPTY_ENVELOPE, Repair.STRAY_CLOSER, Repair.STRAY_OPENER}


@fuzzed(200)
@given(SOUP, SOUP, OPTIONS)
def test_text_before_something_else_is_text(soup: str, more: str, options: dict[str, Any]) -> None:
    """In the reasoning nothing but its end is a call, so what is interrupted leaves as it came."""
    parser = ToolCallParser(TOOLS, **options | {"reasoning": True})
    text = text_of(parser.feed(joined(soup)) + parser.interrupt())
    assert (joined(text), parser.pending) == (joined(soup), "")
    text = text_of(parser.feed(joined(more)) + parser.interrupt())
    assert (joined(text), parser.pending) == (joined(more), "")


@fuzzed(200)
@given(SOUP, st.integers(0, 1 << 16))
def test_what_is_pending_and_what_was_sent_is_all_there_is(soup: str, seed: int) -> None:
    """A caller that gives up at any moment passes on `pending` and loses nothing."""
    text = joined(soup)
    for pieces in (per_character(text), *at_random(text, 3, seed)):
        parser = ToolCallParser(TOOLS)
        events, fed = [], ""
        for piece in pieces:
            events += parser.feed(piece)
            fed += piece
            if any(not hasattr(event, "text") for event in events):
                break
            assert joined(text_of(events) + parser.pending) == joined(fed)


TOKENS = st.lists(
    st.sampled_from(
        [
            *(
                "\n",
                "\n\n",
                ".\n",
                " ",
                "  ",
                "x",
                " x",
                " <T",
                "<",
                " < ",
                "</C",
                "~~~",
                "```",
                "`",
                "|",
                "> ",
                "- ",
            ),
            *(
                "function",
                "=read>\n<parameter=path>\na\n</parameter>\n</function>",
                "tool_call>\n",
                "{",
                "[",
                "\r\n",
            ),
        ]
    ),
    max_size=12,
)


@fuzzed(300)
@given(TOKENS)
def test_prose_in_the_pieces_that_a_model_writes(tokens: list[str]) -> None:
    """Text without tags goes a short way, which has to come to the same."""
    text = "".join(tokens)
    whole = run([text], TOOLS)
    for pieces in (tokens, per_character(text)):
        outcome = run(pieces, TOOLS)
        assert (outcome.events, outcome.refused) == (whole.events, whole.refused)


@fuzzed(200)
@given(SOUP, st.sampled_from(["none", "no tools"]), FINISH)
def test_without_tools_nothing_is_touched(soup: str, gate: str, finish: str | None) -> None:
    text = joined(soup)
    tools, choice = (TOOLS, "none") if gate == "none" else ([], "auto")
    parser = ToolCallParser(tools, tool_choice=choice)
    sent = text_of(event for unit in units(text) for event in parser.feed(unit))
    assert joined(sent + text_of(parser.close(finish))) == text


@fuzzed(200)
@given(st.text(st.characters(exclude_characters="<{[`~", exclude_categories=[])), st.integers(0, 1 << 16))
def test_text_without_brackets_leaves_at_once(text: str, seed: int) -> None:
    """Only blanks that a call may drop, half a surrogate pair, and a tag without its bracket, or what it may
    begin with, wait; a fence may open one, too."""
    parser = ToolCallParser(TOOLS)
    for piece in cut_at(text, [len(units(text)) // 2]):
        parser.feed(piece)
        half = parser.pending[-1:] if "\ud800" <= parser.pending[-1:] <= "\udbff" else ""
        waits = parser.pending.removesuffix(half).lstrip(BLANK)
        lost = grammar("tolerant").lost((TagKind.WRAP_OPEN,))
        may_be_tag = held_from(waits, 0, True, lost) == 0 or next_place(waits, 0, True, lost) == 0
        assert not waits or may_be_tag or waits[0] in OPEN


BLANKS = st.text(" \n", max_size=5)  # no four spaces behind a blank line: what follows them is code
CALL = "<tool_call>\n<function=refresh>\n</function>\n</tool_call>"


@fuzzed(200)
@given(st.lists(st.tuples(st.sampled_from(["one", "two.", CALL]), BLANKS), max_size=8), BLANKS)
def test_text_is_the_complement_of_the_calls(parts: list[tuple[str, str]], lead: str) -> None:
    """P11: blanks before a call go from their first line break on, blanks behind one go if a call or the
    end follows."""
    text = "".join([lead, *(part + blanks for part, blanks in parts)])
    expected, gap = lead, None  # what stands behind a call
    for part, blanks in parts:
        if part == CALL:
            expected, gap = before_call(expected) if gap is None else expected, blanks
        else:
            expected, gap = expected + (gap or "") + part + blanks, None
    outcome = run([text], TOOLS)
    assert outcome.text == expected
    assert len(outcome.calls) == sum(part == CALL for part, _ in parts)


@fuzzed(200)
@given(SOUP, FINISH, OPTIONS)
def test_text_alone_needs_no_repair(soup: str, finish: str | None, options: dict[str, Any]) -> None:
    outcome = run([joined(soup)], TOOLS, finish, **options)
    if not (outcome.calls or outcome.open_call):
        repairs = set(outcome.repairs)
        assert repairs <= LOSSY | ({Repair.DAMAGED_TAG} if Repair.STRAY_CLOSER in repairs else set())
