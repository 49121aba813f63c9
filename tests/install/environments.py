"""New environments, filled from PyPI as a user would.

The environment that runs the tests cannot be used: it holds the developers' tools, and only one release of
mitmproxy. Packages stay in pip's cache, so a second run takes some seconds for each environment. If
PyPI cannot be reached, these tests are skipped, except in CI.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

# The newest release of each line for this Python, and whatever pip selects today.
RELEASES = ("mitmproxy==12.2.*", "mitmproxy==12.3.*", "mitmproxy")
if sys.version_info < (3, 12):
    RELEASES = ("mitmproxy==11.0.2",)


def new_environment(directory: Path, *packages: str) -> Path:
    """Create an environment with only these packages; return the folder of its programs."""
    venv.create(directory)
    programs = directory / "bin"
    run_pip("--python", str(programs / "python"), "install", "-qq", *packages)
    return programs


def run_pip(*arguments: str) -> None:
    """Run pip. If it cannot reach PyPI, skip the test."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        if "CI" in os.environ or "connection" not in done.stderr.lower():
            raise AssertionError(f"pip {' '.join(arguments)}:\n{done.stderr}")
        pytest.skip("PyPI cannot be reached")


def answer_of(python: Path, code: str) -> str:
    """Return what a line of Python prints in an environment, run away from our files."""
    return subprocess.check_output([python, "-c", code], text=True, cwd=python.parent).strip()
