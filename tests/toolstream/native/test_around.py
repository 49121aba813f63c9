"""What stands before and after a complete object of a server's call does not cost the call."""

import pytest

from fuzz.native import Mended
from support.cases import read_tool
from support.cuts import Cuts, all_cuts
from support.streams import LLAMA_CPP, Message, read_answer, send

LS = read_tool("ls(path: string, limit?: integer)")
NOW = read_tool("now(zone?: string)")
WRITE = read_tool("write(path: string, content?: string, edits?: array)")
ASKED = {"model": "qwen", "stream": True, "messages": [], "tools": [LS, NOW, WRITE]}
CALL = "\n<tool_call>\n<function=now>\n<parameter=zone>\nUTC\n</parameter>\n</function>\n</tool_call>"


def sent(fragments: list[str], finish: str = "tool_calls", tool: str = "ls") -> tuple[Message, list[str]]:
    answer = LLAMA_CPP.calls([(tool, fragments)])
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


def test_the_object_once_more_is_the_same_wherever_a_character_is_cut() -> None:
    for pieces in all_cuts('{"path": "\U0001f600"}{"path": "\U0001f600"}'):
        mended = Mended(LS, pieces, stopped=True)
        assert (mended.value, mended.more) == ({"path": "\U0001f600"}, []), pieces
        assert mended.repairs == ["repeated-arguments"]


def test_a_list_of_objects_is_so_many_calls() -> None:
    for pieces in all_cuts('[{"path": "a"}, {"path": "b", "limit": "5"}]'):
        mended = Mended(LS, pieces, stopped=True)
        assert (mended.value, mended.more) == ({"path": "a"}, [("ls", '{"path": "b", "limit": 5}')]), pieces


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


# Members of an object that ended too early
MEMBERS = [
    ', "content": "x"}',
    '; "content": "x"}',
    ' "edits": []}',
    '\n  "edits": []\n}',
    '"edits": []',
    ', content: "x"}',
    ", 'content': 'x'}",
    '}, "content": "x"}',
    ', content": "x"}',
]


@pytest.mark.parametrize("rest", MEMBERS)
def test_members_after_an_object_that_ended_too_early_are_not_lost(rest: str, cuts: Cuts) -> None:
    text = '{"path":"a"}' + rest
    for pieces in cuts(text):
        message, repairs = sent(pieces, tool="write")
        assert (message.finish, message.text, repairs) == ("length", "", []), pieces
        assert message.calls[0].arguments == text


# Quotes in a string that were not escaped
STRINGS = [
    '{"path":"rm -rf "}/tmp/x"}',
    '{"path":"rm -rf "}/tmp/x"}\n</tool_call>',
    '{"path":"rm -rf "}}/tmp/x"}',
    '{"path":"a","content":"{name: \\"x"}; function f() { rm(); }"}',
    '{"path":"a","content":"{name: \\"x"}; function f() {"}',
    '{"path":"a","content":"{\\"x\\": \\"1.0"}"}',
    '{"path":"a","content":"{\\"x\\": \\"1.0"}\\n"}',
    '{"path":"echo "}" > a"}',
    '{"path":"echo "}""}',
    '{"path":"b.join("},{")"}',
    '{"path":"b.join("},"}',
    '{"path":"a","content":"f({\\"x\\", \\"y\\": "})  # "}',
    '{"path":"a","edits":[{"new":"x = "}]}; y = 5"}]}',
    '{"path":"see "}' + CALL + '"}',
]


@pytest.mark.parametrize("text", STRINGS)
def test_no_call_is_run_with_half_a_string(text: str, cuts: Cuts) -> None:
    for pieces in cuts(text):
        message, repairs = sent(pieces, tool="write")
        assert (message.finish, message.text, repairs) == ("length", "", []), pieces
        assert [call.arguments for call in message.calls] == [text]


@pytest.mark.parametrize("rest", ["/tmp/x", "x = 5", "\\n{ y"])
def test_what_sticks_to_the_object_of_an_answer_that_is_cut_may_be_more_of_it(rest: str, cuts: Cuts) -> None:
    for pieces in cuts('{"path":"rm -rf "}' + rest):
        assert sent(pieces, "length")[0].text == ""
        assert sent(pieces)[0].text == rest


PROSE = [
    'He said "yes".',
    'It is 5" wide.',
    'The file has {"a": "b"}',
    "Content: see above.",
    "- content: see above",
    "contents: none",
    "colour: red",
    "function f() {}",
]


@pytest.mark.parametrize("said", PROSE)
@pytest.mark.parametrize("content", ["x", "{a: 1}", 'say \\"x\\"'])
def test_prose_that_is_no_part_of_it_is_said(said: str, content: str, cuts: Cuts) -> None:
    text = f'{{"path":"a","content":"{content}"}}'
    for pieces in cuts(f"{text}\n\n{said}"):
        message, repairs = sent(pieces, tool="write")
        assert (message.finish, message.text, repairs) == ("tool_calls", said, ["text-in-call"]), pieces
        assert message.calls[0].arguments.strip() == text


@pytest.mark.parametrize("rest", ["}", '"}', "\n}\n", "]}"])
def test_an_end_too_many_is_dropped(rest: str, cuts: Cuts) -> None:
    for pieces in cuts('{"path":"a","content":"\\"x\\""}' + rest):
        message, _ = sent(pieces, tool="write")
        assert message.named == [("write", {"path": "a", "content": '"x"'})], pieces
        assert (message.finish, message.text) == ("tool_calls", "")


BEFORE = {
    "a fence": '```json\n{"path": "a"}\n```',
    "a fence without its language": '```\n{"path": "a"}\n```',
    "its language": 'json\n{"path": "a"}',
    "a byte order mark": '\ufeff{"path": "a"}',
    "parentheses": '({"path": "a"})',
    "the end of thinking": '</think>\n\n{"path": "a"}',
    "an envelope": '<tool_call>\n{"path": "a"}\n</tool_call>',
    "an envelope that is open": '<tool_call>\n{"path": "a"}',
    "the tool's name": 'ls {"path": "a"}',
    "a call": 'ls({"path": "a"})',
    "a key of the arguments": 'arguments: {"path": "a"}',
    "a list": '[{"path": "a"}]',
    "a list of calls": '[\n  {"name": "ls", "arguments": {"path": "a"}}\n]\n',
    "a call as in Python": "ls(path='a')",
    "a fence around more": '```json\n{"arguments": {"path": "a"}}\n```',
}


@pytest.mark.parametrize("case", BEFORE)
def test_what_says_nothing_before_the_object_is_dropped(case: str) -> None:
    for pieces in all_cuts(BEFORE[case]):
        mended = Mended(LS, pieces, stopped=True)
        assert (mended.complete, mended.value) == (True, {"path": "a"}), pieces
        assert not mended.refused


@pytest.mark.parametrize(
    "text",
    [
        *("</think>", "```json\n", "json", "(", "[1, 2]", "ls", "so(path='a')"),
        *('so {"path": "a"}', '<b>{"path": "a"}', 'now({"path": "a"})'),
    ],
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
