"""Loads today's rules and those of another version side by side in one process.

`toolstream` imports only itself and the standard library, and itself only relatively. So a copy
from another directory, or from git, can be loaded under another name.
"""

import importlib.util
import inspect
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import toolstream

from ..apis import CHAT, Api

HERE = Path(toolstream.__file__).parent
OTHER = "toolstream_reference"  # name of the other version in sys.modules
FAR_ENOUGH = 30  # how many commits that changed the rules are tried


class NoSuchRulesError(Exception):
    """There is no such version of the rules. The message says why."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One version of the rules: the functions and classes that it has under these names."""

    name: str
    parser: Any
    rewriter: Any
    completion: Any

    def read(self, api: Api) -> bool:
        """Whether this version reads the API. Older ones know chat completions only, without being told."""
        return api is CHAT or "api" in inspect.signature(self.rewriter).parameters


TODAY = Rules("today's", toolstream.ToolCallParser, toolstream.StreamRewriter, toolstream.rewrite_completion)


def from_directory(directory: Path, name: str = "") -> Rules:
    """Load the rules in a checkout, or in or beside a `toolstream` folder. Raises NoSuchRulesError."""
    places = (directory / "addon" / "toolstream", directory / "toolstream", directory)
    package = next((p for p in places if (p / "__init__.py").is_file() and list(p.glob("parser*"))), None)
    if package is None:
        raise NoSuchRulesError(f"{directory}: no toolstream in it")
    return _loaded(package, name or f"{directory}'s")


def _loaded(package: Path, name: str) -> Rules:
    for loaded in [m for m in sys.modules if m.partition(".")[0] == OTHER]:
        del sys.modules[loaded]
    spec = importlib.util.spec_from_file_location(
        OTHER, package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec
    assert spec.loader
    module = sys.modules[OTHER] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        return Rules(name, module.ToolCallParser, module.StreamRewriter, module.rewrite_completion)
    except Exception as e:
        raise NoSuchRulesError(f"{name} rules cannot be loaded: {e!r}") from None


def from_git(revision: str) -> Rules:
    """Load the rules at a revision of this repository. Raises NoSuchRulesError."""
    directory = Path(tempfile.mkdtemp())
    try:
        archive = _git("archive", revision, ".")
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            # git wrote the archive, and Python before 3.11.4 has no filter
            careful: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            tar.extractall(directory, **careful)
        return _loaded(
            directory, f"commit {_git('log', '-1', '--format=%h (%s)', revision).decode().strip()}'s"
        )
    finally:
        shutil.rmtree(directory)


def history() -> Iterator[str]:
    """Yield the commits that changed the rules, newest first. Raises NoSuchRulesError."""
    yield from _git("log", "-n", str(FAR_ENOUGH), "--format=%H", "--", ".").decode().split()


def _git(*arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(HERE), *arguments], capture_output=True, check=False)
    except OSError as e:
        raise NoSuchRulesError(f"git cannot be run: {e}") from None
    if done.returncode:
        raise NoSuchRulesError(f"git {arguments[0]}: {done.stderr.decode().strip()}")
    return done.stdout
