"""Optional packages, and what does not work without them.

mitmproxy may have been installed alone (brew, pipx, the official binary), and its own dependencies
change from release to release: `zstandard` up to 12.2, `backports.zstd` from 12.3. So only mitmproxy
and the standard library are imported unconditionally; a test checks this.
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Package:
    """One package. `modules` are its import names, and those of packages that can replace it."""

    name: str  # its name for pip
    modules: tuple[str, ...]
    cost: str  # what does not work without it

    def load(self) -> Any:
        """Return the first module that can be imported; None if none can."""
        for module in self.modules:
            try:
                return importlib.import_module(module)
            except ImportError:
                continue
        return None


BROTLI = Package("brotli", ("brotli",), "answers compressed with br are not rewritten")
ZSTD = Package(
    "backports.zstd",
    ("compression.zstd", "backports.zstd", "zstandard"),
    "answers compressed with zstd are not rewritten",
)
YAML = Package("ruamel.yaml", ("ruamel.yaml",), "qwen_rules cannot be used")
PROMETHEUS = Package("prometheus-client", ("prometheus_client",), "there are no metrics for Prometheus")
JSON_REPAIR = Package("json-repair", ("json_repair",), "fewer calls with broken JSON are repaired")
ALL = (BROTLI, ZSTD, YAML, JSON_REPAIR, PROMETHEUS)


def missing() -> Iterator[str]:
    """Yield a line for each missing package: what does not work, and how to install it."""
    for package in ALL:
        if package.load() is None:
            yield f"{package.name} is not installed: {package.cost} (pip install {package.name})"
