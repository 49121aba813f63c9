"""What is shaped like a tag, where one may begin, and where it ends."""

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolstream.grammar.kinds import MORE, Wait
from toolstream.grammar.tokens import Token, end_of_tag, held_from, next_place, opens_json, read_tag
from toolstream.limits import TAG

PLAIN = {
    "slash": False,
    "space": "",
    "word": "",
    "sep": "",
    "name": "",
    "attributes": "",
    "bracket": True,
    "closed": True,
}


@pytest.mark.parametrize(
    ("raw", "behind", "parts"),
    [
        ("<tool_call>", "\n", {"word": "tool_call"}),
        ("</tool_call>", "x", {"word": "tool_call", "slash": True}),
        ("<\\tool_call>", "x", {"word": "tool_call", "slash": True}),
        ("< / function >", "x", {"word": "function", "slash": True}),
        ("<function=read>", "x", {"word": "function", "sep": "=", "name": "read"}),
        ("<function = read>", "x", {"word": "function", "sep": "=", "name": "read"}),
        ("<function: read>", "x", {"word": "function", "sep": ":", "name": "read"}),
        ("<function read>", "x", {"word": "function", "sep": " ", "name": "read"}),
        ('<function="read">', "x", {"word": "function", "sep": "=", "name": "read"}),
        (
            '<invoke name="read">',
            "x",
            {"word": "invoke", "sep": " ", "name": "name", "attributes": '="read"'},
        ),
        ("<function=read", "\nx", {"word": "function", "sep": "=", "name": "read", "closed": False}),
        ("<function=read", "<x", {"word": "function", "sep": "=", "name": "read", "closed": False}),
        ("<parameter=path]", "\nx", {"word": "parameter", "sep": "=", "name": "path", "closed": False}),
        ("</function→", "\n", {"word": "function", "slash": True}),
        ("＜tool_call＞", "x", {"word": "tool_call"}),  # noqa: RUF001
        ("[tool_call]", "\n", {"word": "tool_call"}),
        ("parameter=path>", "x", {"word": "parameter", "sep": "=", "name": "path", "bracket": False}),
        ("p<arameter=path>", "x", {"word": "arameter", "sep": "=", "name": "path"}),
        ("word", "\n", {"word": "word", "bracket": False, "closed": False}),
    ],
)
def test_read_tag(raw: str, behind: str, parts: dict[str, Any]) -> None:
    token = read_tag("..." + raw + behind, 3, False)
    assert isinstance(token, Token)
    found = asdict(token)
    assert (found.pop("start"), found.pop("end"), found.pop("raw")) == (3, 3 + len(raw), raw)
    assert found == PLAIN | parts


@pytest.mark.parametrize("text", [" <x>", "\nx", "<>\n", "<=\n", "</>\n"])
def test_no_tag(text: str) -> None:
    assert read_tag(text, 0, False) is None


@pytest.mark.parametrize(
    "text", ["<", "</", "<tool", "<tool_call", "<function=", "<function=re", "<x>", "word"]
)
def test_more_text_may_tell_where_a_tag_ends(text: str) -> None:
    assert read_tag(text, 0, False) is MORE
    assert read_tag(text, 0, True) is not MORE


def test_behind_its_bracket_a_tag_waits_for_another_bracket_only() -> None:
    for behind, end in (("x", 3), (">x", 4), ("\n", 3)):
        token = read_tag("<x>" + behind, 0, False)
        assert isinstance(token, Token)
        assert token.end == end


def test_what_is_too_long_is_no_tag() -> None:
    assert read_tag("<" + "x" * TAG, 0, False) is None
    assert read_tag("<" + "x y " * TAG, 0, False) is None


@pytest.mark.parametrize(
    ("text", "at", "fresh", "place"),
    [
        ("a <b", 0, False, 2),
        ("a <b <c", 3, False, 5),
        ("no tag", 0, False, -1),
        ("no tag\nin lines\n", 0, False, -1),
        ("x\nparameter=path>", 0, False, 2),
        ("x\n  function=read>", 0, False, 4),
        ("x\n/tool_call>", 0, False, 2),
        ("x\n[tool_call]", 0, False, 2),
        ("x\np<arameter=path>", 0, False, 2),
        ("x parameter=path>", 0, False, -1),  # a word that lost its bracket begins a line
        ("parameter=path>", 0, False, -1),
        ("parameter=path>", 0, True, 0),
        ("  parameter=path>", 0, True, 2),
        ("x ＜b", 0, False, 2),  # noqa: RUF001
        ("", 0, True, -1),
    ],
)
def test_next_place(text: str, at: int, fresh: bool, place: int) -> None:
    assert next_place(text, at, fresh) == place


@pytest.mark.parametrize(
    ("text", "fresh", "tail"),
    [
        ("text", False, ""),
        ("text\n", False, ""),
        ("text\n  ", False, "  "),
        ("text\npara", False, "para"),
        ("text\n  [too", False, "  [too"),
        ("text\n/func", False, "/func"),
        ("text\np<ar", False, "p<ar"),
        ("text\npart", False, ""),
        ("text\nx", False, "x"),  # which may be what became of a bracket
        ("text\nxy", False, ""),
        ("para", False, ""),
        ("para", True, "para"),
        ("xy", True, ""),
        ("a para", True, ""),
    ],
)
def test_held_from(text: str, fresh: bool, tail: str) -> None:
    assert text[held_from(text, 0, fresh) :] == tail


@pytest.mark.parametrize(
    ("behind", "over", "letters"),
    [
        ("", False, MORE),
        ("l", False, MORE),
        ("l ", False, MORE),
        ("", True, 0),
        ("l", True, 1),
        ("l\n", False, 1),
        ("ll \r\n", False, 2),
        ("lll\n", False, 0),
        ("l x", False, 0),
        ("\nl", False, 0),
        ("<x", False, 0),
    ],
)
def test_end_of(behind: str, over: bool, letters: int | Wait) -> None:
    tag = "</function>"
    found = end_of_tag(len(tag), False, tag + behind, over)
    assert found == (letters if isinstance(letters, Wait) else len(tag) + letters)
    assert end_of_tag(len(tag), True, tag + behind, over) == len(tag)


@pytest.mark.parametrize(
    ("text", "opens"),
    [
        ('{"name": 1', True),
        ("{}", True),
        ("[{", True),
        ('[ "a"', True),
        ("{ name: 'x'", True),
        ('{name": "x"', True),
        ("{function=read}", False),
        ("[tool_call]\n", False),
        ("[/tool_call]", False),
        ("{tool_call}", False),
        ("{", MORE),
        ("[tool", MORE),
        ("{ name", MORE),
        ("{name:", MORE),
    ],
)
def test_opens_json(text: str, opens: bool | Wait) -> None:
    assert opens_json("x" + text, 1, False) is opens
    assert opens_json("x" + text, 1, True) is (True if opens is MORE else opens)


@pytest.mark.parametrize(
    "text",
    [
        "<a " + "b" * TAG,
        "<$B$N3+" + "H/$O" * TAG,
        "<a b=" + "c/" * TAG,
        "<a b " + "x)" * TAG,
        "</" + "a/" * TAG,
        "<a " + "b =c " * TAG,
        "<a " + '="b" c' * TAG,
        "<a " + "'b" * TAG,
        "<a\t" + " " * TAG,
    ],
)
def test_what_never_ends_is_no_tag(text: str) -> None:
    """And is soon known to be none, however many ways there are to share it out."""
    assert read_tag(text, 0, True) is read_tag(text, 0, False) is None


PIECES = [
    *("<", "</", "/", ">", "\u2039", "(", ")", "]", "{", "|", "\\", "=", ":", ".", "-", "!", ";"),
    *('"', "'", " ", "\t", "\n", "function", "parameter", "tool_call", "invoke", "name", "bash"),
    *("x", "seed:", '"a b"'),
]


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=9).map("".join))
def test_no_beginning_of_a_tag_is_another_one(text: str) -> None:
    whole = read_tag(f"{text}\nz", 0, False)
    if isinstance(whole, Token):
        for end in range(1, whole.end):
            assert read_tag(text[:end], 0, False) is MORE, text[:end]
