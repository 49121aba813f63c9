"""Quotes in a string of a server's arguments that lack their backslash."""

from functools import partial
from typing import Any

import pytest

from fuzz.native import at_every_cut
from support.cases import read_tool

WRITE = read_tool("write(path: string, content?: string, limit?: integer)")
mended = partial(at_every_cut, WRITE)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"path": "a", "content": "print("hi")"}', {"path": "a", "content": 'print("hi")'}),
        ('{"path": "a", "content": "say "hi""}', {"path": "a", "content": 'say "hi"'}),
        ('{"content": "f("a", "b")", "path": "a"}', {"content": 'f("a", "b")', "path": "a"}),
        (
            '{"path": "a", "content": "<div class="box">Hi</div>"}\n',
            {"path": "a", "content": '<div class="box">Hi</div>'},
        ),
        ('{"path": "a "b" c", "limit": "5"}', {"path": 'a "b" c', "limit": 5}),
        (
            '{"path": "a", "content": "x = "b"\n\\d \\"c\\" "d""}',
            {"path": "a", "content": 'x = "b"\n\\d "c" "d"'},
        ),
    ],
)
def test_they_are_the_strings_own(text: str, value: Any) -> None:
    whole = mended(text)
    assert (whole.complete, whole.value) == (True, value)
    assert whole.repairs[:1] == ["json-repaired"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"path": "say "hi now"}', id="one has no partner"),
        pytest.param('{"path": "a, "content": "b"}', id="the end of a string is lost"),
        pytest.param('{"path": "a", "content": "x = {"b": "c"}; y"}', id="a key is behind one"),
        pytest.param('{"path": "a", "content": ""a" b"}', id="two where the string begins"),
        pytest.param('{"path": "say "hi" now", "file": "b"}', id="a key that the tool does not have"),
        pytest.param('{"path": "say "hi" now"} and more"}', id="text behind the end"),
    ],
)
def test_nothing_is_certain(text: str) -> None:
    whole = mended(text)
    assert (whole.text, whole.complete) == (text, False)


@pytest.mark.parametrize("text", ['{"path": "say "hi" no', '{"path": "say "hi" now"', '{"path": "say "'])
def test_what_is_cut_off_is_not_completed(text: str) -> None:
    whole = mended(text, stopped=False)
    assert (whole.text, whole.complete) == (text, False)


@pytest.mark.parametrize(
    "text",
    ['{"path":"a","content":"b \\"c\\" d"}', '{"path":"a", "limit":5}', '{"path":""}', '{"path":"a"\n}'],
)
def test_right_ones_pass(text: str) -> None:
    whole = mended(text)
    assert (whole.text, whole.complete, whole.repairs) == (text, True, [])
