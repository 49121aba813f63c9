"""Arrays and objects that a server's call has as strings, with a slip in what the string says."""

from functools import partial
from typing import Any

import pytest

from fuzz.native import at_every_cut
from support.cases import read_tool

F = read_tool(
    'f(l?: {"type": "array", "items": {"type": "string"}}, s?: string, u?: string|array,'
    ' o?: {"type": "object", "properties": {"a": {"type": "string"}, "n": {"type": "integer"}}})'
)
mended = partial(at_every_cut, F)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param(r'{"l": "[\"a\", \"b\""}', {"l": ["a", "b"]}, id="a bracket is lost"),
        pytest.param(r'{"l": "[\"a\" \"b\"]", "s": "x"}', {"l": ["a", "b"], "s": "x"}, id="a comma is lost"),
        pytest.param(r'{"o": "{\"a\": \"x\", \"n\": 1}}"}', {"o": {"a": "x", "n": 1}}, id="a brace too many"),
        pytest.param(r'{"o": "{a: \"x\", n: 1}"}', {"o": {"a": "x", "n": 1}}, id="keys without quotes"),
        pytest.param(r'{"l": "[\"say \"hi\"\", \"b\"]"}', {"l": ['say "hi"', "b"]}, id="quotes"),
        pytest.param(r'{"l": "```json\n[\"a\"]\n```"}', {"l": ["a"]}, id="fenced"),
    ],
)
def test_it_is_what_the_string_says(text: str, value: Any) -> None:
    whole = mended(text)
    assert (whole.complete, whole.value) == (True, value)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(r'{"o": "{\"b\": \"x\" \"n\": 1}"}', id="a key that is not declared"),
        pytest.param(r'{"l": "[\"a\", \"b"}', id="an open string"),
        pytest.param(r'{"s": "[\"a\" \"b\"]"}', id="a string"),
        pytest.param(r'{"u": "[\"a\" \"b\"]"}', id="what may be a string"),
    ],
)
def test_else_it_stays(text: str) -> None:
    assert mended(text).text == text
