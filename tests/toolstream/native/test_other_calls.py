"""Calls of the server's that are no functions, that alternate, or that have no name."""

import json
from typing import Any

import pytest

from support.cases import read_tool
from support.cuts import per_character
from support.streams import ENGINES, LLAMA_CPP, Engine, byte_cuts, read_answer, send
from toolstream import StreamRewriter, rewrite_completion

TOOLS = [
    read_tool(line)
    for line in ("bash(command: string)", "ls(path?: string)", "write(path: string, content: string)")
]
ASKED: dict[str, Any] = {"model": "qwen", "stream": True, "messages": [], "tools": TOOLS}
PATCH = {"id": "p1", "type": "custom", "custom": {"name": "apply_patch", "input": "*** Begin"}}
LEAK = "<function=bash>\n<parameter=command>\nls\n</parameter>\n</function>"


def stream(deltas: list[Any], finish: str = "tool_calls", engine: Engine = LLAMA_CPP) -> list[bytes]:
    chunks = [engine.chunk((0, d if isinstance(d, dict) else {"tool_calls": d}, None)) for d in deltas]
    return [*engine.open(), *chunks, *engine.ending(finish)]


def first(index: int, name: str, arguments: str = "") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": f"x{index}", "type": "function", "function": function}


def further(index: int, arguments: str) -> dict[str, Any]:
    return {"index": index, "function": {"arguments": arguments}}


def assert_passes(sent: list[bytes]) -> None:
    body = b"".join(sent)
    for pieces in (sent, *byte_cuts(body, every=61, random_cuts=5)):
        rewriter = StreamRewriter(ASKED)
        out = [piece for part in pieces for piece in rewriter.feed(part)] + rewriter.close()
        assert b"".join(out) == body
        assert rewriter.ledger.as_dict()["repairs"] == {}


def message_of(message: dict[str, Any], finish: str = "tool_calls") -> tuple[Any, bool, dict[str, int]]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": None} | message,
        "finish_reason": finish,
    }
    body = json.dumps({"id": "x", "object": "chat.completion", "choices": [choice]}).encode()
    out, ledger = rewrite_completion(ASKED, body)
    assert ledger.failure == ""
    return json.loads(out)["choices"][0], out is body, ledger.as_dict()["repairs"]


def choices_in(body: bytes) -> list[Any]:
    chunks = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]
    return [choice for chunk in chunks for choice in chunk["choices"]]


# No functions

KINDS = ["custom", "mcp", "web_search", "computer_use"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_calls_of_another_type_pass(kind: str, engine: Engine) -> None:
    call = PATCH | {"type": kind}
    more = [{"index": 0, "custom": {"input": piece}} for piece in (" Patch\n", "*** End")]
    assert_passes(stream([[{"index": 0, **call}], *([m] for m in more)], engine=engine))
    assert message_of({"tool_calls": [call]})[1]


def test_they_pass_beside_functions() -> None:
    deltas = [[{"index": 0, **PATCH}], [first(1, "bash")], [further(1, '{"command": "ls"}')]]
    assert_passes(stream(deltas))
    call = {k: v for k, v in first(0, "bash", '{"command": "ls"}').items() if k != "index"}
    assert message_of({"tool_calls": [PATCH, call]})[1]


def test_only_its_index_changes_after_a_call_in_the_text() -> None:
    sent = stream([{"content": LEAK}, [{"index": 0, **PATCH}], [{"index": 0, "custom": {"input": "x"}}]])
    out, rewriter = send(sent, ASKED)
    chunks = [json.loads(line[6:]) for line in out.splitlines() if line.startswith(b"data: {")]
    calls = [
        c for chunk in chunks for choice in chunk["choices"] for c in choice["delta"].get("tool_calls") or []
    ]
    assert [call["index"] for call in calls[-2:]] == [1, 1]
    assert calls[-2] == {"index": 1, **PATCH}
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]][-1] == "tool_calls"
    assert rewriter.ledger.failure == ""


def test_they_stay_when_others_are_mended() -> None:
    call = {k: v for k, v in first(0, "bash", '{"command": 5}').items() if k != "index"}
    choice, same, repairs = message_of({"tool_calls": [PATCH, call]})
    assert not same
    assert choice["message"]["tool_calls"][0] == PATCH
    assert json.loads(choice["message"]["tool_calls"][1]["function"]["arguments"]) == {"command": "5"}
    assert repairs == {"wrong-type": 1}


# Alternating


@pytest.mark.parametrize(
    ("engine", "name"),
    [*((engine, "bash") for engine in ENGINES), (ENGINES[0], "ls")],
    ids=[*(engine.name for engine in ENGINES), "another tool"],
)
def test_fragments_of_two_calls_may_alternate(engine: Engine, name: str) -> None:
    key = "command" if name == "bash" else "path"
    one, two = (per_character(json.dumps({key: value})) for value in ("abc", "xyz"))
    fragments = [[further(n, f)] for pair in zip(one, two, strict=True) for n, f in enumerate(pair)]
    assert_passes(stream([[first(0, name)], [first(1, name)], *fragments], engine=engine))


def test_three_calls_in_one_delta_each() -> None:
    heads = [first(n, "bash") for n in range(3)]
    rounds = [[further(n, piece) for n in range(3)] for piece in ('{"command"', ': "l', 's"}')]
    assert_passes(stream([heads, *rounds]))


def test_one_of_them_may_still_be_wrong() -> None:
    deltas = [[first(0, "bash")], [first(1, "bash")]]
    deltas += [
        [further(0, '{"command": ')],
        [further(1, '{"command": ')],
        [further(0, '"a"}')],
        [further(1, "5}")],
    ]
    message, repairs = streamed(deltas)
    assert message == [{"command": "a"}, {"command": "5"}]
    assert repairs == ["wrong-type"]


def streamed(deltas: list[Any]) -> tuple[list[Any], list[str]]:
    """The arguments of the calls, by index, as a client that joins them reads them."""
    out, rewriter = send(stream(deltas), ASKED)
    calls: dict[int, str] = {}
    for choice in choices_in(out):
        for call in choice["delta"].get("tool_calls") or []:
            calls[call["index"]] = calls.get(call["index"], "") + call["function"]["arguments"]
    return [json.loads(calls[n]) for n in sorted(calls)], sorted(map(str, rewriter.ledger.repairs.elements()))


# Without a name

NAMELESS = ["", "null", None, ...]


@pytest.mark.parametrize("name", NAMELESS)
def test_a_call_without_a_name_is_named_by_its_arguments(name: Any) -> None:
    arguments = '{"path": "a.txt", "content": "b"}'
    function = {"name": name, "arguments": arguments} if name is not ... else {"arguments": arguments}
    call = {"id": "x1", "type": "function", "function": function}
    choice, _, repairs = message_of({"tool_calls": [call]})
    assert [c["function"]["name"] for c in choice["message"]["tool_calls"]] == ["write"]
    assert choice["finish_reason"] == "tool_calls"
    assert "name-inferred" in repairs
    for pieces in ([arguments], per_character(arguments)):
        head = {"index": 0, **call, "function": function | {"arguments": ""}}
        out, rewriter = send(stream([[head], *([further(0, piece)] for piece in pieces)]), ASKED)
        message = read_answer(out).message
        assert message.named == [("write", {"path": "a.txt", "content": "b"})]
        assert message.finish == "tool_calls"
        assert "name-inferred" in map(str, rewriter.ledger.repairs)


@pytest.mark.parametrize("name", NAMELESS)
@pytest.mark.parametrize("arguments", ['{"other": 1}', "no JSON", '{"path": "a"'])
def test_or_it_is_text(name: Any, arguments: str) -> None:
    function = {"name": name, "arguments": arguments} if name is not ... else {"arguments": arguments}
    call = {"id": "x1", "type": "function", "function": function}
    choice, _, _ = message_of({"content": "So: ", "tool_calls": [call]})
    assert choice["message"]["content"] == f"So: {arguments}"
    assert not choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "stop"
    out, rewriter = send(stream([{"content": "So: "}, [{"index": 0, **call}]]), ASKED)
    message = read_answer(out).message
    assert (message.text, message.calls, message.finish) == (f"So: {arguments}", [], "stop")
    assert rewriter.ledger.as_dict()["refused"] == {"nameless": 1}


@pytest.mark.parametrize("arguments", ["{}", "", "[]", "{"])
def test_if_it_says_anything(arguments: str) -> None:
    named = {"id": "x1", "type": "function", "function": {"name": "bash", "arguments": '{"command": "ls"}'}}
    nameless = {"id": "x2", "type": "function", "function": {"name": "", "arguments": arguments}}
    choice, _, _ = message_of({"content": None, "tool_calls": [named, nameless]})
    assert not choice["message"]["content"]
    assert [call["id"] for call in choice["message"]["tool_calls"]] == ["x1"]
    out, _ = send(stream([[{"index": 0, **named}], [{"index": 1, **nameless}]]), ASKED)
    message = read_answer(out).message
    assert (message.text, len(message.calls), message.finish) == ("", 1, "tool_calls")


def test_a_call_in_the_arguments_is_dropped_if_they_may_not_be_parallel() -> None:
    two = '{"command": "ls"}\n{"command": "pwd"}'
    for parallel, named in ((True, ["ls", "pwd"]), (False, ["ls"])):
        out, rewriter = send(stream([[first(0, "bash", two)]]), ASKED | {"parallel_tool_calls": parallel})
        assert [call["command"] for _, call in read_answer(out).message.named] == named
        assert rewriter.ledger.repairs["parallel-dropped"] == (not parallel)  # type: ignore[index]
