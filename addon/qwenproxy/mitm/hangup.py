"""SIGHUP ends the proxy as SIGTERM does, so that `done` still sees the open chats.

A closing terminal sends it, and so do service managers. mitmproxy does not handle it and
would die at once. If it is ignored, as under nohup, it stays ignored.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable


def end_on_hangup(shutdown: Callable[[], None]) -> None:
    """Call `shutdown` from the running loop on SIGHUP. Do nothing on systems without it."""
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is None or signal.getsignal(hangup) is not signal.SIG_DFL:
        return
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not the main thread
        asyncio.get_running_loop().add_signal_handler(hangup, shutdown)
