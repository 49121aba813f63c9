"""Markdown and code spans against CommonMark, fed whole and character by character."""

import pytest

from support.cuts import all_cuts
from toolstream.parser.markdown import Markdown


def after(text: str) -> Markdown:
    """The state behind the text; the same for every cut."""
    states = set()
    for pieces in all_cuts(text):
        fences = Markdown()
        for piece in pieces:
            fences.feed(piece)
        states.add((fences.fenced, fences.code_span, fences.at_line_start))
    assert len(states) == 1, "depends on the cut"
    return fences


FENCED = [
    "```\n",
    "~~~\n",
    "```xml\n",
    "```` md\n```\n",
    "```\n~~~\n",
    "```\n``` x\n",
    "```\n``\n",
    "   ```\n",
    "```\n    ```\n",
    "text\n```\n",
    "~~~ a`b\n",
    "- ```\n",
    "1. ```\n",
    "- item\n  ```\n",
    "- item\n     ```\n",
    "1. item\n\n   ```\n",
    "- 1. ```\n",
    "```\na\n```\n```\n",
    "```\r\n",
    "```py",  # the line that opens it is a part of it
    "`a` b\n```\n",
]
OPEN = [
    "",
    "``\n",
    "~~\n",
    "``` a`b\n",
    "    ```\n",
    "a ```\n",
    "```\n```\n",
    "```\n````\n",
    "```\n   ```\n",
    "```\n``` \t\n",
    "```\r\n```\r\n",
    "~~~\n~~~~\n",
    "`` ` ``\n",
    "\t```\n",
]


@pytest.mark.parametrize("text", FENCED)
def test_is_fenced(text: str) -> None:
    assert after(text).fenced


@pytest.mark.parametrize("text", OPEN)
def test_is_not_fenced(text: str) -> None:
    assert not after(text).fenced


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("", 0),
        ("a `", 1),
        ("a `b", 1),
        ("a `b`", 0),
        ("a `b` c", 0),
        ("``a`b", 2),
        ("``a``", 0),
        ("a `b\nc", 1),
        ("a `b\n\nc", 0),
        ("a `b\n \t\nc", 0),
        ("a `b\r\n\r\nc", 0),
        ("a `b\n```\nx\n```\nc", 0),
        ("```\n`", 0),
    ],
)
def test_code_span(text: str, run: int) -> None:
    assert after(text).code_span == run


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("   ", True),
        ("    ", False),
        ("\t", False),
        ("a", False),
        ("a\n", True),
        ("a\r\n", True),
        ("a\n  ", True),
        ("a ", False),
        ("> ", False),
        ("- ", False),
        ("a" * 300, False),
        ("a" * 300 + "\n", True),
        (" " * 300, False),
    ],
)
def test_line_start(text: str, expected: bool) -> None:
    assert after(text).at_line_start is expected


def test_behind_a_call_a_line_starts() -> None:
    fences = after("text `")
    fences.new_line()
    assert fences.at_line_start
    assert not fences.code_span


def test_a_lone_backtick_can_be_taken_back() -> None:
    fences = after("the ` key ")
    assert fences.code_span == 1
    fences.close_span()
    assert not fences.code_span
    fences.feed("`x")
    assert fences.code_span == 1


def test_a_fence_is_remembered_over_a_long_text() -> None:
    fences = Markdown()
    fences.feed("```\n")
    for _ in range(1000):
        fences.feed("some line of code with `ticks` in it\n")
    assert fences.fenced
    fences.feed("```")
    assert fences.fenced
    fences.feed("\n")
    assert not fences.fenced
