"""What the READMEs say is what the code says: tables, commands, files, versions, and how long they are.

`python tests/test_readme.py` prints the tables as they should be.
"""

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

from qwenproxy import cli
from qwenproxy.options import OPTIONS
from qwenproxy.replay import command as replay
from qwenproxy.rules.file import SHIPPED, read
from qwenproxy.ui.endpoints import ENDPOINTS
from qwenproxy.ui.report import Kind
from qwenproxy.ui.stats import FIELDS
from toolstream.repairs import Refused, Repair
from toolstream.schema.rules import FITTING, Action, Condition

ROOT = Path(__file__).parents[1]
MANUAL = "addon/qwenproxy/README.md"
READMES = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", MANUAL, "addon/toolstream/README.md", "tests/README.md", "recordings/README.md")
}
ALL = "\n".join(READMES.values())
LONGEST = 170  # lines of the README, for somebody with two minutes


def table(heading: str, rows: Iterable[Iterable[str]]) -> list[str]:
    return [heading, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)]


TABLES = {
    "options": table(
        "| option | default | what it does |",
        ((f"`{o.name}`", f"`{o.default}`" if o.default else "", o.help) for o in OPTIONS),
    ),
    "repairs": table("| repair | what was repaired |", ((f"`{r}`", f"`{r.words}`") for r in Repair)),
    "refused": table("| refused | why |", ((f"`{r}`", f"`{r.words}`") for r in Refused)),
    "conditions": table("| condition | holds if the parameter … |", ((f"`{c}`", c.words) for c in Condition)),
    "actions": table(
        "| action | what it does, and where | fits |",
        ((f"`{a}`", a.words, ", ".join(f"`{c}`" for c in FITTING[a])) for a in Action),
    ),
    "endpoints": table(
        "| endpoint | also | what it does |",
        ((f"`{e.method} /_qwen/{e.name}`", f"`{e.alias}`" if e.alias else "", e.help) for e in ENDPOINTS),
    ),
}


def table_in(text: str, heading: str) -> list[str]:
    """The table that begins with this heading, without the line of dashes."""
    lines = text.split("\n")
    start = lines.index(heading)
    length = next(i for i, line in enumerate(lines[start:]) if not line.startswith("|"))
    return [lines[start], *lines[start + 2 : start + length]]


@pytest.mark.parametrize("name", TABLES)
def test_table(name: str) -> None:
    assert table_in(READMES[MANUAL], TABLES[name][0]) == TABLES[name]


def test_outcomes_are_spelt_as_the_manual_says() -> None:
    differ = {str(kind): FIELDS[kind] for kind in Kind if str(kind).replace("-", "_") != FIELDS[kind]}
    assert differ == {"backend-error": "backend_errors"}


def test_the_readme_takes_two_minutes() -> None:
    assert READMES["README.md"].count("\n") <= LONGEST


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {word for line in re.findall(r"^([\w -]+):(?!=)", makefile, re.M) for word in line.split()}
    named = set(re.findall(r"`make (\w+)", ALL)) | set(re.findall(r"^make (\w+)", ALL, re.M))
    assert named
    assert named <= targets


def test_every_file_exists() -> None:
    named = set(re.findall(r"`((?:addon|tests|recordings)/[\w/.-]*)", ALL))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", READMES)
def test_every_link_leads_somewhere(name: str) -> None:
    pictures = re.findall(r'src="([^"]*)"', READMES[name])
    for target in [*pictures, *re.findall(r"\]\(([^)#]*)[^)]*\)", READMES[name])]:
        assert ((ROOT / name).parent / target).exists(), target
    headings = re.findall(r"^#+ (.*)", READMES[name], re.M)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]*)\)", READMES[name])) <= anchors


def test_every_option_exists() -> None:
    named = set(re.findall(r"--set (qwen_\w+)", ALL))
    assert named
    assert named <= {option.name for option in OPTIONS}


def test_every_command_exists() -> None:
    assert set(re.findall(r"(?:`|^|&& |--from \. )qwen-fix ([a-z]+)\b", ALL, re.M)) <= {*cli.COMMANDS}
    assert set(re.findall(r"\bqwen-fix replay ([a-z]+)\b", ALL)) <= {*replay.COMMANDS}
    told = {name for name in cli.COMMANDS if f"| `qwen-fix {name}" in READMES[MANUAL]}
    assert told == {*cli.COMMANDS}


def test_the_versions_of_clients_are_those_of_make_e2e() -> None:
    """The rows of what `make e2e` runs; those below them were seen by hand."""
    npm = json.loads((ROOT / "tests/e2e/package.json").read_text())["dependencies"]
    pypi = dict(re.findall(r"^([\w-]+)==(\S+)", (ROOT / "tests/e2e/requirements.txt").read_text(), re.M))
    rows = table_in(READMES["README.md"], "| client | version |")[1:]
    assert rows[:8] == [
        f"| Claude Code | {npm['@anthropic-ai/claude-code']} |",
        f"| Codex | {npm['@openai/codex']} |",
        f"| OpenCode | {npm['opencode-ai']} |",
        f"| Qwen Code | {npm['@qwen-code/qwen-code']} |",
        "| OpenAI SDKs for Python and Node, chat completions and Responses "
        f"| {pypi['openai']}, {npm['openai']} |",
        f"| Anthropic SDKs for Python and Node | {pypi['anthropic']}, {npm['@anthropic-ai/sdk']} |",
        f"| Ollama libraries for Python and JavaScript | {pypi['ollama']}, {npm['ollama']} |",
        f"| AI SDK, with `@ai-sdk/openai-compatible`, `@ai-sdk/openai`, `@ai-sdk/anthropic` | {npm['ai']} |",
    ]


def test_snippets_in_json_are_json() -> None:
    snippets = re.findall(r"```json\n(.*?)```", READMES["README.md"], re.S)
    assert len(snippets) >= 2
    for snippet in snippets:
        assert "http://127.0.0.1:9090/v1" in json.dumps(json.loads(snippet))


def test_the_snippet_for_codex_is_its_configuration() -> None:
    (snippet,) = re.findall(r"```toml\n(.*?)```", READMES["README.md"], re.S)
    read = tomllib.loads(snippet)
    assert read["model_providers"][read["model_provider"]] == {
        "name": "local",
        "base_url": "http://127.0.0.1:9090/v1",
        "wire_api": "responses",
    }


def test_the_example_of_a_rules_file_is_true(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(READMES[MANUAL].partition("```yaml\n")[2].partition("```")[0])
    shipped, general = read(SHIPPED).for_model("").tools, read(path).for_model("qwen3").tools
    assert {name: rules for name, rules in general.items() if rules != shipped[name]}.keys() == {
        "bash",
        "grep",
    }
    assert [(rule.name, rule.value) for rule in general["bash"]] == [("describe_command", "Run a command")]
    assert general["grep"] == ()
    special = read(path).for_model("qwen3-coder-30b").tools
    assert special.keys() - general.keys() == {"ls"}
    assert [rule.to for rule in special["ls"]] == ["list"]


if __name__ == "__main__":
    print("\n\n".join("\n".join(rows) for rows in TABLES.values()))
