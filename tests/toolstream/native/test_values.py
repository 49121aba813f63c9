"""Values and keys of a server's call: closing tags that it swallowed, types, and what is left out."""

import json
from typing import Any

import pytest

from fuzz.native import Mended, at_every_cut
from support.cases import read_tool

EDIT = read_tool("edit(path: string, old: string, new: string)")
ANY = read_tool(
    "any(path: string, limit?: integer, ratio?: number, tags?: array, meta?: object, note?: string,"
    ' maybe?: integer|null, todo?: {"type": "object", "properties": {"at": {"type": "integer"}}})'
)
Json = dict[str, Any]


def assert_same(tool: Json, arguments: Json) -> None:
    """Arguments pass as they are."""
    text = json.dumps(arguments)
    whole = at_every_cut(tool, text)
    assert (whole.text, whole.complete, whole.repairs) == (text, True, [])


# Closing tags at the end of a value

EDITS = {
    "in one value": ("x\n</parameter>", "x"),
    "all of it": ("\n</parameter>", ""),
    "in both": ("  <v/>\n</parameter>\n", "  <v/>\n  <w/>\n</parameter>\n"),
    "runs in both": ("a\n</parameter>\n</function>", "b\n</parameter>\n</function>"),
    "a run in one": ("a\n</parameter>\n</function>\n</tool_call>", "a"),
    "outer ones in both": ("a\n</function>\n</tool_call>", "b\n</function>\n</tool_call>"),
    "inline in both": ("a</parameter></function>", "b</parameter></function>"),
    "elsewhere in the other": ("a </parameter> b", "a\n</parameter>"),
    "opened in the other": ("<parameter=x>", "b\n</parameter>"),
    "elements of a document": ("x", "  <a/>\n</tool>\n</tools>"),
    "blanks and a run": ("x", "\n\n</parameter>\n</function>"),
    "opened in the value": ("x", "<tool_call>\n</function>\n</tool_call>"),
    "one that is inline": ("x", "y</parameter>"),
    "one of a function": ("x", "y\n</function>"),
    "named as the parameter": ("x", "<new>\ny\n</new>"),
    "named as the parameter, alone": ("x", "y\n</new>"),
    "another element": ("x", "y\n</div>\n</parameter>\n</div>"),
}


@pytest.mark.parametrize("case", EDITS)
def test_an_edit_of_a_document_keeps_its_tags(case: str) -> None:
    old, new = EDITS[case]
    assert_same(EDIT, {"path": "p.xml", "old": old, "new": new})


RUNS = [
    "\n</parameter>",
    "\n</parameter>\n</function>\n</tool_call>",
    "</parameter>\n</function>\n</tool_call>",
    "\n</function>\n</tool_call>",
    "</parameter>\n</invoke>",
    "\n</note>\n</parameter>",
    "</note></parameter></function>",
    "\n</parameter>\n</function>\n</tool_call",
]


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("behind", ["}", " }", "", ","])
def test_a_run_at_the_end_of_the_last_value_is_swallowed(run: str, behind: str) -> None:
    whole = at_every_cut(ANY, '{"path": "p", "note": ' + json.dumps(f"ls{run}") + behind)
    assert (whole.value, whole.complete) == ({"path": "p", "note": "ls"}, True)
    assert "stray-closer" in whole.repairs


SHOWN = "<tool_call>\n<function=read>\n<parameter=path>\na\n</parameter>\n</function>\n</tool_call>"


@pytest.mark.parametrize("shown", [SHOWN, f"```xml\n{SHOWN}\n```", f"{SHOWN}\n{SHOWN}\nend", SHOWN[12:-13]])
def test_what_an_example_in_the_value_has_opened_it_closes(shown: str) -> None:
    assert_same(ANY, {"path": "p", "note": shown})
    run = "\n</parameter>\n</function>\n</tool_call>"
    whole = at_every_cut(ANY, json.dumps({"path": "p", "note": shown + run}))
    assert (whole.value, whole.complete) == ({"path": "p", "note": shown}, True)
    assert whole.repairs == ["stray-closer"]


def test_an_example_that_is_left_open_takes_the_closing_tags() -> None:
    assert_same(ANY, {"path": "p", "note": "<function=read>\n<parameter=path>\na\n</parameter>"})


@pytest.mark.parametrize("run", ["\n</parameter>", "\n</parameter>\n</function>\n</tool_call>"])
def test_before_another_member_it_is_payload(run: str) -> None:
    assert_same(ANY, {"note": f"ls{run}", "path": "p"})


def test_one_that_no_document_has_is_swallowed_before_another_member() -> None:
    for closer in ("\\n</parameter", "\\n</parameter=note>"):
        whole = at_every_cut(ANY, '{"note": "ls' + closer + '", "path": "p"}')
        assert (whole.value, whole.repairs) == ({"note": "ls", "path": "p"}, ["stray-closer"])


TYPED = {
    "tags": ['["a"]\n</parameter>\n</function>', ["a"]],
    "limit": ["5\n</parameter>", 5],
    "meta": ['{"a":1}</parameter>', {"a": 1}],
    "todo": ['{"at": "1"}</parameter>\n</invoke>', {"at": 1}],
}


@pytest.mark.parametrize("key", TYPED)
def test_a_value_that_is_no_string_has_no_closing_tags(key: str) -> None:
    text, value = TYPED[key]
    for arguments in ({key: text, "path": "p"}, {"path": "p", key: text}):
        whole = at_every_cut(ANY, json.dumps(arguments))
        assert whole.value == {"path": "p", key: value}
        assert whole.repairs == ["stray-closer", "wrong-type"]


def test_a_parameter_that_is_closed_by_its_name_has_not_swallowed_the_next() -> None:
    tail = '</note>\n<parameter name="meta">{"tags": "a,b"}</parameter>'
    whole = at_every_cut(ANY, json.dumps({"path": "p", "note": f"text\nmore{tail}"}))
    assert whole.value == {"path": "p", "note": "text\nmore", "meta": {"tags": "a,b"}}
    assert whole.repairs == ["swallowed-call"]
    assert_same(ANY, {"path": "p", "note": f"<note>text{tail}"})
    assert_same(ANY, {"path": "p", "note": 'text</note>\n<parameter name="colour">red</parameter>'})


# Types

NUMBERS = [
    ("limit", "+5", 5),
    ("limit", "007", 7),
    ("limit", "5.", 5),
    ("ratio", ".5", 0.5),
    ("ratio", "5.", 5),
    ("ratio", "+.5e1", 5.0),
    ("other", "+5", 5),
    ("note", "007", "007"),
    ("limit", "NaN", "NaN"),
    ("ratio", "-Infinity", "-Infinity"),
    ("other", "NaN", "NaN"),
]


@pytest.mark.parametrize(("key", "token", "value"), NUMBERS)
def test_numbers_that_json_does_not_have(key: str, token: str, value: Any) -> None:
    for text in (f'{{"{key}": {token}, "path": "p"}}', f'{{"path":"p","{key}":{token}}}'):
        whole = at_every_cut(ANY, text)
        assert (whole.value, whole.complete) == ({"path": "p", key: value}, True)
        assert whole.repairs == ["wrong-type"]
        assert "NaN" not in whole.text.replace('"NaN"', "")


UNTYPED = {
    r"a\q": "a\\q",
    "a\tb": "a\tb",
    'say "a" b': 'say "a" b',
    r"C:\d \t": "C:\\d \t",
}


@pytest.mark.parametrize("text", UNTYPED)
def test_a_string_that_is_no_number_is_valid_json_all_the_same(text: str) -> None:
    for arguments in (f'{{"limit": "{text}", "path": "p"}}', f'{{"path":"p","limit":"{text}"}}'):
        whole = at_every_cut(ANY, arguments)
        assert (whole.value, whole.complete) == ({"path": "p", "limit": UNTYPED[text]}, True)
        assert whole.repairs == ["json-repaired"]


def test_such_a_string_that_is_valid_passes() -> None:
    for text in ("a", "a\\q", "a\tb", 'say "a" b', "\u00e4"):
        assert_same(ANY, {"limit": text, "path": "p"})


def test_a_number_in_such_a_string_is_a_number() -> None:
    whole = at_every_cut(ANY, '{"limit": "5\n", "path": "p"}')
    assert (whole.value, whole.repairs) == ({"limit": 5, "path": "p"}, ["wrong-type"])


def test_a_key_with_an_escape_that_is_none_cannot_be_read() -> None:
    text = r'{"a\d": 1, "path": "p"}'
    whole = at_every_cut(ANY, text)
    assert (whole.text, whole.complete, whole.repairs) == (text, False, [])
    assert_same(ANY, {"a\\d": 1, "path": "p"})


LEFT_OUT = [("limit", "null"), ("limit", "None"), ("limit", '""'), ("limit", '"null"'), ("limit", '"None"')]
LEFT_OUT += [("note", "null"), ("tags", "null"), ("maybe", '""')]


@pytest.mark.parametrize(("key", "token"), LEFT_OUT)
def test_a_member_that_is_not_given_is_left_out(key: str, token: str) -> None:
    member = f'"{key}": {token}'
    for text in (f'{{{member}, "path": "p"}}', f'{{"path": "p", {member}}}', f'{{"path": "p" , {member},}}'):
        whole = at_every_cut(ANY, text)
        assert (whole.value, whole.complete) == ({"path": "p"}, True)
        assert "wrong-type" in whole.repairs
    whole = at_every_cut(ANY, f'{{{member}, "path": "p", {member}, "ratio": 1}}')
    assert whole.value == {"path": "p", "ratio": 1}
    assert at_every_cut(ANY, f"{{{member}}}").value == {}


def test_it_is_left_out_of_an_object_in_it() -> None:
    assert at_every_cut(ANY, '{"todo": {"at": null}, "path": "p"}').value == {"todo": {}, "path": "p"}
    assert at_every_cut(ANY, '{"todo": {"at": null, "x": 1}, "path": "p"}').value == {
        "todo": {"x": 1},
        "path": "p",
    }


STAYS = ['{"path": null}', '{"path": "p", "maybe": null}', '{"path": "p", "other": null}', '{"path": ""}']
STAYS += ['{"path": "p", "note": ""}', '{"path": "p", "tags": [null]}', '{"path": "p", "note": "null"}']


@pytest.mark.parametrize("text", STAYS)
def test_what_may_be_null_or_has_to_be_there_stays(text: str) -> None:
    whole = at_every_cut(ANY, text)
    assert (whole.text, whole.repairs) == (text, [])


def test_what_breaks_off_after_a_member_left_out_is_mended() -> None:
    whole = at_every_cut(ANY, "{\"limit\": null, 'path': 'p'}")
    assert (whole.value, whole.complete) == ({"path": "p"}, True)
    whole = at_every_cut(ANY, '{"path": "p", "limit": None, "tags": [\'a\']}')
    assert (whole.value, whole.complete) == ({"path": "p", "tags": ["a"]}, True)


# Keys

KEYS = {
    '{"parameter=path": "ls"}': {"path": "ls"},
    '{"<parameter=path>": "ls", "limit": 5}': {"path": "ls", "limit": 5},
    '{"limit": 5, "<parameter name=\\"path\\">": "ls"}': {"path": "ls", "limit": 5},
    '{"<path>": "ls"}': {"path": "ls"},
    '{"path>": "ls"}': {"path": "ls"},
    '{"path>\\nls": ""}': {"path": "ls"},
    '{"parameter=path>\\nls\\n": ""}': {"path": "ls"},
    '{"path": "p", "parameter=limit": "5"}': {"path": "p", "limit": 5},
    '{"parameter=limit": null, "path": "p"}': {"path": "p"},
}


@pytest.mark.parametrize("text", KEYS)
def test_a_key_with_pieces_of_its_tag(text: str) -> None:
    whole = at_every_cut(ANY, text)
    assert (whole.value, whole.complete) == (KEYS[text], True)
    assert "damaged-key" in whole.repairs


OTHER_KEYS = [
    '{"path": "p", "parameter=path": "q"}',
    '{"path": "p", "parameter=colour": "q"}',
    '{"path": "p", "<limit> of": 5}',
    '{"path": "p", "path>x": ""}',
    '{"path": "p", "limit>\\n5": "x"}',
    '{"meta": {"parameter=path": "q"}}',
]


@pytest.mark.parametrize("text", OTHER_KEYS)
def test_other_keys_stay(text: str) -> None:
    whole = at_every_cut(ANY, text)
    assert (whole.text, whole.repairs) == (text, [])


# Brackets that were lost at the end

LOST = {
    "behind a number": ('{"limit": 3', {"limit": 3}),
    "behind a negative number": ('{"ratio": -1.5e3', {"ratio": -1.5e3}),
    "behind a word": ('{"maybe": null', {"maybe": None}),
    "behind a word of Python": ('{"meta": {"a": True', {"meta": {"a": True}}),
    "behind a number, and a line break": ('{"limit": 3\n', {"limit": 3}),
    "of an array": ('{"tags": ["a"', {"tags": ["a"]}),
    "of an array of numbers": ('{"tags": [1, 2', {"tags": [1, 2]}),
    "of an object": ('{"meta": {"a": 1', {"meta": {"a": 1}}),
    "three levels": ('{"meta": {"a": [{"b": true', {"meta": {"a": [{"b": True}]}}),
    "behind an inner bracket": ('{"meta": {"a": []', {"meta": {"a": []}}),
}


@pytest.mark.parametrize("case", LOST)
def test_brackets_lost_behind_a_complete_member_are_mended(case: str) -> None:
    text, value = LOST[case]
    whole = at_every_cut(ANY, text.replace("{", '{"path": "p", ', 1))
    assert (whole.value, whole.complete) == ({"path": "p", **value}, True)
    assert whole.repairs == ["json-repaired"]


@pytest.mark.parametrize(
    "member",
    [
        *('"limit": ', '"limit"', '"maybe": nul', '"limit": 3.', '"limit": -', '"ratio": 1e', '"note": "a'),
        *('"tags": ["a",', '"tags": [', '"meta": {', '"meta": {"a": 1,', '"meta": {"a":', '"meta": {"a'),
    ],
)
def test_behind_anything_else_they_are_not(member: str) -> None:
    text = f'{{"path": "p", {member}'
    assert not at_every_cut(ANY, text).complete


def test_nor_are_they_if_something_is_missing_or_the_answer_was_cut() -> None:
    assert not at_every_cut(ANY, '{"limit": 3').complete
    inner = read_tool(
        't(a: {"type": "object", "required": ["x", "y"], "properties": {"x": {"type": "integer"}}})'
    )
    assert not at_every_cut(inner, '{"a": {"x": 1').complete
    for text in ('{"path": "p", "limit": 3', '{"path": "p", "tags": ["a"'):
        cut = Mended(ANY, [text], stopped=False)
        assert (cut.text, cut.complete, cut.repairs) == (text, False, [])


@pytest.mark.parametrize("gap", ["\\n", "\\n\\t", " \\n "])
def test_a_line_break_of_two_characters_before_a_colon(gap: str) -> None:
    whole = at_every_cut(ANY, f'{{"path"{gap}: "p", "limit"{gap}: 3}}')
    assert (whole.value, whole.complete) == ({"path": "p", "limit": 3}, True)
