"""A finish_reason that comes before the message is over, once or with every chunk."""

import json
from typing import Any

import pytest

from support.cases import read_tool
from support.streams import DONE, ENGINES, LLAMA_CPP, Engine, byte_cuts, read_answer, send
from toolstream import StreamRewriter
from toolstream.rewriter.message import Message

TOOLS = [read_tool(line) for line in ("bash(command: string)", "ls(path?: string)")]
ASKED: dict[str, Any] = {"model": "qwen", "stream": True, "messages": [], "tools": TOOLS}
HEAD = {"id": "c1", "type": "function"}
TEXT = [
    "<tool_call>\n<function=ba",
    "sh>\n<parameter=command>\nls",
    " -l\n</parameter>\n</function>\n</tool_call>",
]


def parsed(name: str, *fragments: str, index: int = 0) -> list[dict[str, Any]]:
    """The deltas of a call that the server parsed."""
    begun = HEAD | {"id": f"c{index}", "index": index, "function": {"name": name, "arguments": ""}}
    more = [{"index": index, "function": {"arguments": fragment}} for fragment in fragments]
    return [{"tool_calls": [delta]} for delta in (begun, *more)]


def ended(deltas: list[dict[str, Any]], after: set[int], reason: str, engine: Engine) -> list[bytes]:
    """A stream with an end after the deltas of these numbers."""
    events = engine.open()
    for at, delta in enumerate(deltas):
        events.append(engine.chunk((0, delta, None)))
        events += [engine.end(reason)] if at in after else []
    return [*events, engine.usage(), DONE]


def reasons(body: bytes) -> list[str]:
    chunks = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]
    found = [choice.get("finish_reason") for chunk in chunks for choice in chunk["choices"]]
    return [reason for reason in found if reason]


ANSWERS = {
    "a call of the server": parsed("bash", '{"command": "', 'ls -l"}'),
    "one that is damaged": parsed("bash", '{"command": "', 'ls -l"'),
    "a call in the text": [{"content": piece} for piece in TEXT],
}


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("reason", ["stop", "tool_calls"])
@pytest.mark.parametrize("after", [{0, 1, 2}, {0, 2}, {1, 2}, {0}, {1}], ids=str)
@pytest.mark.parametrize("name", ANSWERS)
def test_a_call_goes_on_behind_an_end(name: str, after: set[int], reason: str, engine: Engine) -> None:
    events = ended(ANSWERS[name], after, reason, engine)
    for pieces in (events, *byte_cuts(b"".join(events), every=97, random_cuts=2)):
        body, rewriter = send(pieces, ASKED)
        message = read_answer(body, role=engine.first is not None).messages[0]
        assert [(c.name, json.loads(c.arguments)) for c in message.calls] == [("bash", {"command": "ls -l"})]
        assert reasons(body) == [message.finish] == ["tool_calls"]
        assert body.endswith(DONE)
        assert not rewriter.ledger.failure


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "length"])
def test_an_end_that_is_one_waits_for_nothing_but_the_next_frame(reason: str) -> None:
    deltas = parsed("bash", '{"command": "ls -l"')
    events = ended(deltas, {1}, reason, LLAMA_CPP)
    body, _ = send(events, ASKED)
    assert reasons(body) == ["length" if reason == "length" else "tool_calls"]
    assert reasons(send(events[:-2], ASKED)[0]) == reasons(body)  # the body is over


def test_a_call_without_arguments_is_over_at_its_end() -> None:
    body, _ = send(ended(parsed("ls"), {0}, "tool_calls", LLAMA_CPP), ASKED)
    assert [(c.name, c.arguments) for c in read_answer(body).messages[0].calls] == [("ls", "{}")]
    assert reasons(body) == ["tool_calls"]


def test_the_end_of_another_choice_decides_nothing() -> None:
    events = LLAMA_CPP.open(0, 1)
    for delta in parsed("bash", '{"command": "', 'ls -l"}'):
        events += [LLAMA_CPP.chunk((index, delta, None)) for index in (0, 1)]
    events += [LLAMA_CPP.end("tool_calls", 0), LLAMA_CPP.end("tool_calls", 1), DONE]
    body, rewriter = send(events, ASKED)
    assert body == b"".join(events)
    assert rewriter.ledger.repairs.total() == 0


def test_a_body_that_breaks_off_behind_an_end_is_not_completed_by_it() -> None:
    events = ended(parsed("bash", '{"command": "ls', " -l"), {1}, "stop", LLAMA_CPP)[:-2]
    body, _ = send(events, ASKED)
    assert reasons(body) == []


def test_an_end_with_more_in_it_stays() -> None:
    """Its usage would be lost."""
    usage = {"prompt_tokens": 17, "completion_tokens": 65, "total_tokens": 82}
    deltas = [LLAMA_CPP.chunk((0, delta, None)) for delta in parsed("bash", '{"command": "', 'ls -l"}')]
    first = LLAMA_CPP.chunk((0, {}, "tool_calls"), usage=usage)
    body, _ = send(
        [*LLAMA_CPP.open(), *deltas[:2], first, deltas[2], LLAMA_CPP.end("tool_calls"), DONE], ASKED
    )
    assert json.dumps(usage, separators=(",", ":")).encode() in body


def test_the_ends_of_two_choices_in_one_frame_stay() -> None:
    both = [
        LLAMA_CPP.chunk(*((index, delta, None) for index in (0, 1)))
        for delta in parsed("bash", '{"command": "')
    ]
    rest = LLAMA_CPP.chunk((0, parsed("bash", 'ls -l"}')[1], None))
    ends = [LLAMA_CPP.chunk((0, {}, "stop"), (1, {}, "stop")), rest, LLAMA_CPP.end("stop", 0), DONE]
    body, _ = send([*LLAMA_CPP.open(0, 1), *both, *ends], ASKED)
    chunks = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]
    ended_choices = {c["index"] for chunk in chunks for c in chunk["choices"] if c.get("finish_reason")}
    assert ended_choices == {0, 1}


def test_a_failure_at_the_end_of_the_body_costs_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    rewriter = StreamRewriter(ASKED)
    events = ended(parsed("bash", '{"command": "ls -l"'), {1}, "tool_calls", LLAMA_CPP)[:-2]
    out = [piece for event in events for piece in rewriter.feed(event)]

    def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(Message, "close", fail)
    assert len(reasons(b"".join(out + rewriter.close()))) == 1
