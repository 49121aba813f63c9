"""Calls that the server parsed itself: right ones pass as they are, wrong ones are mended, at every cut."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.cases import read_tool
from support.cuts import Cuts, cut_at, few_cuts, joined, per_character
from support.streams import (
    DONE,
    EVERY_ENGINE,
    LLAMA_CPP,
    Engine,
    Message,
    byte_cuts,
    read_answer,
    send,
)
from toolstream import StreamRewriter, rewrite_completion

Json = dict[str, Any]

TOOLS = [
    read_tool(line)
    for line in (
        "ls(path: string, limit?: integer, all?: boolean, ratio?: number, names?: array, filter?: object)",
        "write(path: string, content: string)",
        'tag(any: string|integer, maybe?: string|null, list?: {"type": "array", "items": {"type": "object",'
        ' "properties": {"done": {"type": "boolean"}, "text": {"type": "string"}}}})',
        'str_replace_editor(command: {"enum": ["view", "str_replace"]}, path: string)',
        "refresh()",
    )
]
ASKED = {"model": "qwen", "stream": True, "messages": [], "tools": TOOLS}


def delta(arguments: Any = "", index: Any = 0, **more: Any) -> Json:
    """A further delta of a call; `name` makes it a first one."""
    function: Json = {"arguments": arguments}
    if "name" in more:
        function = {"name": more.pop("name")} | function
        more = {"id": f"id-{index}", "type": "function"} | more
    return {k: v for k, v in ({"index": index} | more | {"function": function}).items() if v is not ...}


def without_dots(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_dots(v) for k, v in value.items() if v is not ...}
    return [without_dots(v) for v in value] if isinstance(value, list) else value


def call(name: str, pieces: list[str], index: int = 0) -> list[Json]:
    """A call as most servers stream it."""
    return [delta("", index, name=name), *(delta(piece, index) for piece in pieces)]


def events(deltas: list[Json], finish: str | None = "tool_calls", engine: Engine = LLAMA_CPP) -> list[bytes]:
    chunks = [engine.chunk((0, {"tool_calls": [without_dots(d)]}, None)) for d in deltas]
    return [*engine.open(), *chunks, *engine.ending(finish)]


def streamed(
    deltas: list[Json], finish: str | None = "tool_calls", **asked: Any
) -> tuple[Message, list[str]]:
    """The message a client reads, and the repairs."""
    out, rewriter = send(events(deltas, finish), ASKED | asked)
    return read_answer(out).message, sorted(map(str, rewriter.ledger.repairs.elements()))


def whole(
    calls: list[Json], finish: str = "tool_calls", content: Any = None
) -> tuple[Json, Json, list[str], bool]:
    """The choice of an answer not streamed, its message, the repairs, and whether nothing changed."""
    message = {"role": "assistant", "content": content, "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = json.dumps({"id": "x", "object": "chat.completion", "choices": [choice]}).encode()
    out, ledger = rewrite_completion(ASKED, body)
    assert ledger.failure == ""
    choice = json.loads(out)["choices"][0]
    return choice, choice["message"], sorted(map(str, ledger.repairs.elements())), out is body


def parsed(calls: list[Json]) -> list[tuple[str, Any]]:
    return [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in calls]


# Arguments: tool, what the server says, what the client gets, the repairs

MENDED = [
    # F01
    ("ls", '{}{"path":"a"}', {"path": "a"}, ["repeated-arguments"]),
    ("ls", '{"path":"a"}{"path":"a"}', {"path": "a"}, ["repeated-arguments"]),
    ("ls", '{"path":"a"}\n{"path": "a"}{"path":"a"}', {"path": "a"}, ["repeated-arguments"]),
    ("ls", '{"path":"a"}{"path":"a","limit":5}', {"path": "a"}, ["repeated-arguments"]),
    # F02
    (
        "ls",
        '"{\\"path\\": \\"a\\\\nb\\", \\"limit\\": \\"5\\"}"',
        {"path": "a\nb", "limit": 5},
        ["double-encoded", "wrong-type"],
    ),
    ("ls", '"{\\"path\\": \\"\\ud83d\\ude00\\"}"', {"path": "😀"}, ["double-encoded"]),
    ("ls", json.dumps(json.dumps('{"path": "a\\nb"}')), {"path": "a\nb"}, ["double-encoded"]),
    # F03
    ("ls", '{"path=src/a=b":""}', {"path": "src/a=b"}, ["damaged-key"]),
    ("ls", '{"limit=5": "", "path":"x"}', {"limit": 5, "path": "x"}, ["damaged-key"]),
    ("ls", '{"path":"a.py\\n</parameter>"}', {"path": "a.py"}, ["stray-closer"]),
    ("ls", '{"path":"a.py\\n</parameter", "limit": 1}', {"path": "a.py", "limit": 1}, ["stray-closer"]),
    ("ls", '{"path":"a.py\\n\\u003c/parameter\\u003e\\n"}', {"path": "a.py"}, ["stray-closer"]),
    # F06, F14
    ("ls", '{"path":"a","limit":"5"}', {"path": "a", "limit": 5}, ["wrong-type"]),
    (
        "ls",
        '{"path":"a","all":"True","ratio":"1.10"}',
        {"path": "a", "all": True, "ratio": 1.1},
        ["wrong-type"],
    ),
    ("ls", '{"names":"[\\"x\\", \\"y\\"]","path":"a"}', {"names": ["x", "y"], "path": "a"}, ["wrong-type"]),
    (
        "ls",
        '{"names":"[\'x\']","filter":"{\\"a\\": 1}"}',
        {"names": ["x"], "filter": {"a": 1}},
        ["wrong-type"],
    ),
    (
        "write",
        '{"path":"a","content":{"a": [1.10, "x"]}}',
        {"path": "a", "content": '{"a": [1.10, "x"]}'},
        ["wrong-type"],
    ),
    ("write", '{"path":5,"content":true}', {"path": "5", "content": "true"}, ["wrong-type"]),
    ("write", '{"path":"a","content":["é\\n"]}', {"path": "a", "content": '["é\\n"]'}, ["wrong-type"]),
    ("tag", '{"list":[{"done":"true","text":1}]}', {"list": [{"done": True, "text": "1"}]}, ["wrong-type"]),
    ("tag", '{"list":"[{\\"done\\":\\"no\\"}]"}', {"list": [{"done": "no"}]}, ["wrong-type"]),
    ("ls", '{"limit":5.0}', {"limit": 5}, ["wrong-type"]),
    ("ls", '{"limit":""}', {}, ["wrong-type"]),
    # F11
    ("ls", '{"path":"a",}', {"path": "a"}, ["json-repaired"]),
    ("ls", '{"names":[1,2,],"path":"a"}', {"names": [1, 2], "path": "a"}, ["json-repaired"]),
    ("ls", '{"path":"a\nb"}', {"path": "a\nb"}, ["json-repaired"]),
    ("ls", '{"path":"C:\\users\\d"}', {"path": "C:\\users\\d"}, ["json-repaired"]),
    ("ls", '{"path":"C:\\repo\\src\\app.ts"}', {"path": "C:\\repo\\src\\app.ts"}, ["json-repaired"]),
    ("ls", '{"path":"..\\src\\features\\nav.ts"}', {"path": "..\\src\\features\\nav.ts"}, ["json-repaired"]),
    ("ls", '{"path":"C:\\Users\\u1234\\x"}', {"path": "C:\\Users\\u1234\\x"}, ["json-repaired"]),
    ("ls", '{"path":"C:\\new\\bin x\\s\\\\n"}', {"path": "C:\new\bin x\\s\\n"}, ["json-repaired"]),
    ("ls", '{"path":"a","names":["C:\\new\\s"]}', {"path": "a", "names": ["C:\\new\\s"]}, ["json-repaired"]),
    ("ls", '{"path":"C:\\\\new\\new\\src"}', {"path": "C:\\new\new\\src"}, ["json-repaired"]),
    ("ls", '{"path":"see C:\\new\\src"}', {"path": "see C:\new\\src"}, ["json-repaired"]),
    ("ls", '{"path":"\\d+\\n"}', {"path": "\\d+\n"}, ["json-repaired"]),
    ("ls", '{"path":"a","all":True}', {"path": "a", "all": True}, ["json-repaired"]),
    ("ls", "{'path': 'a', 'limit': 5}", {"path": "a", "limit": 5}, ["json-repaired"]),
    (
        "ls",
        "{\"path\": \"a\", 'names': ['x', {'y': 1}]}",
        {"path": "a", "names": ["x", {"y": 1}]},
        ["json-repaired"],
    ),
    ("ls", '{"path": "a", names: ["x"]}', {"path": "a", "names": ["x"]}, ["json-repaired"]),
    (
        "ls",
        '{"filter": {"x": [1, \'b\']}, "path": "a"}',
        {"filter": {"x": [1, "b"]}, "path": "a"},
        ["json-repaired"],
    ),
    ("ls", '{"path":"a"', {"path": "a"}, ["json-repaired"]),
    ("ls", '{"path":"a"}}', {"path": "a"}, ["stray-closer"]),
    ("ls", '{"path":"a"}\n</parameter>\n</function>', {"path": "a"}, ["stray-closer"]),
    # F12
    ("ls", "<parameter=path>**</parameter>", {"path": "**"}, ["xml-arguments"]),
    (
        "ls",
        "<parameter=path>\n a\n\n</parameter>\n<parameter=limit>\n5\n</parameter>\n</function>\n</tool_call>",
        {"path": " a\n", "limit": 5},
        ["xml-arguments"],
    ),
    (
        "ls",
        "\n<function=ls>\n<parameter=path>\na\n</parameter>\n</function>",
        {"path": "a"},
        ["xml-arguments"],
    ),
    (
        "ls",
        "<tool_call>\n<function=ls>\n<parameter=path>\na\n</parameter>\n</function>\n</tool_call>",
        {"path": "a"},
        ["xml-arguments"],
    ),
    ("unknown", "<parameter=path>\na\n</parameter>", {"path": "a"}, ["xml-arguments"]),
    ("ls", '"<parameter=path>\\na\\n</parameter>"', {"path": "a"}, ["double-encoded", "xml-arguments"]),
    # E07
    ("refresh", "", {}, ["call-shape"]),
    ("refresh", "null", {}, ["call-shape"]),
    # something is missing at the beginning, or too much at a key
    ("ls", '"path":"a"}', {"path": "a"}, ["json-repaired"]),
    ("ls", 'path": "a", "limit": 5}', {"path": "a", "limit": 5}, ["json-repaired"]),
    ("ls", '"limit":5,"path":"a"', {"path": "a", "limit": 5}, ["json-repaired"]),
    ("ls", '{""path": "a"}', {"path": "a"}, ["json-repaired"]),
    ("ls", '{"path"": "a", "limit"": 5}', {"path": "a", "limit": 5}, ["json-repaired"]),
    # line breaks as they are written in a string
    ("ls", '{\\n  "path": "a",\\n  "limit": 5\\n}', {"path": "a", "limit": 5}, ["json-repaired"]),
    ("ls", '{"path": "a\\\\n",\\t"limit": 5}', {"path": "a\\n", "limit": 5}, ["json-repaired"]),
    # one wrong mark
    ("ls", '{"path":"a"; "limit":5}', {"path": "a", "limit": 5}, ["json-repaired"]),
    ("ls", '{"path":"a" "limit":5}', {"path": "a", "limit": 5}, ["json-repaired"]),
    ("ls", '{"path"= "a"}', {"path": "a"}, ["json-repaired"]),
    ("ls", '{"path":"a", “limit": 5}', {"path": "a", "limit": 5}, ["json-repaired"]),
    ("write", '{"path":"a","content":“b\\n"}', {"path": "a", "content": "b\n"}, ["json-repaired"]),
    ("ls", '{"path":"a","names":["b"}', {"path": "a", "names": ["b"]}, ["json-repaired"]),
    ("ls", '{"path":"a","names":["b"]]}', {"path": "a", "names": ["b"]}, ["json-repaired"]),
    ("ls", '{"path":"a">', {"path": "a"}, ["json-repaired"]),
    # one object in another
    ("ls", '{"arguments": {"path": "a"}}', {"path": "a"}, ["nested-arguments"]),
    ("ls", '{"arguments": {"arguments": {"path": "a"}}}', {"path": "a"}, ["nested-arguments"]),
    ("ls", '{"arguments": "{\\"path\\": \\"a\\"}"}', {"path": "a"}, ["nested-arguments"]),
    ("ls", '{"name": "ls", "arguments": {"path": "a"}}', {"path": "a"}, ["nested-arguments"]),
    # tags that repeat the names, or are other ones
    ("ls", '{"path":"a.py\\n</parameter=path>"}', {"path": "a.py"}, ["stray-closer"]),
    ("ls", '{"path":"a.py\\n</parameter=path>\\n</function=ls>"}', {"path": "a.py"}, ["stray-closer"]),
    (
        "ls",
        '{"path":"a.py\\n</parameter>\\n</execution>\\n</tool_call>"}',
        {"path": "a.py"},
        ["stray-closer"],
    ),
    (
        "ls",
        '{"path":"a.py\\n</parameter=path>\\n<parameter=limit>\\n5\\n</parameter=limit>"}',
        {"path": "a.py", "limit": 5},
        ["swallowed-call"],
    ),
    (
        "ls",
        "<parameter=path>\na\n</parameter=path>\n<parameter=limit>\n5\n</parameter=limit>\n</function=ls>",
        {"path": "a", "limit": 5},
        ["xml-arguments"],
    ),
]


@pytest.mark.parametrize(("name", "arguments", "expected", "repairs"), MENDED)
def test_mended(name: str, arguments: str, expected: Json, repairs: list[str], thorough: bool) -> None:
    places = range(1, len(arguments), 1 if thorough else 3)
    for pieces in [*few_cuts(arguments), *(cut_at(arguments, [n]) for n in places)]:
        message, seen = streamed(call(name, pieces))
        assert message.named == [(name, expected)], pieces
        assert seen == repairs
        assert message.finish == "tool_calls"
    choice, message_json, seen, _ = whole(
        [{"id": "a", "type": "function", "function": {"name": name, "arguments": arguments}}]
    )
    assert parsed(message_json["tool_calls"]) == [(name, expected)]
    assert seen == repairs
    assert choice["finish_reason"] == "tool_calls"


RIGHT = [
    ("ls", '{"path":"a"}'),
    ("ls", '{"path":"timeout 7\\n7","echo X\\n</parameter":""}'),  # F03: who knows what it was
    ("ls", '{"path":"a","__proto__":"b"}'),
    ("ls", ' { "path" : "a\\n\\u003c\\ud83d\\ude00" , "limit":-5 }\n'),
    (
        "ls",
        '{"path":"a","limit":7,"all":false,"ratio":1.10,"names":[],"filter":{"x":{"y":[1,"</parameter>"]}}}',
    ),
    ("refresh", "{}"),
    ("refresh", "{ }"),
    ("write", '{"path":"a","content":"x</parameter> y \\n</parameter>\\n z </function>\\n"}'),
    ("write", '{"path":"a","content":"<parameter=x>\\n1\\n</parameter>"}'),
    (
        "write",
        '{"path":"a","content":"<tool_call>\\n<function=ls>\\n<parameter=path>\\n.\\n</parameter>\\n</function>\\n</tool_call>"}',
    ),
    ("write", '{"path":"</parameter>","content":"{\\"a\\": 1}"}'),
    ("write", '{"path":"a","content":"x\\n</parameter>\\n</execution>\\n"}'),
    ("write", '{"path":"a","content":"x </parameter=path>\\n"}'),
    ("write", '{"path":"a=b","content":"5"}'),
    ("tag", '{"any":5}'),
    ("tag", '{"any":"5","maybe":null,"list":[{"done":true,"text":"1"},{}]}'),
    ("ls", '{"path":"a","limit":"many"}'),  # cannot be read as an integer: the client's validator answers
    ("ls", '{"path":"a","other=1":""}'),
    ("unknown", '{"path":"a","limit":"5"}'),
    ("ls", '{"path":"a","filter":{"path=1":""},"limit":5}'),
]


@pytest.mark.parametrize(("name", "arguments"), RIGHT)
def test_right_ones_pass_as_they_are(name: str, arguments: str, thorough: bool) -> None:
    places = range(1, len(arguments), 1 if thorough else 3)
    for pieces in [*few_cuts(arguments), *(cut_at(arguments, [n]) for n in places)]:
        sent = events(call(name, pieces))
        out, rewriter = send(sent, ASKED)
        assert out == b"".join(sent), pieces
        assert not rewriter.ledger.repairs
    entry = {"id": "a", "type": "function", "function": {"name": name, "arguments": arguments}}
    assert whole([entry])[3]


RIGHT = [
    ("ls", ['{"pa', 'th":"', "a", '"', ',"li', 'mit":5}']),
    ("refresh", ["{}"]),
    ("ls", ['{"path":"b"}']),
]


@pytest.mark.parametrize("engine", [e for e in EVERY_ENGINE if e.clean_calls], ids=str)
def test_right_ones_of_every_engine_at_every_byte(engine: Engine) -> None:
    body = b"".join(engine.answer(["Let me ", "see."], "tool_calls", RIGHT))
    for cut in byte_cuts(body, every=17, random_cuts=5):
        out, rewriter = send(cut, ASKED)
        assert out == body
        assert not rewriter.ledger.repairs


@pytest.mark.parametrize("engine", [e for e in EVERY_ENGINE if not e.clean_calls], ids=str)
def test_those_that_say_more_than_need_be_are_the_same_at_every_byte(engine: Engine) -> None:
    body = b"".join(engine.answer(["Let me ", "see."], "tool_calls", RIGHT))
    named = [(name, json.loads("".join(fragments))) for name, fragments in RIGHT]
    for cut in byte_cuts(body, every=43, random_cuts=5):
        out, rewriter = send(cut, ASKED)
        assert read_answer(out).message.said == ("Let me see.", "", named, "tool_calls", "")
        assert rewriter.ledger.repairs.keys() <= {"call-shape"}


BROKEN = [
    ("ls", '{"path":"a"', "length"),
    ("ls", '{"limit":5', "tool_calls"),
    ("write", '{"path":"a"', "tool_calls"),
    ("ls", '{"path":"say "hi now"}', "tool_calls"),
    ("ls", '{"path":"a"}, "limit": 5}', "tool_calls"),
    ("ls", "[1, 2]", "tool_calls"),
    ("ls", "path=a", "tool_calls"),
    (
        "ls",
        '<malformed_json_arguments>{"name": "ls", "arguments": 1}\n</parameter>\n</function>',
        "tool_calls",
    ),
    ("ls", "<", "stop"),
    ("ls", '"text"', "tool_calls"),
    ("ls", '{"path":"a","names":["b" "c}', "tool_calls"),
    ("ls", '{"path":"a, "limit":5}', "tool_calls"),  # what is wrong has left already
    ("ls", '{"path":"a"; "pfad":"b"}', "tool_calls"),
    ("ls", "{'pfad': 'a'}", "tool_calls"),
    ("ls", '{"path":"a\\n</parameter>\\n</function>\\n</tool_call>\\n<tool_call>', "length"),
]


@pytest.mark.parametrize(("name", "arguments", "finish"), BROKEN)
def test_what_is_not_certain_stays_and_nobody_is_told_to_run_it(
    name: str, arguments: str, finish: str
) -> None:
    for pieces in few_cuts(arguments):
        sent = events(call(name, pieces), finish)
        out, rewriter = send(sent, ASKED)
        message = read_answer(out).message
        assert message.finish == "length"
        assert [(c.name, c.arguments) for c in message.calls] == [(name, arguments)]
        assert not rewriter.ledger.repairs
        assert bool(rewriter.ledger.refused) == (finish != "length")
    entry = {"id": "a", "type": "function", "function": {"name": name, "arguments": arguments}}
    choice, message_json, repairs, _ = whole([entry], finish)
    assert choice["finish_reason"] == "length"
    assert message_json["tool_calls"] == [entry]
    assert repairs == []


# F04: what was swallowed

SWALLOWED = [
    (
        "a.py\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=refresh>\n</function>\n</tool_call>",
        [("ls", {"path": "a.py"}), ("refresh", {})],
    ),
    (
        "a.py</parameter>\n<parameter=limit>\n5\n</parameter>\n</function>\n</tool_call>\n"
        "<tool_call>\n<function=ls>\n<parameter=path>\nb\n</parameter>\n<parameter=all>\ntrue",
        [("ls", {"path": "a.py", "limit": 5}), ("ls", {"path": "b", "all": True})],
    ),
    ("a.py</parameter>\n<parameter=limit>\n5", [("ls", {"path": "a.py", "limit": 5})]),
]


@pytest.mark.parametrize(("value", "expected"), SWALLOWED)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_swallowed_calls_are_calls_of_their_own(value: str, expected: list[Any], ascii_only: bool) -> None:
    arguments = json.dumps({"path": value})
    if ascii_only:
        arguments = arguments.replace("<", "\\u003c").replace(">", "\\u003e")
    for pieces in few_cuts(arguments):
        message, repairs = streamed([*call("ls", pieces), *call("refresh", ["{}"], 1)])
        assert sorted(map(str, message.named)) == sorted(map(str, [*expected, ("refresh", {})]))
        assert "swallowed-call" in repairs
    choice, message_json, _, _ = whole(
        [{"id": "a", "type": "function", "function": {"name": "ls", "arguments": arguments}}]
    )
    assert parsed(message_json["tool_calls"]) == expected
    assert choice["finish_reason"] == "tool_calls"


NOT_SWALLOWED = [
    "a.py\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=unknown>\n</function>",
    "a.py\n</parameter>\n</function>\nand so on",
    "see </parameter>\n<parameter=colour>\nred",
    "<parameter=path>\na\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=refresh>\n</function>",
    "one</parameter>\n<parameter=path>\ntwo",
]


@pytest.mark.parametrize("value", NOT_SWALLOWED)
def test_a_document_about_calls_is_an_argument(value: str) -> None:
    for pieces in few_cuts(json.dumps({"path": value})):
        sent = events(call("ls", pieces))
        assert send(sent, ASKED)[0] == b"".join(sent)


# F05: names

NAMES = [
    ("ls\n</parameter", "ls", {}),
    ("<function=ls", "ls", {}),
    ("<function=ls>", "ls", {}),
    (" ls ", "ls", {}),
    ("functions.ls", "ls", {}),
    ("functions.ls:0", "ls", {}),
    ("default_api:LS", "ls", {}),
    ("str_replace\n</parameter", "str_replace_editor", {"command": "str_replace"}),
    ("view</function", "str_replace_editor", {"command": "view"}),
]


@pytest.mark.parametrize(("sent", "name", "more"), NAMES)
def test_polluted_names(sent: str, name: str, more: Json) -> None:
    for pieces in few_cuts('{"path":"a"}'):
        message, repairs = streamed(call(sent, pieces))
        assert message.named == [(name, more | {"path": "a"})]
        assert repairs == ["name-normalised"]


@pytest.mark.parametrize("name", ["unknown", "lsx", "rm -rf"])
def test_other_names_are_left(name: str) -> None:
    sent = events(call(name, ['{"path":"a"}']))
    assert send(sent, ASKED)[0] == b"".join(sent)


def test_a_name_in_pieces_is_one() -> None:
    deltas = [
        delta("", name="str_repl"),
        delta(..., name="ace_editor", id=..., type=...),
        delta('{"path":"a"}'),
    ]
    message, _ = streamed(deltas)
    assert message.named == [("str_replace_editor", {"path": "a"})]


def test_an_empty_name_is_left() -> None:
    _, rewriter = send(events([delta("", name=""), delta('{"path":"a"}')]), ASKED)
    assert rewriter.ledger.failure == ""


# E: envelopes. The deltas, and the calls they are

ENVELOPES = {
    "E04 no id": ([delta(name="ls", id=...), delta('{"path":"a"}')], 1),
    "E04 null id": ([delta(name="ls", id=None), delta('{"path":"a"}')], 1),
    "E04 empty id": ([delta(name="ls", id=""), delta('{"path":"a"}')], 1),
    "E04 one id for all": (
        [delta('{"path":"a"}', name="ls", id="0"), delta('{"path":"b"}', 1, name="ls", id="0")],
        2,
    ),
    "E04 an id of the history": ([delta(name="ls", id="old"), delta('{"path":"a"}')], 1),
    "E05 empty id": ([delta(name="ls"), delta('{"path":"', id=""), delta('a"}', id="")], 1),
    "E05 nulls": (
        [
            delta(name="ls"),
            {
                "index": 0,
                "id": None,
                "type": "function",
                "function": {"name": None, "arguments": '{"path":"a"}'},
            },
        ],
        1,
    ),
    "E05 null as text": ([delta(name="ls"), delta('{"path":"a"}', name="null", id="", type="FUNCTION")], 1),
    "E05 name repeated": ([delta(name="ls"), delta('{"pa', name="ls"), delta('th":"a"}', name="ls")], 1),
    "E05 another id per delta": ([delta(name="ls"), delta('{"pa', id="x"), delta('th":"a"}', id="y")], 1),
    "E05 a last empty delta": (
        [delta(name="ls"), delta('{"path":"a"}'), {"index": 0, "function": {}, "id": "", "type": "function"}],
        1,
    ),
    "E06 no index": (
        [
            delta(index=..., name="ls", id="a"),
            delta('{"path":"a"}', ...),
            delta(index=..., name="ls", id="b"),
            delta('{"path":"b"}', ...),
        ],
        2,
    ),
    "E06 null index": (
        [delta('{"path":"a"}', None, name="ls", id="a"), delta('{"path":"b"}', None, name="ls", id="b")],
        2,
    ),
    "E06 always 0": (
        [delta(name="ls", id="a"), delta('{"path":"a"}'), delta(name="ls", id="b"), delta('{"path":"b"}')],
        2,
    ),
    "E06 always 0, no ids": (
        [delta('{"path":"a"}', name="ls", id=...), delta('{"path":"b"}', name="ls", id=...)],
        2,
    ),
    "E06 from 1": ([delta(index=1, name="ls"), delta('{"path":"a"}', 1)], 1),
    "E06 with a gap": (
        [delta('{"path":"a"}', name="ls"), delta(index=5, name="ls"), delta('{"path":"b"}', 5)],
        2,
    ),
    "E07 null": ([delta(None, name="ls"), delta('{"path":"a"}'), delta(None)], 1),
    "E07 an object": ([delta({"path": "a"}, name="ls")], 1),
    "E13 objects, all 0": (
        [delta({"path": "a"}, name="ls", id="a"), delta({"path": "b"}, name="ls", id="b")],
        2,
    ),
    "E15 one id twice": (
        [delta('{"path":"a"}', name="ls", id="a"), delta('{"path": "a"}', 1, name="ls", id="a")],
        1,
    ),
    "E15 one delta twice": ([delta('{"path":"a"}', name="ls"), delta('{"path":"a"}', name="ls")], 1),
    "no type": ([delta(name="ls", type=...), delta('{"path":"a"}')], 1),
    "empty type": ([delta(name="ls", type=""), delta('{"path":"a"}')], 1),
    "B07 name later": ([delta(name=""), delta(name="ls", id=...), delta('{"path":"a"}')], 1),
    "name behind the arguments": ([delta('{"pa', name=None), delta('th":"a"}', name="ls")], 1),
}


@pytest.mark.parametrize("case", ENVELOPES)
def test_envelopes(case: str) -> None:
    deltas, count = ENVELOPES[case]
    history = [
        {"role": "assistant", "tool_calls": [{"id": "old", "function": {"name": "ls", "arguments": "{}"}}]}
    ]
    body = b"".join(events(deltas))
    expected = [("ls", {"path": path}) for path in "ab"[:count]]
    for cut in byte_cuts(body, every=97, random_cuts=3):
        out, rewriter = send(cut, ASKED | {"messages": history})
        message = read_answer(out).message
        assert message.named == expected
        assert message.finish == "tool_calls"
        assert all(c.id != "old" for c in message.calls)
        assert rewriter.ledger.repairs


def test_arguments_that_only_come_later_are_no_fault() -> None:
    """So does vLLM write every call."""
    body = b"".join(events([delta(..., name="ls"), delta('{"path":"a"}')]))
    out, rewriter = send([body], ASKED)
    assert out == body
    assert not rewriter.ledger.repairs


def test_e07_no_arguments_before_another_call() -> None:
    message, _ = streamed([delta(name="refresh"), delta("", 1, name="refresh"), delta("", 1)])
    assert message.named == [("refresh", {}), ("refresh", {})]


def test_e14_an_object_for_the_list() -> None:
    chunks = [LLAMA_CPP.chunk((0, {"tool_calls": d}, None)) for d in call("ls", ['{"path":', '"a"}'])]
    out, _ = send([*LLAMA_CPP.open(), *chunks, *LLAMA_CPP.ending("tool_calls")], ASKED)
    assert read_answer(out).message.named == [("ls", {"path": "a"})]


def test_f09_a_legacy_function_call() -> None:
    deltas = [
        {"function_call": {"name": "ls", "arguments": ""}},
        {"function_call": {"arguments": '{"path":"a"}'}},
    ]
    chunks = [LLAMA_CPP.chunk((0, d, None)) for d in deltas]
    out, _ = send([*LLAMA_CPP.open(), *chunks, *LLAMA_CPP.ending("function_call")], ASKED)
    message = read_answer(out).message
    assert (message.named, message.finish) == ([("ls", {"path": "a"})], "tool_calls")


def test_f09_a_legacy_function_call_of_an_answer_in_one_piece() -> None:
    legacy = {"name": "ls", "arguments": '{"path": "a"}'}
    message = {"role": "assistant", "content": None, "function_call": legacy}
    body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "function_call"}]})
    (choice,) = json.loads(rewrite_completion(ASKED, body.encode())[0])["choices"]
    assert choice["message"]["function_call"] is None
    assert [call["function"] for call in choice["message"]["tool_calls"]] == [legacy]
    assert choice["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
def test_e01_finish_reason(finish: str) -> None:
    message, _ = streamed(call("ls", ['{"path":"a"}']), finish)
    assert message.finish == "tool_calls"


def test_call_and_finish_in_one_chunk() -> None:
    chunk = LLAMA_CPP.chunk((0, {"tool_calls": [delta('{"path":"a","limit":"5"}', name="ls")]}, "tool_calls"))
    out, _ = send([*LLAMA_CPP.open(), chunk, DONE], ASKED)
    message = read_answer(out).message
    assert (message.named, message.finish) == ([("ls", {"path": "a", "limit": 5})], "tool_calls")


IN_ONE_CHUNK = {
    "arguments that change": ([delta('{"limit":"5"}', name="ls")], ["wrong-type"]),
    "a call without a type": ([delta('{"path":"a"}', name="ls", type=...)], ["call-shape"]),
    "an element that is left out": (
        [delta('{"path":"a"}', name="ls"), delta(None)],
        ["call-shape"],
    ),
    "nothing that changes": ([delta('{"path":"a"}', name="ls")], []),
}


@pytest.mark.parametrize("case", IN_ONE_CHUNK)
def test_only_the_calls_of_a_chunk_that_change_count(case: str) -> None:
    before, repairs = IN_ONE_CHUNK[case]
    right = delta("{}", 1, name="refresh")
    chunk = LLAMA_CPP.chunk((0, {"tool_calls": without_dots([*before, right])}, None))
    out, rewriter = send([*LLAMA_CPP.open(), chunk, *LLAMA_CPP.ending("tool_calls")], ASKED)
    assert [name for name, _ in read_answer(out).message.named] == ["ls", "refresh"]
    assert sorted(map(str, rewriter.ledger.repairs.elements())) == repairs


@pytest.mark.parametrize("finish", ["stop", "tool_calls"])
def test_whole_envelopes(finish: str) -> None:
    function = {"name": "ls", "arguments": {"path": "a", "limit": "5"}}
    calls = [
        {"function": function},
        {"id": "", "type": "function", "function": {"name": "refresh", "arguments": None}},
    ]
    choice, message, _, _ = whole(calls, finish)
    assert parsed(message["tool_calls"]) == [("ls", {"path": "a", "limit": 5}), ("refresh", {})]
    assert len({c["id"] for c in message["tool_calls"]}) == 2
    assert {c["type"] for c in message["tool_calls"]} == {"function"}
    assert "index" not in message["tool_calls"][0]
    assert choice["finish_reason"] == "tool_calls"


# Snapshots: each delta repeats all before it


def test_f01_cumulative_snapshots() -> None:
    text = '{"path":"a b","limit":5}'
    message, repairs = streamed(call("ls", [text[:n] for n in (2, 8, 11, 11, 20, len(text), len(text))]))
    assert message.named == [("ls", {"path": "a b", "limit": 5})]
    assert repairs == ["repeated-arguments"]


def test_a_delta_that_begins_like_the_ones_before_is_no_snapshot() -> None:
    sent = events(call("ls", ['{"filter":', '{"filter":1}', "}"]))
    assert send(sent, ASKED)[0] == b"".join(sent)


# F07: the same call as text

LEAKED = "<tool_call>\n<function=ls>\n<parameter=path>\na\n</parameter>\n</function>\n</tool_call>"


@pytest.mark.parametrize("native", [["a"], ["a", "b"]])
def test_f07_a_copy_in_the_text(native: list[str]) -> None:
    calls = [d for at, path in enumerate(native) for d in call("ls", ['{"path":', f'"{path}"', "}"], at)]
    natives = [LLAMA_CPP.chunk((0, {"tool_calls": [d]}, None)) for d in calls]
    for pieces in few_cuts("Look:\n\n" + LEAKED):
        texts = [LLAMA_CPP.text(piece) for piece in pieces]
        for order in ([*texts, *natives], [*natives, *texts]):
            out, rewriter = send([*LLAMA_CPP.open(), *order, *LLAMA_CPP.ending("stop")], ASKED)
            message = read_answer(out).message
            assert message.named == [("ls", {"path": path}) for path in native]
            assert message.text.strip() == "Look:"
            assert rewriter.ledger.repairs["duplicate-call"] == 1
    entries = [
        {"id": p, "type": "function", "function": {"name": "ls", "arguments": f'{{"path":"{p}"}}'}}
        for p in native
    ]
    _, message_json, repairs, _ = whole(entries, content="Look:\n\n" + LEAKED)
    assert message_json["tool_calls"] == entries
    assert message_json["content"] == "Look:"
    assert "duplicate-call" in repairs


def test_another_call_in_the_text_is_one_more() -> None:
    text, natives = LLAMA_CPP.text(LEAKED), LLAMA_CPP.calls([("ls", ['{"path":"b"}'])])
    for order in ([text, *natives], [*natives, text]):
        out, rewriter = send([*LLAMA_CPP.open(), *order, *LLAMA_CPP.ending("stop")], ASKED)
        assert sorted(map(str, read_answer(out).message.named)) == [
            "('ls', {'path': 'a'})",
            "('ls', {'path': 'b'})",
        ]
        assert rewriter.ledger.repairs["duplicate-call"] == 0


# Live


def test_values_stream() -> None:
    pieces = ['{"path":"a","content":"', *(f"line {n} " for n in range(20)), '"}']
    sent = events(call("write", pieces))
    _, rewriter = send([], ASKED)
    rewriter = StreamRewriter(ASKED)
    for event in sent[:-4]:
        assert b"".join(rewriter.feed(event)) == event


def test_text_behind_empty_arguments_is_not_kept_waiting() -> None:
    rewriter = StreamRewriter(ASKED)
    for event in [*LLAMA_CPP.open(), *LLAMA_CPP.calls([("refresh", ["{}"])])]:
        rewriter.feed(event)
    assert b"and now" in b"".join(rewriter.feed(LLAMA_CPP.text("and now")))


def test_without_json_repair_the_rest_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolstream.schema.lenient_json.repair_json", None)
    message, _ = streamed(call("ls", ["{path: a.py}"]))
    assert message.finish == "length"
    message, _ = streamed(call("ls", ['{"path":"a",}']))
    assert message.named == [("ls", {"path": "a"})]


# Anything

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "path": st.text(max_size=20),
    "limit": st.integers(),
    "all": st.booleans(),
    "ratio": st.floats(allow_nan=False, allow_infinity=False),
    "names": st.lists(st.text(max_size=5) | st.integers(), max_size=3),
    "filter": st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.none(), max_size=3),
}
ARGUMENTS = st.fixed_dictionaries({}, optional=VALUES)


@settings(max_examples=100, deadline=None)
@given(ARGUMENTS, st.booleans(), st.sampled_from([None, 1]), st.data())
def test_arguments_that_fit_pass_at_every_cut(
    value: Json, ascii_only: bool, indent: int | None, data: Any
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=6))
    for pieces in (cut_at(text, places), per_character(text)):
        sent = events(call("ls", pieces))
        out, rewriter = send(sent, ASKED)
        assert out == b"".join(sent)
        assert not rewriter.ledger.repairs


MARKS = [
    '"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\\",
    "\\n",
    "<",
    "'",
    "\n",
    "{}",
    "5",
    "null",
    "True",
    "path",
    "NaN",
    "+5",
]
TAGS = [
    "<parameter=limit>",
    "</parameter>",
    "<function=ls>",
    "</function>",
    "<tool_call>",
    "</tool_call>",
    "</path>",
]
PARTS = [
    '{"path":',
    '{"limit":',
    '"limit":null',
    '"parameter=path":',
    '"path=a":""',
    "\\u00",
    "\\ud83d",
    "\\u003c",
]
PIECES = st.sampled_from([*MARKS, *TAGS, *PARTS]) | st.text(
    st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=3
)


@example(['"', "\\u003c", "\x1f", "\\", "{"], "stop")
@example(['"', "{", "\\u00", "\\u003c"], "stop")
@example(["<function=ls>", "<function=ls>", '"'], "stop")
@example(['"', "<parameter=limit>", "</function>", "{", '"', '"'], "stop")
@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=14), st.sampled_from(["stop", "tool_calls", "length", None]))
def test_garbage_at_every_cut(pieces: list[str], finish: str | None) -> None:
    text = "".join(pieces)
    outcomes = set()
    for cut in (cut_at(text, []), per_character(text), cut_at(text, [len(text) // 2])):
        out, rewriter = send(events(call("ls", cut), finish), ASKED)
        answer = read_answer(out) if finish else None
        ledger = rewriter.ledger.as_dict()
        said = answer and [answer.message.finish, *(joined(c.arguments) for c in answer.message.calls)]
        outcomes.add(str((said, ledger["repairs"], ledger["refused"])))
        if not rewriter.ledger.repairs:
            assert answer is None or joined(answer.message.calls[0].arguments) == text
    assert len(outcomes) == 1 or any("repeated-arguments" in outcome for outcome in outcomes)


# One call and no more

ONE = {"parallel_tool_calls": False}
FIRST, SECOND = ('{"path": "a"}', '{"path": "b"}')


def test_a_second_call_that_the_server_parsed_is_dropped() -> None:
    deltas = [*call("ls", [FIRST]), *call("ls", [SECOND], 1)]
    message, repairs = streamed(deltas, **ONE)
    assert (message.named, message.finish) == ([("ls", {"path": "a"})], "tool_calls")
    assert repairs == ["parallel-dropped"]
    message, repairs = streamed(deltas)
    assert (len(message.named), repairs) == (2, [])


def test_one_call_is_not_one_too_many() -> None:
    sent = events(call("ls", [FIRST]))
    assert send(sent, ASKED | ONE)[0] == b"".join(sent)


@pytest.mark.parametrize("leak_first", [True, False])
def test_a_leaked_call_and_one_that_the_server_parsed(leak_first: bool) -> None:
    said = [LLAMA_CPP.text(piece) for piece in per_character(LEAKED)]
    parsed = [LLAMA_CPP.chunk((0, {"tool_calls": [d]}, None)) for d in call("ls", [SECOND])]
    both = [*said, *parsed] if leak_first else [*parsed, *said]
    out, rewriter = send([*LLAMA_CPP.open(), *both, *LLAMA_CPP.ending("tool_calls")], ASKED | ONE)
    message = read_answer(out).message
    assert message.named == [("ls", {"path": "a" if leak_first else "b"})]
    assert (message.text, message.finish) == ("", "tool_calls")
    assert rewriter.ledger.repairs["parallel-dropped"] == 1
    assert rewriter.ledger.calls == leak_first


def test_an_answer_in_one_piece_keeps_the_first_call() -> None:
    calls = [
        {"id": f"id-{i}", "type": "function", "function": {"name": "ls", "arguments": text}}
        for i, text in enumerate((FIRST, SECOND))
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    body = json.dumps({"choices": [choice]}).encode()
    out, ledger = rewrite_completion(ASKED | ONE, body)
    assert json.loads(out)["choices"][0]["message"]["tool_calls"] == calls[:1]
    assert ledger.as_dict()["repairs"] == {"parallel-dropped": 1}


@pytest.mark.parametrize(
    "prose", ["Let me see.", "\nThat is\n\nit.\n", "ä", " and {more}", " 5", "🎉", '{"path":"b",']
)
def test_prose_behind_the_arguments_is_said(prose: str, cuts: Cuts) -> None:
    for pieces in cuts('{"path":"a"}' + prose):
        message, repairs = streamed(call("ls", pieces))
        assert (message.named, message.text, repairs) == (
            [("ls", {"path": "a"})],
            prose.strip(),
            ["text-in-call"],
        )
        assert message.finish == "tool_calls"
    entry = {"id": "a", "type": "function", "function": {"name": "ls", "arguments": '{"path":"a"}' + prose}}
    choice, message_json, repairs, _ = whole([entry])
    assert (message_json["content"], repairs) == (prose.strip(), ["text-in-call"])
    assert choice["finish_reason"] == "tool_calls"
