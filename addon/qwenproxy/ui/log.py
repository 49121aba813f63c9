"""The log: a line for each chat, a summary at the end, and fewer of mitmproxy's own lines."""

import logging
import re
from collections.abc import Iterator

from ..terminal import printable
from .report import Kind, Report
from .stats import Counts, Stats
from .words import duration, line, words_of

log = logging.getLogger("qwen_fix")

_CONNECTION = re.compile(
    r"(?:\[replay\] )?(?:client|server) (?:dis)?connect\b|Streaming (?:request to|response from) "
    r"|error establishing server connection: "
)


def tell(report: Report) -> None:
    """Log how a chat went."""
    ledger = report.ledger
    if ledger.failure:
        log.error("%s\n%s", line(report), ledger.failure)
    elif report.kind in (Kind.BACKEND_ERROR, Kind.BROKEN_OFF, Kind.NOT_READ):
        log.warning("%s", line(report))
    else:
        log.info("%s", line(report))


def summary(stats: Stats) -> Iterator[str]:
    """Yield a line for all chats and one for each model; nothing if there was no chat."""
    if not stats.total.chats:
        return
    yield f"in {duration(stats.seconds)}: {_counted(stats.total)}"
    for model, counts in stats.models.items():
        repairs = words_of(counts.repairs)
        yield printable(f"  {model}: {_counted(counts)}{f' ({repairs})' if repairs else ''}")


def _counted(counts: Counts) -> str:
    kinds = counts.kinds
    said = (
        ("repaired in", kinds[Kind.REPAIRED]),
        ("would be repaired in", kinds[Kind.WOULD_REPAIR]),
        ("not repaired in", kinds[Kind.LEFT]),
        ("failed open in", kinds[Kind.FAILED_OPEN]),
        ("broke off in", kinds[Kind.BROKEN_OFF]),
        ("client left in", kinds[Kind.CLIENT_LEFT]),
        ("not read in", kinds[Kind.NOT_READ]),
        ("server errors in", kinds[Kind.BACKEND_ERROR]),
    )
    numbers = [
        f"{counts.chats} {_plural('chat', counts.chats)}",
        f"{counts.calls} {_plural('call', counts.calls)}",
    ]
    fates = [f"{what} {n}" for what, n in said if n]
    return ", ".join([*numbers, *(fates or ["nothing to repair"])])


def _plural(word: str, number: int) -> str:
    return word if number == 1 else f"{word}s"


class Quiet(logging.Filter):
    """Turns mitmproxy's lines about connections, some for each chat, into debug lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno == logging.INFO and _CONNECTION.match(str(record.msg)):
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        return True


def quieten() -> None:
    """Install the filter, only once however often the addon is loaded."""
    server = logging.getLogger("mitmproxy.proxy.server")
    if not any(isinstance(found, Quiet) for found in server.filters):
        server.addFilter(Quiet())
