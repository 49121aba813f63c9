"""mitmweb and mitmproxy: a column for our comments, and a limit on the number of flows."""

from itertools import islice
from typing import Any

from mitmproxy import ctx, http

from ..chat import flow_name
from ..configuration import Configuration

# Without `path`, which is nearly always the same: it would leave a comment room for two words.
COLUMNS = ["icon", "status", "comment", "time"]


class FlowList:
    """Comments flows that are not chats, and removes the oldest finished flows when there are too many."""

    name = "qwen_fix_flow_list"  # the name of the class may not be unique

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    def response(self, flow: http.HTTPFlow) -> None:
        self._tidy(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self._tidy(flow)

    def _tidy(self, flow: http.HTTPFlow) -> None:
        view = ctx.master.addons.get("view")
        if view is None:
            return
        if flow.live and not flow.comment:
            flow.comment = flow_name(flow)
        if limit := self._configuration.settings.web_keep:
            self._trim(view, limit)

    def _trim(self, view: Any, limit: int) -> None:
        surplus = len(view._store) - limit
        if surplus > 0:
            over = (flow for flow in view._store.values() if not flow.live and not flow.intercepted)
            for flow in list(islice(over, surplus)):
                view.remove([flow])  # one by one: mitmproxy logs the removal of several
