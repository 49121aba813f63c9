"""New, empty environments, filled from PyPI as a user's is.

The environments of the tests are no use here: they hold the tools of developers, and one release of
mitmproxy. Packages stay in pip's cache, so a second run takes some seconds for each environment. Where
PyPI cannot be reached these tests are skipped, but not in CI.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

# The newest of each line that runs on this Python, and whatever pip takes today.
RELEASES = ("mitmproxy==12.2.*", "mitmproxy==12.3.*", "mitmproxy")
if sys.version_info < (3, 12):
    RELEASES = ("mitmproxy==11.0.2",)


def new_environment(directory: Path, *packages: str) -> Path:
    """Make an environment with these packages and nothing else; the folder of its programs."""
    venv.create(directory)
    programs = directory / "bin"
    run_pip("--python", str(programs / "python"), "install", "-qq", *packages)
    return programs


def run_pip(*arguments: str) -> None:
    """Run pip; where it cannot reach PyPI the test is skipped."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        if "CI" in os.environ or "connection" not in done.stderr.lower():
            raise AssertionError(f"pip {' '.join(arguments)}:\n{done.stderr}")
        pytest.skip("PyPI cannot be reached")


def answer_of(python: Path, code: str) -> str:
    """What a line of Python prints in an environment, run where nothing of ours lies."""
    return subprocess.check_output([python, "-c", code], text=True, cwd=python.parent).strip()
