"""What is said at the start about where the proxy listens."""

from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy.proxy.mode_specs import ProxyMode

from qwenproxy.mitm.listeners import ready_lines, without_server

REVERSE = "reverse:http://localhost:8080"


def listening(mode: str, host: str = "127.0.0.1", port: int = 9191) -> Any:
    return SimpleNamespace(mode=ProxyMode.parse(mode), listen_addrs=[(host, port)])


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_proxy_without_a_model_server_says_what_to_write(host: str) -> None:
    assert without_server([listening("regular", host)]) == (
        "no model server given: add --mode reverse:http://localhost:8080@127.0.0.1:9191, "
        "or set HTTP_PROXY=http://127.0.0.1:9191 in the client"
    )


def test_any_other_mode_leads_to_a_server() -> None:
    for modes in ([REVERSE], ["regular", REVERSE], ["upstream:http://a:1"], []):
        assert without_server(map(listening, modes)) == ""


def test_open_listeners_are_said_beside_the_settings() -> None:
    (line, _page) = ready_lines([listening(REVERSE, "0.0.0.0")], "mode fix", "/_qwen")
    assert line == (
        "qwen_fix ready: http://127.0.0.1:9191 -> http://localhost:8080 (mode fix), "
        "and on all other addresses of this machine"
    )
