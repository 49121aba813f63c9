"""How a server's arguments end: in a value with a slip in it, before what does not belong to them, or with
those of another call behind them."""

from functools import partial
from typing import Any

import pytest

from fuzz.native import at_every_cut
from support.cases import read_tool

READ = read_tool("read(path: string, limit?: integer, tags?: array, all?: boolean)")
A, AT_FIVE, TAGS = {"path": "a"}, {"path": "a", "limit": 5}, {"path": "a", "tags": ["b"]}
mended = partial(at_every_cut, READ)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param('{"path": "a", "limit": 5"}', AT_FIVE, id="a quote behind a number"),
        pytest.param('{"path": "a", "limit": "5}', AT_FIVE, id="a quote before a number"),
        pytest.param('{"path": "a", "all": "true}', {"path": "a", "all": True}, id="a quote before a word"),
        pytest.param('{"path": "a", "limit: 5}', AT_FIVE, id="a key without its last quote"),
        pytest.param('{"path": "a", "limit": 5]}', AT_FIVE, id="a bracket that closes nothing"),
        pytest.param('{"path": "a" "limit": 5', AT_FIVE, id="a comma and the brace are lost"),
        pytest.param('{"path": "a", "tags": ["b"}', TAGS, id="a bracket is lost"),
        pytest.param('{"path": "a", "limit": 5\n```', AT_FIVE, id="a fence for the brace"),
        pytest.param('```json\n{"path": "a", "limit": 5\n```', AT_FIVE, id="fenced without a brace"),
        pytest.param('```json\n{"path": "a", "limit": 5"}\n```', AT_FIVE, id="fenced with a quote too many"),
        pytest.param('{"path": "a"\n</tool_call>', A, id="a tag for the brace"),
        pytest.param('{"path": "a" "limit": 5}\n</tool_call>', AT_FIVE, id="a comma is lost before a tag"),
        pytest.param('{"path": "a", limit: 5}<|im_end|>', AT_FIVE, id="a key without quotes before a token"),
        pytest.param('{"path": "a", "limit": "5}</tool_call>', AT_FIVE, id="a quote before a tag"),
    ],
)
def test_it_is_mended(text: str, value: Any) -> None:
    whole = mended(text)
    assert (whole.complete, whole.value, whole.more) == (True, value, [])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"path": "a", "limit": "5', id="a value that waits is cut off"),
        pytest.param('{"path": "a", "limit": "x}', id="a value that waits and does not fit"),
        pytest.param('{"path": "a" "limit": 5.', id="a number is cut off"),
        pytest.param('{"path": "a" "limit": "5', id="two marks are lost"),
        pytest.param('{"path": "a", "limit', id="a key is cut off"),
        pytest.param('{"path": "a', id="a string is cut off"),
        pytest.param('{"path": "a", "file: 5}', id="a key that the tool does not have"),
    ],
)
def test_what_is_not_certain_stays(text: str) -> None:
    whole = mended(text)
    assert (whole.text, whole.complete) == (text, False)


@pytest.mark.parametrize(
    "text", ['{"path": "a", "limit": "5}', '{"path": "a" "limit": 5', '{"path": "a"\n</tool_call>']
)
def test_what_the_answer_cuts_off_stays(text: str) -> None:
    assert not mended(text, stopped=False).complete


def calls_of(*paths: str) -> list[tuple[str, str]]:
    return [("read", f'{{"path": "{path}"}}') for path in paths]


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        pytest.param('{"path": "a", "limit": 5}\n{"path": "b"}', calls_of("b"), id="another one"),
        pytest.param('{"path": "a"}{"path": "b"}{"path": "c"}', calls_of("b", "c"), id="two others"),
        pytest.param('{"path": "a"}\n{"path": "a"}', [], id="the same once more"),
        pytest.param('{"path": "a"}\n{"path": "a", "limit": 5}', [], id="one that says more"),
        pytest.param('{"path": "a", "limit": 5}\n{"path": "a"}', [], id="one that says less"),
        pytest.param('{"path": "a"}\n{"file": "b"}', [], id="one that does not fit"),
    ],
)
def test_other_arguments_behind_them_are_those_of_another_call(text: str, calls: Any) -> None:
    whole = mended(text)
    assert (whole.complete, whole.more) == (True, calls)


def test_text_behind_encoded_arguments_that_may_be_theirs_stays() -> None:
    whole = mended('"{\\"path\\": \\"a\\"}" b"}')
    assert (whole.text, whole.complete) == ('{"path": "a"} b"}', False)
    assert mended('"{\\"path\\": \\"a\\"}"</tool_call>').complete


def test_a_call_of_no_tool_behind_them_is_none() -> None:
    whole = mended('{"path": "a"}<tool_call>\n<function=nope>\n</function>\n</tool_call>')
    assert (whole.complete, whole.more, whole.repairs) == (False, [], [])
    whole = mended('{"path": "a"}<tool_call>\n<function=read>\n<parameter=path>b</parameter>\n</function>')
    assert (whole.value, whole.more, whole.repairs) == (A, calls_of("b"), ["swallowed-call"])
