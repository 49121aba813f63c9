"""Secrets are found at every depth, complete or cut off. Text that only looks like one is not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenproxy.recording.secret_spans import secret_spans


def found(text: str, escaped: int = 1) -> list[str]:
    data = text.encode()
    return [span.value(data) for span in secret_spans(data, escaped=escaped)]


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        ("sk-1", ["sk-1"]),
        ('a"b\\', ['a"b\\']),
        ("Zürich\n", ["Zürich\n"]),
        (12345, ["12345"]),
        (-1.5, ["-1.5"]),
        (["a", ["b"]], ["a", "b"]),
        ({"user": "anna", "n": [1, "}"]}, ["anna", "1", "}"]),
        ({"type": "service_account", "id": "x"}, ["service_account", "x"]),
        (True, []),
        (None, []),
        ({}, []),
        ("[]", []),
        ('{"user": ["anna", 1]}', ["anna", "1"]),
        ("{curly}", ["{curly}"]),
        ("[1] and more", ["[1] and more"]),
    ],
)
def test_values_of_every_type_at_every_depth(value: Any, secrets: list[str]) -> None:
    document = {"model": "m", "api_key": value, "n": 1}
    for _ in range(8):
        text = json.dumps(document)
        assert found(text) == secrets
        document = {"arguments": text, "after": "x"}


@pytest.mark.parametrize(
    "text",
    [
        "<parameter=api_key>\nsk-1\n</parameter>",
        "<parameter=api_key>\nsk-1\n</function>",
        "<parameter=api_key>\nsk-1",
        "<parameter=api_key>sk-1<parameter=city>x</parameter>",
        '<parameter name="api_key">sk-1</parameter>',
        "<parameter = api_key >sk-1</parameter>",
        "<parameter=api_key=sk-1>",
        "<param=apiKey>sk-1</param>",
        "<api_key>\nsk-1\n</api_key>",
        "<arg_key>api_key</arg_key>\n<arg_value>sk-1</arg_value>",
        "<key>password</key><string>sk-1</string>",
        "<function=login>\n<api_key>\nsk-1",
        "<function=login>\n<api_key>\nsk-1\n</parameter>\n</function>",
        '<server token="sk-1">',
        "{'user': 'anna', 'api_key': 'sk-1', 'n': 1}",
        "https://host/v1?a=b&key=sk-1&b=c",
        "https://host/v1?access_token=sk-1",
    ],
)
def test_texts(text: str) -> None:
    assert found(text, 0) == ["sk-1"]
    for written in (json.dumps({"content": text}), json.dumps([text, "x"]).replace("<", r"\u003c")):
        assert found(written.replace(">", r"\u003e")) == ["sk-1"]
        assert found(written.replace("/", r"\/")) == ["sk-1"]


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_a_string_around_that_ends_first(depth: int) -> None:
    """A call that is cut off ends its own string, not the one inside it."""
    text = '{"api_key": "sk-1'
    for _ in range(depth):
        text = json.dumps({"a": text})
    data = text.encode()
    (span,) = secret_spans(data, escaped=1)
    blanked = data[: span.start] + b"*" * (span.end - span.start) + data[span.end :]
    assert data[span.start : span.end] == b"sk-1"
    json.loads(blanked)


def test_a_key_of_several_words() -> None:
    assert found('{"Your API Key": "sk-1", "sort key": "b"}') == ["sk-1"]


def test_a_value_with_quotes_and_one_that_is_json() -> None:
    assert found('<parameter=password>\npa"s\ns\n</parameter>', 0) == ['pa"s\ns']
    call = '<parameter=credentials>\n{"user": "anna", "n": [7]}\n</parameter>'
    assert found(call, 0) == found(json.dumps({"content": call})) == ["anna", "7"]


CUT = r'{"a": "{\"api_key\": \"sk-12345'


@pytest.mark.parametrize("end", range(CUT.index("sk")))
def test_what_is_cut_off_before_the_value(end: int) -> None:
    assert found(CUT[:end]) == []


@pytest.mark.parametrize("end", range(CUT.index("sk") + 1, len(CUT)))
def test_what_is_cut_off_in_the_value(end: int) -> None:
    start = CUT.index("sk")
    assert found(CUT[:end]) == found(CUT[:end] + '"}') == [CUT[start:end]]


@pytest.mark.parametrize(
    "document",
    [
        {"max_tokens": 5, "stop_token_ids": [1], "prompt_cache_key": "p"},
        {"properties": {"api_key": {"type": "string", "description": "Yours"}, "key": {"enum": ["a"]}}},
        {"properties": {"auth": {"type": "object", "properties": {"token": {"type": "string"}}}}},
        {"logprobs": {"content": [{"token": "the", "logprob": -0.1, "bytes": [116]}]}},
        {"top_logprobs": [{"id": 5, "token": "the", "bytes": [1, 2], "logprob": 1.0}]},
        {"content": "Put <token> there, and </parameter> of <parameter=keys>"},
        {"content": "key: value, token = x, a key=value pair, if a < key > b"},
        ["api_key", ":", "api_key"],
    ],
)
def test_what_is_no_secret(document: Any) -> None:
    assert found(json.dumps(document)) == []
    assert found(json.dumps([json.dumps(document)])) == []


def test_of_a_schema_the_examples_go() -> None:
    schema = {"type": "string", "title": "t", "default": "sk-1", "examples": ["sk-2"]}
    assert found(json.dumps({"properties": {"api_key": schema}})) == ["sk-1", "sk-2"]


def test_a_token_that_is_no_logprob() -> None:
    assert found('{"logprobs": null, "token": "abc", "n": 1}') == ["abc"]


@given(st.binary(max_size=120))
def test_any_bytes(data: bytes) -> None:
    for text in (data, b'{"api_key": ' + data, b"<parameter=token>" + data + b"</parameter>"):
        for escaped in (0, 1):
            for span in secret_spans(text, frozenset({"user"}), escaped):
                assert 0 <= span.start < span.end <= len(text)
                span.value(text)
