"""Which imports are allowed: the library does not know the proxy, and few files know mitmproxy."""

import ast
import re
import sys
from functools import cache
from pathlib import Path

import pytest
from proxy import ROOT

import toolstream
from support.rooms import listed, modules_of

ADDON = ROOT / "addon"
KNOW_MITMPROXY = {
    f"qwenproxy/{name}.py"
    for name in (
        *("addon", "arguments", "chat", "configuration", "finish", "options", "response", "recording/format"),
        *("mitm/internals", "mitm/listeners", "setup"),
        *("ui/commands", "ui/contentview", "ui/endpoints", "ui/mitmweb", "ui/observer", "ui/own_flows"),
        "ui/unread",
    )
}
LIBRARY = sorted((ADDON / "toolstream").rglob("*.py"))
ALL = sorted(ADDON.rglob("*.py"))
NO_IO = {
    "asyncio",
    "io",
    "logging",
    "os",
    "pathlib",
    "shutil",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "time",
}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(path: Path) -> set[str]:
    """Return the top-level modules that a file imports, except its own package."""
    names = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def _name(path: Path) -> str:
    return path.relative_to(ADDON).as_posix()


@pytest.mark.parametrize("path", LIBRARY, ids=_name)
def test_the_library_stands_alone(path: Path) -> None:
    modules = imported(path)
    assert not modules & {"mitmproxy", "qwenproxy"}
    assert not modules & NO_IO
    assert "open" not in {n.func.id for n in ast.walk(parsed(path)) if _is_plain_call(n)}


def _is_plain_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


@pytest.mark.parametrize("path", ALL, ids=_name)
def test_only_these_know_mitmproxy(path: Path) -> None:
    assert "mitmproxy" not in imported(path) or _name(path) in KNOW_MITMPROXY


@pytest.mark.parametrize("path", ALL, ids=_name)
def test_whatever_else_is_imported_may_be_missing(path: Path) -> None:
    """Not even mitmproxy's dependencies are certain: they change between releases."""
    there = {*sys.stdlib_module_names, "mitmproxy", "qwenproxy", "toolstream"}
    assert imported(path) - there <= _optional(path)


def _optional(path: Path) -> set[str]:
    """Return the imports inside a `try`, which may be missing."""
    tries = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Try)]
    imports = [n for t in tries for n in ast.walk(t) if isinstance(n, ast.Import | ast.ImportFrom)]
    return {name.partition(".")[0] for n in imports for name in _names_of(n)}


def _names_of(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]


PUBLIC = set(toolstream.__all__)


def inside(path: Path) -> set[str]:
    """The modules inside of the library that a file imports, and names that the library does not offer."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("toolstream."):
            found.add(str(node.module))
        elif isinstance(node, ast.ImportFrom) and node.module == "toolstream" and not node.level:
            found |= {alias.name for alias in node.names} - PUBLIC
    return {name for name in found if not name.startswith("toolstream.wire")}


@pytest.mark.parametrize("path", sorted((ADDON / "qwenproxy").rglob("*.py")), ids=_name)
def test_the_proxy_uses_what_the_library_offers(path: Path) -> None:
    assert inside(path) == set()


def test_what_the_library_offers_is_explained() -> None:
    manual = (ADDON / "toolstream" / "README.md").read_text()
    assert [name for name in PUBLIC if not re.search(rf"\b{name}\b", manual)] == []


def test_the_example_of_the_library_works(capsys: pytest.CaptureFixture[str]) -> None:
    manual = (ADDON / "toolstream" / "README.md").read_text()
    example = re.search(r"```python\n(.*?)```", manual, re.S)
    assert example
    exec(example[1], {})
    assert capsys.readouterr().out.splitlines() == [
        "text 'I look.'",
        "repaired: call without <tool_call>",
        "call 0 ls",
        'arguments 0 {"n": 3}',
        "end 0",
    ]


def test_the_package_says_where_to_find_what() -> None:
    assert listed(ADDON / "qwenproxy") == modules_of(ADDON / "qwenproxy")
