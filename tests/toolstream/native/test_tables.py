"""The tags of every dialect in arguments that the server parsed: what tables spell is read, at every cut."""

# ruff: noqa: RUF001

from functools import partial
from typing import Any

import pytest

from fuzz.native import Mended, at_every_cut
from support.cases import read_tool
from toolstream import DIALECTS
from toolstream.grammar.dialect import Body, Dialect
from toolstream.native.closers import closing_run
from toolstream.native.tags import end_of_leftovers, lead_of, name_in
from toolstream.schema.schema import read_tools

LS = read_tool("ls(path: string, limit?: integer)")
(TOOL,) = read_tools([LS]).values()
Json = dict[str, Any]
mended = partial(at_every_cut, LS)


def assert_read(
    text: str, expected: Json, repairs: list[str], more: list[tuple[str, str]] | None = None
) -> None:
    whole = mended(text)
    assert whole.complete, whole.text
    assert whole.value == expected
    assert (whole.repairs, whole.more) == (repairs, more or [])


# In place of the object

WRITERS = [d for d in DIALECTS if d.writing and d.body is Body.XML]


def written(dialect: Dialect, arguments: Json) -> tuple[str, str]:
    """The parameters of a call, and the whole call, as models are taught to write them."""
    writing = dialect.writing
    assert writing
    parameters = "".join(
        writing.parameter.format(key=key, value=value, is_string=str(isinstance(value, str)).lower())
        for key, value in arguments.items()
    )
    return parameters, writing.call.format(name="ls", arguments=parameters)


@pytest.mark.parametrize("dialect", WRITERS, ids=lambda d: d.name)
@pytest.mark.parametrize("whole", [False, True])
def test_what_a_dialect_writes_is_read_as_arguments(dialect: Dialect, whole: bool) -> None:
    arguments = {"path": "a <b> c", "limit": 5}
    text = written(dialect, arguments)[whole]
    assert_read(text, arguments, ["xml-arguments"])
    assert_read(f"\n{text}\n", arguments, ["xml-arguments"])


DSML_CALL = '<｜DSML｜invoke name="ls">\n<｜DSML｜parameter name="path" string="true">a</｜DSML｜parameter>\n'
XML = {
    "no envelope": DSML_CALL + "</｜DSML｜invoke>",
    "nothing closed": DSML_CALL,
    "attributes": '<invoke name="ls"><parameter name="path">a</parameter></invoke>',
    "one parameter by attribute": '<parameter name="path">a</parameter>',
    "direct tags": "<path>a</path>",
    "direct tags of a call": "<ls><path>a</path></ls>",
    "keys in elements": "<arg_key>path</arg_key>\n<arg_value>a</arg_value>",
    "the name first": "ls<arg_key>path</arg_key><arg_value>a</arg_value></tool_call>",
    "kimi's arguments": '<|tool_call_argument_begin|>{"path": "a"}<|tool_call_end|>',
    "kimi's call": '<|tool_call_begin|>functions.ls:0<|tool_call_argument_begin|>{"path": "a"}',
    "JSON in tags": '<tool_call>\n{"name": "ls", "arguments": {"path": "a"}}\n</tool_call>',
    "a function's tag": "<function=ls>\n<parameter=path>\na\n</parameter>\n</function>",
}


@pytest.mark.parametrize("case", XML)
def test_xml_in_place_of_the_object(case: str) -> None:
    assert_read(XML[case], {"path": "a"}, ["xml-arguments"])


def test_calls_after_the_one_in_xml() -> None:
    call = "<tool_call>\n<function=ls>\n<parameter=path>\n{}\n</parameter>\n</function>\n</tool_call>\n"
    text = "".join(call.replace("{}", path) for path in "abc")
    assert_read(text, {"path": "a"}, ["xml-arguments"], [("ls", '{"path": "b"}'), ("ls", '{"path": "c"}')])


@pytest.mark.parametrize("text", ["<b>bold</b>", "<path", "<", "<other>a</other>", "ls", "ls and more"])
def test_what_is_no_call_stays(text: str) -> None:
    whole = mended(text)
    assert (whole.text, whole.complete, whole.repairs) == (text, False, [])


def test_an_object_without_its_first_bracket() -> None:
    assert_read('"path": "a", "limit": 5}', {"path": "a", "limit": 5}, ["json-repaired"])
    assert_read(' "path" : "a"}', {"path": "a"}, ["json-repaired"])
    for text in ('"other": 1}', '"path"', '"path" "a"'):
        assert mended(text).text == text


# After the object


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
def test_what_closes_nothing_is_dropped_after_the_object(dialect: Dialect) -> None:
    closers = (*dialect.parameter_close, *dialect.call_close, *dialect.wrap_close)
    for spelling in (*closers, *(text for text in dialect.stray if "~" not in text)):
        filled = {"{tool}": "ls", "{key}": "path", "{cut}": "\n", "{number}": "2"}
        filled |= {"{closer}": "invocation", "{ending}": "im_end"}
        for word, text in filled.items():
            spelling = spelling.replace(word, text)
        assert_read('{"path": "a"}' + spelling, {"path": "a"}, ["stray-closer"])
        assert_read('{"path": "a"}}\n' + spelling + "\n" + spelling, {"path": "a"}, ["stray-closer"])


@pytest.mark.parametrize(
    "rest", ["<|im_end|>", "]}", "</function", "}</tool_call>", "<tool_call>", "<|tool_call_end|>\n"]
)
def test_more_that_is_dropped(rest: str) -> None:
    assert_read('{"path": "a"}' + rest, {"path": "a"}, ["stray-closer"])


def test_calls_after_the_object_are_calls() -> None:
    call = '<｜DSML｜function_calls><｜DSML｜invoke name="ls"></｜DSML｜invoke></｜DSML｜function_calls>'
    assert_read('{"path": "a"}\n' + call, {"path": "a"}, ["swallowed-call"], [("ls", "{}")])
    call = "</function>\n</tool_call>\n<tool_call>\n<function=ls>\n</function>\n</tool_call>"
    assert_read('{"path": "a"}\n' + call, {"path": "a"}, ["swallowed-call"], [("ls", "{}")])


@pytest.mark.parametrize("rest", ["</div>", "<b>", ', "limit": 5}', "</tool_call> and"])
def test_what_may_mean_something_is_not_dropped(rest: str) -> None:
    whole = mended('{"path": "a"}' + rest)
    assert (whole.text, whole.complete, whole.repairs) == ('{"path": "a"}' + rest, False, [])


# In a string


def in_json(text: str, escapes: str) -> str:
    """Text as it stands in a string of JSON, with these characters escaped."""
    for char in escapes:
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.replace("\n", "\\n")


SWALLOWED = {
    "qwen": "</parameter>\n<parameter=limit>\n5\n</parameter>\n</function>\n</tool_call>",
    "by attribute": '</parameter>\n<parameter name=\\"limit\\">5</parameter>\n</invoke>',
    "minimax": '</parameter>\n<parameter name=\\"limit\\">5</parameter>\n</invoke>\n</minimax:tool_call>',
    "dsml": '</｜DSML｜parameter>\n<｜DSML｜parameter name=\\"limit\\">5</｜DSML｜parameter>\n',
    "keys in elements": "</arg_value>\n<arg_key>limit</arg_key>\n<arg_value>5</arg_value>\n</tool_call>",
}


@pytest.mark.parametrize("escapes", ["", "<", "<>", "｜", "<>｜"])
@pytest.mark.parametrize("dialect", SWALLOWED)
def test_swallowed_parameters(dialect: str, escapes: str) -> None:
    text = '{"path": "a' + in_json(SWALLOWED[dialect], escapes) + '"}'
    assert_read(text, {"path": "a", "limit": 5}, ["swallowed-call"])


def test_swallowed_calls_of_other_dialects() -> None:
    call = '<｜DSML｜invoke name=\\"ls\\">\n</｜DSML｜invoke>\n'
    text = in_json("a</｜DSML｜parameter>\n</｜DSML｜invoke>\n" + call + "</｜DSML｜function_calls>", "")
    assert_read('{"path": "' + text + '"}', {"path": "a"}, ["swallowed-call"], [("ls", "{}")])
    text = in_json("a</arg_value></tool_call>\n<tool_call>ls</tool_call>", "")
    whole = Mended(read_tool("ls(path?: string)"), ['{"path": "' + text + '"}'], stopped=True)
    assert (whole.value, whole.more) == ({"path": "a"}, [("ls", "{}")])


@pytest.mark.parametrize(
    "run",
    [
        "</parameter>\n</function>\n</tool_call>",
        "</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
        "</parameter>\n</invoke>\n</minimax:tool_call>",
        "</arg_value>\n</tool_call>",
        "</parameter_function>",
        "</parameter1>",
        "</parameter/>",
    ],
)
def test_closing_tags_at_the_end_of_a_value(run: str) -> None:
    assert_read('{"path": "a\\n' + in_json(run, "") + '"}', {"path": "a"}, ["stray-closer"])


PAYLOAD = [
    "see </｜DSML｜parameter> there",
    "<｜DSML｜parameter name=x>1</｜DSML｜parameter>\\n</｜DSML｜invoke>",
    "a</arg_value>\\n<arg_key>colour</arg_key>\\n<arg_value>red</arg_value>",
    "</arg_value",
    "a\\n</parameters>",
    "x</｜DSML｜parameter>",
    "<arg_key>k</arg_key><arg_value>v</arg_value>",
    "</minimax:tool_call>\\n",
]


@pytest.mark.parametrize("value", PAYLOAD)
def test_a_document_about_calls_is_payload(value: str) -> None:
    text = '{"path": "' + value + '"}'
    whole = mended(text)
    assert (whole.text, whole.complete, whole.repairs) == (text, True, [])


def test_what_a_string_swallowed_is_given() -> None:
    """A second value of a parameter that the first one had swallowed is left as it is."""
    tail = "a</parameter>\\n<parameter=limit>\\n5\\n</parameter>"
    whole = mended('{"path": "' + tail + '", "limit=6": ""}')
    assert whole.value == {"path": "a", "limit": 5, "limit=6": ""}


def test_a_value_that_is_held_is_put_right_all_the_same() -> None:
    r"""A line break and `\d` stay what they were, though they come after what looks like the end."""
    whole = mended('{"path": "a</parameter>\\n<x> \n \\d"}')
    assert whole.value == {"path": "a</parameter>\n<x> \n \\d"}
    assert whole.repairs == ["json-repaired"]


# The patterns themselves


def test_a_lead_says_what_comes_before_it() -> None:
    def head(text: str) -> str | None:
        lead = lead_of(text, TOOL)
        return lead and lead.head

    assert head("<tool_call>") == ""
    assert head("<function=ls>") == "<tool_call>\n"
    assert head("<parameter=path>") == head("<path>") == "<tool_call>\n<function=ls>\n"
    assert head("<｜DSML｜parameter") == '<｜DSML｜function_calls>\n<｜DSML｜invoke name="ls">\n'
    assert head("<|tool_call_argument_begin|>") == (
        "<|tool_calls_section_begin|>\n<|tool_call_begin|>functions.ls:0"
    )
    assert head("<b>") is None


def test_leftovers_end_where_something_is_said() -> None:
    assert end_of_leftovers("} </tool_call> x", TOOL) == len("} </tool_call> ")
    assert end_of_leftovers("</path></div>", TOOL) == len("</path>")


SWALLOWED_RUNS = [
    "\n</parameter>",
    "\r\n</parameter>\n</function>",
    "</parameter>\n</function>",
    "</function>\n</tool_call>",
    "\n</parameter=path>",
    "\n</parameter",
    "</path>\n</parameter>",
    "\n</execution>\n</tool_call>",
]
OTHER_RUNS = [
    "</parameter>",
    "</parameter=path>",
    "</parameter",
    "\n</function>",
    "</tool>\n</tools>",
    "</function>\n</tools>",
]
NO_RUNS = ["</div>\n</parameter>", "</path>", "</parameter> x", "</parameter>\n</div>", "", "\n"]


@pytest.mark.parametrize("run", [*SWALLOWED_RUNS, *OTHER_RUNS, *NO_RUNS])
def test_what_closing_tags_a_value_may_have_swallowed(run: str) -> None:
    found = closing_run(run, "path")
    assert (found is None) == (run in NO_RUNS)
    assert bool(found and found.may_be_swallowed) == (run in SWALLOWED_RUNS)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ls", "ls"),
        ("<function=ls>", "ls"),
        ('<｜DSML｜invoke name="ls', "ls"),
        ("<invoke name=ls", "ls"),
        ("ls</function", "ls"),
        ("functionality", "functionality"),
        ("", ""),
    ],
)
def test_a_name_may_have_pieces_of_its_tag(text: str, name: str) -> None:
    assert name_in(text)[0] == name
