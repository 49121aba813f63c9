"""All bounds of the library are in one file, each with its reason, and each is in use."""

import ast
import re
from pathlib import Path

import toolstream
from toolstream import limits

ROOT = Path(toolstream.__file__).parent
TEXT = Path(limits.__file__).read_text(encoding="utf-8")
NAMES = [name for name in vars(limits) if not name.startswith("_")]
OTHERS = {path: path.read_text(encoding="utf-8") for path in ROOT.rglob("*.py") if path.name != "limits.py"}


def test_every_bound_is_a_number_with_its_reason() -> None:
    lines = [line for line in TEXT.splitlines() if re.match(r"[A-Z_, ]+ = ", line)]
    assert [line for line in lines if "  # " not in line] == []
    assert {name for line in lines for name in re.findall("[A-Z_]+", line.split("=")[0])} == {*NAMES}
    assert all(type(getattr(limits, name)) is int for name in NAMES)


def test_every_bound_is_in_use() -> None:
    imports = [
        node
        for text in OTHERS.values()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom)
    ]
    assert {*NAMES} == {alias.name for node in imports if node.module == "limits" for alias in node.names}


def test_no_other_module_has_bounds_of_its_own() -> None:
    own = re.compile(r"^_?[A-Z_]+ = (?:[0-9_]+|[0-9]+ << [0-9]+)\b", re.MULTILINE)
    assert {str(path): found for path, text in OTHERS.items() if (found := own.findall(text))} == {}
