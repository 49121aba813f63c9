"""mitmdump in a process of its own, forked from one that has imported mitmproxy already.

A test that starts it waits half as long. From its command line on mitmdump does the same as ever, the import
of our script included.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.reduction import DupFd
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["mitmproxy.tools.main", "mitmproxy.tools.dump"])


def _mitmdump(output: Any, arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    from mitmproxy.tools.main import mitmdump

    descriptor = output.detach()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.stdout, sys.stderr = (os.fdopen(n, "w", buffering=1, encoding="utf-8", closefd=False) for n in (1, 2))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    mitmdump(arguments)


class Mitmdump:
    """The process, with as much of `subprocess.Popen` as a test needs."""

    def __init__(self, arguments: list[str], folder: str, environment: Mapping[str, str]) -> None:
        reading, writing = os.pipe()
        self.stdout = os.fdopen(reading, "rb")
        self._process = _CONTEXT.Process(
            target=_mitmdump, args=(DupFd(writing), arguments, folder, dict(environment)), daemon=False
        )
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
            raise subprocess.TimeoutExpired("mitmdump", timeout)
        return self._process.exitcode

    def send_signal(self, by: signal.Signals) -> None:
        os.kill(self.pid, by)
