"""Where a value ends (P4), at every cut, without a parser around it.

`ended` gives the value, what follows it, and how sure that is. The cases say what becomes of
whole calls; here are the edges of the rule: look-ahead, doubt, limits and the end of the text.
"""

from dataclasses import dataclass

import pytest

from support.cases import read_tool
from support.cuts import all_cuts, joined
from toolstream.grammar.grammar import grammar
from toolstream.limits import CLOSING_RUN, HELD, LOOK_AHEAD
from toolstream.parser.value import Tags, Value
from toolstream.schema.schema import read_tools

TAGS = Tags(grammar("tolerant").values, grammar("tolerant").after)
TOOL = read_tools([read_tool("write(path: string, content: string, size?: integer)")])["write"]
END = "\n</parameter>\n</function>\n</tool_call>"
EXAMPLE = "<tool_call>\n<function=write>\n<parameter=path>\nx\n</parameter>\n</function>\n</tool_call>"


@dataclass(frozen=True)
class Ended:
    """What came out of a value."""

    text: str
    rest: str
    missing_close: bool = False
    ambiguous: bool = False


def new_value(key: str = "content", given: tuple[str, ...] = ()) -> Value:
    return Value(TAGS, TOOL, key, {key, *given}, {"write", "read"}.__contains__)


def read(text: str, complete: bool = True, key: str = "content", given: tuple[str, ...] = ()) -> Ended:
    """Feed the text behind an opening tag at every cut, and close."""
    outcomes = set()
    for pieces in all_cuts(text):
        value, out, rest = new_value(key, given), "", ""
        for piece in pieces:
            if value.ended:
                rest += piece
            else:
                out += value.feed(piece)
        if not value.ended:
            out += value.close(complete)
        outcomes.add(
            Ended(out, joined(value.rest + rest), (value.closer is None and value.ended), value.ambiguous)
        )
        if not value.ended:
            assert not complete, "on a natural stop every value ends"
    assert len(outcomes) == 1, outcomes
    return outcomes.pop()


@pytest.mark.parametrize(
    ("text", "value", "rest"),
    [
        ("\na" + END, "a", "\n</function>\n</tool_call>"),
        ("a</parameter></function>", "a", "</function>"),
        ("\n\na\n" + END, "\na\n", "\n</function>\n</tool_call>"),
        ("\r\na\r\n</parameter>\r\n</function>", "a", "\r\n</function>"),
        ("\na\n</parameter>\n<parameter=path>\n", "a", "\n<parameter=path>\n"),
        ("\na\n</parameter>", "a", ""),
        ("\na\n</parameter>\n</tool_call>", "a", "\n</tool_call>"),
        ("\na\n</parameter> \t\n </function>", "a", " \t\n </function>"),
        ("\na\n</parameter>" + " " * LOOK_AHEAD + "</function>", "a", " " * LOOK_AHEAD + "</function>"),
        ("\na\n</parameter>\n</parameter>\n</function>", "a", "\n</parameter>\n</function>"),
        ("\na\n</parameter>\n<tool_call>\n<function=read>", "a", "\n<tool_call>\n<function=read>"),
    ],
)
def test_ends_where_a_tag_follows_that_may(text: str, value: str, rest: str) -> None:
    assert read(text) == Ended(value, rest)


@pytest.mark.parametrize(
    "payload",
    [
        'x = "</parameter>"',
        "</parameter> and more",
        "a\n</parameter>\nb",
        "</parameter>" + " " * (LOOK_AHEAD + 1) + ".",
        "x </parameter",
        "</function> quoted",
        "</tool_call> quoted",
        "a\n</function>\nb",
        "see <parameter=path>",
        "<parameter=undeclared>\nx",
        "<parameter=content>\nx",
        EXAMPLE,
        f"a\n{EXAMPLE}\nb",
        f"{EXAMPLE}\n{EXAMPLE}",
        EXAMPLE.replace("\n", "\n  "),
        EXAMPLE.replace("\n", "\r\n"),
        f"{EXAMPLE.removesuffix('</tool_call>')}",
        "<tool_call>\nand no more of it",
        f"one{END}\ntwo",
        f"one{END}\ntwo{END}\nthree",
        "<tool_call> <function=read> in a line",
        "<",
        "\n\n",
        "",
    ],
)
def test_payload(payload: str) -> None:
    assert read(f"\n{payload}{END}") == Ended(payload, "\n</function>\n</tool_call>")


@pytest.mark.parametrize(
    ("text", "value", "rest"),
    [
        ("\na\n</function>", "a", "</function>"),
        ("\na\n</function>\n</tool_call>", "a", "</function>\n</tool_call>"),
        ("\na\n</tool_call>", "a", "</tool_call>"),
        ("\na\n<parameter=path>\nb", "a", "<parameter=path>\nb"),
        ("a</function>", "a", "</function>"),
        ("\na\n</function>\n<tool_call>", "a", "</function>\n<tool_call>"),
        ("\na", "a", ""),
        ("\na\n", "a", ""),
        ("\na\n</param", "a", "</param"),
        ("", "", ""),
    ],
)
def test_ends_without_its_closer(text: str, value: str, rest: str) -> None:
    ended = read(text)
    assert (ended.text, ended.missing_close) == (value, True)
    assert ended.rest in (rest, "")


def test_a_sibling_given_already_is_payload() -> None:
    text = f"\na\n<parameter=path>\nb{END}"
    assert read(text, given=("path",)) == Ended("a\n<parameter=path>\nb", "\n</function>\n</tool_call>")


def test_prose_behind_the_call_is_no_payload_once_the_message_ends() -> None:
    assert read(f"\na{END}\nDone.") == Ended("a", "\n</function>\n</tool_call>\nDone.")


def test_prose_behind_the_call_ends_it_even_in_a_message_that_was_cut() -> None:
    assert read(f"\na{END}\nDone.", complete=False) == Ended("a", "\n</function>\n</tool_call>\nDone.")


def test_a_message_that_was_cut_ends_no_value() -> None:
    value = new_value()
    assert value.feed("\nabc\n</para") == "abc"
    assert value.close(complete=False) == ""
    assert not value.ended


def test_what_is_no_string_is_never_in_doubt() -> None:
    ended = read(f"\n5{END}\nDone.", key="size")
    assert ended == Ended("5", "\n</function>\n</tool_call>\nDone.")
    value = new_value("size")
    value.feed(f"\n5{END}\nD")
    assert value.ended


def test_doubt_holds_and_says_what_it_holds() -> None:
    value = new_value()
    out = value.feed(f"\na{END}\nmore")
    assert (out, value.ended) == ("a", False)
    assert value.pending == f"{END}\nmore"
    assert value.feed(END + "\n") == f"{END}\nmore"


def test_doubt_ends_at_the_limit() -> None:
    value = new_value()
    out = value.feed(f"\na{END}\n" + "more " * (HELD // 5 + 10))
    assert (out, value.ended, (value.closer is None and value.ended)) == ("a", True, False)
    assert value.rest.startswith("\n</function>\n</tool_call>\nmore ")


def test_many_closers_in_a_row_are_looked_across_so_far() -> None:
    ended = read("\na" + "\n</parameter>" * (CLOSING_RUN // 2) + "\n</function>")
    assert ended.text == "a"


def test_a_string_is_out_at_once() -> None:
    value = new_value()
    assert value.feed("\n") == ""
    for char in "some text > and `more`":
        assert value.feed(char) == char
        assert value.plain
    assert value.feed("\n") == ""
    assert value.pending == "\n"
    assert value.take("more") == "\nmore"
    assert value.feed("<") == ""
    assert not value.plain
