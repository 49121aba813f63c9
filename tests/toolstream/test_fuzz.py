"""Tag soup: whatever a model writes, however it is cut.

The soup is made of whole tags, pieces of tags, names, fences, JSON and letters, so that most
of it is nearly a call. What must hold for every one of them: nothing raises, every cut gives
the same events, no text is lost, and what is complete is a JSON object.

`FUZZ=n` takes n times as many examples, and other ones each time.
"""

import json
import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.cases import read_tool
from support.cuts import at_random, cut_at, joined, per_character, units
from support.outcome import run, text_of
from toolstream import ToolCallParser
from toolstream.grammar import BLANK
from toolstream.parser import LEVELS
from toolstream.repairs import Repair

FUZZ = int(os.environ.get("FUZZ", "0"))

TOOLS = [
    read_tool("read(path: string, limit?: integer)"),
    read_tool('edit(path: string, edits: {"type": "array"}, note?: string|null)'),
    read_tool("refresh()"),
]
TAGS = [
    *("<tool_call>", "</tool_call>", "<function=read>", "<function=refresh>", "<function=edit>"),
    *("</function>", "<parameter=path>", "<parameter=limit>", "<parameter=edits>", "<parameter=other>"),
    *("</parameter>", "<function=unknown>", '<invoke name="read">', "</invoke>", '<parameter name="path">'),
    *("<think>", "</think>", "<|im_end|>", "</function_invocation>", "<function=Read>"),
]
PIECES = [
    *("<", "</", ">", "=", "<tool_", "call>", "<func", "</func", "<parameter", "<parameter=", "</para"),
    *("\n", "\n", "\n", "\r\n", "\r", " ", "\t", "    ", "\n\n", "`", "``", "```", "\n```\n", "~~~", "- "),
    *("{", "}", "[", "]", '"', "\\", '{"name": "read", "arguments": {"path": "x"}}', '{"path": "x"}'),
    *("a", "text. ", "5", "null", "true", "é", "😀", "\ud83d", "\ude00", "\x00", "&lt;"),
]
CALLS = [
    "<tool_call>\n<function=read>\n<parameter=path>\na\n</parameter>\n</function>\n</tool_call>",
    "<function=refresh>\n</function>\n",
    "\n</parameter>\n</function>\n</tool_call>",
    "<tool_call>\n<function=edit>\n<parameter=note>\n",
    '<tool_call>\n{"name": "refresh", "arguments": {}}\n</tool_call>',
]
SOUP = st.lists(
    st.one_of(
        st.sampled_from(TAGS),
        st.sampled_from([f"\n{tag}\n" for tag in TAGS]),
        st.sampled_from(PIECES),
        st.sampled_from(CALLS),
        st.text(max_size=4),
    ),
    max_size=24,
).map("".join)
FINISH = st.sampled_from(["stop", "length", "tool_calls", "content_filter", None])
CHOICE = st.sampled_from(
    ["auto", "auto", "required", "none", {"type": "function", "function": {"name": "read"}}]
)
OPTIONS = st.fixed_dictionaries(
    {
        "recovery": st.sampled_from(LEVELS),
        "tool_choice": CHOICE,
        "parallel": st.booleans(),
        "live": st.booleans(),
        "reasoning": st.booleans(),
    }
)
LOSSY = {Repair.EMPTY_ENVELOPE, Repair.STRAY_CLOSER}


def fuzzed(examples: int) -> Any:
    """Few examples, always the same, so that the suite is fast and does not flicker; or many."""
    return settings(
        max_examples=examples * max(FUZZ, 1),
        derandomize=not FUZZ,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@fuzzed(300)
@given(SOUP, FINISH, OPTIONS, st.integers(0, 1 << 16))
def test_every_cut_gives_the_same_events(
    soup: str, finish: str | None, options: dict[str, Any], seed: int
) -> None:
    text = joined(soup)
    whole = run([text], TOOLS, finish, **options)
    for pieces in (per_character(text), *at_random(text, 6, seed)):
        outcome = run(pieces, TOOLS, finish, **options)
        assert outcome.events == whole.events, f"cut into {pieces}"
        assert outcome.refused == whole.refused


@fuzzed(200)
@given(SOUP, FINISH, OPTIONS)
def test_text_is_conserved(soup: str, finish: str | None, options: dict[str, Any]) -> None:
    """Without a call, all of it; with calls, nothing that is not in the input, in its order."""
    text = joined(soup)
    outcome = run([text], TOOLS, finish, **options)
    if not (outcome.calls or outcome.open_call or LOSSY & set(outcome.repairs)):
        assert outcome.text == text
    assert is_subsequence(outcome.text, text)


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


@fuzzed(200)
@given(SOUP, OPTIONS)
def test_a_caller_that_does_not_stream_gets_the_same(soup: str, options: dict[str, Any]) -> None:
    """On a natural stop, a call that streamed is a call."""
    text = joined(soup)
    streamed = run([text], TOOLS, "stop", **options | {"live": True})
    buffered = run([text], TOOLS, "stop", **options | {"live": False})
    assert buffered.events == streamed.events


@fuzzed(200)
@given(SOUP, st.sampled_from(["none", "no tools"]), FINISH)
def test_without_tools_nothing_is_touched(soup: str, gate: str, finish: str | None) -> None:
    text = joined(soup)
    tools, choice = (TOOLS, "none") if gate == "none" else ([], "auto")
    parser = ToolCallParser(tools, tool_choice=choice)
    sent = text_of(event for unit in units(text) for event in parser.feed(unit))
    assert joined(sent + text_of(parser.close(finish))) == text


@fuzzed(200)
@given(st.text(st.characters(exclude_characters="<{[", exclude_categories=[])), st.integers(0, 1 << 16))
def test_text_without_brackets_leaves_at_once(text: str, seed: int) -> None:
    """Only blanks that a call may drop, and half a surrogate pair, wait."""
    parser = ToolCallParser(TOOLS)
    for piece in cut_at(text, [len(units(text)) // 2]):
        parser.feed(piece)
        half = parser.pending[-1:] if "\ud800" <= parser.pending[-1:] <= "\udbff" else ""
        assert parser.pending.removesuffix(half).strip(BLANK) == ""


PLAIN = st.text(st.characters(exclude_characters="<\r\n"), max_size=8)
LINES = st.one_of(
    PLAIN,
    st.tuples(st.sampled_from(TAGS), PLAIN).map(lambda part: f"see {part[0]} there{part[1]}"),
    st.sampled_from([example for example in CALLS if example.startswith("<tool_call>") and "</" in example]),
)


@fuzzed(200)
@given(st.lists(LINES, max_size=8).map("\n".join), st.integers(0, 1 << 16))
def test_a_file_about_calls_is_written_as_it_is(value: str, seed: int) -> None:
    """Tags quoted within lines, whole example calls and blank lines are payload, byte for byte."""
    value = joined(value)
    text = f"<tool_call>\n<function=read>\n<parameter=path>\n{value}\n</parameter>\n</function>\n</tool_call>"
    for pieces in ([text], *at_random(text, 2, seed)):
        outcome = run(pieces, TOOLS)
        assert [json.loads(arguments) for _, arguments in outcome.calls] == [{"path": value}]
        assert (outcome.text, outcome.repairs, outcome.refused) == ("", [], [])


BLANKS = st.text(" \n", max_size=5)  # no four spaces behind a blank line: what follows them is code
CALL = "<tool_call>\n<function=refresh>\n</function>\n</tool_call>"


@fuzzed(200)
@given(st.lists(st.tuples(st.sampled_from(["one", "two.", CALL]), BLANKS), max_size=8), BLANKS)
def test_text_is_the_complement_of_the_calls(parts: list[tuple[str, str]], lead: str) -> None:
    """P11: blanks before a call go, blanks behind one go if a call or the end follows."""
    text, expected, behind_call = lead, lead, False
    for part, blanks in parts:
        text += part + blanks
        if part == CALL:
            expected = expected.rstrip()
        expected += blanks if part == CALL else part + blanks
        behind_call = part == CALL
    outcome = run([text], TOOLS)
    assert outcome.text == (expected.rstrip() if behind_call else expected)
    assert len(outcome.calls) == sum(part == CALL for part, _ in parts)


@fuzzed(200)
@given(SOUP, FINISH, OPTIONS)
def test_text_alone_needs_no_repair(soup: str, finish: str | None, options: dict[str, Any]) -> None:
    outcome = run([joined(soup)], TOOLS, finish, **options)
    if not (outcome.calls or outcome.open_call):
        assert set(outcome.repairs) <= LOSSY


def is_subsequence(short: str, long: str) -> bool:
    """Whether all of `short` is in `long`, in order."""
    rest = iter(long)
    return all(char in rest for char in short)
