"""The proxy's own endpoints: who may ask what, and that other requests are not affected."""

import asyncio
import json
import platform
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy import version as mitmproxy_version
from mitmproxy.proxy import mode_specs
from mitmproxy.test import tflow

from qwenproxy import __version__, options
from qwenproxy.backend.addresses import is_loopback
from qwenproxy.backend.probe import Heard
from qwenproxy.rules.file import LiveRules
from qwenproxy.ui import endpoints
from qwenproxy.ui.endpoints import ENDPOINTS, State
from qwenproxy.ui.health import Backends
from qwenproxy.ui.observer import Observer

RULES = """
tools: {bash: {fixes: [{name: r, parameter: p, condition: missing, action: set_default, default_value: 1}]}}
"""


SERVER = "http://a:1"


async def answers(url: str) -> Heard:
    return Heard(said=f"{url} answers, with qwen")


def state(rules: LiveRules | None = None, ask: Any = answers, **values: str) -> State:
    given = {f"qwen_{name}": value for name, value in values.items()}
    return State(
        options.read(given),
        rules,
        Observer(),
        Backends(ask),
        urls=[SERVER],
        options=given,
        uptime=1.5,
        open_chats=2,
        bytes_held=3,
    )


def asked(
    method: str, path: str, peer: str = "127.0.0.1", mode: str = "reverse:http://a:1", **headers: str
) -> http.HTTPFlow:
    flow = tflow.tflow()
    flow.request.method, flow.request.path = method, path
    flow.client_conn.peername, flow.client_conn.sockname = (peer, 5), ("127.0.0.1", 9090)
    flow.client_conn.proxy_mode = mode_specs.ProxyMode.parse(mode)
    for name, value in ({"Host": "127.0.0.1:9090"} | headers).items():
        flow.request.headers[name.replace("_", "-")] = value
    return flow


def respond(flow: http.HTTPFlow, to: State) -> http.Response | None:
    """Wait for the answer and return it."""

    if not endpoints.is_ours(flow, to.settings.control):
        return None
    return asyncio.run(endpoints.answer(flow, to))  # type: ignore[arg-type]


def answered(flow: http.HTTPFlow, to: State) -> tuple[int, Any]:
    response = respond(flow, to)
    assert response
    assert response.headers["content-type"] == "application/json"
    return response.status_code, json.loads(response.content or b"")


@pytest.fixture
def rules(tmp_path: Path) -> LiveRules:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return LiveRules(path)


# Which requests are ours


@pytest.mark.parametrize(
    ("path", "control", "status"),
    [
        ("/_qwen/health", "/_qwen", 200),
        ("/_qwen/health?x=/y", "/_qwen", 200),
        ("/_health", "/_qwen", 200),
        ("/_qwen", "/_qwen", 308),
        ("/_qwen/", "/_qwen", 200),
        ("/_qwen/healthy", "/_qwen", 404),
        ("/_qwen/health/", "/_qwen", 404),
        ("/_qwenx/health", "/_qwen", None),
        ("/v1/_qwen/health", "/_qwen", None),
        ("/health", "/_qwen", None),
        ("/_health/x", "/_qwen", None),
        ("/", "/_qwen", None),
        ("/admin/qwen/health", "/admin/qwen", 200),
        ("/_qwen/health", "/admin/qwen", None),
        ("/_health", "/admin/qwen", 200),
        ("/_qwen/health", "", None),
        ("/_health", "", None),
        ("/health", "", None),
    ],
)
def test_only_our_own_paths_are_answered(path: str, control: str, status: int | None) -> None:
    response = respond(asked("GET", path), state(control=control))
    assert (response.status_code if response else None) == status


@pytest.mark.parametrize(
    ("mode", "ours"), [("reverse:http://a:1", True), ("regular", False), ("upstream:http://a:1", False)]
)
def test_the_paths_of_other_hosts_are_theirs(mode: str, ours: bool) -> None:
    assert bool(respond(asked("GET", "/_health", mode=mode), state())) is ours


def test_who_has_an_answer_already_keeps_it() -> None:
    flow = asked("GET", "/_qwen/health")
    flow.response = http.Response.make(407)
    assert respond(flow, state()) is None


def test_another_method_is_told_the_right_one() -> None:
    for method, path, right in (("POST", "/_qwen/health", "GET"), ("GET", "/_reload", "POST")):
        response = respond(asked(method, path), state())
        assert response
        assert (response.status_code, response.headers["allow"]) == (405, right)


def test_an_unknown_endpoint_is_told_the_known_ones() -> None:
    status, body = answered(asked("GET", "/mine/x"), state(control="/mine"))
    assert (status, body["error"]["code"]) == (404, "not_found")
    for endpoint in ENDPOINTS:
        assert f"{endpoint.method} /mine/{endpoint.name}" in body["error"]["message"]


# Answers


def test_health(rules: LiveRules) -> None:
    to = state(rules, recovery="strict", mode="observe")
    assert answered(asked("GET", "/_qwen/health"), to) == (
        200,
        {
            "status": "ok",
            "reason": "",
            "version": __version__,
            "mitmproxy": mitmproxy_version.VERSION,
            "python": platform.python_version(),
            "mode": "observe",
            "recovery": "strict",
            "upstreams": [{"url": SERVER, "answers": True, "said": f"{SERVER} answers, with qwen"}],
            "uptime": 1.5,
            "open_chats": 2,
            "bytes_held": 3,
            "options": {"qwen_recovery": "strict", "qwen_mode": "observe"},
            "rules": {"file": str(rules.path), "count": 1, "error": None},
        },
    )
    assert answered(asked("GET", "/_health"), state())[1]["rules"] is None


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        (Heard(down="nothing is listening there"), f"{SERVER} does not answer (nothing is listening there)"),
        (Heard(wrong=f"{SERVER} speaks http, not https"), f"{SERVER} speaks http, not https"),
    ],
)
def test_health_is_degraded_while_the_server_is_down(heard: Heard, reason: str) -> None:
    async def ask(_url: str) -> Heard:
        return heard

    status, body = answered(asked("GET", "/_qwen/health"), state(ask=ask))
    assert (status, body["status"], body["reason"]) == (200, "degraded", reason)
    assert body["upstreams"] == [{"url": SERVER, "answers": False, "said": heard.wrong or heard.down}]


def test_health_is_degraded_while_nothing_can_be_recorded() -> None:
    to = replace(state(), recording_trouble="flows: No space left on device")
    status, body = answered(asked("GET", "/_qwen/health"), to)
    said = "nothing is recorded: flows: No space left on device"
    assert (status, body["status"], body["reason"]) == (200, "degraded", said)


def test_health_asks_the_server_once_for_many() -> None:
    questions = []

    async def ask(url: str) -> Heard:
        questions.append(url)
        await asyncio.sleep(0)
        return Heard(said="yes")

    async def ask_thrice() -> list[http.Response]:
        to = state(ask=ask)
        flows = [asked("GET", "/_health") for _ in range(3)]
        return await asyncio.gather(*(endpoints.answer(flow, to) for flow in flows))

    assert [r.status_code for r in asyncio.run(ask_thrice())] == [200] * 3
    assert questions == [SERVER]


def test_an_answer_of_the_server_is_good_for_a_second() -> None:
    now, questions = [100.0], []

    async def ask(url: str) -> Heard:
        questions.append(url)
        return Heard(said="yes")

    async def ask_later() -> None:
        backends = Backends(ask, clock=lambda: now[0])
        for now[0] in (100.0, 100.9, 101.1):
            await backends.heard(SERVER)

    asyncio.run(ask_later())
    assert len(questions) == 2


def test_health_tells_of_a_file_that_is_broken_by_now(rules: LiveRules) -> None:
    rules.path.write_text("tools: [")
    status, body = answered(asked("GET", "/_health"), state(rules))
    assert (status, body["status"], body["rules"]["count"]) == (200, "degraded", 1)
    assert body["rules"]["error"].startswith(f"{rules.path}, line 1: not YAML")
    assert body["reason"] == f"{body['rules']['error']}; the old rules stay in force"


def test_config_has_every_option() -> None:
    _, body = answered(asked("GET", "/_qwen/config"), state(recovery="strict"))
    found = {option["name"]: option for option in body["options"]}
    assert set(found) == set(options.NAMES)
    recovery = {"value": "strict", "default": "tolerant", "choices": list(options.RECOVERIES)}
    assert recovery.items() <= found["qwen_recovery"].items()
    assert found["qwen_paths"]["choices"] is None


def test_the_page_needs_nothing_else() -> None:
    response = respond(asked("GET", "/_qwen/"), state())
    assert response
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    page = response.text or ""
    assert not re.findall(r"""(?:src|href|url\()\s*=?\s*["']?(?:https?:)?//""", page)


def test_the_page_has_one_address() -> None:
    response = respond(asked("GET", "/_qwen"), state())
    assert response
    assert (response.status_code, response.headers["location"]) == (308, "/_qwen/")


def test_reload(rules: LiveRules) -> None:
    before = rules.file
    in_force = {"file": str(rules.path), "count": 1, "error": None}
    for path in ("/_qwen/reload", "/_reload"):
        assert answered(asked("POST", path), state(rules)) == (200, {"status": "ok", "rules": in_force})
    assert rules.file is not before


def test_reload_says_what_is_wrong(rules: LiveRules) -> None:
    rules.path.write_text("tool: {}")
    status, body = answered(asked("POST", "/_qwen/reload"), state(rules))
    line = f"{rules.path}, line 1: tool: there is no such key; write tools"
    assert status == 422
    assert body["error"]["message"] == f"{line}; the old rules stay in force"
    assert body["rules"] == {"file": str(rules.path), "count": 1, "error": line}


def test_without_rules_there_is_nothing_to_reload() -> None:
    assert answered(asked("POST", "/_reload"), state()) == (200, {"status": "ok", "rules": None})


# Permissions


@pytest.mark.parametrize(
    ("peer", "headers", "allowed"),
    [
        ("127.0.0.1", {}, True),
        ("127.8.8.8", {}, True),
        ("::1", {}, True),
        ("::ffff:127.0.0.1", {}, True),
        ("192.168.0.7", {}, False),
        ("::ffff:192.168.0.7", {}, False),
        ("fe80::1%eth0", {}, False),
        ("", {}, False),
        ("127.0.0.1", {"Origin": "http://127.0.0.1:9090"}, False),
        ("127.0.0.1", {"Origin": "null"}, False),
        ("127.0.0.1", {"Sec_Fetch_Site": "cross-site"}, False),
        ("127.0.0.1", {"Sec_Fetch_Site": "same-site"}, False),
        ("127.0.0.1", {"Sec_Fetch_Site": "none"}, True),
        ("127.0.0.1", {"X_Forwarded_For": "192.168.0.7"}, False),
        ("127.0.0.1", {"Forwarded": "for=192.168.0.7"}, False),
    ],
)
def test_who_may_change_something(
    rules: LiveRules, peer: str, headers: dict[str, str], allowed: bool
) -> None:
    before = rules.file
    status, body = answered(asked("POST", "/_qwen/reload", peer, **headers), state(rules))
    assert status == (200 if allowed else 403)
    assert (rules.file is not before) is allowed
    assert allowed or body["error"]["code"] == "forbidden"
    reading, _ = answered(asked("GET", "/_qwen/health", peer, **headers), state(rules))
    assert reading == 200


HERE = ("localhost", "LOCALHOST.:9090", "127.0.0.1", "127.8.8.8:80", "[::1]:9090", "[::1]")
NEAR = (
    "192.168.0.7:9090",
    "0.0.0.0:9090",
    "[::]",
    "[fe80::1]:9090",
    "qwen-fix:9090",
    "box.local",
    "b.home.arpa",
)
NOWHERE = (
    *("evil.example", "evil.example:9090", "localhost.evil.example", "127.0.0.1.evil.example", ""),
    *("localhost@evil.example", "localhost:9090:9090", "evil.local.example", "a/b", "local.", "lan.com"),
)


@pytest.mark.parametrize("path", ["health", "reload", "chats", "stats"])
@pytest.mark.parametrize("host", [*HERE, *NEAR, *NOWHERE])
def test_by_which_name(rules: LiveRules, path: str, host: str) -> None:
    """Chats, and requests that change something, need a local name; no endpoint has a public one."""
    before = rules.file
    method, private = ("POST", True) if path == "reload" else ("GET", path == "chats")
    allowed = host in HERE or (host in NEAR and not private)
    status, body = answered(asked(method, path := f"/_qwen/{path}", Host=host), state(rules))
    assert status == (200 if allowed else 403)
    assert (rules.file is not before) is (allowed and method == "POST")
    if not allowed:
        asked_for = f"Host {host}" if host else "a request without Host"
        there = f"http://127.0.0.1:9090{path}"
        assert body["error"]["message"] == f"not for {asked_for}: ask on the proxy's own machine for {there}"
        assert body["error"]["code"] == "forbidden"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("::1%lo", True), ("10.0.0.1", False), ("localhost", False)],
)
def test_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_names_are_unique() -> None:
    names = [(e.method, name) for e in ENDPOINTS for name in (f"below/{e.name}", e.alias) if name]
    assert len(names) == len(set(names))
