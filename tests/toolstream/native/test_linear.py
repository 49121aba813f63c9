"""No arguments take quadratic time: 100 kB of each nasty kind, four characters at a time, in less than a
second."""

# ruff: noqa: RUF001

import json
import time

import pytest

from support.cases import read_tool
from support.streams import LLAMA_CPP, send
from toolstream import Ledger
from toolstream.native.new_arguments import new_arguments
from toolstream.schema.schema import read_tools
from toolstream.schema.toolset import Toolset

SIZE = 100_000
DECLARED = [
    read_tool("ls(path: string, limit?: integer, all?: boolean, names?: array, filter?: object)"),
    read_tool("write(path: string, content: string)"),
]
LS = read_tools(DECLARED)["ls"]
CALL = "<tool_call>\n<function=ls>\n<parameter=path>\nb\n</parameter>\n</function>\n</tool_call>\n"
END = "\\n</parameter>\\n</function>\\n</tool_call>"


def full(text: str) -> str:
    return (text * (SIZE // len(text) + 1))[:SIZE]


def value(text: str) -> str:
    return f'{{"path":"{full(text)}"}}'


def members(text: str) -> str:
    return "{" + ",".join(text.replace("#", str(n)) for n in range(SIZE // (len(text) + 4))) + "}"


NASTY = {
    **{
        f"a value of {text}": value(text)
        for text in ("<b>x</b>\\n", "<", "\\n<", "\\n", "\\r", '\\"', "\\d", "\n")
    },
    **{
        f"escaped, {text}": value(text)
        for text in ("\\u003c", "\\u003c/parameter ", "\\u0041", "\\ud83d\\ude00")
    },
    **{
        f"closing tags, {text}": value(text)
        for text in (
            "</parameter>\\n",
            "</parameter ",
            "</parameter>x",
            "</｜DSML｜",
            "</arg_value>\\n<b>",
            END,
        )
    },
    "opening tags": value("<parameter=x>"),
    "a closing tag in each value": members('"k#":"a</parameter>\\n<x>"'),
    "a call in each value": members('"k#":"a</parameter>\\n<function=x>"'),
    "swallowed parameters": '{"path":"a' + full("</parameter>\\n<parameter=limit>\\n5\\n") + '"}',
    "swallowed calls": '{"path":"a' + END + full(CALL.replace("\n", "\\n")) + '"}',
    "swallowed prose": '{"path":"a</parameter>\\n<x>' + full("some words ") + '"}',
    "encoded": json.dumps(value("<b>x</b>\n")),
    "encoded, deep": json.dumps('{"filter":' + full("[")),
    **{f"no end of {text} in quotes": '"' + full(text) for text in (" ", "\\n", "{ ")},
    "no end of space in an encoded object": '"{' + full(" "),
    "xml": "<parameter=path>\n" + full("some <b> text\n") + "\n</parameter>",
    "dsml": '<｜DSML｜parameter name="path" string="true">' + full("a < b\n"),
    "calls": full(CALL),
    "opening tags of calls": full("<tool_call>"),
    "nothing in an envelope": "<tool_call>\n" + full("word "),
    **{f"nothing but {text}": full(text) for text in ("<", "[", "{", "{}", "no json ", " ", '{"a":', '"k":')},
    **{
        f"space after {text}": text + full(" ")
        for text in ("{", "{}", '{"path":"a",', '{"path"', '{"path":', "null")
    },
    "digits": '{"limit":' + full("1") + "}",
    "one key": '{"' + full("k=") + '":1}',
    "one word": '{"path":' + full("t") + "}",
    "numbers": '{"names":[' + full("1,") + "1]}",
    "objects": '{"names":[' + full('{"a":[]},') + "1]}",
    "commas": '{"names":[' + full("[1,],") + "1]}",
    "Python": '{"names":[' + full("True,") + "None]}",
    "members": members('"k#": 1'),
    "damaged keys": members('"path#=v": ""'),
    "a key again": "{" + full('"limit=5": "",') + '"a":1}',
    "a list in a string": '{"names":"' + full("[1,") + '"}',
    "a list for a string": '{"path":[' + full('1,"a",') + "1]}",
    "lists for strings": "{" + full('"path":[1],') + '"path":[1]}',
    **{
        f"{text} after the object": '{"path":"a"}' + full(text)
        for text in (
            "} ",
            "</tool_call>",
            "<",
            '{"path":"a"}',
            " and",
            CALL,
            "<tool_call>",
            "</ ",
            "<|im_end|>",
        )
    },
    "single quotes": "{'path':'" + full("a ") + "'}",
    "no quotes": "{path: " + full("a ") + "}",
    "no commas": '{"path":"a" ' + full('"b":1 ') + "}",
    "no bracket": '"path":"' + full("a <b>") + '"}',
    "not closed": '{"path":"a","names":[' + full("1,") + "1",
    "snapshots, then not": '{"path":"' + '{"path":"a' + full("b "),
}


@pytest.mark.parametrize("kind", NASTY)
def test_nothing_is_quadratic(kind: str) -> None:
    text, arguments = NASTY[kind], new_arguments(Toolset(DECLARED))(LS, Ledger())
    start = time.process_time()
    for at in range(0, len(text), 4):
        arguments.feed(text[at : at + 4])
        assert arguments.held <= at + 4
    arguments.close(stopped=True)
    assert time.process_time() - start < 1


def pieces(name: str | None, text: str) -> list[bytes]:
    head = {"index": 0, "id": "x", "type": "function", "function": {"name": name, "arguments": ""}}
    deltas = [{"index": 0, "function": {"arguments": text[at : at + 4]}} for at in range(0, len(text), 4)]
    return [LLAMA_CPP.chunk((0, {"tool_calls": [delta]}, None)) for delta in (head, *deltas)]


WAITING = {
    "no name": ([], None, value("a ")),
    "a copy": ([LLAMA_CPP.text(CALL)], "ls", value("a ")),
    "beside text": ([], "ls", value("a ")),
}


@pytest.mark.parametrize("kind", WAITING)
def test_a_call_that_waits_costs_no_more(kind: str) -> None:
    """Twice as much may not take four times as long."""
    before, name, text = WAITING[kind]
    asked = {"model": "qwen", "stream": True, "messages": [], "tools": DECLARED}
    took = []
    for size in (SIZE // 4, SIZE // 2):
        events = [*LLAMA_CPP.open(), *before, *pieces(name, text[:size] + '"}')]
        if kind == "beside text":
            events = [*events[:-200], *(LLAMA_CPP.text("word ") for _ in range(200)), *events[-200:]]
        start = time.process_time()
        send([*events, *LLAMA_CPP.ending("tool_calls")], asked)
        took.append(time.process_time() - start)
    assert took[1] < 3 * took[0] + 0.2
