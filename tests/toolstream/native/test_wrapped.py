"""Arguments that are wrapped in another object, which the tool does not declare."""

import json
from typing import Any

import pytest

from fuzz.native import at_every_cut
from support.cases import read_tool

LS = read_tool("ls(path: string, limit?: integer)")
RUN = read_tool("run(arguments: object, name?: string)")


WRAPPED = [
    ('{"arguments": {"path": "a", "limit": 5}}', ["nested-arguments"]),
    ('{"parameters":{"path":"a","limit":"5"}}', ["nested-arguments", "wrong-type"]),
    ('{"name": "ls", "arguments": {"path": "a", "limit": 5}}', ["nested-arguments"]),
    ('{"type": "function", "name": "ls", "parameters": {"path": "a", "limit": 5}}', ["nested-arguments"]),
    ('{"function": {"name": "ls", "arguments": {"path": "a", "limit": 5}}}', ["nested-arguments"]),
    ('{"tool": "ls", "args": {"path": "a", "limit": 5}}', ["nested-arguments"]),
    ('{"params": {"path": "a", "limit": 5}}', ["nested-arguments"]),
    (json.dumps({'{"path": "a", "limit": 5}': ""}), ["nested-arguments"]),
    ('{"ls": {"path": "a", "limit": 5}}', ["nested-arguments"]),
    ('{"ls": {"arguments": {"path": "a", "limit": 5}}}', ["nested-arguments"]),
    (json.dumps({"arguments": json.dumps({"path": "a", "limit": 5})}), ["nested-arguments"]),
    ('{"arguments": {"path": "a", "limit": 5}}}', ["nested-arguments", "stray-closer"]),
    (
        json.dumps('{"arguments": {"path": "a", "limit": 5}}'),
        ["double-encoded", "nested-arguments"],
    ),
]


@pytest.mark.parametrize(("text", "repairs"), WRAPPED)
def test_what_fits_is_taken_out(text: str, repairs: list[str]) -> None:
    whole = at_every_cut(LS, text)
    assert (whole.value, whole.repairs) == ({"path": "a", "limit": 5}, repairs)


NEW = read_tool("new(name: string, age?: integer)")


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "new", "arguments": {"name": "x"}}',
        '{"name":"new","parameters":{"name":"x"}}',
        '{"arguments": {"name": "x"}, "name": "new"}',
    ],
)
def test_a_tool_that_has_a_name_may_be_named(text: str) -> None:
    whole = at_every_cut(NEW, text)
    assert (whole.value, whole.repairs) == ({"name": "x"}, ["nested-arguments"])


SAME = [
    (NEW, '{"name": "new"}'),
    (NEW, '{"name": "new", "age": 5}'),
    (NEW, '{"name": "newest", "arguments": {"name": "x"}}'),
    (NEW, '{"name": "new", "arguments": {"age": 5}}'),
    (LS, '{"arguments": {"limit": 5}}'),  # what the tool requires is not there
    (LS, '{"arguments": {"path": "a", "other": 5}}'),
    (LS, '{"arguments": {"path": "a"}, "limit": 5}'),
    (LS, '{"name": "rm", "arguments": {"path": "a"}}'),
    (LS, '{"name": "ls"}'),
    (LS, '{"arguments": [1]}'),
    (RUN, '{"arguments": {"arguments": {}}}'),
    (RUN, '{"name": "run", "arguments": {"arguments": {}}}'),
    (read_tool("any()"), '{"arguments": {"path": "a"}}'),
    (LS, '{"params": {"limit": 5}}'),
    (LS, json.dumps({'{"limit": 5}': ""})),
    (LS, json.dumps({'{"path": "a"}': "b"})),
    (LS, '{"params": {"path": "a"}, "limit": 5}'),
    (LS, '{"params": [{"path": "a"}]}'),
    (LS, '{"params": "path", "path": "a"}'),
    (read_tool("new(age?: integer)"), '{"params": {"age": 5}}'),  # nothing is required: it may be said so
]


@pytest.mark.parametrize(("tool", "text"), SAME)
def test_what_does_not_fit_passes(tool: dict[str, Any], text: str) -> None:
    whole = at_every_cut(tool, text)
    assert (whole.text, whole.complete, whole.repairs) == (text, True, [])


@pytest.mark.parametrize(
    "text", ['{"arguments": {"path": "a"', '{"name', "{", '{"name": "ls", "arguments": {']
)
def test_what_is_cut_off_is_not_completed(text: str) -> None:
    whole = at_every_cut(LS, text, stopped=False)
    assert (whole.text, whole.complete, whole.repairs) == (text, False, [])
