"""mitmweb and mitmproxy: a column for our comments, and no more flows than memory is there for."""

from collections.abc import Callable
from itertools import islice
from typing import Any

from mitmproxy import ctx, http, optmanager

# Without `path`, which is nearly always the same here: beside it a comment has room for two words.
COLUMNS = ["icon", "status", "comment", "time"]


def prefer(name: str, value: Any) -> None:
    """Change the default of one of mitmproxy's options; what the user gave stays, be it the old default."""
    option = ctx.options._options.get(name)
    if option and option.value is optmanager.unset:
        ctx.options.update(**{name: value})


class FlowList:
    """Names flows that are no chats, and removes the oldest that are over when there are more than `limit()`;
    0 keeps all."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit

    def response(self, flow: http.HTTPFlow) -> None:
        self._tidy(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self._tidy(flow)

    def _tidy(self, flow: http.HTTPFlow) -> None:
        view = ctx.master.addons.get("view")
        if view is None:
            return
        if flow.live and not flow.comment:
            flow.comment = f"{flow.request.method} {flow.request.path.partition('?')[0]}"
        if limit := self._limit():
            self._trim(view, limit)

    def _trim(self, view: Any, limit: int) -> None:
        surplus = len(view._store) - limit
        if surplus > 0:
            over = (flow for flow in view._store.values() if not flow.live and not flow.intercepted)
            for flow in list(islice(over, surplus)):
                view.remove([flow])  # one by one: of several it would tell in the log
