"""How like words are: what counts as one slip, and what a misspelt word is taken for."""

import pytest

from toolstream.grammar.likeness import DOCUMENT, SYNONYMS, alike, is_structural, slips, squeeze
from toolstream.limits import SLIPS


@pytest.mark.parametrize(
    ("a", "b", "count"),
    [
        ("function", "function", 0),
        ("functon", "function", 1),  # a letter is lost
        ("functiion", "function", 1),  # is too many
        ("funktion", "function", 1),  # is another one
        ("fucntion", "function", 1),  # two changed places
        ("fnuctoin", "function", 2),
        ("paramter", "parameter", 1),
        ("", "abc", 3),
        ("ab", "ba", 1),
        ("abc", "xyz", 3),
        ("a", "abcde", SLIPS),  # too long a way to be counted
    ],
)
def test_slips(a: str, b: str, count: int) -> None:
    assert slips(a, b) == count
    assert slips(b, a) == count


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("parameter", "parameter"),
        ("paramter", "parameter"),
        ("praameter", "parameter"),
        ("perimeter", "parameter"),
        ("parametre", "parameter"),
        ("para", "parameter"),  # cut
        ("parameterpath", "parameter"),  # run together
        ("functon", "function"),
        ("funktion", "function"),
        ("func", "function"),
        ("functional", "function"),
        ("toolcal", "toolcall"),
        ("tolcall", "toolcall"),
        ("toolkall", "toolcall"),
        ("fraction", "function"),  # which a value has that opened it itself
        ("diameter", "parameter"),
        ("par", ""),  # too short
        ("fun", ""),
        ("tool", ""),  # half of it is gone
        ("paragraph", ""),
        ("section", ""),
        ("string", ""),
        ("", ""),
    ],
)
def test_alike(word: str, known: str) -> None:
    assert alike(word) == known


@pytest.mark.parametrize(
    ("text", "squeezed"),
    [
        ("tool_call", "toolcall"),
        ("Tool-Call", "toolcall"),
        (" tool call: ", "toolcall"),
        ("PARAMETER", "parameter"),
        ("größe_2", "grösse2"),
        ("<|>", ""),
    ],
)
def test_squeeze(text: str, squeezed: str) -> None:
    assert squeeze(text) == squeezed


@pytest.mark.parametrize("word", ["tool_call", "Parameter", "invoke", "funktion", "arg"])
def test_structural(word: str) -> None:
    assert is_structural(word)


@pytest.mark.parametrize("word", ["div", "string", "T", "item"])
def test_not_structural(word: str) -> None:
    assert not is_structural(word)


def test_no_word_of_documents_is_like_one_of_ours() -> None:
    assert [word for word in sorted(DOCUMENT) if is_structural(word)] == []


def test_synonyms_are_squeezed() -> None:
    assert [word for word in SYNONYMS if word != squeeze(word)] == []
