"""Calls in the fields of the reasoning: only the tail of a message that says nothing else is one.

Everything else leaves byte for byte, in its order and as soon as it is certain. Servers call the
field differently, and some send it twice, so most tests go through all the shapes of a delta.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwenproxy.replay.casefile import Case
from support.cases import read_all
from support.cuts import Cuts, cut_at, few_cuts, joined, per_character
from support.streams import (
    ASSISTANT,
    CALL,
    CALL_OSLO,
    DASHSCOPE,
    DONE,
    ENGINES,
    EVERY_ENGINE,
    LLAMA_CPP,
    OLLAMA,
    OSLO,
    SGLANG,
    THOUGHTS,
    VLLM,
    WEATHER,
    Engine,
    Message,
    byte_cuts,
    event,
    read_answer,
    request,
    send,
)
from toolstream import StreamRewriter, rewrite_completion
from toolstream.limits import HELD
from toolstream.parser.parser import ToolCallParser
from toolstream.rewriter import message
from toolstream.rewriter.steady import Steady
from toolstream.wire import chat_completions, chat_encoder
from toolstream.wire.chat_encoder import ChatEncoder, Synthesis

Json = dict[str, Any]
Shape = Callable[[str], Json]

ASKED = request()
PLAN = "The user wants the weather.\n\nI'll look.\n\n"
PLANNED = PLAN.rstrip()
NATIVE = ("get_weather", ['{"city": ', '"Oslo"}'])


def details(text: str, **more: Any) -> Json:
    return {"reasoning_details": [{"type": "reasoning.text", "text": text, "format": "x", "index": 0} | more]}


SHAPES: dict[str, Shape] = {
    "reasoning_content": lambda text: {"reasoning_content": text},
    "reasoning": lambda text: {"reasoning": text},
    "thinking": lambda text: {"thinking": text},
    "copies": lambda text: {"reasoning": text, "reasoning_content": text},
    "beside content that is empty": lambda text: {"content": "", "reasoning": text},
    "beside content that is null": lambda text: {"content": None, "reasoning_content": text},
    "OpenRouter": lambda text: ASSISTANT | {"content": "", "reasoning": text} | details(text),
}
ALL_SHAPES = list(SHAPES.values())
REASONING = SHAPES["reasoning"]
every_shape = pytest.mark.parametrize("shape", ALL_SHAPES, ids=list(SHAPES))
every_engine = pytest.mark.parametrize("engine", ENGINES, ids=str)


def thoughts(
    pieces: Iterable[str], shape: Shape = REASONING, engine: Engine = VLLM, index: int = 0
) -> list[bytes]:
    """Deltas of reasoning."""
    return [engine.chunk((index, shape(piece), None)) for piece in pieces]


def answer(
    pieces: Iterable[str],
    *then: bytes,
    shape: Shape = REASONING,
    engine: Engine = VLLM,
    finish: str | None = "stop",
) -> list[bytes]:
    """A whole answer: reasoning in these deltas, and other events after it."""
    return [*engine.open(), *thoughts(pieces, shape, engine), *then, *engine.ending(finish)]


def delta(**fields: Any) -> bytes:
    return VLLM.chunk((0, fields, None))


def message_of(events: Iterable[bytes], role: bool = True) -> Message:
    return read_answer(send(events, ASKED)[0], role).message


def each_alone(events: Iterable[bytes]) -> list[bytes]:
    """What leaves for each event that comes, and for the end."""
    answer = StreamRewriter(ASKED)
    return [b"".join(answer.feed(event)) for event in events] + [b"".join(answer.close())]


def fields_of(said: Json) -> list[tuple[str, str]]:
    """The reasoning of a delta or message, as a client finds it that looks at one field only."""
    found = [(key, said[key]) for key in THOUGHTS if isinstance(said.get(key), str)]
    return found + [("details", detail["text"]) for detail in said.get("reasoning_details", [])]


def texts_of(body: bytes) -> dict[str, str]:
    """The same of a whole stream."""
    texts: dict[str, str] = {}
    for chunk in read_answer(body, role=False).chunks:
        for choice in chunk["choices"]:
            for key, text in fields_of(choice["delta"]):
                texts[key] = texts.get(key, "") + text
    return texts


def completion(finish: Any = "stop", **message: Any) -> bytes:
    message = {"role": "assistant", "content": None} | message
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    return json.dumps({"id": "c", "object": "chat.completion", "choices": choices}).encode()


def rewritten(body: bytes) -> Json:
    """The choice of a completion."""
    out, ledger = rewrite_completion(ASKED, body)
    assert ledger.failure == ""
    choice: Json = json.loads(out)["choices"][0]
    return choice


def calls_of(choice: Json) -> list[tuple[str, Any]]:
    calls = choice["message"].get("tool_calls") or []
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]


# The cases

CASES = [case for case in read_all() if case.reasoning and not case.bug]


def finish_of(case: Case) -> str | None:
    if case.finish in ("stop", "tool_calls"):
        return "tool_calls" if case.calls else "stop"
    return case.finish


@pytest.mark.parametrize(("number", "case"), list(enumerate(CASES)), ids=map(str, CASES))
def test_a_case_in_the_stream_of_an_engine(number: int, case: Case) -> None:
    engine = EVERY_ENGINE[number % len(EVERY_ENGINE)]
    shape = ALL_SHAPES[number // 2 % len(SHAPES)]
    for pieces in few_cuts(case.input):
        events = answer(pieces, shape=shape, engine=engine, finish=case.finish)
        out, answered = send(events, case.request, recovery=case.recovery, rules=case.user_rules)
        calls = [(name, json.loads(arguments)) for name, arguments in case.calls]
        assert read_answer(out).message.said == ("", case.text, calls, finish_of(case), "")
        assert set(texts_of(out).values()) <= {case.text}
        assert answered.ledger.as_dict()["repairs"] == Counter(case.repairs)
        assert answered.ledger.as_dict()["refused"] == Counter(case.refused)
        if not case.calls:
            assert out == b"".join(events)


@pytest.mark.parametrize(("number", "case"), list(enumerate(CASES)), ids=map(str, CASES))
def test_a_case_that_is_not_streamed(number: int, case: Case) -> None:
    sent = ALL_SHAPES[number % len(SHAPES)](case.input)
    body = completion(case.finish, **sent)
    out, ledger = rewrite_completion(case.request, body, recovery=case.recovery, rules=case.user_rules)
    choice = json.loads(out)["choices"][0]
    assert calls_of(choice) == [(name, json.loads(arguments)) for name, arguments in case.calls]
    assert {text for _, text in fields_of(choice["message"])} == {case.text}
    assert choice["message"]["content"] == (
        (None if case.calls else "") if sent.get("content") == "" else None
    )
    assert choice["finish_reason"] == finish_of(case)
    assert ledger.as_dict()["refused"] == Counter(case.refused)
    if not case.calls:
        assert out is body


# Calls, in every cut


@every_shape
def test_a_call_at_every_cut_of_the_text(shape: Shape, cuts: Cuts) -> None:
    engine = ENGINES[ALL_SHAPES.index(shape)]
    for pieces in cuts(PLAN + WEATHER):
        out, _ = send(answer(pieces, shape=shape, engine=engine), ASKED)
        assert read_answer(out).message.said == ("", PLANNED, [CALL], "tool_calls", "")
        assert set(texts_of(out).values()) == {PLANNED}


@pytest.mark.slow
@every_shape
def test_a_call_at_every_cut_of_the_bytes(shape: Shape) -> None:
    body = b"".join(answer(cut_at(PLAN + WEATHER, range(3, 200, 5)), shape=shape))
    for pieces in byte_cuts(body, every=len(body) // 20, random_cuts=5):
        said = read_answer(send(pieces, ASKED)[0]).message.said
        assert said == ("", PLANNED, [CALL], "tool_calls", "")


@pytest.mark.slow
@every_engine
@every_shape
def test_a_run_of_calls_and_blanks_behind_it(engine: Engine, shape: Shape) -> None:
    for pieces in few_cuts(f"{PLAN}{WEATHER}\n\n{OSLO}\n\n"):
        out, answered = send(answer(pieces, shape=shape, engine=engine), ASKED)
        assert read_answer(out).message.said == ("", PLANNED, [CALL, CALL_OSLO], "tool_calls", "")
        assert (answered.ledger.calls, answered.ledger.as_dict()["repairs"]) == (2, {})


@every_shape
def test_nothing_but_a_call(shape: Shape) -> None:
    for pieces in few_cuts(WEATHER):
        message = message_of(answer(pieces, shape=shape, engine=OLLAMA))
        assert message.said == ("", "", [CALL], "tool_calls", "")


@every_engine
@every_shape
def test_a_whole_message_in_one_chunk(engine: Engine, shape: Shape) -> None:
    events = [engine.chunk((0, ASSISTANT | shape(PLAN + WEATHER), "stop")), DONE]
    assert message_of(events).said == ("", PLANNED, [CALL], "tool_calls", "")


@every_shape
def test_reasoning_in_the_chunk_of_the_finish_reason(shape: Shape) -> None:
    for pieces in few_cuts(PLAN + WEATHER):
        *most, last = pieces
        events = [*VLLM.open(), *thoughts(most, shape), VLLM.chunk((0, shape(last), "stop")), DONE]
        assert message_of(events).said == ("", PLANNED, [CALL], "tool_calls", "")


def test_a_field_that_changes_its_name_is_one_text() -> None:
    pieces = cut_at(PLAN + WEATHER, range(3, 200, 5))
    events = [delta(**ALL_SHAPES[at % len(SHAPES)](piece)) for at, piece in enumerate(pieces)]
    assert message_of([*VLLM.open(), *events, *VLLM.ending()]).named == [CALL]


@every_shape
def test_no_delta_is_left_that_says_nothing(shape: Shape) -> None:
    out, _ = send(answer(per_character(PLAN + WEATHER), shape=shape), ASKED)
    deltas = [choice["delta"] for chunk in read_answer(out).chunks for choice in chunk["choices"]]
    silent = [d for d in deltas if not (d.get("tool_calls") or any(text for _, text in fields_of(d)))]
    assert len(silent) == 2, "the role, and the finish_reason"


def test_details_that_are_signed_are_kept_without_the_call() -> None:
    pieces = cut_at(PLAN + WEATHER, range(3, 200, 5))
    events = answer(pieces, shape=lambda text: {"reasoning": text} | details(text, signature="s"))
    out, _ = send(events, ASKED)
    assert out.count(b'"signature":"s"') == len(pieces)
    assert texts_of(out) == {"reasoning": PLANNED, "details": PLANNED}


def test_a_text_that_is_no_copy_passes_as_it_is() -> None:
    def shape(text: str) -> Json:
        return {"reasoning_content": text, "reasoning": text.upper()}

    left = {"reasoning_content": PLANNED, "reasoning": (PLAN + OSLO).upper()}
    out, _ = send(answer(cut_at(PLAN + OSLO, range(3, 200, 5)), shape=shape), ASKED)
    assert texts_of(out) == left
    choice = rewritten(completion(**shape(PLAN + OSLO)))
    assert (dict(fields_of(choice["message"])), calls_of(choice)) == (left, [CALL_OSLO])


def test_the_call_is_written_into_the_envelope_of_the_server() -> None:
    chunks = read_answer(send(answer(per_character(WEATHER), engine=LLAMA_CPP), ASKED)[0]).chunks
    assert {(chunk["id"], chunk["system_fingerprint"]) for chunk in chunks} == {
        ("chatcmpl-Qkdb", "b0-unknown")
    }


ENDS = ["stop", "tool_calls", "function_call", "eos", "length", "content_filter", None]


@pytest.mark.parametrize("finish", ENDS)
@pytest.mark.parametrize("text", [PLAN, PLAN + OSLO, PLAN + OSLO[:70]], ids=["no call", "a call", "a part"])
def test_a_call_needs_a_message_that_ended_by_itself(text: str, finish: str | None) -> None:
    called = text.endswith("</tool_call>") and finish in ENDS[:4]
    expected: Any = [CALL_OSLO] if called else [], finish
    if finish in ("stop", "tool_calls"):
        expected = [CALL_OSLO] if called else [], "tool_calls" if called else "stop"
    for pieces in few_cuts(text):
        events = answer(pieces, finish=finish)
        out, _ = send(events, ASKED)
        message = read_answer(out).message
        assert (message.named, message.finish) == expected
        if not called and finish != "tool_calls":
            assert out == b"".join(events)
    choice = rewritten(completion(finish, reasoning=text))
    assert (calls_of(choice), choice["finish_reason"]) == expected


@pytest.mark.parametrize("closer", ["</think>", "\n</think>\n"])
def test_a_closing_tag_behind_a_call_counts_as_nothing(closer: str) -> None:
    for pieces in few_cuts(PLAN + OSLO + closer):
        message = message_of(answer(pieces))
        assert message.said == ("", PLANNED, [CALL_OSLO], "tool_calls", "")
        refused = answer(pieces, VLLM.text("So."))
        assert send(refused, ASKED)[0] == b"".join(refused)


# Something else in the message

(CITY,) = OLLAMA._call(0, "get_weather", ['{"city": "Oslo"}'])
(SAME,) = OLLAMA._call(0, CALL_OSLO[0], [json.dumps(CALL_OSLO[1])])
THEN = {
    "content": [VLLM.text("So.")],
    "content behind blanks": [VLLM.text("\n"), VLLM.text(" \n"), VLLM.text("So.")],
    "a tag": [VLLM.text("</think>")],
    "the beginning of a tag": [VLLM.text("<tool_")],
    "content in parts": [delta(content=[{"type": "text", "text": "So."}])],
    "content in the envelope of the reasoning": [delta(content="So.", reasoning=None)],
    "content beside more reasoning": [delta(content="So.", reasoning="\n")],
    "a native call": VLLM.calls([NATIVE]),
    "a native call behind blanks": [VLLM.text("\n\n"), *VLLM.calls([NATIVE])],
    "a native call beside more reasoning": [delta(tool_calls=[CITY], reasoning="\n")],
    "the same call": [delta(tool_calls=[SAME])],
    "reasoning": thoughts(["\n", "Or not?"]),
}


BLANK = {
    "content behind blanks": 2,
    "a native call behind blanks": 1,
    "reasoning": 1,
}  # so many leave it open


def finish_behind(events: Iterable[bytes]) -> str:
    return "tool_calls" if b'"tool_calls"' in b"".join(events) else "stop"


@pytest.mark.parametrize("then", THEN.values(), ids=list(THEN))
@pytest.mark.parametrize("kind", ["reasoning", "copies", "OpenRouter"])
def test_something_else_follows_and_all_is_as_it_came(then: list[bytes], kind: str) -> None:
    for pieces in few_cuts(f"{PLAN}{OSLO}\n{OSLO}\n"):
        events = answer(pieces, *then, shape=SHAPES[kind], finish=finish_behind(then))
        out, answered = send(events, ASKED)
        assert out == b"".join(events)
        assert answered.ledger.as_dict()["refused"]["reasoning"] == 1
        assert answered.ledger.calls == 0


@pytest.mark.parametrize("then", THEN)
def test_what_is_held_leaves_as_soon_as_something_else_follows(then: str) -> None:
    before = [*VLLM.open(), *thoughts(cut_at(PLAN + OSLO, range(3, 200, 5)))]
    events = before + THEN[then][: BLANK.get(then, 0) + 1]
    assert b"<tool" not in b"".join(each_alone(events[:-1])[:-1]), "it may be a call"
    sent = b"".join(each_alone(events)[:-1])
    assert sent in (b"".join(events), b"".join(events[:-1])), "but for what may be a tag itself"


@pytest.mark.parametrize("first", [[VLLM.text("So.\n")], VLLM.calls([NATIVE])], ids=["content", "a call"])
def test_something_else_came_first_and_all_is_as_it_came(first: list[bytes]) -> None:
    for pieces in few_cuts(PLAN + OSLO):
        events = [*VLLM.open(), *first, *thoughts(pieces), *VLLM.ending(finish_behind(first))]
        assert send(events, ASKED)[0] == b"".join(events)


def test_a_call_in_the_content_is_the_only_one() -> None:
    for pieces in few_cuts(OSLO):
        message = message_of(answer(per_character(PLAN + WEATHER), *map(VLLM.text, pieces)))
        assert message.said == ("", PLAN + WEATHER, [CALL_OSLO], "tool_calls", "")
    choice = rewritten(completion(reasoning=PLAN + WEATHER, content=OSLO))
    assert (choice["message"]["reasoning"], calls_of(choice)) == (PLAN + WEATHER, [CALL_OSLO])


@pytest.mark.parametrize("tail", ["", "</think>\n\n"])
def test_the_rest_of_the_thinking_in_the_content(tail: str) -> None:
    """A quoted tag makes a server take the reasoning for over. A </think> right before a call is dropped."""
    events = answer(["I could write ", "<tool_call>", " here"], VLLM.text(f"and then\n{tail}"))
    assert send(events, ASKED)[0] == b"".join(events)
    message = message_of([*events[:-3], *map(VLLM.text, per_character(OSLO)), *VLLM.ending()])
    assert message.said == (
        "and then",
        "I could write <tool_call> here",
        [CALL_OSLO],
        "tool_calls",
        "",
    )


@pytest.mark.parametrize("at", [0, 30, -2, -1], ids=["before", "in between", "behind", "at the end"])
def test_blank_content_is_none_and_stays(at: int) -> None:
    events = [*thoughts(per_character(PLAN + WEATHER)), delta(), VLLM.end()]
    events[at : at + 1 or None] = [
        *events[at : at + 1 or None][: at in (0, 30)],
        VLLM.chunk((0, {"content": " \n"}, "stop" if at == -1 else None)),
    ]
    message = message_of([*VLLM.open(), *events, VLLM.usage(), DONE])
    assert (message.text, message.reasoning) == (" \n", PLANNED)
    assert (message.named, message.finish) == ([CALL], "tool_calls")


# Live


@every_engine
@every_shape
def test_reasoning_leaves_with_the_event_it_came_in(engine: Engine, shape: Shape) -> None:
    pieces = ["Hello", " wor", "ld, a <", "b> or", "\n\nso.", " <tool_call> is a", " `<tool_call>`", " tag."]
    events = answer(pieces, engine.text("So."), shape=shape, engine=engine)
    expected = [*events, b""]
    for at in (2, 6):  # a tag may follow, or another backtick
        first = at + len(engine.open())
        expected[first : first + 2] = [b"", events[first] + events[first + 1]]
    assert each_alone(events) == expected


def test_only_a_candidate_is_held_and_only_while_it_is_one() -> None:
    text = f"Ok.\n{OSLO} no."  # a word may be the rest of a tag until it is over
    answered, gone = StreamRewriter(ASKED), 0
    for came, one in enumerate(thoughts(text), 1):
        gone += b"".join(answered.feed(one)).count(b"\n\n")
        held = came - 3 if 3 < came < len(text) else came == 1  # a tag may have lost its bracket
        assert came - gone == held, text[:came]


def test_blank_content_does_not_hold_the_reasoning_behind_it() -> None:
    opening, blank, other = *VLLM.open(), *map(VLLM.text, ["\n", " \n"])
    first, *more, last = thoughts(["Ok", " and", " so", " on"])
    sent = each_alone([opening, blank, first, *more, other, last])
    assert sent == [opening, b"", blank + first, *more, b"", other + last, b""]


def test_what_stands_between_keeps_its_place() -> None:
    pieces = re.findall("(?s).{1,9}", PLAN + OSLO)
    comments = [f": {at}\n\n".encode() for at in range(len(pieces))]
    usage = VLLM.chunk(usage={"total_tokens": 7})
    events = [
        *VLLM.open(),
        *(e for pair in zip(thoughts(pieces), comments, strict=True) for e in pair),
        usage,
    ]
    refused = [*events, VLLM.text("No."), *VLLM.ending()]
    out, _ = send(refused, ASKED)
    found = re.compile(rb"^: \d+\n\n", re.M)  # comments may pass what is held
    assert found.sub(b"", out) == found.sub(b"", b"".join(refused))
    assert found.findall(out) == comments
    out, _ = send([*events, *VLLM.ending()], ASKED)
    assert re.findall(rb"^(: \d+\n\n)", out, re.M) == comments
    assert (
        out.index(comments[-1]) < out.index(usage) < out.index(b'"name"') < out.index(b'"finish_reason":"t')
    )
    assert read_answer(out).message.said == ("", PLANNED, [CALL_OSLO], "tool_calls", "")


def test_what_stands_beside_the_reasoning_survives() -> None:
    pieces = re.findall("(?s).{1,7}", PLAN + WEATHER)
    events = [VLLM.chunk((0, {"reasoning": p, "x": at}, None), timings=[1.5]) for at, p in enumerate(pieces)]
    read = read_answer(send([*VLLM.open(), *events, *VLLM.ending()], ASKED)[0])
    assert read.message.said == ("", PLANNED, [CALL], "tool_calls", "")
    assert [c["choices"][0]["delta"]["x"] for c in read.chunks if "timings" in c] == [*range(len(pieces))]


def test_what_is_held_for_one_candidate_is_limited() -> None:
    text = "<tool_call>\n<function=write>\n<parameter=content>\n" + "0123456789abcdef" * (3 << 16)
    events = answer(re.findall("(?s).{1,8192}", text))
    answered, came, gone, most = StreamRewriter(ASKED), 0, 0, 0
    for raw in events:
        came += len(raw)
        gone += sum(map(len, answered.feed(raw)))
        most = max(most, came - gone)
    assert most <= HELD * 1.2
    assert gone == sum(map(len, events))
    assert answered.ledger.as_dict()["refused"] == {"limit": 1}


# Healthy streams


def healthy() -> Iterator[Any]:
    prose = ["Hm", ", if a <", " b, ", "</thi", "nk> \n", "<tool_call>", " or", " `<function=f>`", "?\n\n"]
    for name, shape in SHAPES.items():
        yield pytest.param(answer(prose, VLLM.text("No."), shape=shape), id=f"{name}, then content")
        yield pytest.param(answer(prose, shape=shape, engine=OLLAMA), id=f"{name}, and nothing else")
        native = LLAMA_CPP.calls([NATIVE])
        events = answer(prose, *native, shape=shape, engine=LLAMA_CPP, finish="tool_calls")
        yield pytest.param(events, id=f"{name}, then a call")
    both = [*thoughts(prose, engine=SGLANG, index=1), *thoughts(prose, engine=SGLANG)]
    yield pytest.param([*SGLANG.open(0, 1), *both, SGLANG.end(index=1), SGLANG.end()], id="two choices")
    yield pytest.param(answer(["", "a ", "", "b \n", ""], engine=DASHSCOPE), id="empty deltas")


@pytest.mark.slow
@pytest.mark.parametrize("events", list(healthy()))
def test_a_healthy_stream_is_byte_identical_at_every_cut(events: list[bytes]) -> None:
    body = b"".join(events)
    for pieces in [events, *byte_cuts(body, every=len(body) // 20 + 1, random_cuts=3)]:
        out, answered = send(pieces, ASKED)
        assert out == body
        assert not answered.ledger.repairs


@pytest.mark.parametrize("asked", [{}, request(tool_choice="none")])
def test_without_tools_nothing_is_read(asked: Json) -> None:
    events = answer(per_character(PLAN + WEATHER))
    answered = StreamRewriter(asked)
    assert [piece for one in events for piece in answered.feed(one)] == events
    body = completion(reasoning=WEATHER)
    assert rewrite_completion(asked, body)[0] is body


LETTERS = st.text(st.sampled_from('ab n\t"\\/\n\r<`é😀\u2028'), min_size=1, max_size=5)


@every_shape
@given(deltas=st.lists(LETTERS, max_size=12))
def test_reasoning_is_the_same_by_every_way_through(shape: Shape, deltas: list[str]) -> None:
    """Deltas that take the shortcut and deltas that do not; the whole text at once takes none."""
    events = answer(["To", " be", *deltas, " read"], shape=shape, engine=LLAMA_CPP)
    assert send(events, ASKED)[0] == b"".join(events)
    pieces = ["To", " be", *deltas, " read\n", "```\n~~~\n\n", WEATHER]
    whole = message_of(answer(["".join(pieces)], shape=shape))
    assert message_of(answer(pieces, shape=shape)).said == whole.said


@pytest.mark.parametrize("warm", [[], ["a", "b", "c"]])
@every_shape
def test_a_surrogate_pair_in_two_deltas_leaves_joined(warm: list[str], shape: Shape) -> None:
    pieces = [*warm, "x \ud83d", "\ude42 y\n"]
    out, _ = send(answer(pieces, shape=shape, engine=LLAMA_CPP), ASKED)
    assert read_answer(out).message.reasoning == "".join(warm) + "x 🙂 y\n"
    assert b"\\ud83d" not in out
    pieces += per_character(OSLO)
    message = message_of(answer(pieces, shape=shape))
    assert message.said == ("", "".join(warm) + "x 🙂 y", [CALL_OSLO], "tool_calls", "")
    message = message_of(answer(pieces, VLLM.text("No."), shape=shape))
    assert message.said == ("No.", "".join(warm) + "x 🙂 y\n" + OSLO, [], "stop", "")
    message = message_of(answer(pieces, *VLLM.calls([NATIVE]), shape=shape))
    assert message.said == (
        "",
        "".join(warm) + "x 🙂 y\n" + OSLO,
        [(CALL[0], {"city": "Oslo"})],
        "tool_calls",
        "",
    )


# Several choices


@pytest.mark.parametrize("together", [True, False], ids=["in one chunk", "interleaved"])
@every_shape
def test_each_choice_for_itself(shape: Shape, together: bool) -> None:
    texts = [PLAN + WEATHER, PLAN + WEATHER + "\nOr not?", OSLO, PLAN + OSLO]
    for size in (1, 3, 11, 500):
        rows = [re.findall(f"(?s).{{1,{size}}}", text) for text in texts]
        steps: list[list[tuple[int, Json, str | None]]] = [
            [(i, shape(row[at]), None) for i, row in enumerate(rows) if at < len(row)]
            for at in range(max(map(len, rows)))
        ]
        steps += [[(3, {"content": "No."}, None)], [(i, {}, "stop") for i in (2, 0, 1, 3)]]
        body = [VLLM.chunk(*s) for s in steps] if together else [VLLM.chunk(c) for s in steps for c in s]
        messages = read_answer(send([*VLLM.open(0, 1, 2, 3), *body, DONE], ASKED)[0]).messages
        assert messages[0].said == ("", PLANNED, [CALL], "tool_calls", "")
        assert messages[1].said == ("", texts[1], [], "stop", "")
        assert messages[2].said == ("", "", [CALL_OSLO], "tool_calls", "")
        assert messages[3].said == ("No.", texts[3], [], "stop", "")


def test_a_choice_beside_one_that_is_rewritten_keeps_its_bytes() -> None:
    calls = thoughts(per_character(WEATHER), engine=LLAMA_CPP)
    other = thoughts([f"{i} <" for i in range(len(calls))], engine=LLAMA_CPP, index=1)
    mixed = [e for pair in zip(calls, other, strict=True) for e in pair]
    out, _ = send([*LLAMA_CPP.open(0, 1), *mixed, LLAMA_CPP.end(), LLAMA_CPP.end(index=1)], ASKED)
    assert [e + b"\n\n" for e in out.split(b"\n\n") if b'"index":1,' in e and b"reasoning" in e] == other


# The end, and errors


@pytest.mark.parametrize("end", [[], [DONE], [event({"error": {"message": "boom"}})], [b"data: {"]])
def test_an_answer_that_breaks_off_leaves_as_it_came(end: list[bytes]) -> None:
    for pieces in few_cuts(PLAN + OSLO):
        events = [*VLLM.open(), *thoughts(pieces), *end]
        assert send(events, ASKED)[0] == b"".join(events)


def test_the_calls_of_an_error_are_the_calls_of_the_message() -> None:
    error = event({"error": {"code": 500, "message": f"Failed to parse input at pos 0: {OSLO}"}})
    events = [*LLAMA_CPP.open(), *thoughts(per_character(PLAN + WEATHER), engine=LLAMA_CPP), error]
    assert message_of(events).said == ("", PLAN + WEATHER, [CALL_OSLO], "tool_calls", "")


# Not streamed


@every_shape
def test_a_call_moves_from_the_reasoning(shape: Shape) -> None:
    choice = rewritten(completion(**shape(f"{PLAN}{WEATHER}\n{OSLO}\n\n"), x=[1.0]))
    assert (calls_of(choice), choice["finish_reason"]) == ([CALL, CALL_OSLO], "tool_calls")
    assert choice["message"].items() >= (shape(PLANNED) | {"x": [1.0], "content": None}).items()


@every_shape
def test_if_nothing_is_left_the_field_is_an_empty_string(shape: Shape) -> None:
    message = rewritten(completion(**shape(f"\n{WEATHER}\n")))["message"]
    assert message.items() >= (shape("") | {"content": None}).items()


@pytest.mark.parametrize(
    "more",
    [
        {"content": "So."},
        {"content": " </think>"},
        {"content": [{"type": "text", "text": "So."}]},
        {
            "tool_calls": [
                {"id": "n", "type": "function", "function": {"name": "get_goal", "arguments": "{}"}}
            ]
        },
    ],
)
@every_shape
def test_something_else_is_said_and_the_body_is_the_same_object(more: Json, shape: Shape) -> None:
    body = completion("tool_calls" if "tool_calls" in more else "stop", **shape(PLAN + WEATHER) | more)
    out, ledger = rewrite_completion(ASKED, body)
    assert out is body
    assert ledger.as_dict()["refused"] == {"reasoning": 1}


@pytest.mark.parametrize("content", ["", " \n", None])
def test_content_that_is_empty_is_null(content: Any) -> None:
    choice = rewritten(completion(reasoning=WEATHER, content=content))
    assert (calls_of(choice), choice["message"]["content"]) == ([CALL], content or None)


# Fail open

WORDS = [f"w{i:02}" for i in range(40)]
WORDY = (
    " ".join(WORDS[:15])
    + "\n<tool_call>\n<function=write>\n<parameter=content>\n"
    + " ".join(WORDS[15:])
    + "\n</parameter>\n</function>\n</tool_call>"
)
POINTS = [
    *((ToolCallParser, name) for name in ("feed", "close", "interrupt")),
    *((StreamRewriter, name) for name in ("_deliver", "_settle", "_read_slices")),
    (Steady, "take"),
    (message.Message, "take_turn"),
    *((chat_completions, name) for name in ("read_data", "read_chunk")),
    (chat_encoder, "splice"),
    *((Synthesis, name) for name in ("calls", "call_arguments")),
    *((ChatEncoder, name) for name in ("frame", "events")),
]


def words_of(body: bytes) -> list[str]:
    """The words of an answer, of its reasoning, its text and its arguments, in the order they came."""
    said = ""
    for chunk in read_answer(body, role=False).chunks:
        for choice in chunk["choices"]:
            said += (choice["delta"].get("reasoning") or "") + (choice["delta"].get("content") or "")
            said += "".join(call["function"]["arguments"] for call in choice["delta"].get("tool_calls", []))
    return re.findall(r"w\d\d", said)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["reasoning", "OpenRouter"])
@pytest.mark.parametrize("more", [[], ["w98 ", "w99"]], ids=["a call", "a draft"])
@pytest.mark.parametrize(("owner", "name"), [pytest.param(*p, id=f"{p[0].__name__}.{p[1]}") for p in POINTS])
def test_whatever_fails_no_reasoning_is_lost_or_doubled(
    owner: Any, name: str, more: list[str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = re.findall("(?s).{1,5}", WORDY)
    events = answer(pieces, *map(LLAMA_CPP.text, more), shape=SHAPES[kind], engine=LLAMA_CPP)
    original, uses, fatal = getattr(owner, name), 0, 0

    def broken(*args: Any, **options: Any) -> Any:
        nonlocal uses
        uses += 1
        if uses == fatal:
            raise RuntimeError("boom")
        return original(*args, **options)

    monkeypatch.setattr(owner, name, broken)
    while fatal <= uses:
        uses, fatal = 0, fatal + 1
        failing = StreamRewriter(ASKED)
        out = b"".join([piece for one in events for piece in failing.feed(one)] + failing.close())
        assert bool(failing.ledger.failure) == (fatal <= uses)
        assert words_of(out) == WORDS + [word.strip() for word in more], f"at use {fatal}"
        assert set(texts_of(out).values()) <= {WORDY, WORDY[: WORDY.index("\n")]}, (
            "all of the call, or nothing"
        )
        assert out.endswith(DONE)


# Anything at all

TAGS = ["<tool_call>", "</tool_call>", "<function=get_weather>", "<function=get_goal>", "<function=nobody>"]
TAGS += ["</function>", "<parameter=city>", "<parameter=days>", "</parameter>", "<think>", "</think>"]
BITS = ["\n", "\n", " ", "x", "3", "🙂", "`", "```\n", "<", ">", "\ud83d", "\ude42", "<|im_end|>", "\r\n"]
CALLS = [WEATHER, WEATHER, OSLO, f"\n{OSLO}\n", '{"name": "get_goal", "arguments": {}}', "w" * 30]
TEXTS = st.lists(st.sampled_from([*TAGS, *BITS, *CALLS]), max_size=8).map("".join)
SAID = st.sampled_from(["So.", " a < b", "</think>", "```\n", "🙂 ", OSLO, f"Hm.\n{OSLO}\n", f"{OSLO}\nOk."])
KINDS = st.sampled_from(["reasoning", "reasoning", "content", "blanks", "call"])
FINISHES = st.sampled_from(["stop", "stop", "tool_calls", "length", None])


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[bytes], Json]:
    """The events of an answer that mixes reasoning, content and calls; and the same, not streamed."""
    engine, shape = draw(st.sampled_from(ENGINES)), draw(st.sampled_from(ALL_SHAPES))
    message: Json = {"reasoning": "", "content": "", "tool_calls": []}
    events, finish = engine.open(), draw(FINISHES)
    for kind in draw(st.lists(KINDS, max_size=4)):
        text = "\n" if kind == "blanks" else draw(SAID if kind == "content" else TEXTS)
        pieces = cut_at(text, draw(st.lists(st.integers(0, len(text)), max_size=9)))
        if kind == "call":
            at = len(message["tool_calls"])
            events += engine.calls([("get_goal", ["{}"])], start=at)
            function = {"name": "get_goal", "arguments": "{}"}
            message["tool_calls"].append({"id": f"n{at}", "type": "function", "function": function})
        elif kind == "reasoning":
            message["reasoning"] += text
            events += thoughts(pieces, shape, engine)
        else:
            message["content"] += text
            events += map(engine.text, pieces)
        events += draw(st.sampled_from([[], [], [b": c\n\n"], [b"data: x\n\n"]]))
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return [*events, *engine.ending(finish)], {"choices": [choice]}


def comparable(body: bytes) -> bytes:
    """A body without what may change in a healthy one: comments may pass what is held."""
    return re.sub(rb'(finish_reason": ?)"\w+"', rb"\1", body.replace(b": c\n\n", b""))


@settings(max_examples=300, deadline=None)
@given(streams(), st.sampled_from(["strict", "tolerant"]), st.data())
def test_any_stream(stream: tuple[list[bytes], Json], recovery: str, data: st.DataObject) -> None:
    body = b"".join(stream[0])
    out, answered = send(stream[0], ASKED, recovery=recovery)
    read = read_answer(out, role=False)
    said = read.said
    halves = b"\\ud83d" in body or b"\\ude42" in body
    if not (read.message.calls or answered.ledger.repairs or halves):
        assert comparable(out) == comparable(body)
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    pieces = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
    assert read_answer(send(pieces, ASKED, recovery=recovery)[0], role=False).said == said


@settings(max_examples=300, deadline=None)
@given(streams())
def test_a_message_that_is_not_streamed_comes_to_the_same(stream: tuple[list[bytes], Json]) -> None:
    events, whole = stream
    if whole["choices"][0]["finish_reason"] not in ("stop", "tool_calls"):
        return
    message = whole["choices"][0]["message"]
    if message["tool_calls"] and "```" in message["content"]:
        return  # a call may have come before it on its line, and nothing tells
    streamed = message_of(events, role=False)
    choice = rewritten(json.dumps(whole).encode())
    assert sorted(map(str, calls_of(choice))) == sorted(map(str, streamed.named))
    assert joined(choice["message"]["reasoning"]) == joined(streamed.reasoning)
    assert choice["finish_reason"] == streamed.finish


# A <think> in the content beside reasoning that has a field of its own

BARE = WEATHER.removeprefix("<tool_call>\n").removesuffix("\n</tool_call>")


def apart(*parts: tuple[str, str]) -> Message:
    """What comes of texts in these fields, one character at a time."""
    deltas = (LLAMA_CPP.chunk((0, {field: char}, None)) for field, text in parts for char in text)
    return message_of([*LLAMA_CPP.open(), *deltas, *LLAMA_CPP.ending("stop")])


@pytest.mark.parametrize("call", [WEATHER, BARE, f"{BARE}\n{BARE}"])
def test_a_think_opens_nothing_once_the_field_goes_on(call: str) -> None:
    message = apart(("content", "<think>\n"), ("reasoning_content", "hm"), ("content", f"{call}\nDone."))
    assert message.named == [CALL] * call.count("</function>")
    assert (message.text, message.finish) == ("<think>\n\nDone.", "tool_calls")


@pytest.mark.parametrize("call", [WEATHER, BARE])
def test_in_a_think_behind_the_field_the_call_at_the_end_counts(call: str) -> None:
    message = apart(("reasoning_content", "hm"), ("content", f"<think>\n{call}\n"))
    assert (message.named, message.text) == ([CALL], "<think>\n</think>")
    choice = rewritten(completion(content=f"<think>\n{call}\n", reasoning_content="hm"))
    assert (calls_of(choice), choice["message"]["content"]) == ([CALL], "<think>\n</think>")


@pytest.mark.parametrize("text", [f"<think>\n{BARE}\n</think>\nNo.", f"<think>\n{BARE}\nNo, wait."])
def test_a_draft_stays_one(text: str) -> None:
    message = apart(("reasoning_content", "hm"), ("content", text))
    assert (message.calls, message.text, message.finish) == ([], text, "stop")


def test_without_such_a_field_a_bare_call_in_a_think_is_a_draft() -> None:
    message = apart(("content", f"<think>\n{BARE}\n"))
    assert (message.calls, message.text) == ([], f"<think>\n{BARE}\n")
