"""The packages that are used where they are installed, and what it costs where they are not.

mitmproxy may have been installed alone (brew, pipx, the official binary), and what it brings along
changes from release to release: up to 12.2 `zstandard`, from 12.3 `backports.zstd`. So nothing but
mitmproxy and the standard library is imported without a second thought; a test holds this.
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Package:
    """One package: `modules` are the names under which it, or its like, may be there."""

    name: str  # as pip knows it
    modules: tuple[str, ...]
    cost: str  # what does not work without it

    def load(self) -> Any:
        """The first of the modules that is there; None if none is."""
        for module in self.modules:
            try:
                return importlib.import_module(module)
            except ImportError:
                continue
        return None


BROTLI = Package("brotli", ("brotli",), "an answer that the server codes with br is not rewritten")
ZSTD = Package(
    "backports.zstd",
    ("compression.zstd", "backports.zstd", "zstandard"),
    "an answer that the server codes with zstd is not rewritten",
)
YAML = Package("ruamel.yaml", ("ruamel.yaml",), "qwen_rules cannot be used")
PROMETHEUS = Package("prometheus-client", ("prometheus_client",), "there are no metrics for Prometheus")
JSON_REPAIR = Package("json-repair", ("json_repair",), "fewer calls with broken JSON are repaired")
ALL = (BROTLI, ZSTD, YAML, JSON_REPAIR, PROMETHEUS)


def missing() -> Iterator[str]:
    """One line for each package that is not there: what it costs, and how to get it."""
    for package in ALL:
        if package.load() is None:
            yield f"{package.name} is not installed: {package.cost} (pip install {package.name})"
