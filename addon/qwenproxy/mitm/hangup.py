"""How the proxy ends: by SIGHUP as by SIGTERM, so that `done` still sees the open chats; and in silence.

A closing terminal sends SIGHUP, and so do service managers. mitmproxy does not handle it and
would die at once. If it is ignored, as under nohup, it stays ignored.
"""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable


def end_on_hangup(shutdown: Callable[[], None]) -> None:
    """Call `shutdown` from the running loop on SIGHUP. Do nothing on systems without it."""
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is None or signal.getsignal(hangup) is not signal.SIG_DFL:
        return
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not the main thread
        asyncio.get_running_loop().add_signal_handler(hangup, shutdown)


class WithoutCancelled(logging.Filter):
    """Drops what asyncio says about each connection that the end has cut off. Only Python 3.11 says it."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        is_cancelled = isinstance(error, asyncio.CancelledError)
        return not (is_cancelled and "StreamReaderProtocol.connection_made" in record.getMessage())


def end_in_silence() -> None:
    """Install the filter, only once however often the addon is loaded."""
    loop = logging.getLogger("asyncio")
    if not any(isinstance(found, WithoutCancelled) for found in loop.filters):
        loop.addFilter(WithoutCancelled())
