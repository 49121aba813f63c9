"""The server of recordings in its own process."""

import subprocess
import sys

from proxy import PATIENCE


class Served:
    """`python -m qwenproxy.upstream` in its own process."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "qwenproxy.upstream", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline().decode()
        self.port = int(self.line.rpartition(":")[2])

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE)
