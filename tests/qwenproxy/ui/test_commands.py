"""Commands that a user types in mitmweb or mitmproxy, and how many flows are kept there."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from answers import LEAKING
from mitmproxy import exceptions, http
from mitmproxy.addons.view import View
from mitmproxy.test import taddons, tflow, tutils
from proxy import (
    LEAK,
    WEATHER,
    Proxy,
    Upstream,
    ask,
    chat,
    closed_port,
    events,
    of_mitmweb,
    streamed,
)

from qwenproxy.configuration import Configuration
from qwenproxy.options import read
from qwenproxy.recording.format import load, to_flow
from qwenproxy.ui.commands import Commands
from qwenproxy.ui.explain import REASONS, explained
from qwenproxy.ui.mitmweb import FlowList
from qwenproxy.ui.observer import Observer
from qwenproxy.ui.report import CUT, FAULTS
from qwenproxy.ui.unread import MOST, Unread
from toolstream.repairs import Refused

Run = Callable[..., Any]


@pytest.fixture
def run() -> Iterator[Run]:
    """`run("qwen.stats")` gives what the user sees."""
    configuration = Configuration()
    configuration.settings = read({"qwen_redact": "messages"})
    addon = Commands(configuration, Observer())
    with taddons.context(addon) as context:
        yield context.master.commands.call


def test_stats(run: Run) -> None:
    assert run("qwen.stats") == "no chat yet"


def test_a_text_can_be_tried(run: Run) -> None:
    assert json.loads(run("qwen.test", LEAK, json.dumps([WEATHER])))["message"]["calls"] == [
        {"name": "get_weather", "arguments": {"city": "Zürich", "days": 3}}
    ]
    assert json.loads(run("qwen.test", LEAK, "", "chat"))["api"] == "chat"
    assert json.loads(run("qwen.test", LEAK))["tools"] == "guessed from the text"
    for tools in ("[", "{}", "[1]", "[" * 100_000):
        with pytest.raises(exceptions.CommandError, match="list"):
            run("qwen.test", LEAK, tools)


def test_an_answer_is_explained(run: Run) -> None:
    repaired = replace(LEAKING, ledger={"calls": 1, "repairs": {"missing-tool-call-open": 1}})
    assert run("qwen.explain", to_flow(repaired)) == "call without <tool_call>"
    assert run("qwen.explain", tflow.tflow()).startswith("This is not a chat")


@pytest.mark.parametrize("reason", Refused)
def test_every_reason_is_explained(reason: Refused) -> None:
    data = {"ledger": {"refusals": [[str(reason), "<tool_call>"]]}}
    lines = list(explained(data, {"tools": [WEATHER]}))
    left = "" if reason in FAULTS else "not run: " if reason in CUT else "left as text: "
    assert lines == [f"{left}{reason.words}: <tool_call>", f"  {REASONS[reason]}"]


@pytest.mark.parametrize(
    ("data", "request_body", "said"),
    [
        ({"ledger": {}}, {"tools": [WEATHER]}, "passed through unchanged"),
        ({"ledger": {}}, {}, "declares no tools"),
        ({"ledger": {}}, {"tools": [WEATHER], "tool_choice": "none"}, 'tool_choice: "none"'),
        ({"ledger": {}, "unread": "no content-type"}, {"tools": [WEATHER]}, "unread: no content-type"),
        ({"ledger": {"calls": 1}, "observed": True}, {"tools": [WEATHER]}, "only observed"),
        ({"ledger": {"failure": "T\nValueError: no"}}, {"tools": [WEATHER]}, "ValueError: no"),
        ({"ledger": {}, "aborted": "client left\x1b"}, {"tools": [WEATHER]}, "broke off: client left\\x1b"),
    ],
)
def test_why_nothing_happened(data: dict[str, Any], request_body: dict[str, Any], said: str) -> None:
    assert said in "\n".join(explained(data, request_body))


def test_flows_can_be_saved_as_recordings(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    said = run("qwen.record.save", [to_flow(LEAKING), tflow.tflow()], str(folder))
    assert said == f"1 of 2 flows are chats and were written to {folder}"
    (path,) = folder.iterdir()
    assert "-saved-" in path.name
    assert [len(chunk) for chunk in load(path).chunks] == [len(chunk) for chunk in LEAKING.chunks]
    assert "Zürich".encode() not in path.read_bytes()  # `messages` had to be redacted
    (tmp_path / "file").touch()
    with pytest.raises(exceptions.CommandError):
        run("qwen.record.save", [to_flow(LEAKING)], str(tmp_path / "file"))


# Which flows are kept


def keeping(flows: str) -> Configuration:
    configuration = Configuration()
    configuration.settings = read({"qwen_web_keep": flows})
    return configuration


def test_the_oldest_flows_go() -> None:
    view, keep = View(), FlowList(keeping("100"))
    with taddons.context(view, keep):
        for number in range(5000):
            flow = tflow.tflow(resp=True)
            flow.live = number == 7  # this one has not ended
            view.requestheaders(flow)
            view.response(flow)
            keep.response(flow)
            assert view.store_count() <= 100
        kept = [flow.id for flow in view._store.values()]
        assert len(kept) == 100
        assert sum(flow.live for flow in view._store.values()) == 1


def test_all_flows_can_be_kept() -> None:
    view, keep = View(), FlowList(keeping("0"))
    with taddons.context(view, keep):
        for _ in range(10):
            flow: http.HTTPFlow = tflow.tflow(resp=True)
            view.requestheaders(flow)
            keep.response(flow)
        assert view.store_count() == 10


def test_mitmweb_keeps_the_last_chats_and_none_of_our_own_answers(
    upstream: Upstream, start_proxy: Callable[..., Proxy]
) -> None:
    port = closed_port()
    arguments = ("--no-web-open-browser", "--web-port", str(port))
    proxy = start_proxy(
        upstream.url, *arguments, program=("mitmweb",), web_password="secret", qwen_web_keep="3"
    )
    upstream.answer = streamed(events(LEAK))
    for number in range(6):
        ask(proxy, chat(model=f"m{number}"))
        assert ask(proxy, b"", "/_qwen/stats", method="GET").status == 200
    ask(proxy, b"", "/v1/other?x=1", method="GET")
    flows = json.loads(of_mitmweb(port, "/flows"))
    comments = [flow["comment"] for flow in flows][-2:]
    assert comments == ["get_weather · call without <tool_call> · m5", "GET /v1/other"]
    assert 3 <= len(flows) <= 4
    options = json.loads(of_mitmweb(port, "/options"))
    assert options["qwen_mode"]["choices"] == ["fix", "observe"]
    assert "comment" in options["web_columns"]["value"]


def test_clients_that_are_not_read_are_remembered_up_to_a_limit() -> None:
    unread, settings = Unread(), read({})
    for number in range(2 * MOST):
        body = json.dumps({"tools": [1]}).encode()
        request = tutils.treq(method=b"POST", path=b"/v1/messages", content=body)
        request.headers["user-agent"] = f"client/{number}"
        assert len(list(unread.note(request, settings, "because"))) == (number < MOST)
        assert list(unread.note(request, settings, "because")) == []
    assert len(unread.seen) == MOST
    assert set(unread.seen.values()) == {2}
