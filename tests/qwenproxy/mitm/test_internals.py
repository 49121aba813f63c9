"""The replaced parts of mitmproxy, in a real mitmdump: error pages, and the client's own Host."""

from collections.abc import Callable

import pytest
from http2 import ask_h2
from proxy import Proxy, Reply, Upstream, ask, sized

from qwenproxy import __version__

Ask = Callable[..., Reply]
BOTH = pytest.mark.parametrize("ask_it", [ask, ask_h2], ids=["HTTP/1.1", "HTTP/2"])


@BOTH
def test_an_error_page_is_json_and_says_so(start_proxy: Callable[..., Proxy], ask_it: Ask) -> None:
    reply = ask_it(start_proxy("http://127.0.0.1:9"))
    assert (reply.status, reply.headers["content-type"]) == (502, "application/json")
    assert reply.json["error"]["type"] == "upstream_error"


@BOTH
def test_an_error_page_of_the_server_stays(
    upstream: Upstream, start_proxy: Callable[..., Proxy], ask_it: Ask
) -> None:
    upstream.answer = sized(b"<p>no", "text/html", status="500 Oh")
    reply = ask_it(start_proxy(upstream.url))
    assert (reply.status, reply.headers["content-type"], reply.body) == (500, "text/html", b"<p>no")


@BOTH
@pytest.mark.parametrize("path", ["/_qwen/health", "/_qwen/reload", "/_health", "/_qwen"])
def test_a_foreign_host_is_sent_away(start_proxy: Callable[..., Proxy], ask_it: Ask, path: str) -> None:
    proxy = start_proxy("http://127.0.0.1:9")  # which mitmproxy writes into Host
    for method in ("GET", "POST"):
        if ask_it is ask:
            reply = ask(proxy, b"", path, {"Host": "evil.example:9090"}, method=method)
        else:
            reply = ask_h2(proxy, b"", path, method=method, host="evil.example:9090")
        assert (reply.status, reply.json["error"]["code"]) == (403, "forbidden")
        told = f"not for Host evil.example:9090: ask on the proxy's own machine for {proxy.url}{path}"
        assert reply.json["error"]["message"] == told


@BOTH
def test_a_local_host_is_answered(start_proxy: Callable[..., Proxy], ask_it: Ask) -> None:
    proxy = start_proxy("http://model.example:80")  # mitmproxy writes this one, too
    assert ask_it(proxy, b"", "/_qwen/health", method="GET").json["version"] == __version__


def test_the_host_the_server_gets_is_its_own(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    ask(start_proxy(upstream.url), headers={"Host": "evil.example"})
    assert upstream.requests[-1].headers["host"] == upstream.url.removeprefix("http://")
