"""mitmdump, mitmweb and qwen-fix in processes that are forked from one that has imported what they need.

Such a start takes a tenth of the time. From its command line on each program does the same as ever: it loads
our script, which finds its modules imported and the grammar compiled. How they start in a process of their
own is tested in test_cli.py and in tests/install.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.reduction import DupFd
from typing import Any
from unittest.mock import patch

import qwenproxy

PROGRAMS = ("mitmdump", "mitmweb", "qwen-fix")

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["warmed"])


def _start_server() -> None:
    """Start the process to fork from, unless it runs. It needs our path, to import what the tests import."""
    with patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):
        forkserver.ensure_running()


def _run(
    program: str, arguments: list[str], output: Any, folder: str, environment: dict[str, str], source: str
) -> None:
    from mitmproxy.tools import main

    from qwenproxy import cli

    descriptor = output.detach()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, encoding="utf-8", closefd=False) for n in (1, 2))
    assert qwenproxy.__file__ == source, "these are not the modules of the tests"
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    run = cli.main if program == "qwen-fix" else getattr(main, program)
    sys.exit(run(arguments))


class Forked:
    """One of PROGRAMS with its arguments, as much like `subprocess.Popen` as a test needs."""

    def __init__(self, command: Sequence[str], folder: str, environment: Mapping[str, str]) -> None:
        program, *arguments = command
        reading, writing = os.pipe()
        self.stdout = os.fdopen(reading, "rb")
        given = (program, arguments, DupFd(writing), folder, dict(environment), qwenproxy.__file__)
        self._process = _CONTEXT.Process(target=_run, args=given, daemon=False)
        _start_server()
        self._process.start()
        os.close(writing)

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return self._process.exitcode

    def send_signal(self, by: signal.Signals) -> None:
        os.kill(self.pid, by)
