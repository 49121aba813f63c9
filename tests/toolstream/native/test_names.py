"""Names of a server's calls with more in them: it is used as arguments, or the name stays as it is."""

from json import loads
from typing import Any

import pytest

from support.cases import read_tool
from support.cuts import Cuts
from support.streams import LLAMA_CPP, Message, read_answer, send

TOOLS = [read_tool("list_dir(path?: string, depth?: integer)"), read_tool("bash(command: string)")]
ASKED: dict[str, Any] = {"model": "qwen", "stream": True, "messages": [], "tools": TOOLS}


def answered(name: str, fragments: list[str]) -> tuple[Message, list[str]]:
    """The message that leaves, and the repairs."""
    answer = LLAMA_CPP.calls([(name, fragments)])
    out, rewriter = send([*LLAMA_CPP.open(), *answer, *LLAMA_CPP.ending("tool_calls")], ASKED)
    assert rewriter.ledger.failure == ""
    return read_answer(out).message, sorted(map(str, rewriter.ledger.repairs.elements()))


def sent(name: str, fragments: list[str]) -> tuple[list[tuple[str, Any]], list[str]]:
    """The calls that leave, and the repairs."""
    message, repairs = answered(name, fragments)
    for call in message.calls:
        loads(call.arguments, object_pairs_hook=_once)
    return message.named, repairs


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(members)) == len(members), members
    return dict(members)


READ = {
    'list_dir path="/tmp"': {"path": "/tmp"},
    "list_dir path='/a b' depth=3": {"path": "/a b", "depth": 3},
    'list_dir{"path":"/tmp"}': {"path": "/tmp"},
    'list_dir {"path": "/tmp", "depth": "2"}': {"path": "/tmp", "depth": 2},
    'list_dir(path="/tmp")': {"path": "/tmp"},
    'list_dir(path="/a, b", depth=2)': {"path": "/a, b", "depth": 2},
    'list_dir({"path": "/tmp"})': {"path": "/tmp"},
    "list_dir\n<parameter=path>\n/tmp\n</parameter>": {"path": "/tmp"},
    "list_dir>\n<parameter=path>\n/tmp": {"path": "/tmp"},
    '<function=list_dir path="/tmp">': {"path": "/tmp"},
    # what says nothing
    "list_dir()": {},
    "list_dir\n</parameter>\n</function>": {},
    "list_dir\n<parameter=path>": {},
    "list_dir\n<parameter=": {},
    "list_dir<|channel|>commentary": {},
    "list_dir<|constrain|>json": {},
    "list_dir<|tool_call_argument_begin|>": {},
    "<tool_call>list_dir": {},
    '{"name": "list_dir"': {},
}


@pytest.mark.parametrize("name", READ)
def test_arguments_in_a_name_are_used(name: str) -> None:
    assert sent(name, ["{}"]) == ([("list_dir", READ[name])], ["name-normalised"])


def test_they_stand_beside_those_that_came(cuts: Cuts) -> None:
    for pieces in cuts('{"depth": 2}'):
        expected = [("list_dir", {"path": "/tmp", "depth": 2})]
        assert sent('list_dir path="/tmp"', pieces) == (expected, ["name-normalised"])


@pytest.mark.parametrize("empty", ["", "{}", "null", "[]", '""'])
def test_they_are_all_if_nothing_came(empty: str) -> None:
    assert sent('bash{"command": "ls"}', [empty])[0] == [("bash", {"command": "ls"})]


OWN = {
    '{"path": "/x"}': {"path": "/x"},
    '{"path": "/x", "depth": 2}': {"path": "/x", "depth": 2},
    '{"depth": 2, "path": "/x"}': {"depth": 2, "path": "/x"},
    '{"depth": 2}': {"depth": 2, "path": "/tmp"},
    '{"depth": 2}\n': {"depth": 2, "path": "/tmp"},
    '{"depth": 2,': {"depth": 2, "path": "/tmp"},
    '{"depth": 2,}': {"depth": 2, "path": "/tmp"},
    '{"depth": null}': {"path": "/tmp"},
    '{"depth": 2}}': {"depth": 2, "path": "/tmp"},
    '{"depth": 2}{"depth": 2}': {"depth": 2, "path": "/tmp"},
    '{}{"path": "/x"}': {"path": "/x"},
    '{}{"depth": 2}': {"depth": 2, "path": "/tmp"},
    '{"arguments": {"path": "/x"}}': {"path": "/x"},
    '"{\\"depth\\": 2}"': {"depth": 2, "path": "/tmp"},
    'depth": 2}': {"depth": 2, "path": "/tmp"},
    "<parameter=path>\n/x\n</parameter>": {"path": "/x"},
    "<parameter=depth>\n2\n</parameter>": {"depth": 2, "path": "/tmp"},
}


@pytest.mark.parametrize("text", OWN)
def test_no_key_is_given_twice(text: str, cuts: Cuts) -> None:
    for pieces in cuts(text):
        ((name, arguments),) = sent('list_dir path="/tmp"', pieces)[0]
        assert (name, arguments) == ("list_dir", OWN[text]), pieces


@pytest.mark.parametrize("text", ['{"depth": 2, "pa', '{"depth": 2} and more"}'])
def test_they_are_not_written_into_what_is_no_object(text: str, cuts: Cuts) -> None:
    for pieces in cuts(text):
        message, _ = answered('list_dir path="/tmp"', pieces)
        assert message.finish == "length", pieces


OTHER = [
    "list_dir -la",
    "list_dir, bash",
    'list_dir("/tmp")',
    'list_dir colour="red"',
    'list_dir {"path":',
    'list_dir path="/tmp" and more',
    "list_dir\n<parameter=colour>\nred\n</parameter>",
    "list_dir\n<parameter=path>\n/tmp\n</parameter>\n</function>\n<function=bash>\n</function>",
]


@pytest.mark.parametrize("name", OTHER)
def test_a_name_that_says_more_than_can_be_read_is_left(name: str) -> None:
    assert sent(name, ["{}"]) == ([(name, {})], [])
