"""Where mitmproxy listens and where it forwards to: refused modes, ready lines, failed upstreams."""

from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from mitmproxy import ctx, http
from mitmproxy.proxy import mode_specs
from mitmproxy.proxy.mode_servers import ServerInstance

from .. import apis
from ..apis import CHAT, Api
from ..backend import probe
from ..backend.addresses import DEFAULT_PORTS, LOCAL, Address, BadAddressError, is_same, is_wildcard, url

# The upstream of the flow that failed, and the API of its request. mitmproxy writes the error page in the
# task that ran the hook.
failed: ContextVar[tuple[str, Api]] = ContextVar("failed", default=("", CHAT))


def destination(mode: mode_specs.ProxyMode) -> str:
    """Return where a listener forwards to: the URL of a reverse proxy, or the name of the mode."""
    return url(mode.scheme, *mode.address) if isinstance(mode, mode_specs.ReverseMode) else mode.type_name


def backends(modes: Iterable[str]) -> list[str]:
    """Return the URLs that reverse proxies forward to."""
    parsed = [mode_specs.ProxyMode.parse(mode) for mode in modes]
    return [destination(mode) for mode in parsed if isinstance(mode, mode_specs.ReverseMode)]


def note_failure(request: http.Request) -> str:
    """Remember whose error page is written next; return the URL of that server."""
    server = url(request.scheme, request.host, request.port)
    failed.set((server, apis.at(request.path) or CHAT))
    return server


def failed_api() -> Api:
    """Return the API of the request that failed."""
    return failed.get()[1]


def upstream_named(modes: Sequence[str]) -> str:
    """Return the upstream that failed, or all that may have failed."""
    return failed.get()[0] or " or ".join(backends(modes)) or "the server"


def refuse_modes(modes: Iterable[str], host: str, port: int | None) -> None:
    """Raise BadAddressError for a --mode that mitmproxy would misread.

    `host` and `port` apply if the mode does not say where to listen.
    """
    for spec in modes:
        mode = mode_specs.ProxyMode.parse(spec)
        if not isinstance(mode, mode_specs.ReverseMode):
            continue
        if "://" not in mode.data:
            server = f"localhost:{mode.data}" if mode.data.isdigit() else mode.data
            meant = spec.replace(mode.data, f"http://{server}", 1)
            raise BadAddressError(f"--mode {spec}: write {meant}, or https:// if it speaks that")
        listener = Address(mode.listen_host(host), mode.listen_port(port) or 0)
        if is_same(Address(*mode.address), listener):
            other = f"reverse:{mode.data}@{LOCAL}:{9090 if listener.port != 9090 else 9191}"
            raise BadAddressError(
                f"--mode {spec}: it would listen where it sends to; write another port, such as {other}"
            )


def ready_lines(servers: Iterable[ServerInstance[Any]], settings: str, control: str = "") -> Iterator[str]:
    """Yield a line for each listener: `qwen_fix ready: http://127.0.0.1:9090 -> http://localhost:8080 (…)`,
    and one for the first status page, which is at the path `control`."""
    found = [server for server in servers if server.listen_addrs]
    for server in found:
        host, port, *_ = server.listen_addrs[0]
        here = here_of(host, port)
        others = ", and on all other addresses of this machine" if is_wildcard(host) else ""
        yield f"qwen_fix ready: {here} -> {destination(server.mode)} ({settings}){others}"
    pages = [server for server in found if isinstance(server.mode, mode_specs.ReverseMode)]
    if control and pages:
        host, port, *_ = pages[0].listen_addrs[0]
        yield f"status page: {here_of(host, port)}{control}/"
    if not found:
        yield f"qwen_fix ready: no listener ({settings})"


def without_server(servers: Iterable[ServerInstance[Any]]) -> str:
    """Say what to do if clients find no model server behind these listeners; empty if they do."""
    found = [server for server in servers if server.listen_addrs]
    if not found or any(not isinstance(server.mode, mode_specs.RegularMode) for server in found):
        return ""
    host, port, *_ = found[0].listen_addrs[0]
    listener = Address(LOCAL if is_wildcard(host) else host, port)
    return (
        f"no model server given: add --mode reverse:http://localhost:8080@{listener}, "
        f"or set HTTP_PROXY=http://{listener} in the client"
    )


def here_of(host: str, port: int) -> str:
    """Return the URL of a listener, as seen from this machine."""
    local = "::1" if ":" in host else LOCAL
    return url("http", local if is_wildcard(host) else host, port)


def model_servers() -> list[str]:
    """The URLs of the servers behind this proxy."""
    found = dict.fromkeys(backends(ctx.options.mode))
    return [url for url in found if url.partition("://")[0] in DEFAULT_PORTS]


async def ask_backend(url: str) -> probe.Heard:
    return await probe.question(url, verify=not ctx.options.ssl_insecure)
