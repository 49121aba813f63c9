"""Known secrets are found in every spelling, and words are left alone."""

import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenproxy.recording.repeats import Repeats, tree

SECRET = 'sk/"Zürich" 🙂 0123'


def without(text: str, values: list[str], words: list[str] | None = None) -> str:
    data = bytearray(text.encode())
    for start, end in Repeats(values, words or []).spans(text.encode(), is_error=words is not None):
        data[start:end] = b"*" * (end - start)
    return data.decode()


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(SECRET))[3:-3],
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        SECRET.replace("/", "\\/"),
    ],
)
@pytest.mark.parametrize("others", [0, 50])
def test_every_spelling(written: str, others: int) -> None:
    values = [SECRET, *(f"another secret {n}" for n in range(others))]
    assert set(without(f"before{written}after", values)) == set("before*after")


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ("correct horse battery", ""),
        ("hunter2", "xhunter2 hunter2x hunter2-1"),
        ("lm-studio", "lm-studio lm-studiox"),
        ("none", "none"),
        ("a1", "a1"),
    ],
)
def test_short_values_are_words(value: str, left: str) -> None:
    text = f"{left} ({value})" if value in ("hunter2", "correct horse battery") else left
    assert without(text, [value]).replace("*", "") == (f"{left} ()" if value[-1] in "2y" else left)


def test_in_errors_words_go_but_no_keys_and_no_literals() -> None:
    text = '{"error": "the error", "null": null, "ab": "ab", "errors": 1}'
    assert without(text, [], ["error", "null", "ab"]) == text.replace("the error", "the *****")


@given(st.lists(st.binary(min_size=1, max_size=6), min_size=1, max_size=20, unique=True))
def test_the_tree_takes_each_of_its_texts_and_the_longest(texts: list[bytes]) -> None:
    pattern = re.compile(tree(sorted(texts)), re.S)
    for text in texts:
        assert pattern.fullmatch(text)
        longest = max((t for t in texts if text.startswith(t)), key=len)
        match = pattern.match(text)
        assert match
        assert match[0] == longest


def test_secrets_that_begin_alike() -> None:
    secrets = ["sk-planted-" + "x" * n for n in range(1, 2000)]
    assert set(without(" ".join(secrets[-3:]), secrets)) == {" ", "*"}


def test_a_name_that_is_a_key_stays() -> None:
    assert (
        without('{"finish_reason": "finish_reason"}', ["finish_reason"])
        == '{"finish_reason": "*************"}'
    )
