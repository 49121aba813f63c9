"""The README's tables say what the code says, and its commands exist.

`python tests/test_readme.py` prints the tables as they should be.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from qwenproxy.control import ENDPOINTS
from qwenproxy.options import OPTIONS
from qwenproxy.rules import SHIPPED, read
from toolstream.repairs import Refused, Repair
from toolstream.rules import FITTING, Action, Condition

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table(heading: str, rows: Iterable[Iterable[str]]) -> list[str]:
    return [heading, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)]


TABLES = {
    "options": table(
        "| option | default | what it does |",
        ((f"`{o.name}`", f"`{o.default}`" if o.default else "", o.help) for o in OPTIONS),
    ),
    "repairs": table("| repair | what was mended |", ((f"`{r}`", f"`{r.why}`") for r in Repair)),
    "refused": table("| refused | why |", ((f"`{r}`", f"`{r.why}`") for r in Refused)),
    "conditions": table("| condition | holds if the parameter … |", ((f"`{c}`", c.why) for c in Condition)),
    "actions": table(
        "| action | what it does, and where | fits |",
        ((f"`{a}`", a.why, ", ".join(f"`{c}`" for c in FITTING[a])) for a in Action),
    ),
    "endpoints": table(
        "| endpoint | also | what it does |",
        ((f"`{e.method} /_qwen/{e.name}`", f"`{e.alias}`" if e.alias else "", e.help) for e in ENDPOINTS),
    ),
}


def table_in_readme(heading: str) -> list[str]:
    """The table that begins with this heading, without the line of dashes."""
    lines = README.split("\n")
    start = lines.index(heading)
    length = next(i for i, line in enumerate(lines[start:]) if not line.startswith("|"))
    return [lines[start], *lines[start + 2 : start + length]]


@pytest.mark.parametrize("name", TABLES)
def test_table(name: str) -> None:
    assert table_in_readme(TABLES[name][0]) == TABLES[name]


def test_every_make_target_it_names_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"`make (\w+)", README)) | set(re.findall(r"^make (\w+)", README, re.M))
    assert named
    assert named <= targets


def test_every_file_it_names_exists() -> None:
    named = set(re.findall(r"`((?:addon|tests|recordings)/[\w/.]*)", README))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_option_it_sets_exists() -> None:
    named = set(re.findall(r"--set (qwen_\w+)", README))
    assert named
    assert named <= {option.name for option in OPTIONS}


def test_the_example_of_a_rules_file_is_true(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(README.partition("```yaml\n")[2].partition("```")[0])
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
