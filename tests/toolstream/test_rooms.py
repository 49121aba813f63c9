"""Imports run one way through the rooms of `toolstream`, and not far."""

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import pytest

import toolstream
from support.rooms import listed, modules_of

ROOT = Path(toolstream.__file__).parent
# Lowest first. A module imports its own room and the ones before it, and none that stands beside it.
ORDER = (
    {"limits"},
    {"repairs"},
    {"events", "grammar", "ledger"},
    {"schema"},
    {"parser", "wire"},
    {"native"},
    {"rewriter", "requests"},
    {""},  # toolstream itself: the public API
)
DEEPEST = 10  # imports in a row, those of the public API apart

Graph = Mapping[str, set[str]]  # module -> the modules that it imports


def imports_of(root: Path) -> dict[str, set[str]]:
    """The import graph of a package; modules are named without the package's own name, "" is its __init__."""
    paths = {_name(path.relative_to(root)): path for path in root.rglob("*.py")}
    return {name: set(_imported(name, path, paths)) - {name} for name, path in paths.items()}


def _name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix("__init__").removesuffix(".")


def _imported(name: str, path: Path, known: Iterable[str]) -> Iterable[str]:
    """The modules of the package that one imports; all imports within it are relative, or are of all modules
    of a folder."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    source = path.read_text(encoding="utf-8")
    if "iter_modules(__path__)" in source:
        yield from (module for module in known if module.startswith(f"{name}."))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "toolstream" for alias in node.names), path
        elif isinstance(node, ast.ImportFrom):
            assert node.level or (node.module or "").split(".")[0] != "toolstream", path
            if node.level:
                within = package[: len(package) - node.level + 1]
                module = ".".join(filter(None, [*within, node.module]))
                for alias in node.names:
                    inner = f"{module}.{alias.name}".strip(".")
                    yield inner if inner in known else module


def room_of(module: str) -> str:
    return module.partition(".")[0]


def floor_of(module: str) -> int:
    return next(n for n, rooms in enumerate(ORDER) if room_of(module) in rooms)


def wrong(graph: Graph) -> list[str]:
    """Every import that the order of the rooms forbids, as text."""
    return [
        f"{module} imports {other}"
        for module, others in sorted(graph.items())
        for other in sorted(others)
        if room_of(module) != room_of(other) and floor_of(module) <= floor_of(other)
    ]


def depths(graph: Graph) -> dict[str, int]:
    """How many imports in a row lead down from each module. ValueError if some lead in a circle."""
    open_modules: list[str] = []

    @cache
    def depth(module: str) -> int:
        if module in open_modules:
            raise ValueError("a circle: " + " -> ".join([*open_modules, module]))
        open_modules.append(module)
        found = 1 + max((depth(other) for other in graph[module]), default=-1)
        open_modules.pop()
        return found

    return {module: depth(module) for module in graph}


def longest(graph: Graph) -> list[str]:
    """The modules of a longest chain of imports, highest first."""
    deep = depths(graph)
    chain = [max(deep, key=lambda module: deep[module])]
    while graph[chain[-1]]:
        chain.append(max(graph[chain[-1]], key=lambda module: deep[module]))
    return chain


GRAPH = imports_of(ROOT)


def test_every_module_has_a_room() -> None:
    assert {room_of(module) for module in GRAPH} == set().union(*ORDER)


def test_imports_run_one_way() -> None:
    assert wrong(GRAPH) == []


def test_no_imports_lead_in_a_circle_and_none_lead_far(capsys: pytest.CaptureFixture[str]) -> None:
    inside = {module: others for module, others in GRAPH.items() if module}
    chain = longest(inside)
    with capsys.disabled():
        print(f"\ntoolstream, imports in a row: {len(chain) - 1}: {' > '.join(chain)}")
    assert len(chain) - 1 <= DEEPEST
    assert depths(GRAPH)[""] <= DEEPEST + 1


@pytest.mark.parametrize(
    "room", sorted(path.parent for path in ROOT.glob("*/__init__.py")), ids=lambda p: p.name
)
def test_a_room_says_where_to_find_what(room: Path) -> None:
    assert listed(room) == modules_of(room)


# That the checks find what they look for

SOUND: Graph = {
    "": {"rewriter.stream"},
    "limits": set(),
    "repairs": {"limits"},
    "events": {"repairs"},
    "grammar.text": {"limits"},
    "schema.schema": {"grammar.text"},
    "parser.parser": {"schema.schema", "events"},
    "wire.sse": {"schema.schema"},
    "native.calls": {"parser.parser", "wire.sse"},
    "rewriter.stream": {"native.calls", "rewriter.lanes"},
    "rewriter.lanes": {"native.calls"},
    "requests.history": {"native.calls"},
}


def planted(module: str, other: str) -> Graph:
    return {name: others | {other} if name == module else others for name, others in SOUND.items()}


def test_a_sound_graph_is_sound() -> None:
    assert wrong(SOUND) == []
    assert longest(SOUND)[:4] == ["", "rewriter.stream", "rewriter.lanes", "native.calls"]
    assert depths(SOUND)[""] == 7


@pytest.mark.parametrize(
    ("module", "other"),
    [
        ("repairs", "events"),
        ("grammar.text", "schema.schema"),
        ("schema.schema", "wire.sse"),
        ("parser.parser", "wire.sse"),
        ("wire.sse", "parser.parser"),
        ("parser.parser", "native.calls"),
        ("native.calls", "rewriter.lanes"),
        ("requests.history", "rewriter.stream"),
        ("events", "grammar.text"),
        ("limits", ""),
    ],
)
def test_an_import_that_is_planted_is_found(module: str, other: str) -> None:
    assert wrong(planted(module, other)) == [f"{module} imports {other}"]


def test_a_circle_is_found() -> None:
    with pytest.raises(ValueError, match=r"a circle: .*rewriter\.lanes"):
        depths(planted("rewriter.lanes", "rewriter.stream"))


def test_imports_are_read_however_they_are_written(tmp_path: Path) -> None:
    files = {
        "__init__.py": "from .b.two import x",
        "a.py": "",
        "b/__init__.py": "from . import one",
        "b/one.py": "from .. import a",
        "b/two.py": "def f():\n    from ..b import one\nfrom ..a import y\nfrom . import z\n",
        "c/__init__.py": "for module in iter_modules(__path__): ...",
        "c/one.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert imports_of(tmp_path) == {
        "": {"b.two"},
        "a": set(),
        "b": {"b.one"},
        "b.one": {"a"},
        "b.two": {"a", "b", "b.one"},
        "c": {"c.one"},
        "c.one": set(),
    }
