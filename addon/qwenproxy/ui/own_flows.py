"""Requests that the proxy answers itself. Other addons do not see them: a status page asks every second."""

import logging
import time
from collections.abc import Callable

from mitmproxy import http
from mitmproxy.exceptions import AddonHalt

from ..configuration import Configuration, given
from ..errors import api_error
from ..mitm.listeners import ask_backend, model_servers
from . import endpoints
from .health import Backends
from .observer import Observer

log = logging.getLogger("qwen_fix")

KEY = "qwen_fix_endpoint"  # in the metadata of such a flow


class OwnFlows:
    """`in_progress` returns how many chats are open, and how many bytes they hold back."""

    def __init__(
        self, configuration: Configuration, observer: Observer, in_progress: Callable[[], tuple[int, int]]
    ) -> None:
        self._configuration = configuration
        self._observer = observer
        self._in_progress = in_progress
        self._start = time.monotonic()
        self._backends = Backends(ask_backend)

    def claim(self, flow: http.HTTPFlow) -> bool:
        """Mark a request that is for the proxy itself; whether it is one."""
        ours = endpoints.is_ours(flow, self._configuration.settings.control) or endpoints.is_own_question(
            flow
        )
        if flow.live and ours:
            flow.metadata[KEY] = True
        return flow.live and ours

    def is_for_us(self, request: http.Request) -> bool:
        """Whether a request looks as if it is for the proxy, before its sender is known."""
        return endpoints.is_our_path(request, self._configuration.settings.control)

    async def answer(self, flow: http.HTTPFlow) -> None:
        """Answer a request that is for the proxy itself. Only its flow waits for that. Raises AddonHalt."""
        try:
            flow.response = await endpoints.answer(flow, self._state())
        except Exception:
            log.exception("error in the endpoint %s", flow.request.path.partition("?")[0])
            flow.response = endpoints.response(500, api_error("internal_error", "see the proxy's log"))
        hide(flow)

    def _state(self) -> endpoints.State:
        open_chats, bytes_held = self._in_progress()
        return endpoints.State(
            self._configuration.settings,
            self._configuration.rules,
            self._observer,
            self._backends,
            urls=model_servers(),
            options=given(),
            uptime=time.monotonic() - self._start,
            open_chats=open_chats,
            bytes_held=bytes_held,
            recording_trouble=recorder.trouble if (recorder := self._configuration.recorder) else "",
        )


def hide(flow: http.HTTPFlow) -> None:
    """Raise AddonHalt if the flow is one of ours."""
    if flow.live and flow.metadata.get(KEY):
        raise AddonHalt
