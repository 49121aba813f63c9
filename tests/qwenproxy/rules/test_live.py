"""The rules file and the endpoints in a real mitmdump."""

import asyncio
import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.exceptions import AddonHalt, OptionsError
from mitmproxy.proxy import mode_specs
from mitmproxy.test import taddons, tflow
from proxy import (
    PATIENCE,
    Message,
    Proxy,
    Reply,
    Upstream,
    ask,
    chat,
    completion,
    events,
    sized,
    streamed,
    understood,
    until,
)

from qwenproxy.addon import QwenFix
from qwenproxy.recording.format import load
from qwenproxy.replay import rerun
from qwenproxy.rules import file as rules_module
from qwenproxy.rules.file import SHIPPED, RuleFile, read
from support.cases import read_tool
from toolstream.repairs import Repair

ONE = """
tools:
  bash:
    fixes:
      - {name: a, parameter: p, condition: missing, action: set_default, default_value: first}
"""
TWO = (
    ONE + "      - {name: b, parameter: q, condition: missing, action: set_default, default_value: second}\n"
)
BROKEN = ONE.replace("missing", "mising")
COMPLAINT = "line 5: condition: there is no mising; write missing"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(ONE)
    return path


def get(proxy: Proxy, path: str = "/_qwen/health") -> Reply:
    return ask(proxy, b"", path, method="GET")


def rules(proxy: Proxy) -> dict[str, Any]:
    """Return what the health endpoint says about the rules."""
    found = get(proxy).json["rules"]
    assert isinstance(found, dict)
    return found


# Start-up


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (BROKEN, COMPLAINT),  # all other messages are in test_file.py
        (None, "write default, or the path of a YAML file (No such file or directory)"),
    ],
)
def test_a_wrong_file_stops_the_start(
    start_proxy: Callable[..., Proxy], path: Path, text: str | None, complaint: str
) -> None:
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    proxy = start_proxy("http://127.0.0.1:9", qwen_rules=path, ready=False)
    assert proxy.wait() == 1
    said = [line for line in proxy.lines if str(path) in line]
    assert len(said) == 1
    assert f"qwen_rules: {path}" in said[0]
    assert said[0].endswith(complaint)
    assert "Traceback" not in proxy.log
    assert "qwen_fix ready" not in proxy.log


def test_a_wrong_prefix_stops_the_start(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy("http://127.0.0.1:9", qwen_control="/_qwen/", ready=False)
    assert proxy.wait() == 1
    assert "qwen_control=/_qwen/: write a path such as /_qwen, or nothing" in proxy.log


def test_the_ready_line_counts_the_rules(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy("http://127.0.0.1:9", qwen_rules="default")
    assert proxy.wait_for("qwen_fix ready").endswith("(recovery tolerant, mode fix, 10 rules)")


# Read again


def test_a_change_of_the_file_counts_from_the_next_chat_on(
    upstream: Upstream, start_proxy: Callable[..., Proxy], path: Path
) -> None:
    proxy = start_proxy(upstream.url, qwen_rules=path)
    path.write_text(TWO)
    assert ask(proxy).status == 200
    proxy.wait_for(f"qwen_rules: {path} was read again: 2 rules")
    ask(proxy)
    assert rules(proxy) == {"file": str(path), "count": 2, "error": None}
    assert proxy.log.count("was read again") == 1


def test_the_file_is_read_again_on_demand(
    upstream: Upstream, start_proxy: Callable[..., Proxy], path: Path
) -> None:
    proxy = start_proxy(upstream.url, qwen_rules=path)
    assert rules(proxy)["count"] == 1
    for text, alias, count in ((TWO, "/_qwen/reload", 2), (ONE, "/_reload", 1)):
        path.write_text(text)
        reply = ask(proxy, b"", alias)
        assert reply.status == 200
        assert reply.json == {"status": "ok", "rules": {"file": str(path), "count": count, "error": None}}
    assert upstream.requests == []


def test_a_broken_file_changes_nothing_and_is_said_once(
    upstream: Upstream, start_proxy: Callable[..., Proxy], path: Path
) -> None:
    proxy = start_proxy(upstream.url, qwen_rules=path)
    path.write_text(BROKEN)
    for _ in range(3):
        assert ask(proxy).status == 200
    reply = ask(proxy, b"", "/_qwen/reload")
    in_force = {"file": str(path), "count": 1, "error": f"{path}, {COMPLAINT}"}
    assert (reply.status, reply.json["rules"]) == (422, in_force)
    assert rules(proxy) == in_force
    path.write_text(TWO)
    assert rules(proxy)["count"] == 2
    proxy.stop()
    assert proxy.log.count(COMPLAINT) == 1
    assert "the old rules stay in force" in proxy.log
    assert "Traceback" not in proxy.log


# Applied

BASH = [read_tool("bash(command: string, description: string)")]
LEAK = (
    "I look.\n<tool_call>\n<function=bash>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>"
)


def listing(**more: str) -> Message:
    """Return what a client reads from LEAK."""
    return Message("I look.", [("bash", {"command": "ls"} | more)], "tool_calls")


def leaked(upstream: Upstream, proxy: Proxy, stream: bool) -> Message:
    """Return what a client reads from an answer with LEAK."""
    upstream.answer = streamed(events(LEAK)) if stream else sized(completion(LEAK))
    reply = ask(proxy, chat(stream=stream, tools=BASH))
    if stream:
        return understood(reply.body)
    choice = reply.json["choices"][0]
    calls = [call["function"] for call in choice["message"]["tool_calls"]]
    read = [(call["name"], json.loads(call["arguments"])) for call in calls]
    return Message(choice["message"]["content"], read, choice["finish_reason"])


@pytest.mark.parametrize("stream", [True, False])
def test_a_required_description_is_there(
    upstream: Upstream, start_proxy: Callable[..., Proxy], stream: bool
) -> None:
    proxy = start_proxy(upstream.url, qwen_rules="default")
    assert leaked(upstream, proxy, stream) == listing(description="Execute the given shell command")
    proxy.wait_for(f"bash · {Repair.RULE_DEFAULT.words}")


@pytest.mark.parametrize("stream", [True, False])
def test_a_recording_keeps_the_rules_it_was_made_under(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path, stream: bool
) -> None:
    proxy = start_proxy(upstream.url, qwen_rules="default", qwen_record=tmp_path)
    message = leaked(upstream, proxy, stream)
    recording = load(until(lambda: next(tmp_path.glob("*.flow"), None)))
    result = rerun.run(recording)
    assert result.disagreements == []
    (choice,) = result.golden.choices
    assert [(call.name, call.values) for call in choice.calls] == message.calls
    assert result.golden.repairs == recording.ledger["repairs"]


def test_without_rules_it_is_not(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(upstream.url)
    assert leaked(upstream, proxy, stream=True) == listing()


def test_rules_that_are_read_again_change_the_next_answer(
    upstream: Upstream, start_proxy: Callable[..., Proxy], path: Path
) -> None:
    path.write_text(ONE.replace("parameter: p", "parameter: description"))
    proxy = start_proxy(upstream.url, qwen_rules=path)
    assert leaked(upstream, proxy, stream=True) == listing(description="first")
    path.write_text(path.read_text().replace("first", "another"))
    assert ask(proxy, b"", "/_qwen/reload").status == 200
    for stream in (True, False):
        assert leaked(upstream, proxy, stream) == listing(description="another")


def test_an_error_that_holds_the_call_is_no_exception(
    upstream: Upstream, start_proxy: Callable[..., Proxy]
) -> None:
    proxy = start_proxy(upstream.url, qwen_rules="default")
    error = {"error": {"code": 500, "message": f"Failed to parse input at pos 8: {LEAK[8:]}"}}
    upstream.answer = sized(json.dumps(error).encode(), status="500 Internal Server Error")
    reply = ask(proxy, chat(stream=False, tools=BASH))
    (call,) = reply.json["choices"][0]["message"]["tool_calls"]
    assert "description" in json.loads(call["function"]["arguments"])


def test_observing_says_what_rules_would_do(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(upstream.url, qwen_rules="default", qwen_mode="observe")
    upstream.answer = streamed(events(LEAK))
    assert ask(proxy, chat(tools=BASH)).body == b"".join(events(LEAK))
    proxy.wait_for(f"bash · would repair: {Repair.RULE_DEFAULT.words}")


# Endpoints


def test_no_page_in_a_browser_changes_anything(
    upstream: Upstream, start_proxy: Callable[..., Proxy], path: Path
) -> None:
    proxy = start_proxy(upstream.url, qwen_rules=path)
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        reply = ask(proxy, b"", "/_qwen/reload", headers)
        assert (reply.status, reply.json["error"]["code"]) == (403, "forbidden")
    assert "was read again" not in proxy.log
    assert upstream.requests == []


def test_endpoints_need_no_server(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy("http://127.0.0.1:9")
    assert get(proxy).json["status"] == "degraded"
    assert get(proxy, "/_health").json["rules"] is None
    assert get(proxy, "/_qwen/nothing").status == 404
    assert get(proxy, "/health").status == 502


def test_endpoints_can_be_moved_and_switched_off(
    upstream: Upstream, start_proxy: Callable[..., Proxy]
) -> None:
    moved = start_proxy(upstream.url, qwen_control="/mine")
    assert get(moved, "/mine/health").json["status"] == "ok"
    off = start_proxy(upstream.url, qwen_control="")
    assert upstream.requests == []
    passed = [(moved, "/_qwen/health"), (off, "/_qwen/health"), (off, "/_health")]
    for proxy, path in passed:
        assert "choices" in get(proxy, path).json
    assert len(upstream.requests) == len(passed)


# In this process


def begin_chat(addon: QwenFix, model: str = "qwen") -> http.HTTPFlow:
    flow = tflow.tflow()
    flow.live = True
    flow.request.method, flow.request.path = "POST", "/v1/chat/completions"
    flow.request.content = json.dumps(chat(model=model)).encode()
    addon.request(flow)
    return flow


def rules_of(addon: QwenFix, flow: http.HTTPFlow) -> dict[str, list[Any]]:
    """Return {tool: the values its rules set}."""
    chosen = addon.open[flow.id].rules
    assert chosen
    return {tool: [rule.value for rule in listed] for tool, listed in chosen.tools.items()}


def test_a_chat_keeps_the_rules_it_began_under(path: Path) -> None:
    addon = QwenFix()
    with taddons.context(addon) as context:
        context.configure(addon, qwen_rules=str(path))
        begun = begin_chat(addon)
        path.write_text(ONE.replace("first", "another"))
        until(lambda: rules_of(addon, begin_chat(addon)) == {"bash": ["another"]}, "the new rules")
        assert rules_of(addon, begun) == {"bash": ["first"]}


def test_no_chat_waits_for_rules_that_are_being_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    addon, gate, readers = QwenFix(), threading.Event(), []

    def read_slowly(path: Path) -> RuleFile:
        readers.append(threading.current_thread())
        assert gate.wait(PATIENCE)
        return read(path)

    with taddons.context(addon) as context:
        context.configure(addon, qwen_rules=str(path))
        monkeypatch.setattr(rules_module, "read", read_slowly)
        path.write_text(TWO)
        for _ in range(3):
            assert rules_of(addon, begin_chat(addon)) == {"bash": ["first"]}
        gate.set()
        until(lambda: rules_of(addon, begin_chat(addon)) == {"bash": ["first", "second"]}, "the new rules")
        assert len(readers) == 1
        assert threading.main_thread() not in readers


def test_chats_go_on_while_a_reload_waits(
    upstream: Upstream, start_proxy: Callable[..., Proxy], path: Path
) -> None:
    """The file is a pipe, so the test decides when reading ends."""
    proxy = start_proxy(upstream.url, qwen_rules=path)
    path.unlink()
    os.mkfifo(path)
    with ThreadPoolExecutor() as pool:
        reload = pool.submit(ask, proxy, b"", "/_qwen/reload")
        with path.open("w") as pipe:  # now somebody reads it
            assert ask(proxy).status == 200
            assert not reload.done()
            pipe.write(TWO)
        assert reload.result(PATIENCE).json["rules"]["count"] == 2


def test_a_chat_has_the_rules_for_its_model(path: Path) -> None:
    path.write_text("models:\n  coder:" + ONE.replace("\n", "\n    ") + "\n")
    addon = QwenFix()
    with taddons.context(addon) as context:
        context.configure(addon, qwen_rules=str(path))
        assert rules_of(addon, begin_chat(addon, "qwen3-coder")) == {"bash": ["first"]}
        assert rules_of(addon, begin_chat(addon, "qwen3")) == {}


def test_a_flow_from_a_file_is_not_answered() -> None:
    addon, flow = QwenFix(), tflow.tflow()
    flow.request.path = "/_health"
    flow.client_conn.proxy_mode = mode_specs.ProxyMode.parse("reverse:http://a:1")
    with taddons.context(addon):
        for flow.live in (False, True):
            if later := addon.request(flow):
                with pytest.raises(AddonHalt):  # no other addon may see it
                    asyncio.run(later)  # type: ignore[arg-type]
            assert (flow.response is not None) is flow.live


def test_without_rules_a_chat_has_none() -> None:
    addon = QwenFix()
    assert addon.open[begin_chat(addon).id].rules is None


def test_other_rules_while_running(path: Path, tmp_path: Path) -> None:
    addon = QwenFix()
    with taddons.context(addon) as context:
        context.configure(addon, qwen_rules=str(path))
        first = addon.configuration.rules
        context.configure(addon, qwen_mode="observe")
        assert addon.configuration.rules is first
        path.write_text(BROKEN)
        with pytest.raises(OptionsError, match=r"qwen_rules: .*other\.yaml: write default"):
            context.configure(addon, qwen_rules=str(tmp_path / "other.yaml"))
        assert addon.configuration.rules is first  # although its file is broken now
        context.configure(addon, qwen_rules="default")
        assert addon.configuration.rules
        assert addon.configuration.rules.path == SHIPPED
        context.configure(addon, qwen_rules="")
        assert addon.configuration.rules is None
