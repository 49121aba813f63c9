"""Rules on calls that the server parsed itself: at every cut, streamed and not, changed or byte for byte."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwenproxy.rules.file import read_text
from support.cases import read_tool
from support.cuts import all_cuts, cut_at, few_cuts
from support.streams import DONE, ENGINES, LLAMA_CPP, VLLM, Engine, read_answer, send
from toolstream import StreamRewriter, rewrite_completion
from toolstream.schema.rules import ToolRules
from toolstream.schema.schema import Tool
from toolstream.schema.toolset import Toolset

Json = dict[str, Any]

TOOLS = [
    read_tool(line)
    for line in (
        "bash(command: string, description: string, tags: array, timeout?: integer)",
        'edit(path: string, all?: boolean, mode?: {"enum": ["a", "b"]}, options?: {})',
        "read(path: string, limit?: integer)",
        "write(path: string, content: string)",
        "ls(path: string)",
    )
]
RULES = read_text(
    """
tools:
  bash:
    fixes:
      - name: a
        parameter: description
        condition: missing_or_empty
        action: set_default
        default_value: Run
      - {name: b, parameter: tags, condition: missing_or_empty, action: set_default, default_value: [x]}
  edit:
    fixes:
      - {name: a, parameter: all, condition: is_string, action: convert_string_to_boolean}
      - {name: b, parameter: options, condition: is_string, action: parse_json_object}
      - {name: c, parameter: hint, condition: exists, action: remove_parameter}
      - {name: d, parameter: mode, condition: exists, action: remove_parameter}
  read:
    fixes:
      - {name: a, parameter: content, condition: exists, action: convert_tool, to: write}
      - {name: b, parameter: content, condition: exists, action: remove_parameter}
  guess:
    fixes:
      - {name: a, parameter: hint, condition: exists, action: remove_parameter}
""",
    "rules",
).for_model("")
TOOLSET = Toolset(TOOLS, rules=RULES)
ASKED = {"model": "qwen", "stream": True, "messages": [], "tools": TOOLS}

CHANGED = [
    ("bash", '{"command":"ls"}', "bash", {"command": "ls", "description": "Run", "tags": ["x"]}, 2),
    ("bash", "{}", "bash", {"description": "Run", "tags": ["x"]}, 2),
    (
        "bash",
        '{"command": "l\\"s\\\\", "tags": [ ], "description": ""\n}',
        "bash",
        {"command": 'l"s\\', "tags": ["x"], "description": "Run"},
        2,
    ),
    ("edit", '{"path":"a","all":"yes"}', "edit", {"path": "a", "all": True}, 1),
    ("edit", '{"all" : "OFF", "path":"a"}', "edit", {"all": False, "path": "a"}, 1),
    ("edit", '{"options":"{\\"x\\": 1.10}","path":"a"}', "edit", {"options": {"x": 1.1}, "path": "a"}, 1),
    ("edit", '{"hint":{"a":[1,"}"]},"path":"a"}', "edit", {"path": "a"}, 1),
    ("edit", '{"path":"a" , "hint":5, "all": true}', "edit", {"path": "a", "all": True}, 1),
    ("edit", '{"path":"a","mode":"c","hint":null}', "edit", {"path": "a"}, 2),
    ("edit", '{"hint":"x"}', "edit", {}, 1),
    ("edit", '{"hint":"x","hint":"y","path":"a"}', "edit", {"path": "a"}, 2),
    ("read", '{"path":"a","content":"x\\ny"}', "write", {"path": "a", "content": "x\ny"}, 1),
    ("read", '{"path":"a","content":"x","limit":5}', "read", {"path": "a", "limit": 5}, 1),
    ("guess", '{"hint":1,"n":2}', "guess", {"n": 2}, 1),
]
SAME = [
    ("bash", '{"command":"ls","description":"List","tags":["a"]}'),
    ("bash", '{"tags": [ 1 ], "command":"ls", "description": " "}'),
    ("edit", '{"path":"a","all":true,"mode":"a","options":{"x":"}"}}'),
    ("edit", '{"mode":"b","path":"a\\"","options": null}'),
    ("edit", '{"options":"no object","path":"a"}'),
    ("read", '{"path":"a"}'),
    ("read", '{"path": "a", "limit": 5}\n'),
    ("ls", '{"path":"a"}'),
    ("ls", '{"path":"a","content":"x"}'),
]


def stream(
    *calls: tuple[str, list[str]], finish: str = "tool_calls", engine: Engine = LLAMA_CPP
) -> list[bytes]:
    return engine.answer([], finish, calls)


def sent(pieces: list[bytes], **more: Any) -> tuple[list[tuple[str, Any]], str | None, list[str], bytes]:
    """The calls a client reads, the finish_reason, the repairs, and the bytes."""
    out, rewriter = send(pieces, ASKED | more, rules=RULES)
    message = read_answer(out).message
    return message.named, message.finish, sorted(map(str, rewriter.ledger.repairs.elements())), out


def completed(*calls: tuple[str, str]) -> bytes:
    listed = [
        {"id": f"id-{at}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for at, (name, arguments) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": None, "tool_calls": listed}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return json.dumps({"id": "x", "object": "chat.completion", "choices": [choice]}).encode()


def read_completed(body: bytes) -> list[tuple[str, Any]]:
    calls = json.loads(body)["choices"][0]["message"]["tool_calls"]
    return [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in calls]


@pytest.mark.parametrize(("name", "arguments", "other", "expected", "count"), CHANGED)
def test_a_rule_applies(name: str, arguments: str, other: str, expected: Json, count: int) -> None:
    for pieces in all_cuts(arguments):
        calls, finish, repairs, _ = sent(stream((name, [p for p in pieces if p])))
        assert calls == [(other, expected)], pieces
        assert list(calls[0][1]) == list(expected)
        assert finish == "tool_calls"
        assert len(repairs) == count
        assert all(repair.startswith("rule-") for repair in repairs)
    out, ledger = rewrite_completion(ASKED, completed((name, arguments)), rules=RULES)
    assert read_completed(out) == [(other, expected)]
    assert sorted(map(str, ledger.repairs.elements())) == repairs


@pytest.mark.parametrize(("name", "arguments"), SAME)
def test_where_no_rule_applies_not_a_byte_changes(name: str, arguments: str) -> None:
    for engine in ENGINES:
        if engine.clean_calls:
            for pieces in few_cuts(arguments):
                events = stream((name, [p for p in pieces if p]), engine=engine)
                _, _, repairs, out = sent(events)
                assert out == b"".join(events)
                assert repairs == []
    for at in range(1, len(arguments)):
        events = stream((name, cut_at(arguments, [at])))
        assert sent(events)[3] == b"".join(events)
    body = completed((name, arguments))
    assert rewrite_completion(ASKED, body, rules=RULES)[0] is body


CUT_OFF = [
    ("bash", '{"command":"ls"'),
    ("bash", '{"command":"l'),
    ("bash", '{"command":"ls","description":""'),
    ("edit", '{"path":"a","all":"ye'),
    ("edit", '{"path":"a","hint":"x"'),
    ("read", '{"path":"a","content":"x"'),
]


@pytest.mark.parametrize(("name", "arguments"), CUT_OFF)
def test_no_rule_completes_a_call_that_is_cut_off(name: str, arguments: str) -> None:
    for pieces in few_cuts(arguments):
        calls, finish, _, _ = sent(stream((name, [p for p in pieces if p]), finish="length"))
        assert finish == "length"
        assert [type(said) for _, said in calls] == [str]
    body = completed((name, arguments)).replace(b'"tool_calls"}', b'"length"}')
    out, _ = rewrite_completion(ASKED, body, rules=RULES)
    (call,) = json.loads(out)["choices"][0]["message"]["tool_calls"]
    with pytest.raises(ValueError, match="column"):
        json.loads(call["function"]["arguments"])


def test_what_the_tool_requires_is_no_less_missing_because_a_rule_has_it() -> None:
    """A closing bracket is only supplied where nothing is missing without rules."""
    cut, whole = stream(("bash", ['{"command":"ls"'])), stream(("read", ['{"path":"a","content":"x"']))
    assert sent(cut)[:2] == ([("bash", '{"command":"ls"')], "length")
    assert sent(whole)[:2] == ([("write", {"path": "a", "content": "x"})], "tool_calls")


def test_values_go_on_as_they_come() -> None:
    """Only what a rule wants to see waits."""
    for name, pieces in [
        ("edit", ['{"path":"', "one", " two"]),
        ("bash", ['{"description":"', "one", " two"]),
        ("edit", ['{"hint":5,"path":"', "one", " two"]),
    ]:
        rewriter = StreamRewriter(ASKED, rules=RULES)
        gone = [
            b"".join(rewriter.feed(event))
            for event in [*LLAMA_CPP.open(), *LLAMA_CPP.calls([(name, pieces)])]
        ]
        assert b"one" in gone[-2]
        assert b" two" in gone[-1]


def test_calls_in_a_row() -> None:
    row = [(name, arguments) for name, arguments, *_ in CHANGED] + SAME
    expected = [(other, said) for _, _, other, said, _ in CHANGED]
    expected += [(name, json.loads(arguments)) for name, arguments in SAME]
    for size in (1, 3, 1000):
        calls = [(n, [a[i : i + size] for i in range(0, len(a), size)]) for n, a in row]
        for engine in (LLAMA_CPP, VLLM):
            assert sent(stream(*calls, engine=engine))[0] == expected
    assert read_completed(rewrite_completion(ASKED, completed(*row), rules=RULES)[0]) == expected


@pytest.mark.parametrize("empty", ["{}", ""])
def test_a_call_without_arguments_before_another(empty: str) -> None:
    calls = [("read", [empty] if empty else []), ("ls", ['{"path":"a"}'])]
    assert sent(stream(*calls))[0] == [("read", {}), ("ls", {"path": "a"})]


def test_other_repairs_come_first() -> None:
    """What the mender reads, the rules see; how it was cut does not matter."""
    for arguments, expected in [
        ('"{\\"command\\": \\"ls\\"}"', {"command": "ls"}),
        ("<parameter=command>\nls\n</parameter>", {"command": "ls"}),
        ('{}{"command":"ls"}', {"command": "ls"}),
        ('{"command":"ls",}', {"command": "ls"}),
        ('{"command":"ls","timeout":"5"}', {"command": "ls", "timeout": 5}),
    ]:
        said = expected | {"description": "Run", "tags": ["x"]}
        for pieces in all_cuts(arguments):
            calls, finish, repairs, _ = sent(stream(("bash", [p for p in pieces if p])))
            assert (calls, finish) == ([("bash", said)], "tool_calls"), pieces
            assert repairs.count("rule-default") == 2
            assert len(repairs) == 3
        out, _ = rewrite_completion(ASKED, completed(("bash", arguments)), rules=RULES)
        assert read_completed(out) == [("bash", said)]


def test_a_swallowed_call_has_rules_too() -> None:
    swallowed = "a\n</parameter>\n</function>\n<function=read>\n<parameter=path>\nb\n</parameter>\n"
    arguments = json.dumps({"path": swallowed + "<parameter=content>\nx\n</parameter>\n</function>"})
    expected = [("ls", {"path": "a"}), ("write", {"path": "b", "content": "x"})]
    for pieces in few_cuts(arguments):
        assert sent(stream(("ls", [p for p in pieces if p])))[0] == expected


def test_a_leaked_copy_is_still_a_copy() -> None:
    leak = "<tool_call>\n<function=bash>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>"
    events = LLAMA_CPP.answer([leak], "tool_calls", [("bash", ['{"command":', '"ls"}'])])
    calls, _, repairs, _ = sent(events)
    assert calls == [("bash", {"command": "ls", "description": "Run", "tags": ["x"]})]
    assert "duplicate-call" in repairs


def test_text_and_a_call_that_waits() -> None:
    events = [*LLAMA_CPP.open(), LLAMA_CPP.text("Look. "), *LLAMA_CPP.calls([("read", ['{"path":', '"a"}'])])]
    events += [b": keep-alive\n\n", *LLAMA_CPP.ending("tool_calls")]
    assert sent(events)[3] == b"".join(events)


def test_what_waits_is_limited() -> None:
    head, piece = '{"path":"a","content":"', "x" * 10_000
    rewriter, came, gone, most = StreamRewriter(ASKED, rules=RULES), 0, 0, 0
    for event in stream(("read", [head, *[piece] * 200, '"}']))[:-3]:
        came += len(event)
        gone += sum(map(len, rewriter.feed(event)))
        most = max(most, came - gone)
    assert most < 1_500_000
    assert gone > came - 200_000


@pytest.mark.parametrize("name", ["edit", "read", "bash"])
def test_a_rule_that_fails_costs_no_answer(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise ZeroDivisionError("planted")

    for method in ("value", "appended", "transform"):
        monkeypatch.setattr(ToolRules, method, fail)
    arguments = '{"path":"a", "all":"yes", "content":"x"}'
    for pieces in few_cuts(arguments):
        events = stream((name, [p for p in pieces if p]))
        rewriter = StreamRewriter(ASKED, rules=RULES)
        out = b"".join(piece for event in events for piece in rewriter.feed(event)) + b"".join(
            rewriter.close()
        )
        assert "planted" in rewriter.ledger.failure
        assert out == b"".join(events)
    body = completed((name, arguments))
    out, ledger = rewrite_completion(ASKED, body, rules=RULES)
    assert out is body
    assert "planted" in ledger.failure


@pytest.mark.parametrize("begun", ["", '{"', '{"command":"l', '{"command":"ls","desc', '{"command":"ls"'])
def test_an_error_that_holds_the_rest_of_a_call(begun: str) -> None:
    leak = "<tool_call>\n<function=bash>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>"
    error = {"error": {"code": 500, "message": f"Failed to parse input at pos 0: {leak}"}}
    events = LLAMA_CPP.calls([("bash", [begun] if begun else [])])
    calls, finish, repairs, _ = sent(
        [*LLAMA_CPP.open(), *events, b"data: " + json.dumps(error).encode() + b"\n\n"]
    )
    assert calls == [("bash", {"command": "ls", "description": "Run", "tags": ["x"]})]
    assert finish == "tool_calls"
    assert repairs == ["engine-error", "rule-default", "rule-default"]


@pytest.mark.parametrize("begun", ["", "{", '{"path":"', '{"path":"a","content":"x"'])
def test_an_error_that_holds_the_rest_of_a_call_that_waits(begun: str) -> None:
    values = "<parameter=path>\na\n</parameter>\n<parameter=content>\nx\n</parameter>"
    leak = f"<tool_call>\n<function=read>\n{values}\n</function>\n</tool_call>"
    error = {"error": {"code": 500, "message": f"Failed to parse input at pos 0: {leak}"}}
    events = LLAMA_CPP.calls([("read", [begun] if begun else [])])
    told = b"data: " + json.dumps(error).encode() + b"\n\n"
    calls, finish, _, _ = sent([*LLAMA_CPP.open(), *events, told])
    assert calls == [("write", {"path": "a", "content": "x"})]
    assert finish == "tool_calls"


def test_a_call_of_another_shape_is_still_put_right() -> None:
    deltas: list[Json] = [
        {"id": None, "type": None, "function": {"name": "read", "arguments": {"path": "a", "content": "x"}}}
    ]
    events = [*LLAMA_CPP.open(), LLAMA_CPP.chunk((0, {"tool_calls": deltas}, None)), LLAMA_CPP.end(), DONE]
    calls, finish, repairs, _ = sent(events)
    assert (calls, finish) == ([("write", {"path": "a", "content": "x"})], "tool_calls")
    assert repairs == ["call-shape", "finish-reason", "rule-tool"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["path", "command", "description", "tags", "hint", "all", "mode", "options", "content"]
)


@settings(deadline=None, max_examples=200)
@given(
    st.sampled_from(["bash", "edit", "read", "guess"]), st.dictionaries(KEYS, VALUES, max_size=5), st.data()
)
def test_any_arguments_at_any_cut(name: str, arguments: Json, data: st.DataObject) -> None:
    """However it is cut, a call comes to the same: to what the rules make of what it comes to without."""
    text = json.dumps(arguments, indent=data.draw(st.sampled_from([None, 1])))
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=6))
    once = sent(stream((name, [text])))
    cut = sent(stream((name, [p for p in cut_at(text, places) if p])))
    assert cut[:3] == once[:3]
    plain = read_answer(send(stream((name, [text])), ASKED)[0]).message.named[0][1]
    rules = TOOLSET.rules_for(TOOLSET.tools.get(name, Tool(name)))
    assert rules
    other, expected, _ = rules.transform(plain)
    assert once[0] == [(other, expected)]
    assert list(once[0][0][1]) == list(expected)
    out, ledger = rewrite_completion(ASKED, completed((name, text)), rules=RULES)
    assert read_completed(out) == once[0]
    assert sorted(map(str, ledger.repairs.elements())) == once[2]
