"""The deltas of a text are joined, whatever is between them, and their places are known."""

import json
from typing import Any

import pytest
from proxy import chunk

from qwenproxy.recording.joined import is_stream, joined
from support.streams import ENGINES, Engine


def event(*choices: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps({"id": "1", "choices": choices}).encode() + b"\n\n"


def texts(body: bytes) -> set[bytes]:
    found = joined(body)
    for text in found:
        for start in range(len(text.text)):
            pieces = list(text.in_body(start, len(text.text)))
            assert b"".join(body[a:b] for a, b in pieces) == text.text[start:]
    return {text.text for text in found}


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_what_each_engine_says(engine: Engine) -> None:
    said = ['He said "', "Zür", "ich\n", "🙂"]
    body = b"".join(engine.answer(said))
    assert json.loads(b'"%b"' % max(texts(body), key=len)) == "".join(said)


def test_choices_calls_and_fields_are_told_apart() -> None:
    one = event({"index": 0, "delta": {"content": "a", "reasoning": "x"}})
    other = event({"delta": {"content": "1"}, "index": 1})
    call = event({"index": 0, "delta": {"tool_calls": [{"index": 1, "function": {"arguments": "{"}}]}})
    assert texts(one + other + call + b": ping\n\n" + call + other + one) == {b"aa", b"xx", b"11", b"{{"}


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_several_in_one_event(newline: bytes) -> None:
    both = event({"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "b"}})
    late = event({"index": 1, "delta": {"content": "c"}})
    assert texts((both + late + both).replace(b"\n", newline)) == {b"aa", b"bcb"}


def test_what_is_damaged_is_left_out() -> None:
    twice = event({"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": {"content": "b"}})
    assert texts(twice + b'data: {"broken\n\n' + twice) == {b"aa", b"bb"}
    odd = {'a"b': "x", "content": "a", "a": [{"content": "b"}]}
    assert texts(event({"index": 0, "delta": odd})) == set()


@pytest.mark.parametrize(
    "body", [b"data: {}", b": ping\n\n", b"\r\n\xef\xbb\xbfdata:{}", b"event: x\ndata: {}"]
)
def test_streams(body: bytes) -> None:
    assert is_stream(body)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"data: ": 1}', b"data", b"<data:>"])
def test_other_bodies(body: bytes) -> None:
    assert not is_stream(body)


def test_one_piece_is_no_joined_text() -> None:
    assert texts(chunk({"content": "alone"})) == set()
