"""Answers of Ollama's API through the rewriter, at many cuts: a leak becomes a call, what is right stays."""

import json
import re
from collections.abc import Iterable
from typing import Any

import pytest

from support import strict_ollama
from support.cases import read_tool
from support.streams import byte_cuts, send
from support.strict_ollama import call, done, line, lines, whole
from toolstream import Ledger, Repair, StreamRewriter, ToolCallParser, recover_error, rewrite_completion

Said = list[tuple[Any, ...]]

TOOLS = [read_tool("get_weather(city: string, days?: integer)"), read_tool("get_goal()")]
REQUEST = strict_ollama.request(TOOLS)


def leak(city: str, days: int = 3) -> str:
    parameters = f"<parameter=city>\n{city}\n</parameter>\n<parameter=days>\n{days}\n</parameter>"
    return f"<tool_call>\n<function=get_weather>\n{parameters}\n</function>\n</tool_call>"


def found(city: str, days: int = 3) -> tuple[Any, ...]:
    return ("call", "get_weather", json.dumps({"city": city, "days": days}), True)


OSLO = leak("Oslo")
NATIVE = ("call", "get_weather", '{"city": "Nice", "days": 1}')
WITHOUT_IDS = re.compile(rb'"call_[0-9a-f]{24}"')
ERROR = b'{"error":"XML syntax error on line 7: unexpected EOF"}\n'


def rewritten(body: bytes, every: int = 211) -> tuple[bytes, Ledger]:
    """What a client is sent, the same at every cut of the bytes but for ids."""
    first = send([body], REQUEST, api="ollama")
    for pieces in byte_cuts(body, every, random_cuts=4):
        sent, rewriter = send(pieces, REQUEST, api="ollama")
        assert WITHOUT_IDS.sub(b"", sent) == WITHOUT_IDS.sub(b"", first[0]), f"cut into {pieces}"
        assert rewriter.ledger.as_dict() == first[1].ledger.as_dict()
    return first[0], first[1].ledger


def said(body: bytes) -> tuple[Said, str | None]:
    """What a client hears, however the answer ends."""
    return strict_ollama.read(body, complete=False)


# Leaks

LEAKS: dict[str, tuple[list[tuple[str, str]], Said]] = {
    "a call": ([("text", OSLO)], [found("Oslo")]),
    "text before it": ([("text", "Hi.\n\n" + OSLO)], [("text", "Hi."), found("Oslo")]),
    "text after it": ([("text", OSLO + "\n\nDone.")], [found("Oslo"), ("text", "\n\nDone.")]),
    "text around it": (
        [("text", f"A <b>\n{OSLO}\nB")],
        [("text", "A <b>"), found("Oslo"), ("text", "\nB")],
    ),
    "two calls": (
        [("text", f"Both.\n{OSLO}\n{leak('Łódź', 1)}")],
        [("text", "Both."), found("Oslo"), ("call", "get_weather", '{"city": "Łódź", "days": 1}', True)],
    ),
    "two calls and text between them": (
        [("text", f"A\n{OSLO}\nB\n{leak('Rom')}\nC")],
        [("text", "A"), found("Oslo"), ("text", "\nB"), found("Rom"), ("text", "\nC")],
    ),
    "a call in the thinking": (
        [("thinking", f"Let me.\n{OSLO}")],
        [("thinking", "Let me."), found("Oslo")],
    ),
    "thinking, and a call": (
        [("thinking", "Hm <b> \n"), ("text", f"Yes.\n{OSLO}")],
        [("thinking", "Hm <b> \n"), ("text", "Yes."), found("Oslo")],
    ),
    "a call that lacks its closers": (
        [("text", "x\n" + OSLO.removesuffix("\n</function>\n</tool_call>"))],
        [("text", "x"), found("Oslo")],
    ),
}


@pytest.mark.parametrize("name", LEAKS)
@pytest.mark.parametrize("step", [1, 4, 10_000])
def test_a_leak_becomes_a_call(name: str, step: int) -> None:
    parts, expected = LEAKS[name]
    body, ledger = rewritten(b"".join(lines(parts, step=step)), every=997)
    assert strict_ollama.read(body) == (expected, "stop")
    assert ledger.calls == sum(part[0] == "call" for part in expected)


@pytest.mark.parametrize("name", LEAKS)
def test_so_does_one_that_is_not_streamed(name: str) -> None:
    parts, expected = LEAKS[name]
    body, ledger = rewrite_completion(REQUEST, whole(parts), api="ollama")
    heard, reason = strict_ollama.read_whole(body)
    assert reason == "stop"
    assert ledger.failure == ""
    assert [part for part in heard if part[0] == "call"] == [part for part in expected if part[0] == "call"]
    for kind in ("text", "thinking"):
        texts = ["".join(part[1] for part in parts if part[0] == kind) for parts in (heard, expected)]
        assert texts[0] == texts[1]


@pytest.mark.parametrize(
    "message", [{"content": f"Hi.\n{OSLO}"}, {"thinking": "Hm", "content": f"Hi.\n{OSLO}"}]
)
def test_a_done_line_may_be_the_first_and_only_one(message: dict[str, str]) -> None:
    body, _ = rewritten(done(message=message), every=29)
    thought = [("thinking", "Hm")] if "thinking" in message else []
    heard, reason = strict_ollama.read(body)
    assert sorted(heard) == sorted([*thought, ("text", "Hi."), found("Oslo")])
    assert reason == "stop"
    last = json.loads(body.splitlines()[-1])
    assert last | {"message": None} == json.loads(done()) | {"message": None}
    assert last["message"]["content"] == ""


def test_the_done_line_may_hold_the_end_of_a_call() -> None:
    sent = line({"content": f"Hi.\n{OSLO[:50]}"}) + done(message={"content": OSLO[50:]})
    body, _ = rewritten(sent, every=29)
    assert strict_ollama.read(body) == ([("text", "Hi."), found("Oslo")], "stop")


def test_a_line_of_text_leaves_as_soon_as_it_is_decided() -> None:
    rewriter = StreamRewriter(REQUEST, api="ollama")
    for raw in lines([("text", "Hi there, this is plain.")], None):
        assert b"".join(rewriter.feed(raw)).strip() or raw.endswith(b' "},"done":false}\n')


def test_a_last_line_without_a_line_end() -> None:
    sent = b"".join(lines([("text", f"Hi.\n{OSLO}")])).rstrip(b"\n")
    body, _ = rewritten(sent)
    assert strict_ollama.read(body) == ([("text", "Hi."), found("Oslo")], "stop")
    sent = b"".join(lines([("text", f"Hi.\n{OSLO}")], None)).rstrip(b"\n")
    body, _ = rewritten(sent)
    assert said(body)[0] == [("text", "Hi."), found("Oslo")]


def test_line_ends_of_windows() -> None:
    sent = b"".join(lines([("text", f"Hi.\n{OSLO}\nBye.")])).replace(b"\n", b"\r\n")
    body, _ = rewritten(sent)
    assert strict_ollama.read(body) == ([("text", "Hi."), found("Oslo"), ("text", "\nBye.")], "stop")


# What is right


HEALTHY: dict[str, Iterable[tuple[str, ...]]] = {
    "nothing": [],
    "text": [("text", "Hello, world.\n\n")],
    "thinking and text": [("thinking", "Hm <b> \n"), ("text", "Yes a<b\n")],
    "a call": [NATIVE],
    "text and calls": [("text", "Hi.\n\n"), NATIVE, NATIVE],
    "text after a call": [NATIVE, ("text", "\nSo.")],
    "tags in prose": [("text", "Use `<tool_call>` or <fun> now, or\n```\n" + OSLO + "\n```\n")],
    "whitespace": [("text", " \n\t\r\n ")],
}


@pytest.mark.parametrize("name", HEALTHY)
@pytest.mark.parametrize("end", ["stop", "length", None])
def test_a_healthy_answer_is_the_same_bytes(name: str, end: str | None) -> None:
    for style in (lambda raw: raw, lambda raw: raw.replace(b"\n", b"\r\n"), lambda raw: b"\n" + raw + b" \n"):
        body = style(b"".join(lines(HEALTHY[name], end)))
        for pieces in byte_cuts(body, every=101, random_cuts=3):
            sent, rewriter = send(pieces, REQUEST, api="ollama")
            assert sent == body
            assert not rewriter.ledger.repairs


@pytest.mark.parametrize("name", HEALTHY)
def test_one_that_is_not_streamed_is_the_same_object(name: str) -> None:
    body = whole(HEALTHY[name])
    assert rewrite_completion(REQUEST, body, api="ollama")[0] is body


def test_calls_in_a_healthy_done_line_stay_there() -> None:
    body = line({"content": "Hi."}) + done(message={"tool_calls": [call(0, *NATIVE[1:])]})
    assert rewritten(body)[0] == body


def test_an_answer_to_a_request_without_tools_is_not_read() -> None:
    body = b"".join(lines([("text", OSLO)]))
    sent, _ = send([body], strict_ollama.request([]), api="ollama")
    assert sent == body


# The end


@pytest.mark.parametrize("cut", range(1, len(OSLO), 7))
def test_a_call_that_is_cut_off_is_text(cut: int) -> None:
    sent = b"".join(lines([("text", f"Hi.\n\n{OSLO[:cut]}")], "length"))
    body, ledger = rewritten(sent, every=997)
    if cut > OSLO.index("</function>") + len("</function"):
        assert strict_ollama.read(body) == ([("text", "Hi."), found("Oslo")], "length")
    else:
        assert body == sent
        assert ledger.calls == 0


def test_a_call_before_one_that_is_cut_off() -> None:
    body, _ = rewritten(b"".join(lines([("text", f"{OSLO}\n{leak('Rom')[:60]}")], "length")))
    heard, reason = strict_ollama.read(body)
    assert heard == [found("Oslo"), ("text", f"\n{leak('Rom')[:60]}")]
    assert reason == "length"


def test_an_error_gives_the_text_back_and_passes() -> None:
    sent = b"".join(lines([("text", f"Hi.\n{OSLO[:60]}")], None)) + ERROR
    body, _ = rewritten(sent)
    assert body == sent
    body, _ = rewritten(b"".join(lines([("text", f"{OSLO}\n{OSLO[:60]}")], None)) + ERROR)
    assert said(body)[0][:2] == [found("Oslo"), ("text", f"\n{OSLO[:60]}")]
    assert body.endswith(ERROR)
    assert all(json.loads(raw)["model"] for raw in body.splitlines()[:-1])


def test_an_answer_without_a_done_line() -> None:
    body, _ = rewritten(b"".join(lines([("text", f"Hi.\n{OSLO}")], None)))
    assert said(body)[0] == [("text", "Hi."), found("Oslo")]


def test_an_error_that_holds_the_call_becomes_it() -> None:
    error = strict_ollama.dumped({"error": f"Failed to parse input at pos 0: {OSLO}"})
    body, ledger = rewritten(line({"content": "Hi."}) + error + b"\n", every=29)
    assert strict_ollama.read(body) == ([("text", "Hi."), found("Oslo")], "stop")
    assert ledger.repairs == {Repair.ENGINE_ERROR: 1}
    recovered = recover_error(REQUEST | {"stream": False}, error, api="ollama")
    assert recovered
    assert strict_ollama.read_whole(recovered[0]) == ([found("Oslo")], "stop")
    assert recover_error(REQUEST, error, api="ollama") is None


def test_an_error_in_place_of_an_answer_passes() -> None:
    assert rewritten(ERROR)[0] == ERROR
    assert rewrite_completion(REQUEST, ERROR, api="ollama")[0] == ERROR


# Calls that the server parsed

RIGHT = {"city": "Oslo", "days": 3}
MENDED: dict[str, tuple[Any, dict[str, Any], list[Repair]]] = {
    "arguments that are text": (json.dumps(RIGHT), RIGHT, [Repair.CALL_SHAPE]),
    "text that lacks its end": (
        '{"city": "Oslo"',
        {"city": "Oslo"},
        [Repair.CALL_SHAPE, Repair.JSON_REPAIRED],
    ),
    "text over several lines": (json.dumps(RIGHT, indent=1), RIGHT, [Repair.CALL_SHAPE]),
    "XML": (
        "<parameter=city>\nOslo\n</parameter>\n</function>",
        {"city": "Oslo"},
        [Repair.CALL_SHAPE, Repair.XML_ARGUMENTS],
    ),
    "a value of the wrong type": ({"city": "Oslo", "days": "3"}, RIGHT, [Repair.WRONG_TYPE]),
}


def with_arguments(arguments: Any, **more: Any) -> dict[str, Any]:
    return {"function": {"index": 0, "name": "get_weather", "arguments": arguments} | more}


@pytest.mark.parametrize("name", MENDED)
@pytest.mark.parametrize("is_done", [True, False])
def test_a_call_is_mended(name: str, is_done: bool) -> None:
    arguments, expected, repairs = MENDED[name]
    message = {"content": "So.", "tool_calls": [with_arguments(arguments)]}
    body, ledger = rewritten(done(message=message) if is_done else line(message) + done(), every=29)
    heard, reason = strict_ollama.read(body)
    assert reason == "stop"
    assert heard == [("text", "So."), ("call", "get_weather", json.dumps(expected), True)]
    assert sorted(ledger.repairs.elements()) == sorted(repairs)
    assert "tool_calls" not in json.loads(body.splitlines()[-1])["message"]


@pytest.mark.parametrize("name", MENDED)
def test_so_is_one_that_is_not_streamed(name: str) -> None:
    arguments, expected, repairs = MENDED[name]
    body, ledger = rewrite_completion(
        REQUEST, done(message={"tool_calls": [with_arguments(arguments)]}), api="ollama"
    )
    assert strict_ollama.read_whole(body)[0] == [("call", "get_weather", json.dumps(expected), True)]
    assert sorted(ledger.repairs.elements()) == sorted(repairs)


def test_a_call_without_arguments_or_a_name() -> None:
    calls = [{"function": {"name": "get_goal"}}, {"function": {"arguments": {"city": "Oslo"}}}]
    body, ledger = rewritten(line({"tool_calls": calls}) + done(), every=29)
    assert strict_ollama.read(body)[0] == [
        ("call", "get_goal", "{}", True),
        ("call", "get_weather", '{"city": "Oslo"}', True),
    ]
    assert ledger.repairs == {Repair.CALL_SHAPE: 1, Repair.NAME_INFERRED: 1}


def test_a_call_that_cannot_be_mended_passes() -> None:
    body = line({"tool_calls": [with_arguments("x{"), with_arguments([1])]}) + done()
    assert send([body], REQUEST, api="ollama")[0] == body


def test_a_call_that_is_no_function_passes() -> None:
    body = line({"tool_calls": [{"type": "custom", "function": {"name": "sql"}}, "x"]}) + done()
    sent, ledger = rewritten(body, every=29)
    assert sent == body
    assert not ledger.repairs


def test_a_copy_of_a_call_leaves() -> None:
    sent = line({"content": OSLO}) + line({"tool_calls": [with_arguments(RIGHT)]}) + done()
    body, ledger = rewritten(sent, every=29)
    assert strict_ollama.read(body) == ([found("Oslo")], "stop")
    assert ledger.repairs == {Repair.DUPLICATE_CALL: 1}


def test_calls_are_numbered_whoever_found_them() -> None:
    natives = [with_arguments({"city": "Nice"}), with_arguments({"city": "Rom"}, index=1)]
    sent = (
        line({"content": f"{OSLO}\n"})
        + line({"tool_calls": natives})
        + done(message={"content": leak("Bonn")})
    )
    body, _ = rewritten(sent, every=29)
    heard, _ = strict_ollama.read(body)  # which wants them in order
    assert [json.loads(part[2])["city"] for part in heard] == ["Oslo", "Nice", "Rom", "Bonn"]


@pytest.mark.parametrize(("native", "cities"), [("Nice", ["Rom", "Nice"]), ("Rom", ["Rom"])])
def test_a_call_that_ends_in_a_string_stands_before_one_of_the_server(native: str, cities: list[str]) -> None:
    """What follows its end could still belong to the string, until a call comes instead."""
    said = (
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nRom\n</parameter>\n</function>\n</tool_call>"
    )
    called = line({"tool_calls": [with_arguments({"city": native})]})
    body, ledger = rewritten(line({"content": said}) + called + done(), every=29)
    heard, _ = strict_ollama.read(body)
    assert [json.loads(part[2])["city"] for part in heard] == cities
    assert not ledger.refused


# Failures


@pytest.mark.parametrize("failing", range(1, 40, 3))
def test_a_parser_that_fails_costs_no_word(failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    count, real = 0, ToolCallParser.feed

    def feed(self: ToolCallParser, text: str) -> Any:
        nonlocal count
        count += 1
        if count == failing:
            raise RuntimeError("on purpose")
        return real(self, text)

    monkeypatch.setattr(ToolCallParser, "feed", feed)
    rewriter = StreamRewriter(REQUEST, api="ollama")
    sent = [out for raw in lines([("text", f"Hi.\n{OSLO}\nBye.")]) for out in rewriter.feed(raw)]
    heard, reason = strict_ollama.read(b"".join(sent + rewriter.close()))
    assert reason == "stop"
    text = "".join(part[1] for part in heard if part[0] == "text")
    calls = [part for part in heard if part[0] == "call"]
    if calls:
        assert (calls, text) == ([found("Oslo")], "Hi.\nBye.")
    else:
        assert text == f"Hi.\n{OSLO}\nBye."
