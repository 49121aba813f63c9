"""A call in the text that ends because a call follows that the server parsed: it is none."""

import json
from typing import Any

import pytest

from support.cases import read_tool
from support.cuts import Cuts, per_character
from support.streams import ENGINES, LLAMA_CPP, Engine, Message, read_answer, send
from toolstream import rewrite_completion

TOOLS = [
    read_tool("bash(command: string, timeout?: integer)"),
    read_tool("write(path: string, content: string)"),
]
ASKED: dict[str, Any] = {"model": "qwen", "stream": True, "messages": [], "tools": TOOLS}
UNAME = '{"command": "uname -a"}'
TEXT = "Ok.\n\n<tool_call>\n<function=bash>\n<parameter=command>\n"


def native(name: str, arguments: str) -> dict[str, Any]:
    return {"index": 0, "id": "x1", "type": "function", "function": {"name": name, "arguments": arguments}}


def sent(
    pieces: list[str], arguments: list[str], name: str = "bash", engine: Engine = LLAMA_CPP
) -> tuple[bytes, list[str]]:
    """What leaves of text in these pieces, and then a call of the server's with these fragments."""
    first = native(name, "")
    rest = [{"index": 0, "function": {"arguments": fragment}} for fragment in arguments]
    chunks = [engine.chunk((0, {"content": piece}, None)) for piece in pieces]
    chunks += [engine.chunk((0, {"tool_calls": [call]}, None)) for call in (first, *rest)]
    out, rewriter = send([*engine.open(), *chunks, *engine.ending("tool_calls")], ASKED)
    assert rewriter.ledger.failure == ""
    return out, sorted(map(str, rewriter.ledger.repairs.elements()))


def streamed(pieces: list[str], arguments: list[str], **more: Any) -> tuple[Message, list[str]]:
    """What a client reads of it."""
    out, repairs = sent(pieces, arguments, **more)
    return read_answer(out).message, repairs


def whole(text: str, arguments: str, name: str = "bash") -> tuple[Any, list[str]]:
    call = {k: v for k, v in native(name, arguments).items() if k != "index"}
    message = {"role": "assistant", "content": text, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    body = json.dumps({"id": "x", "object": "chat.completion", "choices": [choice]}).encode()
    out, ledger = rewrite_completion(ASKED, body)
    assert ledger.failure == ""
    return json.loads(out)["choices"][0], sorted(map(str, ledger.repairs.elements()))


BEGUN = ["una", "", "u", "uname -a", "uname -a\n</parameter>\n", "uname -a\n</parameter>\n</function"]


@pytest.mark.parametrize("begun", BEGUN)
def test_streamed_the_call_that_has_begun_goes_on_as_the_servers(begun: str, cuts: Cuts) -> None:
    for pieces in cuts(TEXT + begun):
        for arguments in ([UNAME], ['{"command": ', '"uname -a"}'], per_character('{"command":"uname -a"}')):
            message, repairs = streamed(pieces, arguments)
            assert message.named == [("bash", {"command": "uname -a"})], pieces
            assert (message.text, message.finish) == ("Ok.", "tool_calls"), pieces
            assert "duplicate-call" in repairs


def test_json_that_has_begun_goes_on_as_the_servers(cuts: Cuts) -> None:
    for pieces in cuts('Ok.\n\n<tool_call>\n{"name": "bash", "arguments": {"command": "una'):
        message, repairs = streamed(pieces, [UNAME])
        assert message.named == [("bash", {"command": "uname -a"})], pieces
        assert (message.text, message.finish) == ("Ok.", "tool_calls"), pieces
        assert repairs == ["duplicate-call", "json-body"]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_with_every_engine(engine: Engine) -> None:
    message, repairs = streamed([TEXT, "una"], [UNAME], engine=engine)
    assert (message.named, message.finish) == ([("bash", {"command": "uname -a"})], "tool_calls")
    assert repairs == ["duplicate-call"]


@pytest.mark.parametrize("begun", BEGUN)
def test_in_one_piece_it_is_dropped(begun: str) -> None:
    choice, repairs = whole(TEXT + begun, UNAME)
    message = choice["message"]
    assert message["content"] == "Ok."
    assert [(c["function"]["name"], c["function"]["arguments"]) for c in message["tool_calls"]] == [
        ("bash", UNAME)
    ]
    assert choice["finish_reason"] == "tool_calls"
    assert "duplicate-call" in repairs


@pytest.mark.parametrize(("begun", "name"), [("rm -rf /tmp/una", "bash"), ("una", "write")])
def test_in_one_piece_the_beginning_of_another_call_is_text(begun: str, name: str) -> None:
    arguments = UNAME if name == "bash" else '{"path": "a", "content": "b"}'
    choice, repairs = whole(TEXT + begun, arguments, name)
    assert choice["message"]["content"] == TEXT + begun
    assert [c["function"]["name"] for c in choice["message"]["tool_calls"]] == [name]
    assert (choice["finish_reason"], repairs) == ("tool_calls", [])


def test_streamed_half_of_another_call_is_never_completed(cuts: Cuts) -> None:
    """It has left, so nobody may run anything of this answer."""
    for pieces in cuts(TEXT + "rm -rf /tmp/una"):
        out, _ = sent(pieces, [UNAME])
        chunks = [json.loads(line[6:]) for line in out.splitlines() if line.startswith(b"data: {")]
        choices = [choice for chunk in chunks for choice in chunk["choices"]]
        assert [c["finish_reason"] for c in choices if c["finish_reason"]] == ["length"]
        calls = [call for c in choices for call in c["delta"].get("tool_calls") or [] if call["index"] == 0]
        begun = "".join(call["function"]["arguments"] for call in calls)
        assert begun == '{"command": "rm -rf /tmp/una'


# What waits when a call of the server's follows: what remains of it, and what was dropped
HELD = {
    "<tool_call>": ("", ["stray-opener"]),
    "<tool_call>\n": ("", ["stray-opener"]),
    "<tool_call>\n<fun": ("", ["stray-opener"]),
    "<tool_call>\n<function=ba": ("", ["stray-opener"]),
    "<tool_call>\n<function=bash>": ("", ["duplicate-call"]),
    "<function=bash": ("", ["stray-opener"]),
    "<function=bash>\n": ("", ["stray-opener"]),
    "<": ("", ["stray-opener"]),
    "<to": ("", ["stray-opener"]),
    "<tol_call>\n<fun": ("", ["stray-opener"]),
    "tool_call>\n": ("", ["stray-opener"]),
    '<tool_call>\n{"name": "bash", "arg': ("", ["stray-opener"]),
    "<tool_call>\nba": ("", ["stray-opener"]),
    "<tool_call>\n<invoke name=": ("", ["stray-opener"]),
    "</tool_call>": ("", ["stray-closer"]),
    # Nothing of a call: it stays
    "a < b, and <": ("a < b, and <", []),
    "the tag `<tool_call>": ("the tag `<tool_call>", []),
    "```\n<tool_call>\n": ("```\n<tool_call>\n", []),
    '<tool_call>\n{"name": "read", "arg': ('<tool_call>\n{"name": "read", "arg', []),
    "to": ("to", []),
    "a Vec<String": ("a Vec<String", []),
    "where x <y": ("where x <y", []),
    "<div class": ("<div class", []),
    "<plan>\n": ("<plan>\n", []),
    "{": ("{", []),
    "Use <b>bold</b> and <tool> here": ("Use <b>bold</b> and <tool> here", []),
    "Use <tool_call> here": ("Use <tool_call> here", []),
    "a List<tool> works": ("a List<tool> works", []),
    "Now <tools> works": ("Now <tools> works", []),
    "see <function> basic": ("see <function> basic", []),
    "<tool_call>\nls": ("<tool_call>\nls", []),
    "<tool_call> <div": ("<tool_call> <div", []),
}


@pytest.mark.parametrize("held", HELD)
def test_the_beginning_of_the_servers_call_is_no_text(held: str, cuts: Cuts) -> None:
    left, expected = HELD[held]
    text = f"Ok.\n\n{left}" if left else "Ok."
    for pieces in cuts(f"Ok.\n\n{held}"):
        message, repairs = streamed(pieces, [UNAME])
        assert message.named == [("bash", {"command": "uname -a"})], pieces
        assert (message.text, message.finish, repairs) == (text, "tool_calls", expected), pieces
    choice, repairs = whole(f"Ok.\n\n{held}", UNAME)
    assert (choice["message"]["content"], repairs) == (text, expected)


@pytest.mark.parametrize("held", [held for held in HELD if not HELD[held][0]])
def test_so_it_is_between_two_of_them_and_behind(held: str, cuts: Cuts) -> None:
    for pieces in cuts(f"\n{held}"):
        texts = [LLAMA_CPP.text(piece) for piece in pieces]
        first, second = (LLAMA_CPP.calls([("bash", [UNAME])], at) for at in (0, 1))
        out, _ = send([*LLAMA_CPP.open(), *first, *texts, *second, *LLAMA_CPP.ending("tool_calls")], ASKED)
        message = read_answer(out).message
        assert (message.text, len(message.calls), message.finish) == ("", 2, "tool_calls"), pieces
    out, _ = send([*LLAMA_CPP.open(), *first, *texts, *LLAMA_CPP.ending("tool_calls")], ASKED)
    message = read_answer(out).message
    assert message.named == [("bash", {"command": "uname -a"})]
    assert message.text == (f"\n{held}" if "{" in held else "")


def test_a_complete_copy_is_still_dropped(cuts: Cuts) -> None:
    copy = f"{TEXT}uname -a\n</parameter>\n</function>\n</tool_call>"
    for pieces in cuts(copy):
        message, repairs = streamed(pieces, [UNAME])
        assert (message.named, repairs) == ([("bash", {"command": "uname -a"})], ["duplicate-call"])
    choice, repairs = whole(copy, UNAME)
    assert (len(choice["message"]["tool_calls"]), repairs) == (1, ["duplicate-call"])


# Copies after the server's call, and copies that differ in what a server changes


def behind(pieces: list[str], name: str, arguments: str) -> tuple[Message, list[str]]:
    """What a client reads of a call of the server's and text after it."""
    texts = [LLAMA_CPP.text(piece) for piece in pieces]
    out, rewriter = send(
        [*LLAMA_CPP.open(), *LLAMA_CPP.calls([(name, [arguments])]), *texts, *LLAMA_CPP.ending("tool_calls")],
        ASKED,
    )
    assert rewriter.ledger.failure == ""
    return read_answer(out).message, sorted(map(str, rewriter.ledger.repairs.elements()))


WRITE = '{"path": "p", "content": "x y"}'
WRITTEN = "\n<tool_call>\n<function=write>\n<parameter=path>\np"
HALVES = {
    "\n<tool_call>\n<function=bash>\n<parameter=command>\nu": ("bash", UNAME),
    "\n<tool_call>\n<function=bash>\n<parameter=command>\nuname -a": ("bash", UNAME),
    "\n<tool_call>\n<function=bash>\n<parameter=command>\nuname -a\n</parameter>\n": ("bash", UNAME),
    WRITTEN: ("write", WRITE),
    f"{WRITTEN}\n</parameter>\n": ("write", WRITE),
    f"{WRITTEN}\n</parameter>\n<parameter=content>\nx ": ("write", WRITE),
}


@pytest.mark.parametrize("half", HALVES)
def test_the_beginning_of_a_copy_after_the_servers_call_is_dropped(half: str, cuts: Cuts) -> None:
    name, arguments = HALVES[half]
    for pieces in cuts(half):
        message, repairs = behind(pieces, name, arguments)
        assert message.named == [(name, json.loads(arguments))], pieces
        assert (message.text.strip(), message.finish) == ("", "tool_calls")
        assert "duplicate-call" in repairs
    choice, repairs = whole(half, arguments, name)
    assert len(choice["message"]["tool_calls"]) == 1
    assert "duplicate-call" in repairs


OTHERS = [
    "\n<tool_call>\n<function=bash>\n<parameter=command>\nu\n</parameter>\n</function>",
    "\n<tool_call>\n<function=bash>\n<parameter=command>\nu\n</function>\n</tool_call>",
    "\n<tool_call>\n<function=bash>\n<parameter=command>\nu\n</tool_call>",
    "\n<tool_call>\n<function=bash>\n<parameter=command>\nls",
]


@pytest.mark.parametrize("other", OTHERS)
def test_another_call_after_the_servers_is_one_more(other: str, cuts: Cuts) -> None:
    for pieces in cuts(other):
        message, repairs = behind(pieces, "bash", UNAME)
        command = "ls" if other.endswith("ls") else "u"
        assert message.named == [("bash", {"command": "uname -a"}), ("bash", {"command": command})], pieces
        assert "duplicate-call" not in repairs


@pytest.mark.parametrize("content", ["x", "x\n", "\nx", "x\r\n", " x "])
def test_a_copy_may_differ_in_outer_whitespace(content: str, cuts: Cuts) -> None:
    text = f"{WRITTEN}\n</parameter>\n<parameter=content>\n{content}\n</parameter>\n</function>\n</tool_call>"
    arguments = '{"path": "p", "content": "x"}'
    for pieces in cuts(text):
        for message, repairs in (
            streamed(pieces, [arguments], name="write"),
            behind(pieces, "write", arguments),
        ):
            ((name, given),) = message.named
            assert (name, given["content"].strip()) == ("write", "x")
            assert repairs == ["duplicate-call"]
    choice, repairs = whole(text, arguments, "write")
    assert (len(choice["message"]["tool_calls"]), repairs) == (1, ["duplicate-call"])


def test_whitespace_within_makes_another_call(cuts: Cuts) -> None:
    text = f"{WRITTEN}\n</parameter>\n<parameter=content>\nx\n\ny\n</parameter>\n</function>\n</tool_call>"
    for pieces in cuts(text):
        message, _ = behind(pieces, "write", '{"path": "p", "content": "x\\ny"}')
        assert len(message.named) == 2


# Copies in JSON

LS = '{"name": "bash", "arguments": {"command": "ls"}}'
LS_TWICE = f'[{LS}, {{"name": "bash", "arguments": {{"command": "ls"}}}}]'
COPIES = {
    "bare": LS,
    "with a line break": f"{LS}\n",
    "fenced": f"```json\n{LS}\n```",
    "fenced, no language": f"~~~\n{LS}\n~~~\n",
    "in a list": f"[{LS}]",
    "twice": LS_TWICE,
    "another key": '{"name": "bash", "parameters": {"command": "ls"}}',
    "other whitespace": LS.replace("ls", "ls\\n"),
}


@pytest.mark.parametrize("case", COPIES)
@pytest.mark.parametrize("after", ["", "Done."])
def test_a_copy_in_json_is_dropped(case: str, after: str, cuts: Cuts) -> None:
    arguments = '{"command": "ls"}'
    for pieces in cuts(COPIES[case]):
        texts, native_call = (
            map(LLAMA_CPP.text, pieces),
            LLAMA_CPP.calls([("bash", per_character(arguments))]),
        )
        rest = [LLAMA_CPP.text(after)] if after else []
        out, rewriter = send(
            [*LLAMA_CPP.open(), *texts, *native_call, *rest, *LLAMA_CPP.ending("tool_calls")], ASKED
        )
        message = read_answer(out).message
        assert message.named == [("bash", {"command": "ls"})], pieces
        assert (message.text, message.finish) == (after, "tool_calls")
        assert rewriter.ledger.as_dict()["repairs"] == {"duplicate-call": 1}
    choice, repairs = whole(COPIES[case], arguments)
    assert (choice["message"]["content"], repairs) == (None, ["duplicate-call"])


NO_COPIES = [
    LS.replace("ls", "pwd"),
    LS.replace("bash", "write"),
    f"See {LS}",
    f"{LS} and so on",
    f'[{LS}, {{"name": "bash", "arguments": {{"command": "pwd"}}}}]',
    '{"command": "ls"}',
    '[{"a": 1}]',
]


@pytest.mark.parametrize("text", NO_COPIES)
def test_json_that_is_no_copy_stays_and_every_byte_of_it(text: str, cuts: Cuts) -> None:
    for pieces in cuts(text):
        texts, native_call = (
            map(LLAMA_CPP.text, pieces),
            LLAMA_CPP.calls([("bash", ['{"command":', '"ls"}'])]),
        )
        answer = [*LLAMA_CPP.open(), *texts, *native_call, *LLAMA_CPP.ending("tool_calls")]
        out, rewriter = send(answer, ASKED)
        assert out == b"".join(answer), pieces
        assert not rewriter.ledger.repairs
    choice, repairs = whole(text, '{"command": "ls"}')
    assert (choice["message"]["content"], repairs) == (text, [])
