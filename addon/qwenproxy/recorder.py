"""Writes one recording for each chat into a directory, without secrets.

Recording is a courtesy: a full disk or a directory that went away is said once, until a file
can be written again, and costs the user nothing else.

    20261120-113045.123-qwen3-coder-repaired-1a2b3c.flow
    time of the request  model      outcome  tells apart what began in the same millisecond
"""

import logging
import re
import time
from pathlib import Path

from .recording import Recording, redact, save

log = logging.getLogger("qwen_fix")


class Recorder:
    """`names` are further headers, query parameters and JSON keys to redact."""

    def __init__(self, directory: Path, names: frozenset[str] = frozenset()) -> None:
        self._directory = directory
        self._names = names
        self._failing = False

    def write(self, recording: Recording) -> Path | None:
        """Write it; None if that was not possible. Never raises."""
        path = self._directory / f"{recording.name}.flow"
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            save(redact(recording, self._names), path)
        except OSError as e:
            self._complain(f"{self._directory}: {e.strerror or e}")
        except Exception as e:
            self._complain(f"{path}: {e!r}")
        else:
            self._failing = False
            return path
        return None

    def _complain(self, reason: str) -> None:
        if not self._failing:
            log.error("qwen_record: nothing is recorded until this is mended: %s", reason)
        self._failing = True


def file_stem(started: float, model: str, outcome: str, flow_id: str) -> str:
    """The name of a recording, readable and good for any file system."""
    moment = time.strftime("%Y%m%d-%H%M%S", time.localtime(started)) + f".{int(started * 1000) % 1000:03}"
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", model).strip("-.")[:40] or "unknown"
    return f"{moment}-{readable}-{outcome}-{flow_id[:6]}"
