"""Chunks: reading deltas, and chunks of our own."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.streams import DASHSCOPE, LLAMA_CPP, event
from toolstream.wire.base import finish_reason
from toolstream.wire.chat_calls import call_head
from toolstream.wire.chat_completions import ChatCompletions
from toolstream.wire.chat_encoder import Synthesis
from toolstream.wire.chat_json import (
    COPIED,
    REASONS,
    choices_of,
    content_of,
    delta_of,
    fields_of,
    is_bare,
    new_call_id,
    read_chunk,
    reasoning_in,
)

# Reading


@pytest.mark.parametrize(
    "data", ["", "[DONE]", "[]", "1", "null", '"a"', "{", '{"a": }', "{}{}", "[" * 100_000]
)
def test_what_is_no_chunk(data: str) -> None:
    assert read_chunk(data) is None


@pytest.mark.parametrize("data", ["{}", '{"choices": []}', ' {"a": 1e999}\n', '{"error": "raw\nnewline"}'])
def test_what_is_an_object(data: str) -> None:
    assert read_chunk(data) is not None


@pytest.mark.parametrize(
    ("choices", "positions"),
    [
        ([{"index": 0}], [0]),
        ([{}], [0]),
        ([{"index": 1}, {"index": 0}], [0, 1]),
        ([None, {"index": 0}, "x"], [1]),
        ([{"index": "0"}, {"index": None}, {"index": True}, {"index": 1.0}], []),
        ([], []),
        (None, []),
        ({"index": 0}, []),
    ],
)
def test_choices(choices: Any, positions: list[int]) -> None:
    assert [at for at, _ in choices_of({"choices": choices})] == positions


@pytest.mark.parametrize("garbage", [None, 7, "x", [], True])
def test_fields_of_another_type_are_as_good_as_missing(garbage: Any) -> None:
    assert delta_of({"delta": garbage}) == {}
    if not isinstance(garbage, str):
        assert content_of({"content": garbage}) == ""
    if not isinstance(garbage, list):
        frame = event({"choices": [{"index": 0, "delta": {"tool_calls": garbage}}]})
        assert ChatCompletions({}).read(frame).slices == []


@pytest.mark.parametrize(
    ("sent", "called", "becomes"),
    [
        ("stop", True, "tool_calls"),
        ("stop", False, "stop"),
        ("tool_calls", True, "tool_calls"),
        ("tool_calls", False, "stop"),
        ("length", True, "length"),
        ("length", False, "length"),
        ("content_filter", True, "content_filter"),
        ("function_call", True, "function_call"),
        ("eos", False, "eos"),
        (None, True, None),
        (None, False, None),
        (7, True, 7),
    ],
)
def test_finish_reason(sent: Any, called: bool, becomes: Any) -> None:
    assert finish_reason(sent, called, False, REASONS) == becomes
    assert finish_reason(sent, called, True, REASONS) == (
        "length" if sent in ("stop", "tool_calls") else becomes
    )


# Reasoning

DETAILS = [{"type": "reasoning.text", "text": "x", "format": "unknown", "index": 0}]


@pytest.mark.parametrize(
    ("message", "text", "places"),
    [
        ({}, "", []),
        ({"content": "x", "reasoning": None, "reasoning_content": "", "thinking": {"x": 1}}, "", []),
        ({"reasoning_content": "x"}, "x", [("reasoning_content",)]),
        ({"reasoning": "x", "reasoning_content": None}, "x", [("reasoning",)]),
        ({"thinking": "x", "reasoning": ""}, "x", [("thinking",)]),
        ({"reasoning": "x", "reasoning_content": "x"}, "x", [("reasoning_content",), ("reasoning",)]),
        ({"reasoning": "y", "reasoning_content": "x"}, "x", [("reasoning_content",)]),
        (
            {"reasoning": "x", "reasoning_details": DETAILS},
            "x",
            [("reasoning",), ("reasoning_details", 0, "text")],
        ),
        (
            {"reasoning_details": [7, {"type": "reasoning.summary"}, *DETAILS]},
            "x",
            [("reasoning_details", 2, "text")],
        ),
        ({"reasoning": "xx", "reasoning_details": DETAILS * 2}, "xx", [("reasoning",)]),
        ({"reasoning": "x", "reasoning_details": {"text": "x"}}, "x", [("reasoning",)]),
    ],
)
def test_reasoning_and_where_it_stands(message: Any, text: str, places: Any) -> None:
    assert reasoning_in(message) == (text, places)


@pytest.mark.parametrize(
    ("details", "fields"),
    [
        (DETAILS, {"reasoning", "reasoning_details"}),
        ([DETAILS[0] | {"signature": None}], {"reasoning", "reasoning_details"}),
        ([DETAILS[0] | {"signature": "s"}], {"reasoning"}),
        ([*DETAILS, {"type": "reasoning.encrypted", "data": "d"}], {"reasoning"}),
        ([*DETAILS, 7], {"reasoning"}),
    ],
)
def test_fields_that_hold_more_than_the_text(details: Any, fields: set[str]) -> None:
    message = {"reasoning": "x", "reasoning_details": details}
    assert fields_of(message, reasoning_in(message)[1]) == fields


@pytest.mark.parametrize(
    ("raw", "bare"),
    [
        (LLAMA_CPP.text("x"), True),
        (LLAMA_CPP.chunk((0, {"content": "x", "role": "assistant"}, None)), True),
        (LLAMA_CPP.chunk((0, {"content": "x", "tool_calls": []}, None)), True),
        (DASHSCOPE.text("x"), True),
        (LLAMA_CPP.chunk((0, {"content": "x"}, None), usage={"total_tokens": 1}), False),
        (LLAMA_CPP.chunk((0, {"content": "x"}, None), timings={}), False),
        (LLAMA_CPP.chunk((0, {"content": "x", "reasoning": "y"}, None)), False),
    ],
)
def test_what_says_nothing_without_its_text(raw: bytes, bare: bool) -> None:
    chunk = json.loads(raw[6:])
    assert is_bare(chunk, chunk["choices"][0]["delta"]) is bare


# Chunks of our own

STRINGS = st.text() | st.text(st.sampled_from('ab"\\\n\t<>/ü🙂\ud83d\ude42\x00\x7f'))

ENVELOPE = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 123456789012345678901234567890,
    "model": 'Qwen/Qwen3-Coder "ü"',
    "system_fingerprint": None,
    "service_tier": "default",
}


def written(raw: bytes) -> dict[str, Any]:
    assert raw.startswith(b"data: ")
    assert raw.endswith(b"\n\n")
    assert raw.count(b"\n") == 2
    chunk: dict[str, Any] = json.loads(raw[6:])
    return chunk


@pytest.mark.parametrize("index", [0, 3])
def test_a_chunk_of_our_own_copies_what_identifies_the_answer_and_nothing_else(index: int) -> None:
    synthesis = Synthesis(ENVELOPE | {"usage": {}, "timings": {}, "choices": [1], "x": 1}, index)
    for raw in (
        synthesis.content("a"),
        synthesis.calls([call_head(0, "x", "f", "", {})]),
        synthesis.call_arguments(0, "{}"),
    ):
        chunk = written(raw)
        (choice,) = chunk.pop("choices")
        assert chunk == ENVELOPE
        assert choice.keys() == {"index", "delta", "finish_reason"}
        assert (choice["index"], choice["finish_reason"]) == (index, None)


def test_a_text_of_our_own_in_several_fields() -> None:
    delta = written(Synthesis({}, 0).content("a", True, ("reasoning", "thinking")))["choices"][0]["delta"]
    assert delta == {"role": "assistant", "reasoning": "a", "thinking": "a"}


def test_an_envelope_without_anything_is_still_a_chunk() -> None:
    assert written(Synthesis({}, 0).content("a")) == {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": None}],
    }
    assert set(ENVELOPE) == set(COPIED)


def test_the_deltas_are_those_that_every_client_accepts() -> None:
    synthesis = Synthesis(ENVELOPE, 0)
    deltas = [
        written(raw)["choices"][0]["delta"]
        for raw in (
            synthesis.content('ü "\n', role=True),
            synthesis.calls([call_head(0, "a", "f", "", {})], role=True),
            synthesis.calls([call_head(1, "b", 'g"', "", {})]),
            synthesis.call_arguments(1, '{"a": "ü"}'),
        )
    ]
    calls = [delta["tool_calls"][0] for delta in deltas[1:3]]
    assert deltas == [
        {"role": "assistant", "content": 'ü "\n'},
        {"role": "assistant", "tool_calls": [calls[0]]},
        {"tool_calls": [calls[1]]},
        {"tool_calls": [{"index": 1, "function": {"arguments": '{"a": "ü"}'}}]},
    ]
    assert calls == [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 1, "id": "b", "type": "function", "function": {"name": 'g"', "arguments": ""}},
    ]


def test_ids_are_unique_and_of_one_form() -> None:
    ids = {new_call_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch("call_[0-9a-f]{24}", one) for one in ids)


@settings(deadline=None)
@given(STRINGS)
def test_any_text_can_be_written(text: str) -> None:
    assert written(Synthesis(ENVELOPE, 0).content(text))["choices"][0]["delta"]["content"].encode(
        "utf-16", "surrogatepass"
    ) == text.encode("utf-16", "surrogatepass")


def test_event_of_the_support_module_is_what_a_server_writes() -> None:
    assert event({"a": "ü"}) == 'data: {"a":"ü"}\n\n'.encode()
    assert event({"a": "\ud83d"}) == b'data: {"a":"\\ud83d"}\n\n'
