"""The rules file: its content, its errors, and when it is read again."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwenproxy.rules.file import (
    SHIPPED,
    LiveRules,
    RulesError,
    as_text,
    read,
    read_text,
)
from support.cases import read_tool
from toolstream.schema.rules import FITTING, Action, Condition, Rule, Rules
from toolstream.schema.toolset import Toolset

SIMPLE = """
tools:
  bash:
    fixes:
      - name: describe
        parameter: description
        condition: missing
        action: set_default
        default_value: Run it
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    return path


def rules_in(tmp_path: Path, text: str, model: str = "qwen") -> Rules:
    return read(written(tmp_path, text)).for_model(model)


def named(rules: Rules) -> dict[str, list[str]]:
    """Return {tool: names of its rules}."""
    return {tool: [rule.name for rule in listed] for tool, listed in rules.tools.items() if listed}


# The content of a file


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        (
            "parameter: p, condition: missing_or_empty, action: set_default, default_value: {a: [1, 2.5, ~]}",
            Rule("r", Action.SET_DEFAULT, "p", Condition.MISSING_OR_EMPTY, value={"a": [1, 2.5, None]}),
        ),
        (
            "parameter: p, condition: invalid_enum, valid_values: [a, 1, true, null], action: set_default, "
            "default_value: null",
            Rule("r", Action.SET_DEFAULT, "p", Condition.INVALID_ENUM, None, ("a", 1, True, None)),
        ),
        (
            "parameter: p, condition: is_string, action: parse_json_array, fallback_value: []",
            Rule("r", Action.PARSE_JSON_ARRAY, "p", Condition.IS_STRING, value=[]),
        ),
        (
            "parameter: p, condition: is_string, action: parse_json_object",
            Rule("r", Action.PARSE_JSON_OBJECT, "p", Condition.IS_STRING),
        ),
        (
            "parameter: p, condition: exists, action: convert_string_to_boolean, fallback_value: false",
            Rule("r", Action.CONVERT_STRING_TO_BOOLEAN, "p", Condition.EXISTS, value=False),
        ),
        (
            "parameter: p, condition: exists, action: remove_parameter, description: no use",
            Rule("r", Action.REMOVE_PARAMETER, "p", Condition.EXISTS),
        ),
        (
            "action: convert_tool, to: write, when: [filePath, content]",
            Rule("r", Action.CONVERT_TOOL, to="write", when=("filePath", "content")),
        ),
        (
            "parameter: p, condition: missing, action: convert_tool, to: write, when: [content], "
            "enabled: true",
            Rule("r", Action.CONVERT_TOOL, "p", Condition.MISSING, to="write", when=("content",)),
        ),
        (
            "parameter: content, condition: exists, action: convert_tool_to_write",
            Rule("r", Action.CONVERT_TOOL, "content", Condition.EXISTS, to="write"),
        ),
        (
            "parameter: content, condition: exists, action: convert_tool_to_write, to: create",
            Rule("r", Action.CONVERT_TOOL, "content", Condition.EXISTS, to="create"),
        ),
    ],
)
def test_a_rule_is_read(tmp_path: Path, lines: str, rule: Rule) -> None:
    rules = rules_in(tmp_path, f"tools: {{t: {{fixes: [{{name: r, {lines}}}]}}}}")
    assert rules == Rules({"t": (rule,)})
    assert type(rules.tools["t"][0].value) is type(rule.value)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("condition", Condition)
def test_what_fits_is_read_and_what_does_not_is_refused(
    tmp_path: Path, action: Action, condition: Condition
) -> None:
    more = "default_value: 1, " * (action == "set_default") + "to: x, " * (action == "convert_tool")
    more += "valid_values: [1], " * (condition == "invalid_enum")
    path = written(
        tmp_path,
        "tools:\n t:\n  fixes:\n"
        f"  - {{name: r, parameter: p, action: {action}, {more}\n     condition: {condition}}}",
    )
    if condition in FITTING[action]:
        assert read(path).count == 1
    else:
        with pytest.raises(RulesError) as caught:
            read(path)
        fitting = ", ".join(FITTING[action])
        assert str(caught.value) == (
            f"{path}, line 5: condition: {condition} does not fit {action}; write one of {fitting}"
        )


@pytest.mark.parametrize(
    "text", ["{}", "tools:\n", "tools:\n  bash:\n", "tools: {bash: {fixes: }}\nmodels:\n"]
)
def test_nothing_said_is_no_rules(tmp_path: Path, text: str) -> None:
    assert named(rules_in(tmp_path, text)) == {}
    assert read(written(tmp_path, text)).count == 0


def test_plain_values_come_out(tmp_path: Path) -> None:
    text = SIMPLE.replace(
        "Run it",
        "\n          a: 0x10\n          b: 1.50\n          c: &x true\n          d: *x\n          e: 'yes'"
        "\n          f: yes\n          g: |\n            line\n",
    )
    value = rules_in(tmp_path, text).tools["bash"][0].value
    assert json.dumps(value) == json.dumps(
        {"a": 16, "b": 1.5, "c": True, "d": True, "e": "yes", "f": "yes", "g": "line\n"}
    )
    for member, kind in zip(value.values(), (int, float, bool, bool, str, str, str), strict=True):
        assert type(member) is kind


# A file of qwen3-call-patch-proxy: its keys, and settings without a meaning here
EARLIER = """
tools:
  todowrite:
    fixes:
      - name: "a"
        parameter: "todos"
        condition: "is_string"
        action: "parse_json_array"
        fallback_value: []
        description: "why"
  read:
    fixes:
      - name: "b"
        parameter: "content"
        condition: "exists"
        action: "convert_tool_to_write"
        description: "why"
settings:
  buffer_timeout: 120
  max_buffer_size: 1048576
  detailed_logging: true
  case_sensitive_tools: false
  legacy_api_mode: false
  auto_detect_legacy: true
  legacy_read_chunk_size: 8192
  legacy_read_timeout: 30
  legacy_models:
    - "qwen3"
  auto_retry_legacy: true
"""


def test_a_file_of_the_earlier_proxy_is_read(tmp_path: Path) -> None:
    assert named(rules_in(tmp_path, EARLIER)) == {"todowrite": ["a"], "read": ["b"]}


# Merging sections

SECTIONS = """
tools:
  bash:
    fixes:
      - {name: a, parameter: p, condition: missing, action: set_default, default_value: 1}
      - {name: b, parameter: p, condition: missing, action: set_default, default_value: 1}
models:
  coder:
    tools:
      Bash:
        fixes:
          - {name: c, parameter: p, condition: missing, action: set_default, default_value: 2}
          - {name: a, parameter: p, condition: missing, action: set_default, default_value: 2}
  ^qwen2\\.5:
    tools:
      bash:
        fixes:
          - {name: b, enabled: false}
          - {name: a, parameter: p, condition: missing, action: set_default, default_value: 3}
      edit:
        fixes:
          - {name: b, parameter: p, condition: missing, action: set_default, default_value: 3}
"""


@pytest.mark.parametrize(
    ("model", "rules"),
    [
        ("llama", {"bash": [("a", 1), ("b", 1)]}),
        ("qwen3-coder", {"bash": [("a", 2), ("b", 1), ("c", 2)]}),
        ("qwen2.5", {"bash": [("a", 3)], "edit": [("b", 3)]}),
        ("my-qwen2.5", {"bash": [("a", 1), ("b", 1)]}),
        ("qwen2.5-coder", {"bash": [("a", 3), ("c", 2)], "edit": [("b", 3)]}),
    ],
)
def test_a_section_for_a_model(tmp_path: Path, model: str, rules: dict[str, Any]) -> None:
    found = rules_in(tmp_path, SECTIONS, model)
    assert {tool: [(r.name, r.value) for r in listed] for tool, listed in found.tools.items()} == rules


def test_how_many_rules_a_file_has(tmp_path: Path) -> None:
    for text, summary in ((SECTIONS, "6 rules"), (SIMPLE, "1 rule"), ("{}", "0 rules")):
        assert LiveRules(written(tmp_path, text)).summary == summary


def test_a_file_builds_on_the_shipped_rules(tmp_path: Path) -> None:
    shipped = named(read(SHIPPED).for_model(""))
    text = "extends: default\n" + SIMPLE.replace(
        "fixes:", "fixes:\n      - {name: describe_command, enabled: false}"
    )
    assert named(rules_in(tmp_path, text)) == shipped | {"bash": ["describe"]}
    replaced = "extends: default\n" + SIMPLE.replace("name: describe", "name: describe_command")
    found = rules_in(tmp_path, replaced)
    assert named(found) == shipped
    assert found.tools["bash"][0].value == "Run it"


def test_a_tool_is_the_same_one_whatever_its_case(tmp_path: Path) -> None:
    off = "extends: default\ntools: {Bash: {fixes: [{name: describe_command, enabled: false}]}}\n"
    assert "bash" not in named(rules_in(tmp_path, off))
    with pytest.raises(RulesError, match="no rule describe_command to switch off; remove it"):
        rules_in(tmp_path, off + "settings: {case_sensitive_tools: true}")


def test_a_rule_that_is_switched_off_where_it_stands(tmp_path: Path) -> None:
    assert named(rules_in(tmp_path, SIMPLE + "        enabled: false\n")) == {}


def test_case_of_tools(tmp_path: Path) -> None:
    both = SECTIONS + "settings: {case_sensitive_tools: %s}\n"
    for value, tools in (("true", ["bash", "Bash"]), ("false", ["bash"])):
        rules = rules_in(tmp_path, both % value, "coder")
        assert list(rules.tools) == tools
        assert rules.case_sensitive is (value == "true")


# Errors

RULE = "tools:\n  bash:\n    fixes:\n      - name: r\n"  # four lines


def rule(*lines: str) -> str:
    """Return a file with one rule; these are its lines from line 5 on."""
    return RULE + "".join(f"        {line}\n" for line in lines)


def default(*lines: str, value: str = "1", condition: str = "missing") -> str:
    """Return a rule with an action, on lines 5 to 8, and these lines."""
    return rule(
        "action: set_default", f"condition: {condition}", "parameter: p", f"default_value: {value}", *lines
    )


USELESS = "this rule does not use it; remove it"
NO_JSON = "default_value: write a value that JSON has, or put it in quotes"
BAD = [
    ("", 1, "write a mapping, such as tools:"),
    ("- a", 1, "write a mapping, such as tools:"),
    ("tool:\n", 1, "tool: there is no such key; write tools"),
    ("tools: {}\nmodel: {}\n", 2, "model: there is no such key; write models"),
    ("5: x", 1, "5: write it in quotes"),
    ("tools: bash", 1, "tools: write the name of a tool, and its fixes: below it"),
    ("tools: [bash]", 1, "tools: write the name of a tool"),
    ("tools:\n  bash: x\n", 2, "bash: write fixes: below it"),
    ("tools:\n  bash:\n    parameters: {}\n", 3, "parameters: there is no such key; write fixes"),
    ("tools:\n  bash:\n    fixes: x\n", 3, "fixes: write a list of rules, each with - name:"),
    ("tools:\n  bash:\n    fixes: [x]\n", 3, "fixes: write a list of rules"),
    ("tools:\n  bash:\n    fixes:\n      - parameter: p\n", 4, "name: write a name for the rule"),
    ("tools:\n  bash:\n    fixes:\n      - name: 5\n", 4, "name: write a name for the rule"),
    (rule(), 4, "action: write one of set_default, parse_json_array, "),
    (rule("action: set_defualt"), 5, "action: there is no set_defualt; write set_default"),
    (rule("action: [x]"), 5, "action: write one of "),
    (rule("action: set_default"), 4, "condition: write one of is_string, missing, "),
    (default(condition="mising"), 6, "condition: there is no mising; write missing"),
    (
        rule("action: set_default", "condition: missing", "parameter: p"),
        4,
        "default_value: set_default needs it; write default_value: VALUE",
    ),
    (
        rule("action: set_default", "condition: missing", "default_value: 1"),
        4,
        "parameter: write the name of a parameter",
    ),
    (
        default(condition="invalid_enum"),
        4,
        "valid_values: invalid_enum needs it; write valid_values: [VALUE, VALUE]",
    ),
    (default("valid_values: x", condition="invalid_enum"), 9, "valid_values: write a list of values"),
    (default("valid_values: []", condition="invalid_enum"), 9, "valid_values: write a list of values"),
    (default("valid_values: [1]"), 9, f"valid_values: {USELESS}"),
    (default("fallback_value: 1"), 9, f"fallback_value: {USELESS}"),
    (default("to: x"), 9, f"to: {USELESS}"),
    (default("when: [x]"), 9, f"when: {USELESS}"),
    (
        rule("action: remove_parameter", "condition: exists", "default_value: 1"),
        7,
        f"default_value: {USELESS}",
    ),
    (default("default_vale: 1"), 9, "default_vale: there is no such key; write default_value"),
    (default("colour: x"), 9, "colour: there is no such key; write one of name, parameter, condition, ac"),
    (default(value="2001-01-01"), 8, NO_JSON),
    (default(value=".nan"), 8, NO_JSON),
    (default(value="!x y"), 8, NO_JSON),
    (default(value="{1: 2}"), 8, "default_value: write keys in quotes"),
    (default("enabled: yes"), 9, "enabled: write true or false"),
    (rule("action: convert_tool"), 4, "condition: write one of is_string, "),
    (rule("action: convert_tool", "when: [a]"), 4, "to: write the name of the tool to convert to"),
    (rule("action: convert_tool", "to: x", "when: a"), 7, "when: write a list of parameters, such as ["),
    (rule("action: convert_tool", "to: x", "when: []"), 7, "when: write a list of parameters"),
    (rule("action: convert_tool", "to: x", "when: [a]", "parameter: p"), 4, "condition: write one of "),
    (
        rule("action: convert_tool", "to: x", "when: [a]", "condition: missing"),
        4,
        "parameter: write the name",
    ),
    (
        SIMPLE + SIMPLE[SIMPLE.index("      - name") :],
        10,
        "name: bash has two rules called describe; write another name",
    ),
    (rule("enabled: false"), 4, "name: there is no rule r to switch off; remove it"),
    (
        "extends: default\n" + rule("enabled: false"),
        5,
        "name: there is no rule r to switch off; write describe_command",
    ),
    ("extends: defaults\n", 1, "extends: there is no defaults; write default"),
    ("models:\n  '[':\n    tools: {}\n", 2, "[: write a regular expression (unterminated character set"),
    ("models: x", 1, "models: write a regular expression for the model's name"),
    ("models:\n  a:\n    fixes: {}\n", 3, "fixes: there is no such key; write tools"),
    ("models:\n  3:\n    tools: {}\n", 2, "3: write it in quotes"),
    ("settings: {case_sensitive_tools: no}", 1, "case_sensitive_tools: write true or false"),
    ("settings:\n  case_sensitive: true\n", 2, "case_sensitive: there is no such key; write case_sensi"),
    # not YAML
    ("tools:\n  bash: {}\n  edit: {}\n  bash: {}\n", 4, "bash: written twice; write it once"),
    ("tools: {}\ntools:\n  a: {}\n", 2, "tools: written twice; write it once"),
    (SIMPLE + "        action: x\n", 10, "action: written twice; write it once"),
    ("tools:\n\tbash: {}\n", 2, "a tab; write spaces"),
    ("tools: {a: 1\n", 2, "not YAML: "),
    ("tools:\n  bash:\n   x: 1\n  - y\n", 4, "not YAML: "),
    ("tools: *nowhere\n", 1, "not YAML: found undefined alias 'nowhere'"),
    ("a: 1\n---\nb: 2\n", 2, "not YAML: "),
    ("tools: \x01\n", 1, "not YAML: "),
    ("tools: 2001-99-99\n", 1, "not YAML: "),
    ("[" * 1000, 1, "more than 20 levels deep; write fewer"),
]


@pytest.mark.parametrize(("text", "line", "complaint"), BAD)
def test_what_is_wrong_is_one_line(tmp_path: Path, text: str, line: int, complaint: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RulesError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}, line {line}: {complaint}")
    assert "\n" not in str(caught.value)


EDITS = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 12),
        st.sampled_from([*"-:[]{}&*!|>'\"\t\n ,#?%@", "", "1", "~", ": ", "- ", "<<: *a", "&a ", "!!set "]),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from([SIMPLE, SECTIONS, EARLIER, SHIPPED.read_text()]), EDITS)
def test_whatever_is_wrong_is_one_line(text: str, edits: list[tuple[float, int, str]]) -> None:
    for place, length, instead in edits:
        at = int(place * len(text))
        text = text[:at] + instead + text[at + length :]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "rules.yaml")
        path.write_text(text)
        try:
            read(path).for_model("qwen3-coder")
            return
        except RulesError as e:
            line = str(e)
    assert line.startswith(f"{path}, line ")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "it is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path: Path, make: Any, reason: str) -> None:
    path = tmp_path / "rules.yaml"
    make(path)
    with pytest.raises(RulesError) as caught:
        read(path)
    assert str(caught.value) == f"{path}: write default, or the path of a YAML file ({reason})"


def test_a_byte_order_mark_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SIMPLE.encode())
    assert read(path).count == 1


# The shipped rules


def shipped(tools: list[str], name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return what the shipped rules make of a call."""
    toolset = Toolset([read_tool(tool) for tool in tools])
    found = read(SHIPPED).for_model("qwen3").for_tool(toolset.tools[name], toolset.tools, toolset.allows)
    return found.transform(arguments)[:2] if found else (name, arguments)


READ, WRITE = "read(filePath: string)", "write(filePath: string, content: string)"


@pytest.mark.parametrize(
    ("tools", "before", "after"),
    [
        (["todowrite(todos: array)"], {"todos": "broken ["}, {"todos": []}),
        (["TodoWrite(todos: {})"], {"todos": '[{"id": 1}]'}, {"todos": [{"id": 1}]}),
        (["todowrite(todos: string)"], {"todos": "[]"}, {"todos": "[]"}),
        (["multiedit(edits: array)"], {"edits": "no"}, {"edits": []}),
        (
            ["bash(command: string, description: string)"],
            {"command": "ls"},
            {"command": "ls", "description": "Execute the given shell command"},
        ),
        (
            ["bash(command: string, description: string)"],
            {"command": "ls", "description": ""},
            {"command": "ls", "description": "Execute the given shell command"},
        ),
        (["bash(command: string, description?: string)"], {"command": "ls"}, {"command": "ls"}),
        (["edit(replaceAll?: boolean)"], {"replaceAll": "yes"}, {"replaceAll": True}),
        (["edit(replace_all?: boolean)"], {"replace_all": "0"}, {"replace_all": False}),
        (["edit(replaceAll?: string)"], {"replaceAll": "true"}, {"replaceAll": "true"}),
        (["glob(pattern: string, path: string)"], {"pattern": "*"}, {"pattern": "*", "path": "."}),
        (["glob(pattern: string, path?: string)"], {"pattern": "*"}, {"pattern": "*"}),
        (["grep(output_mode: string)"], {"output_mode": "lines"}, {"output_mode": "files_with_matches"}),
        (["grep(output_mode: string)"], {"output_mode": "count"}, {"output_mode": "count"}),
        (
            ['grep(output_mode?: {"enum": ["content", "files_with_matches"]})'],
            {"output_mode": "lines"},
            {"output_mode": "files_with_matches"},
        ),
        (["grep(output_mode?: string)"], {"output_mode": "lines"}, {"output_mode": "lines"}),
        (["task(subagent_type: string)"], {}, {"subagent_type": "general-purpose"}),
        (['task(subagent_type: {"enum": ["explore"]})'], {}, {}),
        ([READ], {"filePath": "/a", "content": "x"}, {"filePath": "/a"}),
        (["read(filePath: string, content?: string)", WRITE], {"content": "x"}, {"content": "x"}),
    ],
)
def test_the_shipped_rules(tools: list[str], before: dict[str, Any], after: dict[str, Any]) -> None:
    name = tools[0].partition("(")[0]
    assert shipped(tools, name, before) == (name, after)


def test_the_shipped_rules_write_what_was_to_be_read() -> None:
    call = {"filePath": "/a", "content": "x"}
    assert shipped([READ, WRITE], "read", call) == ("write", call)
    assert shipped([READ, WRITE], "read", {"content": "x"}) == ("read", {})


@pytest.mark.parametrize(
    ("tool", "live", "held"),
    [
        ("bash(command: string, description: string)", True, ""),
        ("glob(pattern: string, path: string)", True, ""),
        ("edit(filePath: string, replaceAll?: boolean)", True, "replaceAll replace_all"),
        ("todowrite(todos: array)", True, "todos"),
        ("task(prompt: string, subagent_type: string)", True, ""),
        (READ, False, "content"),
    ],
)
def test_the_shipped_rules_let_calls_stream(tool: str, live: bool, held: str) -> None:
    toolset = Toolset([read_tool(tool), read_tool(WRITE)])
    found = (
        read(SHIPPED)
        .for_model("qwen3")
        .for_tool(next(iter(toolset.tools.values())), toolset.tools, toolset.allows)
    )
    assert found
    assert found.live is live
    assert sorted(found.held) == held.split()


# Read again


@pytest.fixture
def live(tmp_path: Path) -> LiveRules:
    return LiveRules(written(tmp_path, SIMPLE))


def value(rules: LiveRules) -> Any:
    return rules.file.for_model("").tools["bash"][0].value


def change(rules: LiveRules, before: str, after: str) -> None:
    rules.path.write_text(rules.path.read_text().replace(before, after))


def test_a_bad_file_cannot_begin(tmp_path: Path) -> None:
    with pytest.raises(RulesError):
        LiveRules(written(tmp_path, "x"))


def test_a_changed_file_is_read_again(live: LiveRules, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    begun = live.file
    change(live, "Run it", "Run this")
    live.refresh()
    live.refresh()
    assert value(live) == "Run this"
    assert [record.getMessage() for record in caplog.records] == [
        f"qwen_rules: {live.path} was read again: 1 rule"
    ]
    assert begun.for_model("").tools["bash"][0].value == "Run it"  # for the chats that have begun


@pytest.mark.parametrize("how", ["rewritten", "replaced"])
def test_a_change_of_the_same_size_is_seen(live: LiveRules, tmp_path: Path, how: str) -> None:
    before = live.path.stat()
    if how == "rewritten":
        change(live, "Run it", "Do it.")
        os.utime(live.path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    else:
        other = tmp_path / "other"
        other.write_text(SIMPLE.replace("Run it", "Do it."))
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.replace(live.path)
    live.refresh()
    assert value(live) == "Do it."


def test_a_file_that_has_not_changed_is_not_read(live: LiveRules) -> None:
    before = live.file
    live.refresh()
    assert live.file is before
    live.reload()
    assert live.file is not before
    assert live.file == before


def test_a_broken_file_changes_nothing_and_is_said_once(
    live: LiveRules, caplog: pytest.LogCaptureFixture
) -> None:
    change(live, "missing", "mising")
    for _ in range(3):
        live.refresh()
    live.reload()
    assert value(live) == "Run it"
    line = f"{live.path}, line 7: condition: there is no mising; write missing"
    assert live.error == line
    assert [record.getMessage() for record in caplog.records] == [
        f"qwen_rules: {line}; the old rules stay in force"
    ]


def test_a_file_that_is_corrected_counts_again(live: LiveRules) -> None:
    change(live, "Run it", "[")
    live.refresh()
    assert live.error
    change(live, "[", "Run that")
    live.refresh()
    assert (live.error, value(live)) == ("", "Run that")


def test_a_file_that_is_gone_changes_nothing(live: LiveRules) -> None:
    live.path.unlink()
    live.refresh()
    assert "No such file" in live.error
    assert value(live) == "Run it"


# Too large


def deep(levels: int) -> str:
    return SIMPLE.replace("Run it", "[" * levels + "1" + "]" * levels)


ALIASES = "default_value: [&a0 [x, x], " + ", ".join(f"&a{n + 1} [*a{n}, *a{n}]" for n in range(17)) + "]"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (deep(5000), "line 9: more than 20 levels deep; write fewer"),
        (
            "#\n" * 600_000 + SIMPLE,
            "line 500001: the file has more than 1000000 characters; write fewer rules",
        ),
        (
            "tools:\n" + "".join(f"  t{n}: {{}}\n" for n in range(50_000)),
            "line 33334: more than 100000 keys and values; write fewer rules",
        ),
        (
            SIMPLE.replace("default_value: Run it", ALIASES),
            "line 9: default_value: too many values; write them without *",
        ),
    ],
    ids=["deep", "long", "many", "aliases"],
)
def test_a_file_that_is_too_large_is_not_built(tmp_path: Path, text: str, complaint: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(RulesError) as caught:
        read(path)
    assert str(caught.value) == f"{path}, {complaint}"


def test_what_is_nearly_too_large_is_read(tmp_path: Path) -> None:
    assert rules_in(tmp_path, deep(10)).tools


# Written


@pytest.mark.parametrize("text", ["", SIMPLE, "settings: {case_sensitive_tools: true}" + SIMPLE])
def test_rules_in_force_can_be_written_and_read_again(tmp_path: Path, text: str) -> None:
    rules = rules_in(tmp_path, "extends: default\n" + text)
    assert read_text(as_text(rules), "again").for_model("any") == rules


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=3,
)


@settings(deadline=None)
@given(WORDS, WORDS, VALUES, st.lists(VALUES, min_size=1, max_size=2))
def test_any_rule_can(tool: str, name: str, value: Any, valid: list[Any]) -> None:
    rule = Rule(name, Action.SET_DEFAULT, name, Condition.INVALID_ENUM, value, tuple(valid))
    other = Rule(name + "2", Action.CONVERT_TOOL, to=tool, when=(name, tool))
    rules = Rules({tool: (rule, other)}, case_sensitive=True)
    text = as_text(rules)
    assert "\n" not in text
    assert read_text(text, "again").for_model("") == rules
