"""The endpoints that the proxy itself answers, below a path that no model server has (`qwen_control`).

An endpoint is an entry of `ENDPOINTS`: a function from the `State` and what was `Asked` to a response. It
may take long; other requests continue meanwhile. The response is set before anything is forwarded, so the
server need not be up. Endpoints exist only in reverse mode: elsewhere the path would belong to another host.

Anyone who can reach the listener may read the counts and try a text, but not by a public name: a web page
whose own name was made to point here (DNS rebinding) is refused. The texts of chats, and requests that change
something, are only for programs on this machine that use a loopback name or address. The client must be on
loopback. It must not be a foreign web page in a browser there (which sends `Origin` or `Sec-Fetch-Site`), and
not a proxy there that asks on behalf of another client.
"""

import asyncio
import functools
import ipaddress
import json
import platform
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitmproxy import http, version
from mitmproxy.proxy import mode_specs

from .. import __version__
from ..backend.addresses import LOCAL, is_loopback, is_loopback_name, url
from ..backend.probe import SIGNATURE, SIGNATURE_HEADER, Heard
from ..errors import api_error
from ..mitm.internals import client_host
from ..options import OPTIONS, Settings
from ..recording.format import parse_object
from ..rules.file import LiveRules
from .health import Backends
from .metrics import NoMetricsError, exposition
from .observer import Observer
from .trial import BadTrialError, tried

Json = dict[str, Any]

_NO_HEADERS: Mapping[str, str] = {}
_HOST = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::\d*)?")  # and an optional port
_LOCAL_NAME = re.compile(
    r"(?i)[\w-]+|[\w.-]+\.(?:local|lan|internal|home\.arpa)"
)  # names that cannot be registered in the DNS
_FORWARDED = (
    *("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"),
    *("x-client-ip", "true-client-ip", "cf-connecting-ip"),
)
_PAGE = Path(__file__).with_name("page.html")
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
LONGEST_TRIAL = 1 << 16  # bytes

_one_trial = asyncio.Semaphore()


@dataclass(frozen=True, slots=True)
class State:
    """What the endpoints report and change."""

    settings: Settings
    rules: LiveRules | None
    observer: Observer
    backends: Backends
    urls: Sequence[str] = ()  # of the model servers
    options: Mapping[str, Any] = field(default_factory=dict)  # our options, as they were given
    uptime: float = 0.0  # seconds
    open_chats: int = 0
    bytes_held: int = 0
    recording_trouble: str = ""  # why nothing is recorded


@dataclass(frozen=True, slots=True)
class Asked:
    """The parts of a request other than its path."""

    query: Mapping[str, str]
    body: bytes
    is_foreign: bool = False  # a foreign web page asks


Answer = Callable[[State, Asked], Awaitable[http.Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint: `name` is its path below the prefix, `alias` another path without the prefix."""

    method: str
    name: str
    answer: Answer
    help: str
    alias: str = ""
    private: bool = False  # for programs on this machine only


async def page(_state: State, _asked: Asked) -> http.Response:
    headers = {"content-type": "text/html; charset=utf-8", "cache-control": "no-store"}
    policy = {"content-security-policy": _POLICY, "referrer-policy": "no-referrer"}
    return http.Response.make(200, _page(), headers | policy)


@functools.cache
def _page() -> bytes:
    return _PAGE.read_bytes()


async def health(state: State, _asked: Asked) -> http.Response:
    if state.rules and state.rules.changed:
        await asyncio.to_thread(state.rules.refresh)
    heard = await asyncio.gather(*map(state.backends.heard, state.urls))
    servers = list(zip(state.urls, heard, strict=True))
    troubles = list(_troubles(state, servers))
    said = {
        "status": "degraded" if troubles else "ok",
        "reason": "; ".join(troubles),
        "version": __version__,
        "mitmproxy": version.VERSION,
        "python": platform.python_version(),
        "mode": state.settings.mode,
        "recovery": state.settings.recovery,
        "upstreams": [
            {"url": server, "answers": not (h.down or h.wrong), "said": h.said or h.wrong or h.down}
            for server, h in servers
        ],
        "uptime": round(state.uptime, 1),
        "open_chats": state.open_chats,
        "bytes_held": state.bytes_held,
        "options": dict(state.options),
        "rules": rules_in_force(state.rules),
    }
    return response(200, said)


def _troubles(state: State, servers: Iterable[tuple[str, Heard]]) -> Iterator[str]:
    """Say what does not work."""
    for server, heard in servers:
        if heard.down or heard.wrong:
            yield heard.wrong or f"{server} does not answer ({heard.down})"
    if state.rules and state.rules.error:
        yield f"{state.rules.error}; the old rules stay in force"
    if state.recording_trouble:
        yield f"nothing is recorded: {state.recording_trouble}"


async def stats(state: State, _asked: Asked) -> http.Response:
    return response(200, {"mode": state.settings.mode} | state.observer.as_json())


async def reset(state: State, _asked: Asked) -> http.Response:
    chats = state.observer.stats.total.chats
    state.observer.reset()
    return response(200, {"status": "ok", "forgotten": chats})


async def chats(state: State, asked: Asked) -> http.Response:
    number = asked.query.get("id")
    if number is None:
        return response(200, {"chats": [kept.as_json() for kept in state.observer.recent]})
    kept = state.observer.recent.get(number)
    if kept is None:
        return response(404, api_error("not_found", f"there is no chat {number} among the last chats"))
    return response(200, await asyncio.to_thread(kept.in_full))


async def config(state: State, _asked: Asked) -> http.Response:
    options = [
        {
            "name": option.name,
            "value": state.options.get(option.name, option.default),
            "default": option.default,
            "choices": list(option.choices) or None,
            "help": option.help,
        }
        for option in OPTIONS
    ]
    return response(200, {"options": options, "rules": rules_in_force(state.rules)})


async def test(state: State, asked: Asked) -> http.Response:
    if asked.is_foreign:
        return response(403, api_error("forbidden", "no other web page may do this"))
    if len(asked.body) > LONGEST_TRIAL:
        return response(413, api_error("too_large", f"send at most {LONGEST_TRIAL} bytes"))
    try:
        request = _trial(asked)
        async with _one_trial:  # a trial delays the chats
            return response(200, await asyncio.to_thread(tried, request, state.settings.recovery))
    except BadTrialError as e:
        return response(422, api_error("invalid_request", str(e)))


def _trial(asked: Asked) -> Json:
    """Return what to try, from a JSON body or from the query. Raises BadTrialError."""
    if asked.body:
        if request := parse_object(asked.body):
            return request
        raise BadTrialError(
            'send JSON such as {"text": "<function=…>", "tools": […], "recovery": "tolerant"}'
        )
    request = dict(asked.query)
    if "tools" in request:
        try:
            request["tools"] = json.loads(request["tools"])
        except (ValueError, RecursionError):
            raise BadTrialError('"tools" is a list, as in a chat request') from None
    return request


async def metrics(state: State, _asked: Asked) -> http.Response:
    gauges = {
        "open_chats": ("Chats that are open", state.open_chats),
        "held_bytes": ("Bytes of open answers that are held back", state.bytes_held),
        "uptime_seconds": ("Since the start", state.uptime),
    }
    build = {"version": __version__, "mitmproxy": version.VERSION}
    try:
        body, content_type = exposition(state.observer.stats, gauges, build)
    except NoMetricsError as e:
        return response(501, api_error("not_implemented", str(e)))
    return http.Response.make(200, body, {"content-type": content_type, "cache-control": "no-store"})


async def reload(state: State, _asked: Asked) -> http.Response:
    rules = state.rules
    if rules:
        await asyncio.to_thread(rules.reload)
    said = {"rules": rules_in_force(rules)}
    if rules and rules.error:
        return response(422, api_error("invalid_rules", f"{rules.error}; the old rules stay in force") | said)
    return response(200, {"status": "ok"} | said)


def rules_in_force(rules: LiveRules | None) -> Json | None:
    """Return the file of the rules, their number, and what is wrong with the file now."""
    if rules is None:
        return None
    return {"file": str(rules.path), "count": rules.file.count, "error": rules.error or None}


ENDPOINTS = (
    Endpoint("GET", "", page, "The status page, for a browser"),
    Endpoint(
        "GET",
        "health",
        health,
        "`ok`, or `degraded` and why: the server does not answer, the rules are broken, or nothing can be "
        "recorded. Versions, uptime, open chats, options, rules",
        alias="/_health",
    ),
    Endpoint(
        "GET",
        "stats",
        stats,
        "The verdict in words, and the counts: in total, by model, by client, by API and by minute",
    ),
    Endpoint("POST", "stats/reset", reset, "Count from 0 again, and forget the last chats", private=True),
    Endpoint(
        "GET",
        "chats",
        chats,
        "The last 50 chats; with `?id=` one of them, with what the model sent and what the client got",
        private=True,
    ),
    Endpoint("GET", "config", config, "The options with their values, defaults and choices, and the rules"),
    Endpoint(
        "GET",
        "test",
        test,
        "What would become of `?content=`; without `tools` the names in the text are declared",
    ),
    Endpoint(
        "POST",
        "test",
        test,
        "The same for JSON: `text`, and optionally `tools`, `tool_choice`, `recovery`, `api`",
    ),
    Endpoint(
        "GET", "metrics", metrics, "The counts for Prometheus; 501 without the package prometheus-client"
    ),
    Endpoint(
        "POST",
        "reload",
        reload,
        "Read the rules again; if the file is broken, 422 with the reason, and the old rules stay in force",
        alias="/_reload",
        private=True,
    ),
)


def is_own_question(flow: http.HTTPFlow) -> bool:
    """Whether we ask ourselves whether the server is there: then it is not."""
    return flow.request.headers.get(SIGNATURE_HEADER) == SIGNATURE


def is_ours(flow: http.HTTPFlow, prefix: str) -> bool:
    """Whether a request is for the proxy itself."""
    is_reverse = isinstance(flow.client_conn.proxy_mode, mode_specs.ReverseMode)
    return is_reverse and not flow.response and is_our_path(flow.request, prefix)


def is_our_path(request: http.Request, prefix: str) -> bool:
    """Whether the path is ours, if this is a reverse proxy."""
    path = request.path.partition("?")[0]
    ours = path == prefix or path.startswith(f"{prefix}/") or path in {e.alias for e in ENDPOINTS if e.alias}
    return bool(prefix) and ours


async def answer(flow: http.HTTPFlow, state: State) -> http.Response:
    """The answer to a request that is ours."""
    if is_own_question(flow):
        loop = api_error("loop_detected", "this proxy forwards to itself")
        return response(508, loop, {SIGNATURE_HEADER: SIGNATURE})
    prefix, path = state.settings.control, flow.request.path.partition("?")[0]
    here = [e for e in ENDPOINTS if path in (f"{prefix}/{e.name}", e.alias)]
    if reason := misnamed(flow, private=any(e.private for e in here)):
        return response(403, api_error("forbidden", reason))
    if path == prefix:
        return http.Response.make(308, b"", {"location": f"{prefix}/"})
    if not here:
        names = ", ".join(f"{e.method} {prefix}/{e.name}" for e in ENDPOINTS)
        return response(404, api_error("not_found", f"there is no such endpoint; ask for {names}"))
    return await _asked_of(here, flow, state)


async def _asked_of(endpoints: list[Endpoint], flow: http.HTTPFlow, state: State) -> http.Response:
    """The answer of the one endpoint at this path that has the request's method."""
    method = "GET" if flow.request.method == "HEAD" else flow.request.method
    endpoint = next((e for e in endpoints if e.method == method), None)
    if endpoint is None:
        methods = ", ".join(e.method for e in endpoints)
        return response(405, api_error("method_not_allowed", f"ask with {methods}"), {"allow": methods})
    if endpoint.private and (reason := objection(flow)):
        return response(403, api_error("forbidden", reason))
    query = dict(flow.request.query.items(multi=True))
    body = flow.request.get_content(strict=False) or b""
    return await endpoint.answer(state, Asked(query, body, is_foreign(flow)))


def misnamed(flow: http.HTTPFlow, private: bool) -> str:
    """Say which Host to use instead of the client's; empty if that one is allowed."""
    host = client_host(flow.request)
    named = _HOST.fullmatch(host)
    name = named[1].strip("[]") if named else ""
    if named and (is_loopback_name(name) or (not private and is_local_name(name))):
        return ""
    here = url("http", LOCAL, flow.client_conn.sockname[1])
    path = flow.request.path.partition("?")[0]
    asked = f"Host {host}" if host else "a request without Host"
    return f"not for {asked}: ask on the proxy's own machine for {here}{path}"


def is_local_name(name: str) -> bool:
    """Whether a host name cannot belong to a stranger in the DNS."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return _LOCAL_NAME.fullmatch(name) is not None
    return True


def objection(flow: http.HTTPFlow) -> str:
    """Say why this client may not change anything or read chats; empty if it may."""
    headers = flow.request.headers
    if not is_loopback(flow.client_conn.peername[0]) or any(name in headers for name in _FORWARDED):
        return "only programs on the proxy's own machine may do this"
    if "origin" in headers or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return "no web page may do this"
    return ""


def is_foreign(flow: http.HTTPFlow) -> bool:
    """Whether a foreign web page asks."""
    headers = flow.request.headers
    origin = headers.get("origin", "").partition("://")[2]
    own = headers.get("sec-fetch-site", "none") in ("none", "same-origin")
    return not own or ("origin" in headers and origin != client_host(flow.request))


def response(status_code: int, body: Json, headers: Mapping[str, str] = _NO_HEADERS) -> http.Response:
    fields = {"content-type": "application/json", "cache-control": "no-store", **headers}
    return http.Response.make(status_code, json.dumps(body, indent=2) + "\n", fields)
