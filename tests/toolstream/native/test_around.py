"""What stands before and after a complete object of a server's call does not cost the call."""

import pytest

from fuzz.native import Mended
from support.cases import read_tool
from support.cuts import Cuts, all_cuts
from support.streams import LLAMA_CPP, Message, read_answer, send

LS = read_tool("ls(path: string, limit?: integer)")
NOW = read_tool("now(zone?: string)")
ASKED = {"model": "qwen", "stream": True, "messages": [], "tools": [LS, NOW]}
CALL = "\n<tool_call>\n<function=now>\n<parameter=zone>\nUTC\n</parameter>\n</function>\n</tool_call>"


def sent(fragments: list[str], finish: str = "tool_calls") -> tuple[Message, list[str]]:
    answer = LLAMA_CPP.calls([("ls", fragments)])
    out, rewriter = send([*LLAMA_CPP.open(), *answer, *LLAMA_CPP.ending(finish)], ASKED)
    assert rewriter.ledger.failure == ""
    return read_answer(out).message, sorted(map(str, rewriter.ledger.repairs.elements()))


MARKS = [
    "{",
    "[",
    ",",
    '"',
    ")",
    ".",
    ";",
    "\n```",
    "</s>",
    "\x00",
    "}]<|eot_id|>",
    "\n<tool_call>",
    "<function=",
]


@pytest.mark.parametrize("rest", MARKS)
def test_marks_after_the_object_are_dropped(rest: str, cuts: Cuts) -> None:
    for pieces in cuts('{"path":"a"}' + rest):
        message, repairs = sent(pieces)
        assert (message.named, message.text) == ([("ls", {"path": "a"})], ""), pieces
        assert (message.finish, repairs) == ("tool_calls", ["stray-closer"])


@pytest.mark.parametrize("rest", ['{"path":"', '{"path": "a"', '{ "pa', ', {"path": "a"}'])
@pytest.mark.parametrize("finish", ["tool_calls", "length"])
def test_the_object_once_more_is_dropped_though_it_is_cut(rest: str, finish: str, cuts: Cuts) -> None:
    for pieces in cuts('{"path":"a"}' + rest):
        message, repairs = sent(pieces, finish)
        assert (message.named, message.text) == ([("ls", {"path": "a"})], ""), pieces
        assert (message.finish, repairs) == (finish, ["repeated-arguments"])


@pytest.mark.parametrize("said", ["Now:", "{more}"])
def test_prose_and_calls_after_it_are_both(said: str, cuts: Cuts) -> None:
    for pieces in cuts('{"path":"a"}\n' + said + CALL):
        message, repairs = sent(pieces)
        assert message.named == [("ls", {"path": "a"}), ("now", {"zone": "UTC"})], pieces
        assert (message.text, repairs) == (said, ["swallowed-call", "text-in-call"])


def test_a_call_after_it_that_is_cut_off_is_none(cuts: Cuts) -> None:
    begun = CALL[: CALL.index("UTC") + 1]
    for pieces in cuts('{"path":"a"}' + begun):
        message, _ = sent(pieces, "length")
        assert (message.named, message.text) == ([("ls", {"path": "a"})], begun.strip()), pieces


def test_members_after_an_object_that_ended_too_early_are_not_lost(cuts: Cuts) -> None:
    for pieces in cuts('{"path":"a"}, "limit": 5}'):
        message, repairs = sent(pieces)
        assert (message.finish, message.text, repairs) == ("length", "", [])


BEFORE = {
    "a fence": '```json\n{"path": "a"}\n```',
    "a fence without its language": '```\n{"path": "a"}\n```',
    "its language": 'json\n{"path": "a"}',
    "a byte order mark": '\ufeff{"path": "a"}',
    "parentheses": '({"path": "a"})',
    "the end of thinking": '</think>\n\n{"path": "a"}',
    "an envelope": '<tool_call>\n{"path": "a"}\n</tool_call>',
    "an envelope that is open": '<tool_call>\n{"path": "a"}',
    "a fence around more": '```json\n{"arguments": {"path": "a"}}\n```',
}


@pytest.mark.parametrize("case", BEFORE)
def test_what_says_nothing_before_the_object_is_dropped(case: str) -> None:
    for pieces in all_cuts(BEFORE[case]):
        mended = Mended(LS, pieces, stopped=True)
        assert (mended.complete, mended.value) == (True, {"path": "a"}), pieces
        assert not mended.refused


@pytest.mark.parametrize(
    "text", ["</think>", "```json\n", "json", "(", 'so {"path": "a"}', '<b>{"path": "a"}']
)
def test_anything_else_before_it_stays(text: str) -> None:
    for pieces in all_cuts(text):
        mended = Mended(LS, pieces, stopped=True)
        assert (mended.text, mended.complete, mended.repairs) == (text, False, [])


@pytest.mark.parametrize("text", ["[]", '""', " [] ", "null", "()"])
def test_nothing_is_no_arguments_where_none_are_required(text: str) -> None:
    for pieces in all_cuts(text):
        mended = Mended(NOW, pieces, stopped=True)
        assert (mended.value, mended.complete, mended.repairs) == ({}, True, ["call-shape"])
        assert Mended(LS, pieces, stopped=True).complete == (text == "null")
