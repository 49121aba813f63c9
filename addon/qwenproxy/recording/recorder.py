"""Writes one recording for each chat into a directory, without secrets.

    20261120-113045.123-qwen3-coder-repaired-1a2b3c.flow
    time of the request  model      outcome  tells apart what began in the same millisecond

The outcome is `passed`, `repaired`, `refused`, `failed` (the rewriter did), `error` (the server
said so) or `aborted`. A chat is recorded as soon as the server has begun to answer, however
that ends. One that got no answer at all (nobody listens there, or the client left before) holds
nothing to be played again and is not; the log and the client's 502 tell of it.

Recording is a courtesy: a full disk or a directory that went away is said once, until a file
can be written again, and costs the user nothing else.
"""

import logging
import re
import time
from pathlib import Path

from .format import Recording, make_folder, save
from .redaction import redact

log = logging.getLogger("qwen_fix")

KINDS = ("all", "repaired", "refused", "failed")


class Recorder:
    """`names` are further things to redact, `what` is one of KINDS: which chats are kept."""

    def __init__(self, directory: Path, names: frozenset[str] = frozenset(), what: str = "all") -> None:
        self._directory = directory
        self._names = names
        self._what = what
        self._failing = False

    def write(self, recording: Recording) -> Path | None:
        """Write it; None if it is not wanted or that was not possible. Never raises."""
        try:
            if not is_kind(recording, self._what):
                return None
            path = self._written(recording)
        except OSError as e:
            self._complain(f"{self._directory}: {e.strerror or e}")
        except Exception as e:
            self._complain(f"{self._directory}: {e!r}")
        else:
            self._failing = False
            return path
        return None

    def _written(self, recording: Recording) -> Path:
        clean = redact(recording, self._names)
        path = self._directory / f"{clean.name}.flow"
        make_folder(self._directory)
        save(clean, path)
        return path

    def _complain(self, reason: str) -> None:
        if not self._failing:
            log.error("qwen_record: nothing is recorded until this is fixed: %s", reason)
        self._failing = True


def is_kind(recording: Recording, what: str) -> bool:
    """Whether a recording is one of these KINDS; it may be of several."""
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
    """The name of a recording, readable and good for any file system."""
    moment = time.strftime("%Y%m%d-%H%M%S", time.localtime(started)) + f".{int(started * 1000) % 1000:03}"
    return f"{moment}-{readable(model)}-{outcome}-{flow_id[:6]}"


def readable(text: str) -> str:
    """As much of a text as is good for the name of a file."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:40] or "unknown"
