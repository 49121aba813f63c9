"""The fast paths only save time: without them, the same comes out of every text, however it is cut."""

import re
from functools import partial
from itertools import product
from typing import Any

import pytest

from qwenproxy.replay.casefile import Case
from support.cases import by_file, read_all, read_tool
from support.checks import parse
from support.outcome import Outcome, run
from toolstream import ToolCallParser
from toolstream.events import ArgumentsDelta
from toolstream.parser import parser as module
from toolstream.parser.parser import STATES
from toolstream.parser.states import State

TOOL = read_tool("f(text: string, any?: any, n?: integer, yes?: boolean, list?: array)")
TAGS = {
    "between": "</parameter>\n<parameter=n>\n",
    "given before": "</parameter>\n<parameter=text>\n",
    "not declared": "</parameter>\n<parameter=other>\n",
    "on one line": "</parameter><parameter=n>",
    "after a blank line": "</parameter>\n\n<parameter=n>\n",
    "within a line": "x</parameter>\n<parameter=n>\n",
    "after an indentation": "  </parameter>\n<parameter=n>\n",
}
BEGINS = (
    "<tool_call>\n<function=f>\n",
    "See:\n<function=f>\n",
    "In the text <tool_call><function=f>",
    "In the text <tool_call>\n<function=f>\n",
    "<f>\n",
    '<invoke name="f">\n',
    '<minimax:tool_call>\n<invoke name="f">\n',
    "<minimax:tool_call>\n<function=f>\n<parameter=text>a\n</parameter>\n",
    '<tool_call>\n<function=f>\n{"text": "a"}</parameter>',
    '<minimax:tool_call>\n<invoke name="f">\n<parameter=text>a\n</parameter>\n',
    "<tool_call>f\n<arg_key>n</arg_key>\n<arg_value>1\n</parameter>\n",
    "<tool_call>\n<function=f>\n<text>\na\n</parameter>\n",
    "<tool_call>\n<function=f>\n<parameter=text>a</parameter>\n",
    "<tool_call>\n<function=f>\n<parameter=text>a\n",
    "<tool_call>\n<function=f>\n<text>\na\n</text>\n",
    '<tool_call>\n<function=f>\n<parameter name="text">\na\n</parameter>\n',
)
STARTS = (
    "I'll look.",
    "I\n",
    "  I",
    "in",
    "invoke",
    "invoke name is a word",
    "tool_call>\n<function=f>\n<parameter=text>\na\n</parameter>\n</function>\n</tool_call>",
    "tool_",
    "parameter=text>\na\n</parameter>",
    'Call f with {"text": "a"}',
    'Calling tool: f({"text": "a"})',
    "Cfunction=f>\n<parameter=text>\na\n</parameter>\n</function>",
    "<function=f>\n<parameter=text>\na\n</parameter>\n</function>",
)
END = "</function>\n</tool_call>"
TEXTS = ("a", "", "1", "<b>", "<parameter=n>\n2\n</parameter>", "<function=f>", "```\n", "</function>\n")


def by_token(text: str) -> list[str]:
    """The text in pieces such as models write: whole special tokens, words, marks."""
    return re.findall(r"</?tool_call>|>\n+|</|\s?\w+|.|\n", text, re.DOTALL)


def by_line(text: str) -> list[str]:
    return text.splitlines(keepends=True)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs what it is given without the fast paths."""

    def without(run: Any, *given: Any) -> Outcome:
        with monkeypatch.context() as patch:
            patch.setattr(module, "FAST_PATHS", {})
            return run(*given)

    return without


@pytest.mark.parametrize("cases", by_file(read_all()).values(), ids=by_file(read_all()).keys())
def test_the_cases(cases: list[Case], slow: Any, thorough: bool) -> None:
    for number, case in enumerate(cases):
        cuts = (by_token(case.input), by_line(case.input))
        for pieces in cuts if thorough else cuts[number % 3 : number % 3 + 1]:
            assert parse(case, pieces, True) == slow(parse, case, pieces, True), f"{case}, cut into {pieces}"


@pytest.mark.parametrize("recovery", ["strict", "tolerant", "aggressive"])
@pytest.mark.parametrize("begins", BEGINS)
def test_the_first_value_of_a_call(begins: str, recovery: str, slow: Any) -> None:
    for value in TEXTS:
        text = f"{begins}<parameter=n>\n{value}\n</parameter>\n<parameter=text>\na\n</parameter>\n{END}"
        for pieces in (by_token(text), by_line(text)):
            read = partial(run, pieces, [TOOL], recovery=recovery)
            assert read() == slow(read), f"cut into {pieces}"


@pytest.mark.parametrize("recovery", ["strict", "tolerant", "aggressive"])
@pytest.mark.parametrize("text", STARTS)
def test_the_first_words(text: str, recovery: str, slow: Any) -> None:
    for pieces in (by_token(text), by_line(text), list(text)):
        read = partial(run, pieces, [TOOL], recovery=recovery)
        assert read() == slow(read), f"cut into {pieces}"


@pytest.mark.parametrize("recovery", ["strict", "tolerant", "aggressive"])
@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS.keys())
def test_from_one_value_to_the_next(tags: str, recovery: str, slow: Any, thorough: bool) -> None:
    values = list(product(("text", "any", "n", "list"), TEXTS, TEXTS[:4]))
    for key, first, second in values if thorough else values[:: 5 if recovery == "tolerant" else 15]:
        text = f"<tool_call>\n<function=f>\n<parameter={key}>\n{first}\n{tags}{second}\n</parameter>\n{END}"
        for pieces in (by_token(text), by_line(text)):
            read = partial(run, pieces, [TOOL], recovery=recovery)
            assert read() == slow(read), f"cut into {pieces}"


def test_the_tags_of_a_call_are_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No state looks at the tags between its parameters."""
    text = "<parameter=text>\na\n</parameter>\n<parameter=n>\n1\n</parameter>\n<parameter=yes>\ntrue\n"
    parser = ToolCallParser([TOOL])
    parser.feed("<tool_call>\n<function=f>\n")
    monkeypatch.setitem(STATES, State.CALL, None)
    events = [event for piece in by_token(text) for event in parser.feed(piece)]
    assert "".join(e.fragment for e in events if isinstance(e, ArgumentsDelta)) == '{"text": "a", "n": 1'
