"""Writes a recording of each chat into a directory, without secrets.

    20261120-113045.123-qwen3-coder-repaired-1a2b3c.flow
    time of the request  model      outcome  tells apart chats of the same millisecond

The outcome is `passed`, `repaired`, `refused`, `failed` (the rewriter failed), `error` (the server
answered with an error) or `aborted`. A chat is recorded once the server has begun to answer, however
the answer ends. A chat without any answer (the server is down, or the client left first) has nothing to
replay and is not recorded; the log and the client's 502 report it.

A recording must never cost an answer. A directory that cannot be used stops the start (`try_folder`). A full
disk is logged once, until a file can be written again; until then `trouble` says what is wrong.
"""

import logging
import tempfile
import time
from pathlib import Path

from .format import Recording, make_folder, save
from .redaction import in_file_name, redact

log = logging.getLogger("qwen_fix")

KINDS = ("all", "repaired", "refused", "failed")


class Recorder:
    """`names` are further names to redact; `what`, one of KINDS, says which chats are kept."""

    def __init__(self, directory: Path, names: frozenset[str] = frozenset(), what: str = "all") -> None:
        self._directory = directory
        self._names = names
        self._what = what
        self.trouble = ""  # why nothing is recorded; empty if all is well

    def write(self, recording: Recording) -> Path | None:
        """Write a recording and return its path; None if unwanted or not possible. Never raises."""
        try:
            if not is_kind(recording, self._what):
                return None
            path = self._written(recording)
        except OSError as e:
            self._complain(f"{self._directory}: {e.strerror or e}")
        except Exception as e:
            self._complain(f"{self._directory}: {e!r}")
        else:
            self.trouble = ""
            return path
        return None

    def _written(self, recording: Recording) -> Path:
        clean = redact(recording, self._names)
        path = self._directory / f"{clean.name}.flow"
        make_folder(self._directory)
        save(clean, path)
        return path

    def _complain(self, reason: str) -> None:
        if not self.trouble:
            log.error("qwen_record: nothing is recorded until this is fixed: %s", reason)
        self.trouble = reason


def try_folder(path: Path) -> None:
    """Make a folder for recordings, and try to write into it. Raises OSError."""
    make_folder(path)
    with tempfile.TemporaryFile(dir=path):
        pass


def is_kind(recording: Recording, what: str) -> bool:
    """Whether a recording is of this kind. It may be of several."""
    ledger = recording.ledger
    match what:
        case "repaired":
            return bool(ledger.get("repairs") or ledger.get("calls"))
        case "refused":
            return bool(ledger.get("refused"))
        case "failed":
            return bool(ledger.get("failure") or recording.aborted or recording.status >= 400)
        case _:
            return True


def file_stem(started: float, model: str, outcome: str, flow_id: str) -> str:
    """Return a name for a recording, readable and valid on any file system."""
    moment = time.strftime("%Y%m%d-%H%M%S", time.localtime(started)) + f".{int(started * 1000) % 1000:03}"
    return f"{moment}-{in_file_name(model) or 'unknown'}-{outcome}-{flow_id[:6]}"
