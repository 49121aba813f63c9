"""What the proxy itself answers, below a path that no model server has (`qwen_control`).

An endpoint is a line in `ENDPOINTS` and a function from the `State` to a status and JSON, which may take
its time: other requests go on meanwhile. The answer is set before anything is forwarded, so the server
need not be there. Only in reverse mode: elsewhere the path would be one of the host that the client is
asking.

Whoever can reach the listener may read, but has to call this machine by a loopback name or address:
a web page whose own name was made to lead here (DNS rebinding) is sent away. What changes something is
for programs on this machine only: the client has to be on loopback, and neither a page in a browser
there (which says `Origin` or `Sec-Fetch-Site` with its request) nor another proxy there that asks for
somebody else.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mitmproxy import http
from mitmproxy.proxy import mode_specs

from .. import __version__
from ..addresses import LOCAL, is_loopback, is_loopback_name, url
from ..internals import client_host
from ..options import Settings
from ..probe import SIGNATURE, SIGNATURE_HEADER
from ..rules import LiveRules

Json = dict[str, Any]

_NO_HEADERS: Mapping[str, str] = {}
_HOST = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::\d*)?")  # and a port
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


@dataclass(frozen=True, slots=True)
class State:
    """What endpoints tell of, and change."""

    settings: Settings
    rules: LiveRules | None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint: `name` is its path below the prefix, `alias` another one, without the prefix."""

    method: str
    name: str
    answer: Callable[[State], Awaitable[tuple[int, Json]]]
    help: str
    alias: str = ""
    changes: bool = False


async def health(state: State) -> tuple[int, Json]:
    if state.rules and state.rules.changed:
        await asyncio.to_thread(state.rules.refresh)
    settings = state.settings
    found = {"version": __version__, "recovery": settings.recovery, "mode": settings.mode}
    return 200, {"status": "ok"} | found | {"rules": rules_in_force(state.rules)}


async def reload(state: State) -> tuple[int, Json]:
    rules = state.rules
    if rules:
        await asyncio.to_thread(rules.reload)
    said = {"rules": rules_in_force(rules)}
    if rules and rules.error:
        return 422, error("invalid_rules", f"{rules.error}; the rules stay as they were") | said
    return 200, {"status": "ok"} | said


def rules_in_force(rules: LiveRules | None) -> Json | None:
    """Where they come from, how many there are, and what is wrong with the file as it is now."""
    if rules is None:
        return None
    return {"file": str(rules.path), "count": rules.file.count, "error": rules.error or None}


ENDPOINTS = (
    Endpoint(
        "GET",
        "health",
        health,
        "Version, recovery, mode and the rules in force; `error` says what is wrong with their file now",
        alias="/_health",
    ),
    Endpoint(
        "POST",
        "reload",
        reload,
        "Read the rules again; if the file is broken, 422 with the reason, and the old rules stay in force",
        alias="/_reload",
        changes=True,
    ),
)


def recognise(flow: http.HTTPFlow) -> http.Response | None:
    """The answer to our own question whether the server is there: then it is not, we have asked ourselves."""
    if flow.request.headers.get(SIGNATURE_HEADER) != SIGNATURE:
        return None
    body = error("loop_detected", "this proxy forwards to itself")
    return response(508, body, {SIGNATURE_HEADER: SIGNATURE})


def respond(flow: http.HTTPFlow, state: State) -> Awaitable[http.Response] | None:
    """The answer to a request that is for us; None to any other."""
    prefix, path = state.settings.control, flow.request.path.partition("?")[0]
    if not prefix or flow.response or not isinstance(flow.client_conn.proxy_mode, mode_specs.ReverseMode):
        return None
    here = [e for e in ENDPOINTS if path in (f"{prefix}/{e.name}", e.alias)]
    if here or path == prefix or path.startswith(f"{prefix}/"):
        return _answer(flow, here, state)
    return None


async def _answer(flow: http.HTTPFlow, here: list[Endpoint], state: State) -> http.Response:
    if reason := misnamed(flow):
        return response(403, error("forbidden", reason))
    if not here:
        names = ", ".join(f"{e.method} {state.settings.control}/{e.name}" for e in ENDPOINTS)
        return response(404, error("not_found", f"there is no such endpoint; ask for {names}"))
    for endpoint in here:
        if endpoint.method == flow.request.method:
            if endpoint.changes and (reason := objection(flow)):
                return response(403, error("forbidden", reason))
            return response(*await endpoint.answer(state))
    methods = ", ".join(e.method for e in here)
    return response(405, error("method_not_allowed", f"ask with {methods}"), {"allow": methods})


def misnamed(flow: http.HTTPFlow) -> str:
    """What to ask for instead of the Host that the client asked; empty if that is this machine."""
    host = client_host(flow.request)
    named = _HOST.fullmatch(host)
    if named and is_loopback_name(named[1].strip("[]")):
        return ""
    here = url("http", LOCAL, flow.client_conn.sockname[1])
    path = flow.request.path.partition("?")[0]
    asked = f"Host {host}" if host else "a request without Host"
    return f"not for {asked}: ask on the proxy's own machine for {here}{path}"


def objection(flow: http.HTTPFlow) -> str:
    """Why this client may change nothing; empty if it may."""
    headers = flow.request.headers
    if not is_loopback(flow.client_conn.peername[0]) or any(name in headers for name in _FORWARDED):
        return "only programs on the proxy's own machine may do this"
    if "origin" in headers or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return "no web page may do this"
    return ""


def error(code: str, message: str) -> Json:
    """An error as OpenAI's API writes one."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def response(status_code: int, body: Json, headers: Mapping[str, str] = _NO_HEADERS) -> http.Response:
    fields = {"content-type": "application/json", "cache-control": "no-store", **headers}
    return http.Response.make(status_code, json.dumps(body, indent=2) + "\n", fields)
