"""A scripted session through a real mitmdump: the log and the endpoints, and that their numbers agree."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mitmproxy.test import taddons, tflow, tutils
from proxy import (
    LEAK,
    WEATHER,
    Pause,
    Proxy,
    Reply,
    Request,
    Upstream,
    aborted,
    ask,
    chat,
    chunk,
    completion,
    events,
    sized,
    streamed,
    until,
)

from qwenproxy.addon import QwenFix

prometheus = pytest.importorskip("prometheus_client.parser")

CALL = {
    "index": 0,
    "id": "c",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "a"}'},
}
NATIVE = [chunk({"role": "assistant", "tool_calls": [CALL]}), chunk({}, "tool_calls"), b"data: [DONE]\n\n"]
WRONG = [chunk({"tool_calls": [CALL | {"id": None}]}), chunk({}, "tool_calls"), b"data: [DONE]\n\n"]
SCRIPTS = {
    "leaks": streamed(events(f"I look.\n\n{LEAK}")),
    "whole": sized(completion(LEAK)),
    "parses": streamed(NATIVE),
    "damages": streamed(WRONG),
    "quotes": streamed(events(f"```\n{LEAK}\n```\n")),
    "cut": streamed([*events(LEAK[:40])[:-2], chunk({}, "length"), b"data: [DONE]\n\n"]),
    "begins": streamed([*events("<tool_call>\n{")[:-2], chunk({}, "length"), b"data: [DONE]\n\n"]),
    "stops": streamed(events("Hello.")[:-2]),
    "gateway": sized(b"<html><title>502 Bad\n Gateway</title><p>x", "text/html", status="502 Bad Gateway"),
    "fails": sized(b'{"error": {"message": "no"}}', status="500 Oops"),
    "breaks": aborted(events(LEAK)[:20]),
}
TALK = {
    "leaks": ("get_weather · call without <tool_call>", "repaired"),
    "whole": ("get_weather · call without <tool_call>", "repaired"),
    "parses": ("get_weather", "passed"),
    "quotes": ("no call · left as text: in code, a quotation, a table or a comment", "passed"),
    "fails": ("the server's error: no", "backend-error"),
}
AGENT = {"User-Agent": "opencode/1.18.33 ai-sdk/1"}


async def answer(request: Request, writer: Any) -> bool:
    return await SCRIPTS.get(request.json.get("model", ""), streamed(events("Hello.")))(request, writer)


@dataclass
class Session:
    """A proxy that has handled one chat for each script, and one without tools."""

    proxy: Proxy

    def get(self, path: str, **headers: str) -> Reply:
        return ask(self.proxy, b"", f"/_qwen/{path}", headers, method="GET")

    def line(self, model: str) -> str:
        return self.proxy.wait_for(f" · chat · {model} · ")


@pytest.fixture(scope="module")
def session(confdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    upstream = Upstream(answer)
    proxy = Proxy(upstream.url, confdir, stream_large_bodies="5k").wait_ready()
    for model in SCRIPTS:
        ask(proxy, chat(model=model, stream=model != "whole"), headers=AGENT)
    ask(proxy, chat(model="forbids", tool_choice="none"), headers=AGENT)
    ask(proxy, chat(model="old", tools=[], functions=[WEATHER["function"]]), headers=AGENT)
    ask(proxy, chat(model="plain", tools=[]), headers={"User-Agent": "curl/8"})
    yield Session(proxy)
    proxy.stop()
    upstream.stop()


# The log


@pytest.mark.parametrize("model", TALK)
def test_each_chat_has_its_line(session: Session, model: str) -> None:
    said = f"{TALK[model][0]} · " if TALK[model][0] else ""
    status = 500 if model == "fails" else 200
    expected = rf"\[[\d:.]+\] opencode/1.18.33 · chat · {model} · {status} · {re.escape(said)}[\d.]+ (?:ms|s)"
    assert re.fullmatch(expected, session.line(model))


def test_the_log_has_nothing_else(session: Session) -> None:
    """No connections, no ids of flows, no list of requests, and no text of a chat."""
    session.line("plain")
    session.get("health")
    start = next(n for n, line in enumerate(session.proxy.lines) if "answers, with qwen" in line) + 1
    chats = [line for line in session.proxy.lines[start:] if " · chat · " in line]
    assert session.proxy.lines[start:] == chats
    assert len(chats) == len(SCRIPTS) + 3
    assert "Zürich" not in session.proxy.log


def test_what_is_not_whole_is_said(session: Session) -> None:
    half = "no call · call without <tool_call>; call sent unfinished, so that nobody runs it"
    assert f" · {half}; broke off: the server closed the connection · " in session.line("breaks")
    assert f" · {half}; cut off at the token limit · " in session.line("cut")
    assert " · no call · left as text: cut off inside; cut off at the token limit · " in session.line(
        "begins"
    )
    assert " · no call · the server sent no finish_reason · " in session.line("stops")


def test_why_nothing_is_read_is_said(session: Session) -> None:
    assert " · no tools (tool_choice is none) · " in session.line("forbids")
    assert " · no tools (the old functions are not read) · " in session.line("old")
    assert " · the server's error: 502 Bad Gateway · " in session.line("gateway")


# Counts


def test_the_counts_add_up(session: Session) -> None:
    said = session.get("stats").json
    total, models = said["total"], said["models"]
    assert total["chats"] == len(SCRIPTS) + 3
    kinds = ("passed", "repaired", "would_repair", "left", "failed_open", "broken_off", "backend_errors")
    assert {kind: total[kind]["count"] for kind in kinds} == {
        "passed": 6,
        "repaired": 3,
        "would_repair": 0,
        "left": 2,
        "failed_open": 0,
        "broken_off": 1,
        "backend_errors": 2,
    }
    for counts in (total, *models.values(), *said["clients"].values()):
        assert sum(counts[kind]["count"] for kind in kinds) == counts["chats"]
        assert all(0 <= counts[kind]["share"] <= 1 for kind in kinds)
    for field in ("chats", "answers", "calls"):
        assert sum(counts[field] for counts in models.values()) == total[field]
        assert sum(counts[field] for counts in said["clients"].values()) == total[field]
    assert (total["streamed"]["count"], total["with_tools"]["count"]) == (len(SCRIPTS) + 2, len(SCRIPTS))
    assert total["leaked"] == {"count": 5, "share": round(5 / 9, 4)}  # of the answers to requests with tools
    assert total["damaged"]["count"] == 1
    assert total["truncated"]["count"] == 2
    opener = {"count": 4, "share": round(4 / 14, 4), "words": "call without <tool_call>"}
    assert total["repairs"]["missing-tool-call-open"] == opener
    assert set(said["clients"]) == {"opencode/1.18.33", "curl/8"}
    assert sum(entry["answers"] for entry in said["history"]) == total["answers"]
    assert sum(entry["leaked"] for entry in said["history"]) == 5


@pytest.mark.parametrize(
    ("model", "text", "level"),
    [
        (
            "leaks",
            "100 % of the answers of leaks leaked calls as text (1 of 1): repaired 1, not repaired 0.",
            "warn",
        ),
        ("parses", "Your server parses the tool calls of parses itself: 0 of 1 needed repair.", "good"),
        (
            "damages",
            "100 % of the answers of damages had damaged calls (1 of 1): repaired 1, not repaired 0.",
            "warn",
        ),
        ("cut", "100 % of the answers of cut leaked calls as text (1 of 1): not repaired 1.", "bad"),
        ("quotes", "No tool call of quotes yet, in 1 answer.", "none"),
        ("fails", "fails: 1 of 1 chats failed at the server, the last with 500: no.", "bad"),
        (
            "gateway",
            "gateway: 1 of 1 chats failed at the server, the last with 502: 502 Bad Gateway.",
            "bad",
        ),
        ("plain", "plain: no request had tools, so there was nothing to repair.", "none"),
    ],
)
def test_the_verdict(session: Session, model: str, text: str, level: str) -> None:
    verdicts = {verdict["model"]: verdict for verdict in session.get("stats").json["verdicts"]}
    assert verdicts[model] == {"model": model, "text": text, "level": level}


def test_the_last_chats(session: Session) -> None:
    chats = session.get("chats").json["chats"]
    assert [c["model"] for c in chats] == ["plain", "old", "forbids", *reversed(SCRIPTS)]
    by_model = {c["model"]: c for c in chats}
    for model, (said, outcome) in TALK.items():
        assert (by_model[model]["said"], by_model[model]["outcome"]) == (said, outcome)
    whole = session.get(f"chats?id={by_model['leaks']['id']}").json
    (sent,), (received,) = whole["sent"], whole["received"]
    assert sent == {"content": f"I look.\n\n{LEAK}", "reasoning": "", "calls": [], "finish_reason": "stop"}
    assert received["content"] == "I look."
    assert received["calls"] == [{"name": "get_weather", "arguments": {"city": "Zürich", "days": 3}}]
    assert whole["repairs"] == [
        {"name": "missing-tool-call-open", "count": 1, "words": "call without <tool_call>"}
    ]
    assert session.get("chats?id=c999").status == 404


@pytest.mark.parametrize("headers", [{"X-Forwarded-For": "10.0.0.1"}, {"Host": "box.local"}])
def test_what_was_said_is_for_this_machine_only(session: Session, headers: dict[str, str]) -> None:
    reply = session.get("chats", **headers)
    assert (reply.status, reply.json["error"]["code"]) == (403, "forbidden")
    assert session.get("stats", **headers).status == 200


def test_metrics(session: Session) -> None:
    reply = session.get("metrics")
    assert reply.headers["content-type"].startswith("text/plain")
    families = prometheus.text_string_to_metric_families(reply.body.decode())
    samples = {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}
    assert samples["qwen_fix_chats_total", "leaks", "repaired"] == 1
    assert samples["qwen_fix_repairs_total", "leaks", "missing-tool-call-open"] == 1
    assert samples["qwen_fix_refusals_total", "cut", "truncated"] == 1
    assert samples["qwen_fix_chat_seconds_count", "leaks"] == 1
    chats = [value for key, value in samples.items() if key[0] == "qwen_fix_chats_total"]
    assert sum(chats) == session.get("stats").json["total"]["chats"]


# Trials


def test_a_text_can_be_tried(session: Session) -> None:
    request = {"text": LEAK, "tools": [WEATHER], "recovery": "tolerant"}
    body = ask(session.proxy, request, "/_qwen/test").json
    assert body["message"]["calls"] == [{"name": "get_weather", "arguments": {"city": "Zürich", "days": 3}}]
    assert (body["tools"], body["recovery"]) == ("given", "tolerant")
    assert [repair["name"] for repair in body["repairs"]] == ["missing-tool-call-open"]
    damaged = request | {"text": LEAK.replace("</function>", "")}
    for recovery, calls in (("strict", 0), ("tolerant", 1)):
        found = ask(session.proxy, damaged | {"recovery": recovery}, "/_qwen/test").json
        assert len(found["message"]["calls"]) == calls
    found = session.get("test?content=%3Cfunction%3Dls%3E%0A%3C/function%3E").json
    assert found["message"]["calls"] == [{"name": "ls", "arguments": {}}]
    assert found["tools"] == "guessed from the text"
    assert session.get("stats").json["total"]["chats"] == len(SCRIPTS) + 3  # the trial was not a chat


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        ({}, "send JSON"),
        (b"\xff", "send JSON"),
        ({"text": 1}, 'text in "text"'),
        ({"text": "a", "tools": {}}, '"tools" is a list'),
        ({"text": "a", "tools": [1]}, '"tools" is a list'),
        ({"text": "a", "recovery": "lax"}, '"recovery" is strict, tolerant or aggressive'),
    ],
)
def test_what_cannot_be_tried_is_said(session: Session, body: Any, advice: str) -> None:
    reply = ask(session.proxy, body, "/_qwen/test")
    assert reply.status == 422
    assert advice in reply.json["error"]["message"]


# With other proxies


def test_a_summary_at_the_end(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    upstream.answer = answer
    proxy = start_proxy(upstream.url)
    for model in ("leaks", "leaks", "parses", "fails"):
        ask(proxy, chat(model=model))
    proxy.stop()
    lines = [re.sub(r"^\[[\d:.]+\] ", "", line) for line in proxy.lines[-4:]]
    assert re.fullmatch(r"in [\d.]+ m?s: 4 chats, 3 calls, repaired in 2, server errors in 1", lines[0])
    assert lines[1:] == [
        "  leaks: 2 chats, 2 calls, repaired in 2 (call without <tool_call> x2)",
        "  parses: 1 chat, 1 call, nothing to repair",
        "  fails: 1 chat, 0 calls, server errors in 1",
    ]


def test_observing_says_would_everywhere(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    upstream.answer = SCRIPTS["leaks"]
    proxy = start_proxy(upstream.url, qwen_mode="observe")
    ask(proxy)
    assert " · would call get_weather · would repair: call without <tool_call> · " in proxy.wait_for(
        " · chat · qwen · "
    )
    said = ask(proxy, b"", "/_qwen/stats", method="GET").json
    assert said["mode"] == "observe"
    assert said["verdicts"][0]["text"].endswith("(1 of 1): would be repaired 1, not repaired 0.")
    assert (said["total"]["would_repair"]["count"], said["total"]["repaired"]["count"]) == (1, 0)
    (kept,) = ask(proxy, b"", "/_qwen/chats", method="GET").json["chats"]
    assert (kept["outcome"], kept["said"]) == (
        "would-repair",
        "would call get_weather · would repair: call without <tool_call>",
    )
    metrics = ask(proxy, b"", "/_qwen/metrics", method="GET").body.decode()
    assert 'qwen_fix_chats_total{model="qwen",outcome="would-repair"} 1.0' in metrics
    proxy.stop()
    assert "1 chat, 0 calls, would be repaired in 1" in proxy.log  # no client got the call


def test_counting_can_begin_again(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(upstream.url)
    ask(proxy)
    assert ask(proxy, b"", "/_qwen/stats/reset").json == {"status": "ok", "forgotten": 1}
    assert ask(proxy, b"", "/_qwen/stats", method="GET").json["total"]["chats"] == 0
    assert ask(proxy, b"", "/_qwen/chats", method="GET").json["chats"] == []


def test_a_server_that_is_down_is_a_server_error(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy("http://127.0.0.1:9")
    assert ask(proxy).status == 502
    assert "the server gave no answer: " in proxy.wait_for(" · chat · qwen · no answer · ")
    assert ask(proxy, b"", "/_qwen/stats", method="GET").json["total"]["backend_errors"]["count"] == 1


def test_an_api_that_is_not_read_is_said_once_for_each_client(
    upstream: Upstream, start_proxy: Callable[..., Proxy]
) -> None:
    proxy = start_proxy(upstream.url, qwen_apis="chat")
    paths = ("/v1/messages", "/v1/messages", "/v1/responses", "/api/chat", "/v1/embeddings")
    for path in paths:
        ask(
            proxy, {"model": "qwen", "tools": [{"name": "x"}]}, path, {"User-Agent": "claude-cli/2.1.332 (x)"}
        )
        ask(proxy, {"model": "qwen", "tools": []}, path, {"User-Agent": "other/1"})
    ask(proxy, {"model": "qwen", "tools": [{"name": "x"}]}, "/v1/messages", {"User-Agent": "other/1"})
    proxy.wait_for("other/1 sends tools to /v1/messages")
    warnings = [line.partition(": ")[2] for line in proxy.lines if "its calls are not repaired" in line]
    assert warnings == [
        f"qwen_apis does not name {api}" for api in ("messages", "responses", "ollama", "messages")
    ]
    reason = "qwen_apis does not name messages"
    said = ask(proxy, b"", "/_qwen/stats", method="GET").json
    assert said["unread"][0] == {
        "client": "claude-cli/2.1.332",
        "api": "messages",
        "reason": reason,
        "requests": 2,
    }
    assert said["verdicts"][0]["text"].endswith(reason)


def test_a_conversation_that_the_server_keeps_is_passed_on_unread(
    upstream: Upstream, start_proxy: Callable[..., Proxy]
) -> None:
    proxy = start_proxy(upstream.url)
    tool = {"type": "function", "name": "get_weather", "parameters": WEATHER["function"]["parameters"]}
    body = {"model": "qwen", "input": "hi", "tools": [tool], "previous_response_id": "resp_1"}
    for _ in range(2):
        assert ask(proxy, body, "/v1/responses", {"User-Agent": "codex/1"}).body == completion("ok")
    assert "previous_response_id" in proxy.wait_for("codex/1 sends tools to /v1/responses")
    assert proxy.log.count("codex/1 sends tools") == 1
    assert ask(proxy, b"", "/_qwen/stats", method="GET").json["total"]["chats"] == 0


def test_a_path_that_is_left_out_is_said(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(upstream.url, qwen_paths="/generate$")
    upstream.answer = sized(completion(LEAK))
    left = ask(proxy, chat(stream=False), headers={"User-Agent": "a/1"})
    assert left.body == completion(LEAK)
    proxy.wait_for(
        "a/1 sends tools to /v1/chat/completions, and its calls are not repaired: qwen_paths leaves"
    )
    read = ask(proxy, chat(stream=False), "/v2/generate")
    assert read.json["choices"][0]["finish_reason"] == "tool_calls"


def test_large_requests_are_repaired_too(session: Session) -> None:
    """`stream_large_bodies` is 5 kB here. A request that is streamed because of its size is not read."""
    large = [{"role": "user", "content": "x" * 20_000}]
    pieces = json.dumps(chat(model="leaks", messages=large)).encode()
    assert b'"tool_calls"' in ask(session.proxy, pieces).body


def test_large_answers_are_repaired_too(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    upstream.answer = sized(completion(LEAK.replace("Zürich", "Z" * 20_000)))
    proxy = start_proxy(upstream.url, stream_large_bodies="5k")
    assert ask(proxy, chat(stream=False)).json["choices"][0]["finish_reason"] == "tool_calls"
    upstream.answer = sized(b"x" * 20_000, "text/plain")
    assert ask(proxy, b"", "/other", method="GET").body == b"x" * 20_000


# Large and foreign requests


def test_a_large_request_for_us_is_not_sent_on(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    """With `stream_large_bodies` it would be forwarded before it is known to be ours."""
    proxy = start_proxy(upstream.url, stream_large_bodies="5k")
    assert ask(proxy, {"text": "x" * 20_000}, "/_qwen/test").json["message"]["content"] == "x" * 20_000
    large = {"tools": [{"name": "a"}], "input": "x" * 20_000, "previous_response_id": "resp_1"}
    ask(proxy, large, "/v1/responses", {"User-Agent": "codex/2"})
    assert ask(proxy, b"", "/_qwen/stats", method="GET").json["unread"][0]["client"] == "codex/2"
    assert [request.line for request in upstream.requests] == ["POST /v1/responses HTTP/1.1"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://{host}", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://{host}"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_no_other_page_may_have_a_text_tried(session: Session, headers: dict[str, str], status: int) -> None:
    """A trial delays the chats."""
    host = f"127.0.0.1:{session.proxy.port}"
    given = {name: value.format(host=host) for name, value in headers.items()}
    assert ask(session.proxy, {"text": "x"}, "/_qwen/test", given).status == status


def test_a_text_to_be_tried_has_an_end(session: Session) -> None:
    assert ask(session.proxy, {"text": "x" * (1 << 16)}, "/_qwen/test").status == 413


def test_heads_are_answered(session: Session) -> None:
    reply = ask(session.proxy, b"", "/_qwen/health", method="HEAD")
    assert (reply.status, reply.body) == (200, b"")


def test_an_answer_whose_report_fails_is_recorded(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    plant = tmp_path / "plant.py"
    plant.write_text("from qwenproxy import finish\nfinish.report_of = None\n")
    upstream.answer = SCRIPTS["leaks"]
    folder = tmp_path / "flows"
    proxy = start_proxy(upstream.url, "-s", str(plant), qwen_record=folder)
    assert b'"tool_calls"' in ask(proxy).body
    proxy.wait_for("error in its report")
    assert [path.suffix for path in folder.iterdir()] == [".flow"]


def test_without_endpoints_nothing_that_was_said_is_kept() -> None:
    addon = QwenFix()
    flow = tflow.tflow(req=tutils.treq(path=b"/v1/chat/completions", content=json.dumps(chat()).encode()))
    flow.live = True
    with taddons.context(addon) as context:
        for control, kept in (("", None), ("/_qwen", completion(LEAK))):
            context.configure(addon, qwen_control=control)
            flow.request.method, flow.response = "POST", tutils.tresp(content=completion(LEAK))
            flow.response.headers["content-type"] = "application/json"
            addon.request(flow)
            addon.response(flow)
            (last, *_) = addon.observer.recent
            assert last.sent == kept


def test_who_left_is_not_the_servers_fault(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    pause = Pause([], [])
    upstream.answer = pause
    proxy = start_proxy(upstream.url)
    client = socket.create_connection(("127.0.0.1", proxy.port))
    body = json.dumps(chat()).encode()
    client.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    until(lambda: upstream.requests)
    client.close()
    assert "broke off: the client disconnected" in proxy.wait_for(" · chat · qwen · ")
    pause.go()
    said = ask(proxy, b"", "/_qwen/stats", method="GET").json["total"]
    numbers = [said[name]["count"] for name in ("backend_errors", "broken_off", "client_left")]
    assert numbers == [0, 0, 1]


def test_an_error_event_is_the_servers_error(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    upstream.answer = streamed([b'data: {"error": {"message": "out of memory"}}\n\n', b"data: [DONE]\n\n"])
    proxy = start_proxy(upstream.url)
    ask(proxy)
    assert "the server's error: out of memory" in proxy.wait_for(" · chat · qwen · 200 · ")
    assert ask(proxy, b"", "/_qwen/stats", method="GET").json["total"]["backend_errors"]["count"] == 1


def test_what_is_passed_on_unread_is_said_once(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(upstream.url, qwen_models="^other$")
    reasons = {
        "/v1/completions": "no API has this path; if it is one of chat completions, set qwen_paths",
        "/v1/chat/completions": "qwen_models does not match qwen",
    }
    for path in (*reasons, *reasons, "/v1/messages/count_tokens", "/tokenize", "/apply-template"):
        ask(proxy, chat(), path, {"User-Agent": "curl/8"})
        ask(proxy, chat(tools=[]), path, {"User-Agent": "wget/1"})
    for body in (b"{", b'{"messages": "hi"}'):
        ask(proxy, body, "/v1/messages", {"User-Agent": "wget/1"})
    ask(proxy, b"", "/v1/models", method="GET")
    proxy.wait_for("wget/1 · POST /apply-template · passed through unread")
    bodiless = (
        "wget/1 · POST /v1/messages · passed through unread: its body is no request of the API messages"
    )
    assert [line.endswith(bodiless) for line in proxy.lines].count(True) == 1
    for path, reason in reasons.items():
        told = f"curl/8 sends tools to {path}, and its calls are not repaired: {reason}"
        assert [line.endswith(told) for line in proxy.lines].count(True) == 1
        told = f"wget/1 · POST {path} · passed through unread: {reason}"
        assert [line.endswith(told) for line in proxy.lines].count(True) == 1
    said = ask(proxy, b"", "/_qwen/stats", method="GET").json
    assert [(one["api"], one["reason"], one["requests"]) for one in said["unread"]] == [
        ("", reasons["/v1/completions"], 2),
        ("chat", reasons["/v1/chat/completions"], 2),
    ]
    assert said["verdicts"][1]["text"].endswith(reasons["/v1/chat/completions"])


def test_another_addon_may_be_called_as_a_part_of_ours(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    names = ("Commands", "FlowList", "Observer", "Chat")
    script.write_text(
        "".join(f"class {n}:\n    pass\n" for n in names)
        + f"addons = [{', '.join(n + '()' for n in names)}]\n"
    )
    assert start_proxy(upstream.url, "-s", str(script)).port


def test_a_client_that_may_not_is_no_chat(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(upstream.url, proxyauth="a:b")
    assert ask(proxy).status == 401
    authorised = {"Authorization": "Basic YTpi"}
    said = ask(proxy, b"", "/_qwen/stats", authorised, method="GET").json["total"]
    assert said["chats"] == 0
