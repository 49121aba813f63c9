"""mitmweb and mitmproxy: a column for our comments, and no more flows than memory is there for."""

from collections.abc import Callable
from itertools import islice
from typing import Any

from mitmproxy import ctx, optmanager
from mitmproxy.flow import Flow

COLUMNS = ["icon", "path", "status", "comment", "size", "time"]  # mitmweb's own, but for `tls` and `method`


def prefer(name: str, value: Any) -> None:
    """Change the default of one of mitmproxy's options; what the user gave stays, be it the old default."""
    option = ctx.options._options.get(name)
    if option and option.value is optmanager.unset:
        ctx.options.update(**{name: value})


class Keep:
    """Removes the oldest flows that are over when there are more than `limit()`; 0 keeps all."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit

    def response(self, _flow: Flow) -> None:
        self._trim()

    def error(self, _flow: Flow) -> None:
        self._trim()

    def _trim(self) -> None:
        view, limit = ctx.master.addons.get("view"), self._limit()
        if view is None or not limit:
            return
        surplus = len(view._store) - limit
        if surplus > 0:
            over = (flow for flow in view._store.values() if not flow.live and not flow.intercepted)
            for flow in list(islice(over, surplus)):
                view.remove([flow])  # one by one: of several it would tell in the log
