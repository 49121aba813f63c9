"""Errors that hold the call which the engine could not parse: the answer goes on with it, or they stay."""

import json
from typing import Any

import pytest

from support.streams import ASSISTANT, DONE, LLAMA_CPP, byte_cuts, read_answer, request, send
from toolstream.rewriter.whole import recover_error

Json = dict[str, Any]

CITY = "<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n"
OSLO = CITY + "</parameter>\n</function>\n</tool_call>"
BRIEF = CITY + "<parameter=detailed>\nTrue\n</parameter>\n</function>"
GOAL = "<tool_call>\n<function=get_goal>\n</function>\n</tool_call>"
WEATHER = ("get_weather", {"city": "Oslo"})
ASKED = request()


def error(text: str) -> Json:
    message = f"Failed to parse input at pos 60: {text}"
    return {"error": {"code": 500, "message": message, "type": "server_error"}}


def events(text: str) -> list[bytes]:
    """The two ways in which it is written in a stream."""
    body = error(text)
    return [f"data: {json.dumps(body)}\n\n".encode(), f"error: {json.dumps(body['error'])}\n\n".encode()]


HELD = [
    (OSLO, [WEATHER]),
    (f"{OSLO}\n{GOAL}", [WEATHER, ("get_goal", {})]),
    ("\n\n" + OSLO + "\n", [WEATHER]),
    ("\nplan</think>\n\n" + OSLO, [WEATHER]),
    (BRIEF, [("get_weather", {"city": "Oslo", "detailed": True})]),
]


@pytest.mark.parametrize(("text", "calls"), HELD)
@pytest.mark.parametrize("way", [0, 1])
@pytest.mark.parametrize("done", [True, False])
def test_a_stream_goes_on_with_the_calls(text: str, calls: list[Any], way: int, done: bool) -> None:
    sent = [*LLAMA_CPP.open(), LLAMA_CPP.text("Let me see."), events(text)[way], *([DONE] if done else [])]
    for pieces in byte_cuts(b"".join(sent), every=53, random_cuts=5):
        out, rewriter = send(pieces, ASKED)
        answer = read_answer(out)
        assert (answer.message.text, answer.message.named) == ("Let me see.", calls)
        assert (answer.message.finish, answer.done) == ("tool_calls", True)
        assert b"Failed to parse" not in out
        assert rewriter.ledger.repairs["engine-error"] == 1
        assert rewriter.ledger.calls == len(calls)


@pytest.mark.parametrize("held", ["\n\n", " a <", "`"])
def test_text_that_waits_is_sent_first(held: str) -> None:
    sent = [*LLAMA_CPP.open(), LLAMA_CPP.text("Let me see."), LLAMA_CPP.text(held), events(OSLO)[0]]
    message = read_answer(send(sent, ASKED)[0]).message
    assert (message.text, message.named) == ("Let me see." + held, [WEATHER])


def test_nothing_but_the_error() -> None:
    message = read_answer(send(events("I look.\n\n" + OSLO)[:1], ASKED)[0]).message
    assert (message.text, message.named, message.finish) == ("I look.", [WEATHER], "tool_calls")


@pytest.mark.parametrize("begun", ["", "{", '{"ci', '{"city"', '{"city":"Os', '{"city": "Os'])
def test_a_call_that_has_begun_goes_on(begun: str) -> None:
    calls = LLAMA_CPP.calls([("get_weather", [begun])])
    out, _ = send([*LLAMA_CPP.open(), *calls, events(f"{OSLO}\n{GOAL}")[0]], ASKED)
    message = read_answer(out).message
    assert message.named == [WEATHER, ("get_goal", {})]
    assert message.finish == "tool_calls"


def test_a_call_that_was_complete_is_not_sent_again() -> None:
    calls = LLAMA_CPP.calls([("get_weather", ['{"city":"Oslo"}'])])
    out, _ = send([*LLAMA_CPP.open(), *calls, events(f"{OSLO}\n{GOAL}")[0]], ASKED)
    assert read_answer(out).message.named == [WEATHER, ("get_goal", {})]


STAYS = [
    "</tool_call>",
    "<tool_call>\n<function=get_weather>\n<parameter=city>\nOs",
    "<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>",
    "I cannot do that.",
    "```\n" + OSLO + "\n```",
]


@pytest.mark.parametrize("text", STAYS)
def test_an_error_without_a_complete_call_stays(text: str) -> None:
    for event in events(text):
        sent = [*LLAMA_CPP.open(), LLAMA_CPP.text("Let me see."), event]
        out, rewriter = send(sent, ASKED)
        assert out == b"".join(sent)
        assert not rewriter.ledger.repairs
    assert recover_error(ASKED | {"stream": False}, json.dumps(error(text)).encode()) is None


def test_what_was_said_must_fit() -> None:
    calls = LLAMA_CPP.calls([("get_weather", ['{"city":"Par'])])
    sent = [*LLAMA_CPP.open(), *calls, events(OSLO)[0]]
    assert events(OSLO)[0] in send(sent, ASKED)[0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"error": "no"}',
        b'{"error": {"message": null}}',
        b'{"error": {"code": 400, "message": "the prompt is too long", "type": "exceed_context_size_error"}}',
        b'{"error": {"message": "The model produced output that does not match the format"}}',
    ],
)
def test_other_errors_stay(body: bytes) -> None:
    assert recover_error(ASKED | {"stream": False}, body) is None
    event = b"data: " + body + b"\n\n"
    assert send([*LLAMA_CPP.open(), event], ASKED)[0] == b"".join([*LLAMA_CPP.open(), event])


@pytest.mark.parametrize(("text", "calls"), HELD)
def test_a_whole_answer(text: str, calls: list[Any]) -> None:
    recovered = recover_error(ASKED | {"stream": False}, json.dumps(error(text)).encode())
    assert recovered
    body, ledger = recovered
    choice = json.loads(body)["choices"][0]
    found = [
        (c["function"]["name"], json.loads(c["function"]["arguments"]))
        for c in choice["message"]["tool_calls"]
    ]
    assert found == calls
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"] | ASSISTANT == choice["message"]
    assert ledger.repairs["engine-error"] == 1


def test_only_where_calls_may_be_made() -> None:
    body = json.dumps(error(OSLO)).encode()
    assert recover_error({"model": "qwen"}, body) is None
    assert recover_error(ASKED | {"stream": False, "tool_choice": "none"}, body) is None
    assert recover_error(ASKED, body) is None
