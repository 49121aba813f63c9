"""The rewriter: healthy streams leave as they came, calls leave in the shape every client accepts.

Each stream is cut at every place: its bytes as a network cuts them, and its text as a model
cuts it into deltas. What the client understands must never depend on either.
"""

import json
import re
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwenproxy.replay.casefile import Case
from support.cases import by_file, named, read_all
from support.cuts import Cuts, cut_at, few_cuts, per_character
from support.streams import (
    ASSISTANT,
    CALL,
    CALL_OSLO,
    DASHSCOPE,
    DONE,
    ENGINES,
    EVERY_ENGINE,
    LITELLM,
    LLAMA_CPP,
    MLX_LM,
    OLLAMA,
    OSLO,
    SGLANG,
    VLLM,
    WEATHER,
    Answer,
    Engine,
    ObjectionError,
    byte_cuts,
    cut_anywhere,
    event,
    gathered,
    per_byte,
    read_answer,
    request,
    send,
)
from toolstream import StreamRewriter
from toolstream.grammar.matcher import TagMatcher
from toolstream.limits import HELD
from toolstream.native.arguments import Arguments
from toolstream.native.calls import NativeCalls
from toolstream.native.json_stream import JsonStream
from toolstream.native.mender import Mender
from toolstream.native.object_mender import ObjectMender
from toolstream.native.reader import Passage
from toolstream.native.swallowed import ValueWatch
from toolstream.parser import call as call_state
from toolstream.parser import parameter, runs, value_text
from toolstream.parser import value as value_state
from toolstream.parser.buffer import Buffer
from toolstream.parser.event_log import EventLog
from toolstream.parser.markdown import Markdown
from toolstream.parser.parser import ToolCallParser
from toolstream.parser.place import Place
from toolstream.rewriter import queue, stream
from toolstream.rewriter.lanes import Lane
from toolstream.rewriter.message import Message
from toolstream.rewriter.queue import OutputQueue
from toolstream.rewriter.steady import Steady
from toolstream.wire import chat_completions, chat_encoder
from toolstream.wire.chat_completions import ChatCompletions
from toolstream.wire.chat_encoder import ChatEncoder, Synthesis
from toolstream.wire.sse import EventSplitter

ASKED = request()
NATIVE = ("get_weather", ['{"city": ', '"Os', 'lo"}'])
NATIVE_READ = ("get_weather", {"city": "Oslo"})
CLEAN = [engine for engine in ENGINES if engine.clean_calls]


def answered(events: Iterable[bytes], asked: Any = ASKED, role: bool = True, **options: Any) -> Answer:
    """What a demanding client understands of an answer that comes event by event."""
    return read_answer(send(events, asked, **options)[0], role)


def leak(engine: Engine, text: str, finish: str | None = "stop") -> list[bytes]:
    """An answer of this text, in deltas of a few characters."""
    return engine.answer(cut_at(text, range(3, len(text), 5)), finish)


def each_alone(events: Iterable[bytes], asked: Any = ASKED) -> list[bytes]:
    """What leaves for each event that comes, and for the end."""
    rewriter = StreamRewriter(asked)
    return [b"".join(rewriter.feed(event)) for event in events] + [b"".join(rewriter.close())]


# Healthy streams: the same bytes


def prose(engine: Engine) -> bytes:
    return b"".join(engine.answer(["Hel", "lo ", "a < b", "  \n", "\n<", "b>", " ü🙂 ", "</", "x>\n"]))


def reasoning(key: str) -> bytes:
    deltas = [{"role": "assistant", key: ""}, {key: "If a < b\n"}, {key: "<tool_call>?"}, {"content": "No."}]
    return b"".join([*(VLLM.chunk((0, d, None)) for d in deltas), *VLLM.ending()])


def interleaved() -> Iterator[bytes]:
    yield from LLAMA_CPP.open(0, 1)
    for zero, one in [("a ", "x"), ("<tool", "y <"), ("b>", " \n"), (" \n", "z")]:
        yield LLAMA_CPP.text(zero)
        yield LLAMA_CPP.text(one, index=1)
    yield from (LLAMA_CPP.end(index=1), LLAMA_CPP.end("length"), LLAMA_CPP.usage(), DONE)


def in_one_chunk() -> Iterator[bytes]:
    yield VLLM.chunk((0, {"role": "assistant", "content": ""}, None), (1, {"role": "assistant"}, None))
    for zero, one in [("a ", "x"), ("<tool", "y <"), ("b>", " \n"), (" \n", "z")]:
        yield VLLM.chunk((1, {"content": one}, None), (0, {"content": zero}, None))
    yield VLLM.chunk((0, {"content": "<"}, "stop"), (1, {}, "length"))
    yield DONE


def spelled(*contents: str, chunk: str = '{"choices":[{"index":0,"delta":{"content":%s}}]}') -> bytes:
    """Chunks whose content is spelled as JSON writes it in the arguments."""
    return b"".join(f"data: {chunk % content}\n\n".encode() for content in contents)


def with_events_between(engine: Engine, *others: bytes) -> bytes:
    """A stream with something else before, between and behind all of its events."""
    return b"".join(
        other + own for own in [*engine.answer(["a <", "tool_call", "> b \n", " c"]), b""] for other in others
    )


def with_line_ends(*ends: bytes) -> bytes:
    lines = b"".join(VLLM.answer(["a <", "b \n", "c"])).split(b"\n")
    return b"".join(line + ends[i % len(ends)] for i, line in enumerate(lines[:-1]))


NATIVES = [
    NATIVE,
    ("get_goal", ["{}"]),
    ("write", ['{"path": "a", ', '"content": "<tool_call>\\n<function=get_goal>"}']),
]
HEALTHY = {
    **{f"prose of {engine}": prose(engine) for engine in ENGINES},
    **{f"a call of {e}": b"".join(e.answer(["Let ", "me.\n\n"], "tool_calls", NATIVES[:1])) for e in CLEAN},
    **{f"calls of {e}": b"".join(e.answer([], "tool_calls", NATIVES)) for e in CLEAN},
    "a call without arguments": b"".join(LLAMA_CPP.answer(["Hm <"], "tool_calls", [("get_goal", ["{}"])])),
    "a call cut off": b"".join(VLLM.answer(["Hm "], "length", [("write", ['{"path": "', "a"])])),
    "calls in one delta": VLLM.chunk((0, ASSISTANT | {"content": "x "}, None))
    + VLLM.chunk((0, {"tool_calls": [*OLLAMA._call(0, *NATIVE), *OLLAMA._call(1, "get_goal", ["{}"])]}, None))
    + b"".join(VLLM.ending("tool_calls")),
    "text and call and finish in one delta": VLLM.chunk(
        (0, ASSISTANT | {"content": "x \n", "tool_calls": [*OLLAMA._call(0, *NATIVE)]}, "tool_calls")
    )
    + DONE,
    "reasoning_content": reasoning("reasoning_content"),
    "reasoning": reasoning("reasoning"),
    "several choices, interleaved": b"".join(interleaved()),
    "several choices in one chunk": b"".join(in_one_chunk()),
    "named events and ids": with_events_between(
        SGLANG, b"event: sglext_ids\ndata: [1]\n\n", b"id: 7\nretry: 1\n"
    ),
    "no JSON between": with_events_between(
        VLLM, b"data: hello\n\ndata: {\n\ndata: [1]\n\ndata:\n\n", b"data: null\n\n"
    ),
    "not UTF-8 between": with_events_between(VLLM, b"data: \xff\xfe\n\n\xff\n\n"),
    "other objects between": with_events_between(
        VLLM, b'data: {"choices":"x"}\n\n', b'data: {"choices":[7,null]}\n\n'
    ),
    "several data lines": re.sub(rb"(\{|,)(?=\")", rb"\1\ndata: ", prose(OLLAMA)),
    "no space behind data:": prose(OLLAMA).replace(b"data: ", b"data:"),
    "crlf": with_line_ends(b"\r\n"),
    "cr": with_line_ends(b"\r"),
    "mixed line ends": with_line_ends(b"\n", b"\r\n", b"\r", b"\n"),
    "a byte order mark": b"\xef\xbb\xbf" + prose(VLLM),
    "no [DONE]": prose(VLLM).removesuffix(DONE),
    "no [DONE] and no finish": b"".join(VLLM.answer(["a ", "b <tool_", "call>\n"], None)),
    "an event cut off": prose(VLLM)[:-40],
    "text behind [DONE]": prose(VLLM) + b": bye\n\n" + prose(VLLM),
    "no role": b"".join([LLAMA_CPP.text("a "), LLAMA_CPP.text("<b \n"), *LLAMA_CPP.ending()]),
    "the role again": b"".join(
        [*LLAMA_CPP.open(), *LLAMA_CPP.open(), LLAMA_CPP.text("a "), *LLAMA_CPP.ending()]
    ),
    "an error at once": event({"error": {"message": "x", "code": 500}}) + DONE,
    "an error in the middle": b"".join(leak(VLLM, "a b <tool_call>\n", None))
    + event({"error": {"message": "x"}})
    + DONE,
    "an error as a line": b"".join(leak(VLLM, "a b <tool_call>\n", None)) + b'error: {"message": "x"}\n\n',
    "usage in every chunk": b"".join(
        [
            VLLM.chunk((0, {"content": t}, None), usage={"total_tokens": i})
            for i, t in enumerate(["a ", "<b", " "])
        ]
    )
    + DONE,
    "logprobs": b"".join(
        VLLM.chunk((0, {"content": t}, None)).replace(
            b'"logprobs":null', b'"logprobs":{"content":[{"token":"x"}]}'
        )
        for t in ["a ", "<tool", "> \n"]
    ),
    "unknown fields": b"".join(
        LLAMA_CPP.chunk((0, {"content": t, "x": {"y": [1]}}, None), z=[{}]) for t in ["a ", "<b", " \n"]
    ),
    "numbers as they are spelled": spelled(
        '"a "',
        '"<b"',
        '" "',
        chunk='{"n":123456789012345678901234567890,"f":1.10,"e":1E+2,"choices":[{"delta":{"content":%s}}]}',
    ),
    "escapes as they are spelled": spelled(
        '"\\u003ctool"', '"\\u0041\\/ \\ud83d\\ude42 \\u00fc"', '"\\u003cb> \\u000a"'
    ),
    "JSON with blanks": spelled(
        '"a "', '"<b"', chunk='{ "choices" :\t[ { "delta" : { "content" :  %s } , "index":0 } ] }  '
    ),
    "content in parts": spelled('[{"type":"text","text":"<tool_call>"}]', "null", "7", "{}"),
    "a repeated key": spelled('"a","content":"b <"', '"c","content":" "'),
    "prose about the tags": b"".join(
        leak(LLAMA_CPP, "Write <tool_call> and then `<function=get_weather>`.\n")
    ),
    "a quoted call": b"".join(leak(VLLM, f"Like this:\n```xml\n{OSLO}\n```\nSee?  \n")),
    "blanks at the end of every delta": b"".join(LLAMA_CPP.answer([f"w{i} \n" for i in range(9)])),
    "an opener in every delta": b"".join(LLAMA_CPP.answer(["a <", "<", "<tool_call", "<b", "<"])),
    "the whole message in one chunk": VLLM.text("All of it. <\n", "stop") + DONE,
    "a refusal": b"".join([*VLLM.open(), VLLM.chunk((0, {"refusal": "no <"}, None)), *VLLM.ending()]),
    "content filter": b"".join([*VLLM.open(), VLLM.text("a "), VLLM.end("content_filter"), DONE]),
    "blank lines": b"\n\n\n" + prose(VLLM).replace(b"\n\n", b"\n\n\n\n"),
    "nothing": b"",
}


@pytest.mark.slow
@pytest.mark.parametrize("body", HEALTHY.values(), ids=HEALTHY.keys())
def test_a_healthy_stream_is_byte_identical_at_every_cut(body: bytes) -> None:
    for pieces in byte_cuts(body, every=len(body) // 20 + 1, random_cuts=4):
        out, rewriter = send(pieces, ASKED)
        assert out == body
        assert not rewriter.ledger.repairs
        assert rewriter.ledger.calls == 0


def test_a_healthy_stream_is_byte_identical_at_every_two_way_cut() -> None:
    body = (
        b": c\n\n"
        + LLAMA_CPP.text("a <")
        + SGLANG.text(" <b \n").replace(b"\n", b"\r\n")
        + VLLM.text("", "stop")
        + DONE
    )
    for pieces in byte_cuts(body):
        assert send(pieces, ASKED)[0] == body


@pytest.mark.parametrize(
    "asked",
    [
        {},
        request(tool_choice="none"),
        {"tools": []},
        {"tools": None},
        {"tools": "x"},
        {"tools": [{"type": "function"}]},
        {"tools": [7]},
    ],
)
def test_without_tools_anything_passes_as_it_comes(asked: Any) -> None:
    for body in (*HEALTHY.values(), b"".join(leak(VLLM, WEATHER)), b"\xff\r\n\x00" * 50):
        rewriter = StreamRewriter(asked)
        pieces = [body[i : i + 7] for i in range(0, len(body), 7)]
        assert [rewriter.feed(piece) for piece in pieces] == [[piece] for piece in pieces]
        assert rewriter.feed(b"") == rewriter.close() == []


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_prose_leaves_with_the_event_it_came_in(engine: Engine) -> None:
    events = engine.answer(["Hello", " wor", "ld, a <", "b> or", "\n\nso.", " <tool_call> is a", " tag."])
    assert each_alone(events) == [
        b"" if b"a <" in e else events[i - 1] + e if b"b> or" in e else e for i, e in enumerate(events)
    ] + [b""]


@pytest.mark.parametrize("finish", ["stop", "length", "content_filter", "eos", None])
@pytest.mark.parametrize("text", ["", "a <", "a \n\n", "a <tool_call>", "a <tool_call>\n<func"])
def test_what_is_held_at_the_end_comes_before_the_finish(text: str, finish: str | None) -> None:
    body = b"".join(leak(VLLM, text, finish))
    assert send([body], ASKED)[0] == body


# Calls, in every cut


@pytest.mark.parametrize("engine", EVERY_ENGINE, ids=str)
def test_a_call_at_every_cut_of_the_text(engine: Engine, cuts: Cuts) -> None:
    before = "Let me see.\n\n" if EVERY_ENGINE.index(engine) % 2 else ""
    for pieces in cuts(before + WEATHER):
        events = engine.answer(pieces)
        message = answered(events).message
        assert message.said == (before.rstrip(), "", [CALL], "tool_calls", ""), events


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_a_call_at_every_cut_of_the_bytes(engine: Engine, thorough: bool) -> None:
    body = b"".join(leak(engine, "Hm.\n" + WEATHER))
    said = read_answer(send([body], ASKED)[0]).said
    assert said[0][0] == ("Hm.", "", [CALL], "tool_calls", "")
    for pieces in byte_cuts(body, every=len(body) // (100 if thorough else 20)):
        assert read_answer(send(pieces, ASKED)[0]).said == said


CASES = [case for case in read_all() if not (case.bug or case.reasoning)]
FILES = by_file(CASES)
NUMBERS = {str(case): number for number, case in enumerate(CASES)}


def finish_of(case: Case) -> str | None:
    return "tool_calls" if case.calls and case.finish == "stop" else case.finish


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_cases_in_the_stream_of_an_engine(file: str, thorough: bool) -> None:
    for case in FILES[file]:
        with named(case):
            check_in_the_stream_of_an_engine(case, thorough)


def cuts_of(case: Case, thorough: bool) -> list[tuple[int, list[str]]]:
    """The pieces of a case, numbered: whole, per character and ten random ones if `thorough`, else one of the
    first two, which each engine gets in turn."""
    if thorough:
        return list(enumerate(few_cuts(case.input)))
    number = NUMBERS[str(case)] // len(EVERY_ENGINE) % 2
    return [(number, list(few_cuts(case.input, 0))[number])]


def brought(events: list[bytes], number: int) -> list[bytes]:
    """The events as a network may bring them: one by one, several at once, cut anywhere, byte by byte."""
    match number % 4:
        case 0:
            return events
        case 1:
            return gathered(events, number)
        case 2:
            return cut_anywhere(b"".join(events))
        case _:
            return per_byte(b"".join(events))


def check_in_the_stream_of_an_engine(case: Case, thorough: bool) -> None:
    """A client gets what the case says, and a second proxy behind the first one has nothing to do."""
    engine = EVERY_ENGINE[NUMBERS[str(case)] % len(EVERY_ENGINE)]
    streams = case.recovery != "strict"
    open_calls = [case.open] if case.open and streams else []
    cut_off = case.open is not None and not streams
    repairs = case.buffered_repairs if cut_off else case.repairs
    options = {"recovery": case.recovery, "rules": case.user_rules}
    for number, pieces in cuts_of(case, thorough):
        events = engine.answer(pieces, case.finish)
        out, rewriter = send(brought(events, NUMBERS[str(case)] + number), case.request, **options)
        message = read_answer(out, role=False).message
        assert message.text == (case.text if streams or not case.open else case.buffered)
        assert [(call.name, call.arguments) for call in message.calls[len(case.calls) :]] == open_calls
        assert message.named[: len(case.calls)] == [(name, json.loads(text)) for name, text in case.calls]
        assert message.finish == ("length" if open_calls and case.finish == "stop" else finish_of(case))
        assert rewriter.ledger.calls == len(case.calls)
        assert sorted(map(str, rewriter.ledger.repairs.elements())) == sorted(repairs)
        assert sorted(map(str, rewriter.ledger.refused.elements())) == list(case.refused)
        if number == 1 and is_cleaned(case):
            assert send([out], case.request, **options)[0] == out
        untouched = not case.calls and not open_calls and case.text == case.input
        if untouched and not any("\ud800" <= c <= "\udfff" for c in "".join(pieces)):
            assert out == b"".join(events)


def is_cleaned(case: Case) -> bool:
    """Whether nothing of it would be mended the next time, as text may be once what stood around it is gone,
    or a key with a value in it."""
    pairs = any("=" in key for _, text in case.calls for key in json.loads(text))
    return bool(case.calls) and not (case.open or pairs or {"<", "{"} & {*case.text})


def test_many_cases_are_cleaned() -> None:
    assert len(list(filter(is_cleaned, CASES))) > 400


TWO = WEATHER + "\n" + OSLO


def test_two_calls_are_numbered_and_have_ids_of_their_own() -> None:
    for pieces in few_cuts("Both.\n" + TWO):
        message = answered(VLLM.answer(pieces)).message
        assert message.said == ("Both.", "", [CALL, CALL_OSLO], "tool_calls", "")


@pytest.mark.parametrize("tail", ["\n\nDone.", " Done?", "\nso \n</tool_call> be it"])
def test_text_behind_a_call_is_kept_and_comes_behind_it(tail: str) -> None:
    for pieces in few_cuts(f"Hm.\n{WEATHER}{tail}"):
        message = answered(LLAMA_CPP.answer(pieces)).message
        assert message.text_after_call == tail.replace("\n</tool_call>", "\n</tool_call>")
        assert message.text == "Hm." + tail
        assert (message.named, message.finish) == ([CALL], "tool_calls")


def test_parallel_tool_calls_false_leaves_the_first() -> None:
    asked = request(parallel_tool_calls=False)
    for pieces in few_cuts(TWO):
        out, rewriter = send(VLLM.answer(pieces), asked)
        assert read_answer(out).message.said == ("", "", [CALL], "tool_calls", "")
        assert rewriter.ledger.as_dict()["repairs"] == {"parallel-dropped": 1}
        assert rewriter.ledger.calls == 1


@pytest.mark.parametrize(("said", "meant"), [("stop", "tool_calls"), ("tool_calls", "stop")])
def test_a_finish_reason_that_does_not_say_what_the_answer_holds(said: str, meant: str) -> None:
    natives = LLAMA_CPP.calls([("get_weather", ['{"city": "Oslo"}'])]) if meant == "tool_calls" else []
    events = [*LLAMA_CPP.open(), *natives, *LLAMA_CPP.ending(said)]
    out, rewriter = send(events, ASKED)
    assert out == b"".join(events).replace(b'"%b"' % said.encode(), b'"%b"' % meant.encode())
    assert rewriter.ledger.as_dict()["repairs"] == {"finish-reason": 1}


KEPT_ALIVE = {"id": "", "model": "keepalive", "created": 0, "object": "chat.completion.chunk"}


def test_what_keeps_a_connection_alive_passes_wherever_it_stands() -> None:
    chunk = KEPT_ALIVE | {"choices": [{"index": 0, "delta": {}, "finish_reason": None}]}
    alive = b"data: " + json.dumps(chunk).encode() + b"\n\n"
    events = LLAMA_CPP.answer(re.findall("(?s).{1,9}", "Hm.\n" + WEATHER))
    for at in range(1, len(events)):
        out, _ = send([*events[:at], alive, *events[at:]], ASKED)
        assert out.count(alive) == 1
        assert read_answer(out.replace(alive, b"")).message.named == [CALL]


def test_the_name_leaves_at_its_bracket_and_a_value_one_delta_later_at_most() -> None:
    head = "<tool_call>\n<function=write>\n<parameter=path>\na\n</parameter>\n<parameter=content>\n"
    words = [f"word {i}," for i in range(20)]
    events = VLLM.answer([*per_character(head), *words, "\n</parameter>\n</function>\n</tool_call>"])
    sent = each_alone(events)
    named = next(i for i, out in enumerate(sent) if b'"name":"write"' in out)
    assert named == 1 + head.index(">\n<parameter")
    first = 1 + len(head)
    for i, word in enumerate(words):
        assert word.encode() in sent[first + i] + sent[first + i + 1]


def test_a_call_whose_events_all_come_at_once() -> None:
    """Speculative decoding: many tags in one delta, several events in one read."""
    for size in (1, 2, 3):
        pieces = re.findall(r"(?s).{1,40}", "Hm.\n" + TWO)
        events = LLAMA_CPP.answer(pieces)
        batches = [b"".join(events[i : i + size]) for i in range(0, len(events), size)]
        assert answered(batches).message.said == ("Hm.", "", [CALL, CALL_OSLO], "tool_calls", "")


# Where the finish_reason is


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_text_in_the_chunk_of_the_finish_reason(engine: Engine) -> None:
    for pieces in few_cuts("Hm.\n" + WEATHER):
        *most, last = pieces
        events = [*engine.open(), *map(engine.text, most), engine.text(last, "stop"), engine.usage(), DONE]
        assert answered(events).message.said == ("Hm.", "", [CALL], "tool_calls", "")


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize(
    ("before", "after"), [("", ""), ("Hm.\n", ""), ("", "\nDone."), ("Hm.\n", "\nDone.")]
)
def test_a_whole_message_in_one_chunk(engine: Engine, before: str, after: str) -> None:
    events = [engine.chunk((0, ASSISTANT | {"content": before + WEATHER + after}, "stop")), DONE]
    message = answered(events).message
    assert message.said == (before.rstrip() + after, "", [CALL], "tool_calls", after)


SENT = ["stop", "tool_calls", "length", "content_filter", "function_call", "eos"]


@pytest.mark.parametrize(("sent", "called", "together"), [*product(SENT, [True, False], [True, False])])
def test_the_finish_reason_fits_the_calls(sent: str, called: bool, together: bool) -> None:
    text = "Hm.\n" + (WEATHER if called else "<b>")
    events = [*VLLM.open(), VLLM.text(text, sent)] if together else leak(VLLM, text, sent)[:-2]
    message = answered([*events, DONE]).message
    fits = {"stop": "tool_calls", "tool_calls": "tool_calls"} if called else {"tool_calls": "stop"}
    assert message.finish == fits.get(sent, sent)
    assert len(message.calls) == called


def test_a_finish_reason_that_fits_costs_no_byte() -> None:
    finish = LLAMA_CPP.end("tool_calls")
    assert finish in send([*leak(LLAMA_CPP, WEATHER)[:-3], finish, DONE], ASKED)[0]


def test_only_the_finish_reason_changes_in_its_chunk() -> None:
    events = leak(LLAMA_CPP, WEATHER)
    assert each_alone(events)[-4:] == [
        events[-3].replace(b'"stop"', b'"tool_calls"'),
        events[-2],
        DONE,
        b"",
    ]


def test_a_finish_reason_promised_calls_that_never_came() -> None:
    events = LLAMA_CPP.answer(["Hm."], "tool_calls")
    assert each_alone(events)[-4] == events[-3].replace(b'"tool_calls"', b'"stop"')


# Cut off

CUT = WEATHER[: WEATHER.index("ich 🙂")]


@pytest.mark.parametrize("finish", ["length", "content_filter", None])
def test_a_call_cut_off_stays_open_so_that_nobody_runs_it(finish: str | None) -> None:
    for pieces in few_cuts("Hm.\n" + CUT):
        out, rewriter = send(VLLM.answer(pieces, finish), ASKED)
        message = read_answer(out).message
        assert (message.text, message.finish) == ("Hm.", finish)
        assert [(call.name, call.arguments) for call in message.calls] == [("get_weather", '{"city": "Zür')]
        assert rewriter.ledger.calls == 0
        assert rewriter.ledger.as_dict()["refused"] == {"truncated": 1}


def test_on_stop_what_is_missing_is_mended() -> None:
    for pieces in few_cuts("Hm.\n" + CUT):
        message = answered(VLLM.answer(pieces)).message
        assert message.said == ("Hm.", "", [("get_weather", {"city": "Zür"})], "tool_calls", "")


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_a_call_that_is_complete_stays_one_whatever_the_finish_reason(finish: str) -> None:
    for pieces in few_cuts(WEATHER.removesuffix("\n</tool_call>")):
        assert answered(VLLM.answer(pieces, finish)).message.said == ("", "", [CALL], finish, "")


@pytest.mark.parametrize("end", range(0, len(WEATHER), 3))
def test_a_stream_that_breaks_off_anywhere_loses_no_text(end: int) -> None:
    """No finish_reason, no [DONE]: the client sees what came, and no call that is not complete."""
    text = "Hm.\n" + WEATHER[:end]
    message = answered(LLAMA_CPP.answer(per_character(text), None)).message
    assert message.finish is None
    if not message.calls:
        assert message.text == text
    assert all(isinstance(arguments, str | dict) for _, arguments in message.named)


@pytest.mark.parametrize("cut_event", [True, False])
def test_an_error_inside_a_call_leaves_as_it_came_behind_what_was_held(cut_event: bool) -> None:
    error = event({"error": {"message": "boom", "code": 500}})
    begun = leak(VLLM, "Hm.\n" + CUT, None)
    out, _ = send([*begun, error, *([] if cut_event else [DONE])], ASKED)
    answer = read_answer(out)
    assert json.loads(answer.other[0]) == {"error": {"message": "boom", "code": 500}}
    assert out.endswith(error if cut_event else error + DONE)
    assert (answer.message.text, answer.message.finish) == ("Hm.", None)


def test_an_error_releases_what_is_held_before_it() -> None:
    error = event({"error": {"message": "boom"}})
    body = b"".join(leak(VLLM, "Hm. <tool_call>\n<fun", None)) + error
    sent = each_alone([body])
    assert sent == [body, b""]


# The role


def test_a_role_that_never_came_is_told_with_the_first_delta_of_our_own() -> None:
    events = [*map(LLAMA_CPP.text, per_character(WEATHER)), *LLAMA_CPP.ending()]
    assert answered(events).message.said == ("", "", [CALL], "tool_calls", "")


@pytest.mark.parametrize("text", [WEATHER, TWO, WEATHER + "\nDone."])
@pytest.mark.parametrize("content", ["<", "<tool_call>\n", "\n", "Hm.\n<"])
def test_a_role_that_came_with_text_of_the_call_is_not_lost(text: str, content: str) -> None:
    rest = text.removeprefix(content.removeprefix("Hm.\n")) if "<" in content else text
    events = [
        LLAMA_CPP.chunk((0, ASSISTANT | {"content": content}, None)),
        *map(LLAMA_CPP.text, per_character(rest)),
    ]
    message = answered([*events, *LLAMA_CPP.ending()]).message
    assert message.named[0] == CALL
    assert message.text.startswith("Hm." if "Hm" in content else "")
    assert message.finish == "tool_calls"


def test_an_empty_first_delta_passes_at_once() -> None:
    """Clients start their clock, and their message, at the role."""
    events = leak(LLAMA_CPP, WEATHER)
    assert each_alone(events)[0] == events[0]


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_no_delta_is_left_that_says_nothing(engine: Engine) -> None:
    out = send(engine.answer(per_character(TWO)), ASKED)[0]
    deltas = [
        c["delta"]
        for chunk in read_answer(out).chunks
        for c in chunk["choices"][:1]
        if not c.get("finish_reason")
    ]
    said = [d for d in deltas if d.get("content") or d.get("tool_calls")]
    assert len(deltas) - len(said) <= 2, "the role, and what the usage stands in"


# Everything else in the stream


def test_what_stands_beside_the_text_survives_and_keeps_its_order() -> None:
    def chunk(i: int, piece: str) -> bytes:
        return VLLM.chunk((0, {"content": piece, "x": i}, None), usage={"total_tokens": i}, timings=[1.5])

    pieces = re.findall("(?s).{1,7}", "Hm.\n" + WEATHER)
    body = b"".join([*VLLM.open(), *(chunk(i, p) for i, p in enumerate(pieces)), *VLLM.ending()])
    for cut in ([body], re.findall(rb"(?s).{1,50}", body)):
        answer = read_answer(send(cut, ASKED)[0])
        assert answer.message.said == ("Hm.", "", [CALL], "tool_calls", "")
        seen = [c["usage"]["total_tokens"] for c in answer.chunks if "timings" in c]
        assert seen == list(range(len(pieces)))
        assert [c["choices"][0]["delta"]["x"] for c in answer.chunks if "timings" in c] == seen


def test_comments_and_other_events_keep_their_place() -> None:
    """Each stands behind the text that came before it and before the text that came after it."""
    pieces = re.findall("(?s).{1,9}", "Hm.\n" + WEATHER + "\nDone, and done.")
    events = [own for i, p in enumerate(pieces) for own in (VLLM.text(p), f": {i}\n\n".encode())]
    out = send([*VLLM.open(), *events, *VLLM.ending()], ASKED)[0]
    assert re.findall(rb"^: (\d+)$", out, re.M) == [str(i).encode() for i in range(len(pieces))]
    shown = ""
    for block in out.decode().split("\n\n"):
        if block.startswith(": "):
            due = "".join(pieces[: int(block[2:]) + 1])
            assert due.startswith(shown.replace("Zürich 🙂", "")[:3])
            assert len(shown) <= len(due)
        elif '"content":"' in block:
            shown += json.loads(block[6:])["choices"][0]["delta"].get("content") or ""
    assert shown == "Hm.\nDone, and done."


def test_an_envelope_is_reused_and_only_its_text_changes() -> None:
    head = b'data: { "n": 123456789012345678901234567890, "f": 1.10, "choices": [ {"delta": {"content": '
    tail = b'}, "index": 0, "x": "\\u003c"} ], "id": "a" }\n\n'
    whole = head + json.dumps("Hm.\n" + WEATHER).encode() + tail
    first, *others = send([whole], ASKED)[0].split(b"\n\n")
    assert first + b"\n\n" == head + b'"Hm."' + tail
    assert all(json.loads(other[6:])["id"] == "a" for other in filter(None, others))


@pytest.mark.parametrize("known", [True, False], ids=["a known envelope", "the first of its kind"])
def test_the_text_before_a_call_leaves_in_its_own_envelope(known: bool) -> None:
    first = [LLAMA_CPP.text("Well. ")] if known else []
    mixed = LLAMA_CPP.text("So.\n<tool_call>")
    rest = [*map(LLAMA_CPP.text, per_character(WEATHER.removeprefix("<tool_call>"))), *LLAMA_CPP.ending()]
    out = send([*LLAMA_CPP.open(), *first, mixed, *rest], ASKED)[0]
    assert LLAMA_CPP.text("So.") in out


@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
def test_line_ends_and_other_lines_of_a_rewritten_event_stay(end: bytes) -> None:
    lines = b"event: message\nid: 7\n" + VLLM.text("Hm.\n" + WEATHER, "stop")
    out = send([lines.replace(b"\n", end)], ASKED)[0]
    blocks = out.split(end + end)
    assert blocks[-1] == b""
    assert read_answer(out, role=False).message.named == [CALL]
    assert b"event: message" + end + b"id: 7" + end + b"data: " in out


def test_a_byte_order_mark_does_not_hide_the_first_event() -> None:
    answer = answered([b"\xef\xbb\xbf" + VLLM.chunk((0, ASSISTANT | {"content": WEATHER}, "stop")), DONE])
    assert answer.message.named == [CALL]


def test_logprobs_stay_with_text_that_stays() -> None:
    def chunk(text: str) -> bytes:
        return VLLM.text(text).replace(b'"logprobs":null', b'"logprobs":{"content":[{"token":"t"}]}')

    events = [*VLLM.open(), *map(chunk, ["Hm", ".\n", *per_character(WEATHER)]), *VLLM.ending()]
    out = send(events, ASKED)[0]
    assert out.startswith(b"".join(events[:2]))
    assert read_answer(out).message.said == ("Hm.", "", [CALL], "tool_calls", "")


def test_usage_and_timings_pass_as_they_came() -> None:
    for engine in ENGINES:
        events = leak(engine, WEATHER)
        assert send(events, ASKED)[0].endswith(events[-2] + events[-1])


# Spellings of the text


def escaped(text: str) -> str:
    return '"' + "".join(f"\\u{unit:04x}" for unit in _units(text)) + '"'


def _units(text: str) -> list[int]:
    data = text.encode("utf-16-le", "surrogatepass")
    return [int.from_bytes(data[i : i + 2], "little") for i in range(0, len(data), 2)]


def test_escaped_text_is_read_as_text() -> None:
    for pieces in few_cuts("Hm.\n" + WEATHER):
        events = [spelled(escaped(piece)) for piece in pieces]
        message = answered([*VLLM.open(), *events, *VLLM.ending()]).message
        assert message.said == ("Hm.", "", [CALL], "tool_calls", "")


@pytest.mark.parametrize("template", [True, False])
def test_a_surrogate_pair_in_two_deltas_leaves_joined(template: bool) -> None:
    warm = [LLAMA_CPP.text("a")] * (3 if template else 0)
    events = [
        *LLAMA_CPP.open(),
        *warm,
        LLAMA_CPP.text("x \ud83d"),
        LLAMA_CPP.text("\ude42 y"),
        *LLAMA_CPP.ending(),
    ]
    out = send(events, ASKED)[0]
    assert read_answer(out).message.text == "a" * len(warm) + "x 🙂 y"
    assert b"\\ud83d" not in out


def test_a_surrogate_pair_in_two_deltas_of_a_value_leaves_joined() -> None:
    """Every two-way cut of WEATHER has it too; here the fragments themselves are looked at."""
    head, tail = WEATHER.split("🙂")
    events = [*VLLM.open(), *map(VLLM.text, [head, "\ud83d", "\ude42", tail]), *VLLM.ending()]
    out = send(events, ASKED)[0]
    assert read_answer(out).message.named == [CALL]
    assert b"\\ud83d" not in out
    assert "🙂" in out.decode()


@pytest.mark.parametrize("lone", [chr(0xD83D), chr(0xDE42), "\ude42\ud83d"])
def test_lone_surrogates_are_passed_on_and_break_nothing(lone: str) -> None:
    events = LLAMA_CPP.answer(["a ", lone, " b"])
    assert send(events, ASKED)[0].decode().count("\\ud83d") == lone.count("\ud83d")
    assert read_answer(send(events, ASKED)[0]).message.text == f"a {lone} b"
    assert read_answer(send(LLAMA_CPP.answer([lone]), ASKED)[0]).message.text == lone
    value = WEATHER.replace("🙂", lone)
    for pieces in few_cuts(value):
        assert answered(LLAMA_CPP.answer(pieces)).message.named[0][1]["city"] == f"Zürich {lone}"


# Several choices


@pytest.mark.parametrize("together", [True, False], ids=["in one chunk", "interleaved"])
@pytest.mark.parametrize("engine", [LLAMA_CPP, VLLM, SGLANG, DASHSCOPE], ids=str)
def test_each_choice_has_a_parser_of_its_own(engine: Engine, together: bool) -> None:
    texts = ["Hm.\n" + WEATHER, "Only <prose>, and <tool_call> \n mentioned. ", OSLO + "\n" + WEATHER]
    for size in (1, 3, 11, 500):
        rows = [re.findall(f"(?s).{{1,{size}}}", text) for text in texts]
        steps = [
            [(i, {"content": row[at]}, None) for i, row in enumerate(rows) if at < len(row)]
            for at in range(max(map(len, rows)))
        ]
        body = (
            [engine.chunk(*step) for step in steps]
            if together
            else [engine.chunk(c) for s in steps for c in s]
        )
        ends = (
            [engine.chunk(*((i, engine.last, "stop") for i in range(3)))]
            if together
            else [engine.end(index=i) for i in (1, 2, 0)]
        )
        messages = answered([*engine.open(0, 1, 2), *body, *ends, engine.usage(), DONE]).messages
        assert messages[0].said == ("Hm.", "", [CALL], "tool_calls", "")
        assert messages[1].said == (texts[1], "", [], "stop", "")
        assert messages[2].said == ("", "", [CALL_OSLO, CALL], "tool_calls", "")


def test_a_choice_beside_one_that_is_rewritten_keeps_its_bytes() -> None:
    other = [LLAMA_CPP.text(piece, index=1) for piece in ["a ", "b <", "c \n", "d"]]
    calls = list(map(LLAMA_CPP.text, per_character(WEATHER)))
    mixed = [e for pair in zip(calls, other * 50, strict=False) for e in pair]
    out = send([*LLAMA_CPP.open(0, 1), *mixed, LLAMA_CPP.end(), LLAMA_CPP.end(index=1)], ASKED)[0]
    kept = [e + b"\n\n" for e in out.split(b"\n\n") if b'"index":1,' in e and b"content" in e]
    assert kept == [LLAMA_CPP.open(1)[0], *(e for e in mixed if b'"index":1,' in e)]


# Calls the server parsed, and calls it missed


@pytest.mark.parametrize("engine", CLEAN, ids=str)
def test_a_leaked_call_behind_a_native_one(engine: Engine) -> None:
    for pieces in few_cuts(WEATHER):
        events = [*engine.open(), engine.text("Hm."), *engine.calls([NATIVE])]
        message = answered([*events, *map(engine.text, pieces), *engine.ending("tool_calls")]).message
        assert message.said == ("Hm.", "", [NATIVE_READ, CALL], "tool_calls", "")


@pytest.mark.parametrize("engine", CLEAN, ids=str)
@pytest.mark.parametrize("sent", ["stop", "tool_calls"])
def test_a_native_call_behind_a_leaked_one(engine: Engine, sent: str) -> None:
    for pieces in few_cuts(WEATHER + "\n"):
        natives = engine.calls([NATIVE, ("get_goal", ["{}"])])
        events = [*engine.open(), *map(engine.text, pieces), *natives, *engine.ending(sent)]
        message = answered(events).message
        assert message.said == ("", "", [CALL, NATIVE_READ, ("get_goal", {})], "tool_calls", "")


def test_native_calls_before_and_behind() -> None:
    events = [*VLLM.open(), *VLLM.calls([NATIVE]), *map(VLLM.text, per_character(WEATHER + "\n"))]
    events += [*VLLM.calls([("get_goal", ["{}"])], start=1), *VLLM.ending("tool_calls")]
    assert answered(events).message.named == [NATIVE_READ, CALL, ("get_goal", {})]


@pytest.mark.parametrize("engine", CLEAN, ids=str)
def test_a_native_call_does_not_wait_with_blanks_before_it(engine: Engine) -> None:
    blank, calls = engine.text("\n\n"), engine.calls(NATIVES)
    first, *rest = each_alone([*engine.open(), *calls])[len(engine.open()) :]
    sent = each_alone([*engine.open(), blank, *calls])
    assert sent == [*engine.open(), b"", blank + first, *rest]


@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
def test_a_native_call_between_leaked_ones_is_complete_before_the_next_begins(finish: str) -> None:
    for pieces in few_cuts(OSLO):
        texts = list(map(LLAMA_CPP.text, pieces))
        events = [*texts, *LLAMA_CPP.calls([("get_goal", ["{}"])]), *texts, *LLAMA_CPP.ending(finish)]
        message = answered([*LLAMA_CPP.open(), *events]).message
        assert message.said == ("", "", [CALL_OSLO, ("get_goal", {}), CALL_OSLO], "tool_calls", "")


def test_a_native_call_beside_a_choice_that_is_rewritten() -> None:
    native = [*OLLAMA._call(0, *NATIVE)]
    for at in range(1, len(OSLO)):
        both = VLLM.chunk((0, {"content": OSLO[at - 1 : at]}, None), (1, {"tool_calls": native}, None))
        events = [*VLLM.open(0, 1), VLLM.text(OSLO[: at - 1]), both, VLLM.text(OSLO[at:])]
        ends = [VLLM.chunk((0, {}, "stop"), (1, {}, "tool_calls")), DONE]
        messages = answered([*events, *ends]).messages
        assert messages[0].said == ("", "", [CALL_OSLO], "tool_calls", "")
        assert messages[1].said == ("", "", [NATIVE_READ], "tool_calls", "")


def test_text_behind_a_native_call_that_broke_a_leaked_one_off() -> None:
    """Whether its envelope is known or not."""
    begun = "<tool_call>\n<function=write>\n<parameter=content>\nabc"
    texts = [VLLM.text("So "), VLLM.chunk((0, {"content": "be "}, None), x=None), VLLM.text("it.")]
    events = [*VLLM.open(), VLLM.text(begun), *VLLM.calls([("get_goal", ["{}"])]), *texts]
    out, _ = send(events, ASKED)
    assert read_deltas(out) == "So be it."


def read_deltas(body: bytes) -> str:
    """The content alone, whatever else is wrong."""
    chunks = [json.loads(block[6:]) for block in body.decode().split("\n\n") if block]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks)


def test_a_native_call_in_the_chunk_of_leaked_text() -> None:
    delta = {"content": "\n" + OSLO, "tool_calls": [*OLLAMA._call(0, "get_goal", ["{}"])]}
    message = answered([*VLLM.open(), VLLM.chunk((0, delta, None)), *VLLM.ending("tool_calls")]).message
    assert sorted(name for name, _ in message.named) == ["get_goal", "get_weather"]


def test_only_the_index_changes_in_a_native_call_behind_a_leaked_one() -> None:
    native = VLLM.calls([NATIVE])
    out = send([*leak(VLLM, WEATHER)[:-3], *native, *VLLM.ending("tool_calls")], ASKED)[0]
    for raw in native:
        assert raw.replace(b'"tool_calls":[{"index":0', b'"tool_calls":[{"index":1') in out


def test_native_calls_count_for_the_finish_reason() -> None:
    assert answered(VLLM.answer([], "stop", [NATIVE])).message.finish == "tool_calls"


def test_a_native_call_cut_off_keeps_length() -> None:
    assert answered(VLLM.answer([], "length", [("write", ['{"pa'])])).message.finish == "length"


# The ledger


def test_the_ledger_counts_what_was_done() -> None:
    text = f"{WEATHER}</tool_call>\n" + OSLO.removeprefix("<tool_call>\n")
    for pieces in few_cuts(text):
        _, rewriter = send(LLAMA_CPP.answer(pieces), ASKED)
        assert rewriter.ledger.calls == 2
        assert rewriter.ledger.as_dict()["repairs"] == {"missing-tool-call-open": 1, "stray-closer": 1}


def test_the_ledger_says_why_a_candidate_was_left() -> None:
    _, rewriter = send(leak(LLAMA_CPP, f"See `{WEATHER}` and <function=get_weather>"), ASKED)
    assert rewriter.ledger.calls == 0
    assert set(rewriter.ledger.as_dict()["refused"]) == {"fenced", "not-at-line-start"}


# Fail open

WORDS = [f"w{i:02}" for i in range(60)]
BEFORE, VALUE, AFTER = WORDS[:12], WORDS[12:45], WORDS[45:]
WORDY = (
    " ".join(BEFORE)
    + "\n<tool_call>\n<function=write>\n<parameter=content>\n"
    + " ".join(VALUE)
    + "\n</parameter>\n</function>\n</tool_call>\n"
    + " ".join(AFTER)
)


def words_of(body: bytes) -> list[str]:
    """The words of an answer, of its text and of its arguments, in the order they came."""
    said = ""
    for block in body.decode().split("\n\n"):
        if block.startswith("data: {"):
            for choice in json.loads(block[6:])["choices"]:
                said += choice["delta"].get("content") or ""
                for call in choice["delta"].get("tool_calls", []):
                    said += call["function"]["arguments"]
    return re.findall(r"w\d\d", said)


def fail_at(patch: pytest.MonkeyPatch, owner: Any, name: str, at: int, before: bool = True) -> list[int]:
    """Make the `at`-th use of a function raise, before or after it did its work; counts the uses."""
    original = getattr(owner, name)
    uses = [0]

    def broken(*args: Any, **more: Any) -> Any:
        uses[0] += 1
        if uses[0] == at and before:
            raise RuntimeError("boom")
        done = original(*args, **more)
        if uses[0] == at:
            raise RuntimeError("boom")
        return done

    patch.setattr(owner, name, broken)
    return uses


def failing(events: Iterable[bytes]) -> tuple[bytes, StreamRewriter]:
    rewriter = StreamRewriter(ASKED)
    out = [sent for piece in events for sent in rewriter.feed(piece)] + rewriter.close()
    assert all(out)
    return b"".join(out), rewriter


WORDY_EVENTS = LLAMA_CPP.answer(re.findall("(?s).{1,5}", WORDY))
MORE = [f"w{n}" for n in range(70, 90)]


def native_call(arguments: str) -> list[bytes]:
    """A call that the server parsed, in small pieces."""
    first = {"index": 0, "id": "x0", "type": "function", "function": {"name": "write", "arguments": ""}}
    pieces = [{"index": 0, "function": {"arguments": p}} for p in re.findall("(?s).{1,5}", arguments)]
    return [LLAMA_CPP.chunk((0, {"tool_calls": [call]}, None)) for call in (first, *pieces)]


# A call that was right, then text with a call; and one whose arguments have to be mended.
AFTER_A_CALL = [
    *LLAMA_CPP.open(),
    *native_call(json.dumps({"content": " ".join(MORE)})),
    *WORDY_EVENTS[len(LLAMA_CPP.open()) :],
]
MENDED = [
    *LLAMA_CPP.open(),
    *native_call('{"content": "' + " ".join(WORDS) + '", "extra": "5}'),
    *LLAMA_CPP.ending("tool_calls"),
]
POINTS = [
    (ToolCallParser, "feed"),
    (ToolCallParser, "close"),
    (NativeCalls, "note"),
    (Markdown, "feed"),
    (TagMatcher, "may_begin"),
    (TagMatcher, "match"),
    (Buffer, "feed"),
    (Buffer, "take"),
    (Buffer, "skip"),
    (EventLog, "emit"),
    (EventLog, "take"),
    (Place, "readings"),
    (runs, "choose"),
    (parameter, "_open"),
    (call_state, "end_call"),
    (value_state, "judge"),
    (value_text, "write"),
    (StreamRewriter, "_deliver"),
    (StreamRewriter, "_settle"),
    (Steady, "take"),
    (StreamRewriter, "_read_slices"),
    (Lane, "account"),
    (Message, "take_turn"),
    (Message, "close"),
    (OutputQueue, "release"),
    (ChatCompletions, "read"),
    (ChatEncoder, "frame"),
    (ChatEncoder, "events"),
    (chat_completions, "read_data"),
    (chat_completions, "read_chunk"),
    (chat_encoder, "splice"),
    (Synthesis, "calls"),
    (Synthesis, "call_arguments"),
    (Synthesis, "content"),
    (EventSplitter, "feed"),
    (NativeCalls, "without_copies"),
]


@pytest.mark.slow
@pytest.mark.parametrize("after_a_call", [False, True])
@pytest.mark.parametrize(
    ("owner", "name"), POINTS, ids=[f"{owner.__name__}.{name}" for owner, name in POINTS]
)
def test_whatever_fails_no_text_is_lost_or_doubled(owner: Any, name: str, after_a_call: bool) -> None:
    """After a call of the server's, what may be a copy of that one is held; no failure loses it either."""
    events, words = (AFTER_A_CALL, [*MORE, *WORDS]) if after_a_call else (WORDY_EVENTS, WORDS)
    at, reached = 0, True
    while reached:
        at += 1
        with pytest.MonkeyPatch.context() as patch:
            fail_at(patch, owner, name, at)
            out, failed = failing(events)
        reached = bool(failed.ledger.failure)
        assert words_of(out) == words, f"at use {at}"
        assert out.endswith(DONE)
        assert not reached or "boom" in failed.ledger.failure
    assert at > 1 or after_a_call or name == "without_copies", "never used"


def choices_in(block: str) -> list[Any]:
    return json.loads(block[6:])["choices"] if block.startswith("data: {") else []


IN_ARGUMENTS = [
    (Arguments, "feed"),
    (Mender, "feed"),
    (Mender, "close"),
    (ObjectMender, "feed"),
    (ObjectMender, "_on_letters"),
    (ObjectMender, "_on_quote"),
    (JsonStream, "peek"),
    (JsonStream, "advance"),
    (ValueWatch, "feed"),
    (Passage, "take"),
    (NativeCalls, "read"),
    (NativeCalls, "close"),
    (NativeCalls, "after"),
    (ChatEncoder, "_element"),
    (Lane, "account"),
]


@pytest.mark.parametrize(
    ("owner", "name"), IN_ARGUMENTS, ids=[f"{owner.__name__}.{name}" for owner, name in IN_ARGUMENTS]
)
def test_a_failure_in_arguments_makes_nobody_run_them(owner: Any, name: str) -> None:
    """Half of a call is sent as mended and half as it came: then it is not said to be one."""
    at, reached = 0, True
    while reached:
        at += 1
        with pytest.MonkeyPatch.context() as patch:
            fail_at(patch, owner, name, at)
            out, failed = failing(MENDED)
        reached = bool(failed.ledger.failure)
        choices = [choice for block in out.decode().split("\n\n") for choice in choices_in(block)]
        calls = [call for c in choices for call in c["delta"].get("tool_calls") or []]
        arguments = "".join(call["function"]["arguments"] for call in calls)
        (finish,) = [c["finish_reason"] for c in choices if c["finish_reason"]]
        assert re.findall(r"w\d\d", arguments) == WORDS, f"at use {at}"
        untouched = arguments == '{"content": "' + " ".join(WORDS) + '", "extra": "5}'
        assert finish == "length" or untouched or isinstance(json.loads(arguments), dict), f"at use {at}"
        assert out.endswith(DONE)
    assert at > 1, "never used"


@pytest.mark.parametrize("at", range(1, 6))
def test_a_failure_before_the_first_call_costs_not_one_byte(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    events = LLAMA_CPP.answer(re.findall("(?s).{1,5}", WORDY.partition("<function")[0]))
    fail_at(monkeypatch, ToolCallParser, "feed", at)
    out, failed = failing(events)
    assert out == b"".join(events)
    assert failed.ledger.failure


def test_after_a_failure_the_rest_passes_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at(monkeypatch, ToolCallParser, "feed", 5)
    rewriter = StreamRewriter(ASKED)
    half = len(WORDY_EVENTS) // 2
    for raw in WORDY_EVENTS[:half]:
        rewriter.feed(raw)
    assert rewriter.ledger.failure
    for raw in WORDY_EVENTS[half:]:
        assert rewriter.feed(raw) == [raw]
    rest = [*rewriter.feed(b"\xff"), *rewriter.feed(b"data: half"), *rewriter.feed(b""), *rewriter.close()]
    assert b"".join(rest) == b"\xffdata: half"


def test_a_failure_in_one_answer_leaves_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = StreamRewriter(ASKED), StreamRewriter(ASKED)
    out = b"".join(other.feed(b"".join(leak(VLLM, WEATHER)[:9])))
    with monkeypatch.context() as patch:
        fail_at(patch, ToolCallParser, "feed", 1)
        one.feed(VLLM.text("x"))
    out += b"".join(other.feed(b"".join(leak(VLLM, WEATHER)[9:])) + other.close())
    assert one.ledger.failure
    assert not other.ledger.failure
    assert read_answer(out).message.named == [CALL]


# Limits


def test_an_event_without_end_is_no_stream_of_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "UNFINISHED_EVENT", 1000)
    answer = StreamRewriter(ASKED)
    body = VLLM.text("a <tool_call>\n") + b"data: " + b"x" * 2000 + b"\n\n" + VLLM.text(WEATHER)
    out = [b"".join(answer.feed(body[i : i + 100])) for i in range(0, len(body), 100)]
    assert b"".join([*out, *answer.close()]) == body
    held = max(100 * (i + 1) - sum(map(len, out[: i + 1])) for i in range(len(out)))
    assert held <= 1000 + 100 + len(VLLM.text("a <tool_call>\n"))


def test_what_is_held_for_one_candidate_is_limited() -> None:
    """A call of a tool that nobody declared is held until the end, but not more than 1 MiB of it."""
    text = "<tool_call>\n<function=reboot>\n<parameter=x>\n" + "0123456789abcdef" * (3 << 16)
    pieces = re.findall("(?s).{1,8192}", text)
    events = VLLM.answer(pieces)
    answer, came, gone, most = StreamRewriter(ASKED), 0, 0, 0
    for raw in events:
        came += len(raw)
        gone += sum(map(len, answer.feed(raw)))
        most = max(most, came - gone)
    assert most <= HELD * 1.2
    assert gone == sum(map(len, events))
    assert answer.ledger.as_dict()["refused"] == {"limit": 1}


@pytest.mark.parametrize("then", ["", "</parameter>\n</function>\n</tool_call>\n"])
def test_so_many_frames_wait_and_not_more(then: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limit they are emptied: their text comes in a frame of our own, and nothing of it is lost."""
    monkeypatch.setattr(queue, "HELD_FRAMES", 50)
    text = "So.\n<tool_call>\n<function=reboot>\n<parameter=x>\n" + "0123456789abcdef\n" * 100 + then
    answer, out = StreamRewriter(ASKED), []
    for raw in LLAMA_CPP.answer(re.findall("(?s).{1,7}", text + "and on")):
        out += answer.feed(raw)
        assert len(answer.queue.items) <= 51
    message = read_answer(b"".join([*out, *answer.close()])).message
    assert message.said == (text + "and on", "", [], "stop", "")


def test_a_long_value_is_not_held_at_all() -> None:
    head, tail = (
        "<tool_call>\n<function=write>\n<parameter=content>\n",
        "\n</parameter>\n</function>\n</tool_call>",
    )
    lines = [f"line {i}: if a < b && c > d:" for i in range(3000)]
    events = LLAMA_CPP.answer([head, *(line + "\n" for line in lines), tail])
    answer, out, lag = StreamRewriter(ASKED), [], 0
    for i, raw in enumerate(events[:3000]):
        out += answer.feed(raw)
        if i > 3:
            lag += f"line {i - 3}:".encode() not in out[-1] and f"line {i - 3}:".encode() not in b"".join(
                out[-2:]
            )
    assert lag == 0


# Anything at all

SOUP = st.sampled_from(
    [
        *("<tool_call>", "</tool_call>", "<function=", "get_weather>", "get_goal>", "nobody>", "</function>"),
        *(
            "<parameter=city>",
            "<parameter=days>",
            "</parameter>",
            "\n",
            " ",
            "x",
            "3",
            "Zürich 🙂",
            "`",
            "```\n",
        ),
        *(
            "<think>",
            "</think>",
            '{"name": "get_goal", "arguments": {}}',
            "{",
            "}",
            "<",
            ">",
            "\ud83d",
            "\ude42",
        ),
        *(WEATHER, OSLO, "<|im_end|>", "\r\n", "w" * 30),
    ]
)
TEXTS = st.lists(SOUP, max_size=12).map("".join)
FINISHES = st.sampled_from(["stop", "tool_calls", "length", "content_filter", None])


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[bytes], str]:
    """The events of an answer of one choice, and its text."""
    engine = draw(st.sampled_from(ENGINES))
    text, finish = draw(TEXTS), draw(FINISHES)
    pieces = cut_at(text, draw(st.lists(st.integers(0, len(text)), max_size=30)))
    events = list(engine.open())
    for piece in pieces:
        kind = draw(st.integers(0, 9))
        delta = {"content": piece} | ({"role": "assistant"} if kind == 1 else {})
        more = {"usage": {"total_tokens": 1}} if kind == 2 else {}
        events.append(engine.chunk((0, delta, None), **more))
        if kind >= 8:
            events.append(
                draw(st.sampled_from([b": c\n\n", b"data: x\n\n", b"event: e\ndata: [1]\n\n", b"\n"]))
            )
    if finish and draw(st.booleans()):
        events.append(engine.text("", finish))
    elif finish:
        events.append(engine.end(finish))
    return [*events, engine.usage(), DONE], text


@settings(max_examples=250, deadline=None)
@given(streams(), st.sampled_from(["strict", "tolerant", "aggressive"]), st.data())
def test_any_stream(stream: tuple[list[bytes], str], recovery: str, data: st.DataObject) -> None:
    events, text = stream
    body = b"".join(events)
    out, rewriter = send(events, ASKED, recovery=recovery)
    answer = read_answer(out, role=False)
    assert out.endswith(DONE)
    assert answer.done
    for is_comment in (True, False):  # a comment may pass what is held
        said = [
            [e for e in others if e and (e[0] == ":") == is_comment]
            for others in (answer.other, read_events(body))
        ]
        assert said[0] == said[1]
    if rewriter.ledger.calls == 0 and not rewriter.ledger.repairs and not answer.message.calls:
        assert joined(answer.message.text) == joined(text)
    assert len(answer.message.calls) - rewriter.ledger.calls in (0, 1)
    said = answer.said
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    pieces = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
    assert read_answer(send(pieces, ASKED, recovery=recovery)[0], role=False).said == said


def joined(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def read_events(body: bytes) -> list[str]:
    """Whatever in a stream is no chunk, line by line as `read_answer` has it."""
    lines = body.decode().split("\n")
    no_chunks = [line for line in lines if line and not line.startswith("data: {") and line != "data: [DONE]"]
    return [line.removeprefix("data: ") for line in no_chunks]


def lossy(chunk: Any) -> bytes:
    """A chunk as an event, whatever it is made of."""
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def test_a_finish_reason_of_another_type_passes() -> None:
    body = VLLM.text("a <tool_call>") + VLLM.end(["stop"]) + DONE  # type: ignore[arg-type]
    assert send([body], ASKED)[0] == body


GARBAGE = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", "assistant", WEATHER, "stop"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "index",
                    "delta",
                    "content",
                    "role",
                    "tool_calls",
                    "function",
                    "arguments",
                    "finish_reason",
                    "error",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)
HASHED = st.sampled_from([None, "", "stop", "length", 7, True])
CHOICE = st.fixed_dictionaries({}, optional={"index": GARBAGE, "delta": GARBAGE, "finish_reason": HASHED})
CHUNK = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE | HASHED, max_size=3) | HASHED}, optional={"id": GARBAGE}
)


@settings(max_examples=150, deadline=None)
@given(st.lists(CHUNK.map(lossy) | st.binary(max_size=20), max_size=12))
def test_garbage_never_fails(events: list[bytes]) -> None:
    out, _ = send(events, ASKED)
    assert bool(out) == any(events)


@pytest.mark.parametrize("engine", [MLX_LM, LITELLM], ids=str)
def test_the_strict_client_objects_to_what_some_client_objects_to(engine: Engine) -> None:
    """The reader itself: each rule of the safe shape, broken."""
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    more = {"index": 0, "function": {"arguments": ""}}

    def stream(*deltas: dict[str, Any], finish: str | None = "tool_calls", index: Any = 0) -> bytes:
        first = engine.chunk((0, ASSISTANT, None))
        return (
            first
            + b"".join(engine.chunk((index, ASSISTANT | d, None)) for d in deltas)
            + engine.end(finish)
            + DONE
        )

    assert read_answer(stream({"tool_calls": [call]}, {"tool_calls": [more]})).message.named == [("f", {})]
    for wrong in (
        stream({"tool_calls": [call | {"index": 1}]}),
        stream({"tool_calls": [call | {"index": None}]}),
        stream({"tool_calls": [call | {"id": ""}]}),
        stream({"tool_calls": [call | {"type": None}]}),
        stream({"tool_calls": [call | {"function": {"name": "", "arguments": "{}"}}]}),
        stream({"tool_calls": [call | {"function": {"name": "f", "arguments": {}}}]}),
        stream({"tool_calls": [call | {"function": {"name": "f", "arguments": ""}}]}),
        stream({"tool_calls": [call, call | {"index": 1}]}),
        stream({"tool_calls": [call]}, {"tool_calls": [more | {"id": None}]}),
        stream(
            {"tool_calls": [call]}, {"tool_calls": [more | {"function": {"arguments": "", "name": None}}]}
        ),
        stream({"tool_calls": [call, call | {"index": 1, "id": "b"}]}, {"tool_calls": [more]}),
        stream({"tool_calls": [call]}, finish="stop"),
        stream({"content": "x"}, finish="tool_calls"),
        stream({"content": "x"}, finish="stop") + engine.text("y"),
        engine.end("stop") + engine.text("y"),
        engine.end("stop") + engine.end("stop"),
        engine.chunk((0, {"role": None, "content": "x"}, None)),
        stream({"content": "x"}, index=None),
    ):
        with pytest.raises(ObjectionError):
            read_answer(wrong)


# Letters that pass unseen

LETTERS = st.text(st.sampled_from('ab n\t"\\/\n\r<`é😀\u2028'), min_size=1, max_size=5)


@pytest.mark.parametrize("path", ["string", "array", "anything"])
@given(deltas=st.lists(LETTERS, max_size=12))
def test_a_value_is_the_same_by_every_way_through(path: str, deltas: list[str]) -> None:
    """Deltas that take the shortcut and deltas that do not; the whole text at once takes none."""
    properties = {"string": {"type": "string"}, "array": {"type": "array"}, "anything": {}}
    tool = {"name": "f", "parameters": {"type": "object", "properties": {"v": properties[path]}}}
    request = {"tools": [{"type": "function", "function": tool}]}
    first, last = "Go.\n\n<function=f>\n<parameter=v>\nx", "y\n</parameter>\n</function>"
    answers = [LLAMA_CPP.answer([first, *deltas, last]), LLAMA_CPP.answer([first + "".join(deltas) + last])]
    arguments = [read_answer(send(events, request)[0]).messages[0].calls[0].arguments for events in answers]
    assert arguments[0] == arguments[1]
    assert json.loads(arguments[0])


@given(deltas=st.lists(LETTERS, max_size=12))
def test_prose_is_the_same_by_every_way_through(deltas: list[str]) -> None:
    events = LLAMA_CPP.answer(["To", " be", *deltas, " read"])
    out, rewriter = send(events, ASKED)
    assert out == b"".join(events)
    assert not rewriter.ledger.failure


@given(deltas=st.lists(LETTERS | st.sampled_from(["```", "~~~\n", "\n\n    ", "- ", "> ", "|"]), max_size=12))
def test_what_went_by_decides_whether_a_call_is_quoted(deltas: list[str]) -> None:
    said = ["To", " be", *deltas, "\n", OSLO]
    there, then = (send(LLAMA_CPP.answer(texts), ASKED) for texts in (said, ["".join(said)]))
    assert read_answer(there[0]).message.said == read_answer(then[0]).message.said
    assert there[1].ledger.repairs == then[1].ledger.repairs
    assert there[1].ledger.refused == then[1].ledger.refused


@pytest.mark.parametrize("before", ["", "<tool_call>\n<function=write>\n<parameter=content>\na"])
def test_bytes_that_are_no_text_are_read_by_no_way(before: str) -> None:
    said = ["Go.\n" + before, " on", " and", " o@", "n `", OSLO, "\n</parameter>\n</function>"]
    events = [event.replace(b"@", b"\xff") for event in LLAMA_CPP.answer(said)]
    alone, whole = send(events, ASKED), send([b"".join(events)], ASKED)
    assert alone[1].ledger.repairs == whole[1].ledger.repairs
    assert alone[1].ledger.refused == whole[1].ledger.refused
    assert not alone[1].ledger.failure
    texts = [re.sub(rb"call_[0-9a-f]{24}", b"id", out) for out, _ in (alone, whole)]
    assert _spoken(texts[0]) == _spoken(texts[1])


def _spoken(body: bytes) -> tuple[str, str]:
    """All text and all arguments of an answer, joined."""
    deltas = [
        choice["delta"]
        for block in body.decode(errors="replace").split("\n\n")
        if block.startswith("data: {")
        for choice in json.loads(block[6:])["choices"]
    ]
    calls = [call for delta in deltas for call in delta.get("tool_calls", [])]
    return "".join(delta.get("content") or "" for delta in deltas), "".join(
        call["function"]["arguments"] for call in calls
    )


def test_what_is_said_after_blank_deltas_ends_a_call_of_the_server() -> None:
    call = [event.replace(b'"vllm-0"', b'""') for event in VLLM.calls([("get_goal", ["{}"])])]
    said = [VLLM.text(text) for text in ("", "", "Now", " on")]
    events = [*VLLM.open(), *map(VLLM.text, ("Hi.", " Wait")), *call, *said]
    sent = each_alone(events)
    assert b'"arguments":"{}"' in b"".join(sent[:-2])


def test_content_ends_the_reasoning_however_it_begins() -> None:
    said = [VLLM.text(text) for text in ["\u3000"] * 3 + ["Hello", " you"]]
    thought = [VLLM.chunk((0, {"reasoning_content": text}, None)) for text in ("Hm.\n", OSLO)]
    for pieces in (events := [*VLLM.open(), *said, *thought, *VLLM.ending()], [b"".join(events)]):
        assert read_answer(send(pieces, ASKED)[0]).message.named == []


def test_one_finish_reason_behind_a_call() -> None:
    leak = "<tool_call>\n<function=get_goal>\n</function>\n</tool_call>"
    events = [*LLAMA_CPP.open(), LLAMA_CPP.text(leak), LLAMA_CPP.end("stop"), *LLAMA_CPP.ending("stop")]
    out, _ = send(events, request())
    reasons = re.findall(rb'"finish_reason": ?(null|"\w+")', out)
    assert [reason for reason in reasons if reason != b"null"] == [b'"tool_calls"']
    healthy = [*LLAMA_CPP.open(), LLAMA_CPP.text("Hi."), LLAMA_CPP.end("stop"), *LLAMA_CPP.ending("stop")]
    assert send(healthy, request())[0] == b"".join(healthy)
