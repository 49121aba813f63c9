"""A hangup ends the proxy as SIGTERM does, so that `done` still sees the chats that are open.

A terminal that closes sends it, and so does a service manager. mitmproxy does not know of it and
would die at once. Where it is ignored, as under nohup, it stays ignored.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable


def end_on_hangup(shutdown: Callable[[], None]) -> None:
    """Call `shutdown` from the running loop when the signal comes. Does nothing where there is none."""
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is None or signal.getsignal(hangup) is not signal.SIG_DFL:
        return
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not the main thread
        asyncio.get_running_loop().add_signal_handler(hangup, shutdown)
