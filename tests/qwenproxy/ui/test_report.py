"""What is read from an answer: the tools it calls, whether it was cut off, and its error."""

import json

import pytest
from api_answers import NAMES, stream
from proxy import chunk, completion, events

from qwenproxy.apis import APIS
from qwenproxy.replay.outline import telling_lines
from qwenproxy.ui.report import LONGEST_NAME, MOST_TOOLS, client_name, error_page, heard_in, shown


def call(name: str, index: int = 0) -> bytes:
    function = {"name": name, "arguments": "{}"}
    return chunk({"tool_calls": [{"index": index, "id": "c", "type": "function", "function": function}]})


def test_tools_are_heard() -> None:
    body = b"".join(
        [*events('A text with a "name" in it.')[:-2], call("read"), call("write", 1), chunk({}, "stop")]
    )
    heard = heard_in(body, True)
    assert (heard.tools, heard.calls, heard.truncated, heard.error) == (("read", "write"), 2, False, "")
    assert heard_in(completion("no call"), False).tools == ()


def test_calls_early_in_a_long_answer_are_heard() -> None:
    body = call("early") + b"".join(events("x" * 200_000, 10)[:-2]) + call("late", 1) + chunk({}, "length")
    heard = heard_in(body, True)
    assert (heard.tools, heard.truncated) == (("early", "late"), True)


def test_all_are_counted_and_some_are_named() -> None:
    heard = heard_in(b"".join(call(f"t{n}", n) for n in range(30)), True)
    assert (len(heard.tools), heard.calls) == (MOST_TOOLS, 30)


def test_an_error_in_a_stream_is_heard() -> None:
    assert heard_in(b'data: {"error": {"message": "out of memory"}}\n\n', True).error == "out of memory"


@pytest.mark.parametrize(
    ("error", "heard"),
    [
        ("Failed to parse input at pos 8: my secret text", "Failed to parse input"),
        ("cannot read <function=ls> my text", "cannot read"),
        ('unknown value "my text"', "unknown value"),
        ("{my text}", "an error"),
        ("x" * 500, "x" * 80),
        ("This model's maximum context length is 4096", "This model's maximum context length is 4096"),
    ],
)
def test_no_error_quotes_what_was_said(error: str, heard: str) -> None:
    assert heard_in(json.dumps({"error": {"message": error}}).encode(), False).error == heard


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (b"<html><head><TITLE>502 Bad\n Gateway</TITLE></head><p>nginx", "502 Bad Gateway"),
        (b"<style>p {}</style><h1>No &amp; no</h1><p>at all", "No & no at all"),
        (b"Internal Server Error", "Internal Server Error"),
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"detail": [{"input": "my text"}]}', ""),
        (b"\x1f\x8b\x08\x00\x00", ""),
        (b"", ""),
    ],
)
def test_an_error_page_says_its_title_or_first_words(page: bytes, said: str) -> None:
    assert error_page(page) == said


def test_a_call_that_was_cut_off_is_not_called() -> None:
    function = {"name": "write", "arguments": '{"a'}
    half = chunk({"tool_calls": [{"index": 1, "id": "d", "type": "function", "function": function}]})
    for end, may_be_cut in ((chunk({}, "length"), False), (b"", True)):
        heard = heard_in(call("read") + half + end, True, may_be_cut=may_be_cut)
        assert (heard.tools, heard.calls, heard.unfinished) == (("read",), 1, 1)
    whole = heard_in(call("read") + chunk({}, "length"), True)
    assert (whole.tools, whole.unfinished, whole.is_endless) == (("read",), 0, False)


def test_a_stream_without_an_end_is_known() -> None:
    assert heard_in(b"".join(events("hi")[:-2]), True).is_endless
    assert not heard_in(b"".join(events("hi")), True).is_endless
    assert not heard_in(b"".join(events("hi")[:-2]) + b"data: [DONE]\n\n", True).is_endless
    assert not heard_in(completion("hi"), False).is_endless


@pytest.mark.parametrize("name", NAMES)
def test_each_api_has_its_end(name: str) -> None:
    api, frames = APIS[name], stream(name, 'It says "done": true and data: [DONE].')
    assert not heard_in(b"".join(frames), True, api).is_endless
    assert heard_in(b"".join(frames[:-3]), True, api).is_endless
    for reason in (b'"stop_reason": "end_turn"', b'"done_reason": "stop"'):
        assert not heard_in(b"".join(frames).replace(reason, b'"x": 1'), True, api).is_endless


@pytest.mark.parametrize(
    "body",
    [
        b'data: "name"\n' * 20_000,
        b'"name"' * 100_000,
        b'data: {"name"\r' * 50_000,
        b"".join([chunk({"content": "a", "name": "b"})] * 5_000),
        b'data: {"choices": [{"delta": {"tool_calls": [{"function": {"name": "a"}}]}}]}\n' * 20_000,
        b"\xff\xfe\x00" * 10_000,
        b"",
    ],
)
def test_no_line_is_read_twice(body: bytes) -> None:
    """No more is read than the body and a line break for each line."""
    lines = list(telling_lines(body))
    assert sum(map(len, lines)) <= len(body) + len(lines)
    heard_in(body, True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, "unknown"),
        ("", "unknown"),
        (["a"], "unknown"),
        ("qwen\n3\x1b[2J", "qwen3[2J"),
        ("x" * 500, "x" * LONGEST_NAME),
        ("half \ud83d", "half "),
    ],
)
def test_names_are_fit_to_be_shown(name: object, expected: str) -> None:
    assert shown(name) == expected
    json.dumps(shown(name)).encode()


def test_clients_are_known_by_their_user_agent() -> None:
    assert client_name("opencode/1.18.33 ai-sdk/1") == "opencode/1.18.33"
    assert client_name("") == "unknown"
