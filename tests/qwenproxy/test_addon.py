"""The addon in a real mitmdump, between a real client and a scripted upstream."""

import base64
import gzip
import http.client
import json
import re
import signal
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import brotli
import proxy as live
import pytest
from http2 import ask_h2
from mitmproxy import http as mitm
from mitmproxy import io
from mitmproxy.test import taddons, tflow
from proxy import (
    LEAK,
    Listening,
    Message,
    Pause,
    Proxy,
    Reply,
    Upstream,
    aborted,
    ask,
    chat,
    chunk,
    closed_port,
    completion,
    cut,
    events,
    sized,
    streamed,
    understood,
    until,
    until_close,
)

from qwenproxy import options
from qwenproxy.addon import QwenFix
from qwenproxy.apis import CHAT
from qwenproxy.chat import chat_request
from qwenproxy.mitm.internals import error_body
from qwenproxy.mitm.listeners import failed, upstream_named
from qwenproxy.optional import ZSTD
from qwenproxy.recording.format import load
from qwenproxy.recording.redaction import REDACTED
from qwenproxy.response import free_length

PROSE = events("The tag <tool_call> opens a call. Zürich 🙂 is a city.")
HEALED = Message("Let me see.", [("get_weather", {"city": "Zürich", "days": 3})], "tool_calls")
LEAKING = events("Let me see.\n" + LEAK)


class Shared:
    """One proxy and one upstream for all tests that need no special options."""

    def __init__(self, upstream: Upstream, proxy: Proxy, recordings: Path) -> None:
        self.upstream, self.proxy, self.recordings = upstream, proxy, recordings

    def reply(self, script: live.Script, body: Any = None, **more: Any) -> Reply:
        self.upstream.answer = script
        return ask(self.proxy, body, **more)

    def recorded(self, model: str) -> Path:
        """Wait for the recording of the chat with this model, and return it."""
        return until(lambda: next(self.recordings.glob(f"*-{model}-*.flow"), None), f"a recording of {model}")


@pytest.fixture(scope="module")
def shared(confdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    directory = tmp_path_factory.mktemp("recordings")
    upstream = Upstream()
    proxy = Proxy(upstream.url, confdir, qwen_record=directory).wait_ready()
    yield Shared(upstream, proxy, directory)
    proxy.stop()
    upstream.stop()
    assert "Traceback" not in proxy.log
    assert "has crashed" not in proxy.log


# Healthy answers are passed through unchanged


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_prose_is_byte_identical_however_it_is_cut(shared: Shared, size: int) -> None:
    body = b"".join(PROSE)
    reply = shared.reply(streamed(cut(body, size)))
    assert reply.body == body
    assert reply.whole


def test_without_tools_a_leak_is_byte_identical(shared: Shared) -> None:
    assert shared.reply(streamed(LEAKING), chat(tools=[])).body == b"".join(LEAKING)


def test_a_healthy_completion_is_byte_identical_with_its_headers(shared: Shared) -> None:
    body = completion("Nothing to call.")
    reply = shared.reply(
        sized(body, "application/json; charset=utf-8", "X-Served-By: me"), chat(stream=False)
    )
    assert reply.body == body
    assert reply.raw_headers == [
        ("Content-Type", "application/json; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("X-Served-By", "me"),
    ]


@pytest.mark.parametrize("content_type", ["application/json", "text/event-stream"])
def test_an_http_error_is_unchanged(shared: Shared, content_type: str) -> None:
    body = completion(LEAK) if "json" in content_type else b"".join(LEAKING)
    reply = shared.reply(sized(body, content_type, status="400 Bad Request"))
    assert (reply.status, reply.body) == (400, body)
    assert reply.headers["content-length"] == str(len(body))


@pytest.mark.parametrize("body", [b"not json", b"[]", b'{"model": "qwen"}', b"\xff\xfe", b""])
def test_an_unreadable_request_passes(shared: Shared, body: bytes) -> None:
    reply = shared.reply(streamed(LEAKING), body)
    assert reply.body == b"".join(LEAKING)
    assert shared.upstream.requests[-1].body == body


def test_another_path_is_left_alone(shared: Shared) -> None:
    accept = {"Accept-Encoding": "gzip"}
    reply = shared.reply(streamed(LEAKING), path="/v1/completions", headers=accept)
    assert reply.body == b"".join(LEAKING)
    assert shared.upstream.requests[-1].headers["accept-encoding"] == "gzip"


def test_a_query_does_not_hide_a_chat(shared: Shared) -> None:
    reply = shared.reply(streamed(LEAKING), path="/v1/chat/completions?api-version=1")
    assert understood(reply.body) == HEALED


def test_of_a_chat_only_accept_encoding_is_kept_back(shared: Shared) -> None:
    sent = {"Accept-Encoding": "gzip, br", "Authorization": "Bearer sk-1", "X-Mine": "1"}
    shared.reply(streamed(PROSE), headers=sent)
    seen = shared.upstream.requests[-1]
    assert "accept-encoding" not in seen.headers
    assert (seen.headers["authorization"], seen.headers["x-mine"]) == ("Bearer sk-1", "1")
    assert seen.json == chat()


# What leaks is repaired


@pytest.mark.parametrize("size", [1, 5, 64, 10_000])
def test_a_leak_is_repaired_however_it_is_cut(shared: Shared, size: int) -> None:
    reply = shared.reply(streamed(cut(b"".join(LEAKING), size)))
    assert understood(reply.body) == HEALED
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert reply.whole


def test_a_stream_with_a_length_loses_it(shared: Shared) -> None:
    reply = shared.reply(sized(b"".join(LEAKING), "text/event-stream"))
    assert understood(reply.body) == HEALED
    assert "content-length" not in reply.headers
    assert reply.headers["transfer-encoding"] == "chunked"


def test_a_body_that_ends_with_its_connection(shared: Shared) -> None:
    reply = shared.reply(until_close(LEAKING))
    assert understood(reply.body) == HEALED
    assert "transfer-encoding" not in reply.headers


def test_a_completion_is_repaired_and_its_length_is_true(shared: Shared) -> None:
    reply = shared.reply(sized(completion(LEAK)), chat(stream=False))
    choice = reply.json["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {
        "city": "Zürich",
        "days": 3,
    }
    assert reply.headers["content-length"] == str(len(reply.body))


def test_two_chats_on_one_connection(shared: Shared) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared.proxy.port, timeout=live.PATIENCE)
    repaired = [shared.reply(streamed(LEAKING), connection=connection) for _ in range(2)]
    plain = shared.reply(sized(completion("hi")), chat(stream=False), connection=connection)
    assert [understood(reply.body) for reply in repaired] == [HEALED, HEALED]
    assert plain.body == completion("hi")


def test_streams_at_the_same_time_do_not_mix(shared: Shared) -> None:
    together = threading.Barrier(32)

    async def echo(request: live.Request, writer: Any) -> bool:
        text = f"This is {request.json['model']}.\n" + LEAK.replace("Zürich", request.json["model"])
        return await streamed(events(text))(request, writer)

    def one(number: int) -> Message:
        together.wait(live.PATIENCE)
        return understood(ask(shared.proxy, chat(model=f"mixed-{number}")).body)

    shared.upstream.answer = echo
    with ThreadPoolExecutor(32) as pool:
        messages = list(pool.map(one, range(32)))
    expected = [
        Message(f"This is mixed-{n}.", [("get_weather", {"city": f"mixed-{n}", "days": 3})], "tool_calls")
        for n in range(32)
    ]
    assert messages == expected


# Live


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/v1/chat/completions", "text/event-stream"),
        ("/v1/responses", "text/event-stream"),
        ("/api/chat", "application/x-ndjson"),
        ("/v1/audio/speech", "audio/mpeg"),
        ("/logs", "text/plain"),
    ],
)
def test_a_stream_is_passed_on_as_it_comes(shared: Shared, path: str, content_type: str) -> None:
    shared.upstream.answer = pause = Pause(events("first")[:2], events("second"), content_type)
    client = Listening(shared.proxy, path=path)
    client.hear(b"firs")  # while the upstream waits
    pause.go()
    assert client.rest().endswith(b"[DONE]\n\n")


def test_while_a_call_is_held_the_client_hears_a_comment(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    call = json.dumps({"name": "get_weather", "arguments": {"city": "Zürich", "days": 3}})
    answer = events(f"Let me see.\n\n<tool_call>\n{call}\n</tool_call>")
    upstream.answer = pause = Pause(answer[:14], answer[14:])
    proxy = start_proxy(upstream.url, qwen_keepalive="0.000001", qwen_record=tmp_path)
    client = Listening(proxy)
    client.hear(CHAT.wire.keep_alive)
    pause.go()
    assert understood(client.rest()) == HEALED
    recording = load(until(lambda: next(tmp_path.glob("*.flow"), None)))
    assert recording.out == client.heard.replace(CHAT.wire.keep_alive, b"")


# Compressed although no client asked for it


def _raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


CODINGS = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", _raw_deflate),
    ("br", brotli.compress),
    ("zstd", ZSTD.load().compress),
]


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
def test_a_compressed_stream_is_decoded_on_the_way(
    shared: Shared, coding: str, compress: Callable[[bytes], bytes]
) -> None:
    pieces = cut(compress(b"".join(LEAKING)), 3)
    reply = shared.reply(streamed(pieces, f"Content-Encoding: {coding}"))
    assert understood(reply.body) == HEALED
    assert "content-encoding" not in reply.headers


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
def test_a_compressed_completion(shared: Shared, coding: str, compress: Callable[[bytes], bytes]) -> None:
    header = f"Content-Encoding: {coding}"
    healthy = compress(completion("Nothing to call."))
    same = shared.reply(sized(healthy, "application/json", header), chat(stream=False))
    assert same.body == healthy
    assert same.headers["content-encoding"] == coding
    repaired = shared.reply(sized(compress(completion(LEAK)), "application/json", header), chat(stream=False))
    assert repaired.json["choices"][0]["finish_reason"] == "tool_calls"
    assert "content-encoding" not in repaired.headers


def test_an_unknown_coding_passes_as_it_came(shared: Shared) -> None:
    header = "Content-Encoding: exi"
    reply = shared.reply(streamed([b"\x01\x02", b"\x03"], header), chat(model="exi"))
    assert reply.body == b"\x01\x02\x03"
    assert reply.headers["content-encoding"] == "exi"
    assert shared.reply(sized(b"\x01", "application/json", header)).body == b"\x01"
    assert "not read: content-encoding exi cannot be read" in shared.proxy.wait_for(" · exi · 200 · ")


def test_a_coding_whose_package_is_missing_passes_as_it_came(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    script = tmp_path / "without_zstd.py"
    script.write_text("from qwenproxy import encoding\ndel encoding._CODINGS['zstd']\n")
    proxy = start_proxy(upstream.url, "-s", str(script))
    packed = ZSTD.load().compress(b"".join(LEAKING))
    upstream.answer = streamed(cut(packed, 10), "Content-Encoding: zstd")
    for _ in range(2):
        reply = ask(proxy, headers={"Accept-Encoding": "zstd"})
        assert (reply.body, reply.headers["content-encoding"]) == (packed, "zstd")
        assert "accept-encoding" not in upstream.requests[-1].headers
    assert proxy.stop() == 0
    assert proxy.log.count("not read: content-encoding zstd cannot be read without backports.zstd") == 2


def test_a_compressed_stream_that_breaks_off(shared: Shared) -> None:
    compressor = zlib.compressobj(wbits=31)
    begun = b"".join(events("abcdefgh")[:3])
    piece = compressor.compress(begun) + compressor.flush(zlib.Z_SYNC_FLUSH)
    reply = shared.reply(aborted([piece], "Content-Encoding: gzip"))
    assert (reply.body, reply.whole) == (begun, False)


@pytest.mark.parametrize("size", [3, 100_000])
@pytest.mark.parametrize("padding", [b"\0" * 64, b"garbage"])
def test_what_follows_a_compressed_stream_is_ignored(shared: Shared, padding: bytes, size: int) -> None:
    for body in (LEAKING, PROSE):
        pieces = cut(gzip.compress(b"".join(body)) + padding, size)
        reply = shared.reply(streamed(pieces, "Content-Encoding: gzip"))
        assert "content-encoding" not in reply.headers
        assert reply.body == b"".join(PROSE) if body is PROSE else understood(reply.body) == HEALED


def test_what_follows_a_compressed_completion_is_ignored(shared: Shared) -> None:
    packed = gzip.compress(completion(LEAK)) + b"\0garbage"
    reply = shared.reply(sized(packed, "application/json", "Content-Encoding: gzip"), chat(stream=False))
    assert reply.json["choices"][0]["finish_reason"] == "tool_calls"
    assert "content-encoding" not in reply.headers


def bomb(start: bytes, then: bytes = b" ") -> bytes:
    """Return 0.1 MB that decode to 100 MB."""
    compressor = zlib.compressobj(wbits=31)
    rest = [compressor.compress(then * 1_000_000) for _ in range(100)]
    return compressor.compress(start) + b"".join(rest) + compressor.flush()


TOO_LARGE = "the answer decodes to more than 64 MiB"


@pytest.mark.parametrize("passed", [0, 4_000])
def test_a_stream_that_is_a_bomb_ends_with_an_error(shared: Shared, passed: int) -> None:
    packed = bomb(b"data: ")
    pieces = [*cut(packed[:passed], 2_000), packed[passed:]]  # what has passed decodes to 4 MB
    reply = shared.reply(streamed(pieces, "Content-Encoding: gzip"), chat(model=f"bomb-{passed}"))
    assert reply.whole
    *before, event, _ = reply.body.split(b"\n\n")
    assert (len(b"".join(before)) > 1_000_000) == bool(passed)
    error = json.loads(event.removeprefix(b"data: "))["error"]
    assert (error["message"], error["code"]) == (TOO_LARGE, "answer_too_large")
    assert load(shared.recorded(f"bomb-{passed}")).aborted == TOO_LARGE


def test_a_completion_that_is_a_bomb_is_an_error(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    proxy = start_proxy(upstream.url, qwen_record=tmp_path)
    packed = bomb(b"{")
    upstream.answer = sized(packed, "application/json", "Content-Encoding: gzip")
    reply = ask(proxy, chat(stream=False))
    assert (reply.status, reply.headers["content-type"]) == (502, "application/json")
    assert "content-encoding" not in reply.headers
    assert (reply.json["error"]["message"], reply.json["error"]["type"]) == (TOO_LARGE, "upstream_error")
    recording = load(until(lambda: next(tmp_path.glob("*.flow"), None)))
    assert (recording.aborted, recording.body) == (TOO_LARGE, packed)
    assert ("Content-Encoding", "gzip") in recording.headers
    proxy.stop()
    assert proxy.log.count(TOO_LARGE) == 1


def test_a_bomb_that_is_only_observed_passes(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(upstream.url, qwen_mode="observe")
    packed = bomb(b"", b"\n")
    for answer in (
        sized(packed, "application/json", "Content-Encoding: gzip"),
        sized(packed, "text/event-stream", "Content-Encoding: gzip"),
    ):
        upstream.answer = answer
        reply = ask(proxy)
        assert (reply.body, reply.headers["content-encoding"]) == (packed, "gzip")


# Broken off


def test_an_upstream_that_breaks_off(shared: Shared) -> None:
    reply = shared.reply(aborted(LEAKING[:5]), chat(model="broken"))
    assert not reply.whole
    assert " · broke off: the server closed the connection · " in shared.proxy.wait_for(" · broken · 200 · ")
    recording = load(shared.recorded("broken"))
    assert recording.body == b"".join(LEAKING[:5])
    assert recording.aborted


Ask = Callable[..., Reply]
CUT = "Is 1 < 2? Yes, and that is why 1 + 1 <"


@pytest.mark.parametrize("ask_it", [ask, ask_h2], ids=["HTTP/1.1", "HTTP/2"])
@pytest.mark.parametrize("text", [CUT, "Now\n\n<tool_call>\n{", "a\n\n", "```\n<tool_call>", "x</thi"])
def test_what_is_held_leaves_when_the_upstream_breaks_off(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path, text: str, ask_it: Ask
) -> None:
    proxy = start_proxy(upstream.url, qwen_record=tmp_path)
    pieces = [chunk({"role": "assistant", "content": ""}), chunk({"content": text})]
    upstream.answer = aborted(pieces)
    reply = ask_it(proxy)
    assert not reply.whole
    assert understood(reply.body) == Message(text, [], None)
    recording = load(until(lambda: next(tmp_path.glob("*.flow"), None)))
    assert (recording.body, recording.out) == (b"".join(pieces), reply.body)
    assert recording.aborted


def test_what_is_held_leaves_when_a_body_without_a_length_ends(shared: Shared) -> None:
    reply = shared.reply(until_close([chunk({"content": CUT})]))
    assert understood(reply.body) == Message(CUT, [], None)


def test_a_half_event_leaves_when_the_upstream_breaks_off(shared: Shared) -> None:
    assert shared.reply(aborted([b'data: {"choi'])).body == b'data: {"choi'


def test_a_half_call_stays_one_when_the_upstream_breaks_off(shared: Shared) -> None:
    begun = LEAKING[: len(LEAKING) // 2]
    reply = shared.reply(aborted(begun))
    assert b"get_weather" in reply.body
    assert b'finish_reason": "' not in reply.body
    with pytest.raises(json.JSONDecodeError):
        understood(reply.body)


def test_an_observed_answer_that_breaks_off_is_as_it_came(
    upstream: Upstream, start_proxy: Callable[..., Proxy]
) -> None:
    proxy = start_proxy(upstream.url, qwen_mode="observe")
    upstream.answer = aborted([chunk({"content": CUT})])
    assert ask(proxy).body == chunk({"content": CUT})


def test_a_client_that_leaves(shared: Shared) -> None:
    shared.upstream.answer = Pause(LEAKING[:3], LEAKING[3:])
    client = Listening(shared.proxy, chat(model="left"))
    client.hear(b"data:")
    client.leave()
    assert " · broke off: the client disconnected · " in shared.proxy.wait_for(" · left · 200 · ")
    recording = load(shared.recorded("left"))
    assert recording.aborted == "Client disconnected."
    assert recording.body == b"".join(LEAKING[:3])


@pytest.mark.parametrize("by", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_keeps_what_has_come(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path, by: str
) -> None:
    upstream.answer = Pause(LEAKING[:4], [])
    proxy = start_proxy(upstream.url, qwen_record=tmp_path / "flows")
    client = Listening(proxy)
    client.hear(b"data:")
    assert proxy.stop(signal.Signals[by]) == 0
    assert "broke off: the proxy was stopped" in proxy.wait_for(" · chat · qwen · ")
    assert "Traceback" not in proxy.log
    client.rest()
    path = next(live.recordings(tmp_path / "flows"))
    assert [p.stat().st_mode & 0o777 for p in (path, path.parent)] == [0o600, 0o700]
    recording = load(path)
    assert recording.aborted == "shutdown"
    assert b"".join(LEAKING).startswith(recording.body)
    assert recording.body


def test_under_nohup_a_hangup_does_nothing(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    ignore = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    program = (sys.executable, "-c", ignore + live.MITMDUMP[2])
    proxy = start_proxy(upstream.url, program=program)
    proxy._process.send_signal(signal.SIGHUP)
    assert ask(proxy).status == 200
    assert proxy.stop(signal.SIGTERM) == 0


def test_an_upstream_that_is_down(
    start_upstream: Callable[..., Upstream], start_proxy: Callable[..., Proxy]
) -> None:
    gone = start_upstream()
    proxy = start_proxy(gone.url)

    async def hang_up(_request: live.Request, _writer: Any) -> bool:
        return False

    gone.answer = hang_up
    closed = ask(proxy)
    gone.stop()
    refused = ask(proxy)
    for reply in (closed, refused):
        assert reply.status == 502
        assert reply.headers["content-type"] == "application/json"
        error = reply.json["error"]
        assert (error["type"], error["code"], error["param"]) == ("upstream_error", "bad_gateway", None)
        assert f"127.0.0.1:{gone.port}" in error["message"]
    server = f"qwen-fix: http://127.0.0.1:{gone.port} does not answer"
    assert closed.json["error"]["message"] == f"{server} (it closed the connection)."
    advice = "Start your model server, or start qwen-fix with its address."
    assert refused.json["error"]["message"] == f"{server} (nothing is listening there). {advice}"
    again = ask(proxy)
    assert again.json == refused.json
    proxy.wait_for(f"http://127.0.0.1:{gone.port} does not answer any more (nothing is listening there)")
    assert proxy.log.count("waiting for it") == 1
    assert "Errno" not in proxy.log
    back = Upstream(port=gone.port)
    line = until(lambda: [line for line in proxy.lines if "answers, with qwen" in line][1:])
    assert len(line) == 1
    assert ask(proxy).status == 200
    back.stop()


def test_of_two_upstreams_the_one_that_failed_is_named(
    upstream: Upstream, start_proxy: Callable[..., Proxy]
) -> None:
    gone = [closed_port(), closed_port()]
    modes = [f"--mode=reverse:http://127.0.0.1:{port}@127.0.0.1:{closed_port()}" for port in gone]
    proxy = start_proxy(upstream.url, *modes)
    for port in gone:
        listener = until(lambda p=port: re.search(rf":(\d+) -> http://127.0.0.1:{p} ", proxy.log))
        connection = http.client.HTTPConnection("127.0.0.1", int(listener[1]), timeout=live.PATIENCE)
        replies = [ask(proxy, connection=connection) for _ in range(2)]
        for reply in replies:
            assert reply.status == 502
            message = reply.json["error"]["message"]
            assert [other for other in (*gone, upstream.port) if f"127.0.0.1:{other} " in message] == [port]
    assert ask(proxy).status == 200


# Recordings


def test_a_recording_holds_what_came_and_what_was_made_of_it(shared: Shared) -> None:
    reply = shared.reply(streamed(LEAKING), chat(model="kept"), headers={"X-Mine": "1"})
    path = shared.recorded("kept")
    recording = load(path)
    assert "-kept-repaired-" in path.name
    assert recording.chunks == LEAKING or recording.body == b"".join(LEAKING)
    assert len(recording.times) == len(recording.chunks)
    assert recording.out == reply.body
    assert recording.request == chat(model="kept")
    assert recording.ledger["calls"] == 1
    assert "call without <tool_call>" in recording.comment
    assert ("X-Mine", "1") in recording.request_headers
    assert recording.status == 200
    assert not recording.aborted


def test_a_completion_is_recorded_too(shared: Shared) -> None:
    shared.reply(sized(completion("Fine.")), chat(model="calm", stream=False))
    recording = load(shared.recorded("calm"))
    assert recording.chunks == [completion("Fine.")]
    assert recording.out == completion("Fine.")
    assert "-passed-" in shared.recorded("calm").name


SECRETS = (
    "sk-planted-0123456789",
    "cookie-planted-0123456789",
    "query-planted-0123456789",
    "set-planted-0123456789",
)


def test_no_secret_of_an_error_reaches_the_disk(shared: Shared) -> None:
    key, cookie, query, given = SECRETS
    echo = json.dumps({"error": {"message": f"wrong key {key}, {query}"}}).encode()
    script = sized(
        echo, "application/json", f"Set-Cookie: session={given}; HttpOnly", status="401 Unauthorized"
    )
    secret = {
        "Authorization": f"Bearer {key}",
        "Cookie": f"a=b; session={cookie}",
        "X-API-Key": key,
        "Api-Key": key,
    }
    reply = shared.reply(
        script, chat(model="planted"), path=f"/v1/chat/completions?key={query}&v=1", headers=secret
    )
    path = shared.recorded("planted")
    assert reply.body == echo  # the client gets it unchanged
    ask(shared.proxy, b"{}", f"/v1/{key}/completions")
    shared.proxy.wait_for(f"POST /v1/{REDACTED}/completions · passed through unread")
    assert "the server's error: wrong key ***, ***" in shared.proxy.wait_for(" · planted · 401 · ")
    said = ask(shared.proxy, b"", "/_qwen/chats", method="GET").body
    for planted in SECRETS:
        assert planted.encode() not in path.read_bytes() + said + shared.proxy.log.encode()
    assert load(path).request == chat(model="planted")


PLANTED = {
    "X-API-Key": "planted-header-0123",
    "x-functions-key": "planted-functions-0123",
    "X-Amz-Signature": "planted-signature-0123",
    "x-jwt": "planted-jwt-0123",
    "X-Api-Pass": "planted-pass-0123",
    "Cookie": "a=b; session=planted-cookie-0123",
}
IN_CALLS = {
    "api_key": "planted-xml-0123",
    "credentials": {"user": "planted-object-0123", "tokens": ["planted-list-0123"]},
    "nested": json.dumps(
        {"accessToken": "planted-nested-0123", "n": [json.dumps({"pwd": "planted-deep-0123"})]}
    ),
}


def test_no_secret_reaches_the_disk(shared: Shared) -> None:
    """Each secret is planted at its source, and where it may be echoed."""
    bearer, basic = "planted-bearer-0123", base64.b64encode(b"anna:planted-basic").decode()
    query = (
        "key=planted-query-0123&code=planted-code;sig=planted-sig&X-Amz-Signature=planted-amz&pwd=planted%2F1"
    )
    arguments = json.dumps(IN_CALLS)
    body = chat(
        model="sown",
        api_key="planted-body-0123",
        messages=[
            {"role": "user", "content": xml("bash", IN_CALLS)},
            {"role": "assistant", "tool_calls": [{"function": {"name": "x", "arguments": arguments}}]},
            {"role": "tool", "content": json.dumps({"result": IN_CALLS, "session": ["planted-result-0123"]})},
        ],
    )
    echo = f"You said {bearer}, planted-query-0123, planted/1, {basic} and planted-cookie-0123. "
    said = events(echo + xml("get_weather", {"city": "planted-query-0123"} | IN_CALLS))
    sent = [*said[:-2], *arguments_in(arguments, 3), *said[-2:]]
    shared.reply(
        streamed(sent, "Set-Cookie: session=planted-set-0123; HttpOnly"),
        body,
        path=f"/v1/bot12345678:planted-path/chat/completions?{query}&v=1",
        headers=PLANTED | {"Authorization": f"Bearer {bearer}", "Proxy-Authorization": f"Basic {basic}"},
    )
    path = shared.recorded("sown")
    recording = load(path)
    assert b"planted" not in path.read_bytes()
    assert basic.encode() not in path.read_bytes()
    for heard in (spoken(recording.body), spoken(recording.out)):
        assert "planted" not in heard
        assert basic not in heard
        assert heard.startswith("You said ***")
    assert recording.request["messages"][0]["content"].count("<parameter=") == 3
    assert recording.body.count(b"data:") == len(sent)
    assert len(recording.body) == len(b"".join(sent))


def test_no_secret_of_a_compressed_request_reaches_the_disk(shared: Shared) -> None:
    body = chat(model="packed", api_key="planted-packed-0123")
    packed = gzip.compress(json.dumps(body).encode())
    shared.reply(streamed(PROSE), packed, headers={"Content-Encoding": "gzip"})
    assert shared.upstream.requests[-1].body == packed
    recording = load(shared.recorded("packed"))
    assert recording.request == body | {"api_key": "*" * 19}
    assert "content-encoding" not in {name.lower() for name, _ in recording.request_headers}


def xml(tool: str, arguments: dict[str, Any]) -> str:
    values = {k: v if isinstance(v, str) else json.dumps(v) for k, v in arguments.items()}
    parameters = "".join(f"<parameter={k}>\n{v}\n</parameter>\n" for k, v in values.items())
    return f"<tool_call>\n<function={tool}>\n{parameters}</function>\n</tool_call>"


def arguments_in(text: str, size: int) -> list[bytes]:
    call = {"index": 0, "id": "x", "type": "function", "function": {"name": "get_weather", "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": text[i : i + size]}} for i in range(0, len(text), size)]
    return [live.chunk({"tool_calls": [delta]}) for delta in (call, *rest)]


def spoken(stream: bytes) -> str:
    """Return the contents of a stream, and the arguments of its calls by index, as one text each."""
    texts: dict[Any, str] = {}
    for line in stream.splitlines():
        if line.startswith(b"data: {"):
            delta = json.loads(line[6:])["choices"][0]["delta"]
            texts[""] = texts.get("", "") + (delta.get("content") or "")
            for call in delta.get("tool_calls") or []:
                texts[call["index"]] = texts.get(call["index"], "") + call["function"].get("arguments", "")
    return "\n".join(texts.values())


def test_names_to_redact_can_be_added(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    proxy = start_proxy(upstream.url, qwen_record=tmp_path, qwen_redact="x-team, user,trace")
    upstream.answer = streamed([b'data: {"user": "anna-the-secret", "x": 1}\n\n'])
    body = chat(user="anna-the-secret", metadata={"trace": ["deep-secret", 1]})
    ask(proxy, body, headers={"X-Team": "the-red-team"}, path="/v1/chat/completions?user=anna")
    path = until(lambda: next(live.recordings(tmp_path), None))
    assert upstream.requests[-1].json == body
    for planted in (b"anna", b"deep-secret", b"red-team"):
        assert planted not in path.read_bytes()
    assert load(path).request["metadata"]["trace"] != body["metadata"]["trace"]


def test_nothing_that_was_written_reaches_the_disk(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    proxy = start_proxy(upstream.url, qwen_record=tmp_path, qwen_redact="messages,x-team")
    upstream.answer = streamed(LEAKING)
    body = chat(messages=[{"role": "user", "content": "Is it warm in Samarkand?"}])
    assert understood(ask(proxy, body, headers={"X-Team": "the-red-team"}).body) == HEALED
    path = until(lambda: next(live.recordings(tmp_path), None))
    recording = load(path)
    for written in ("Zürich", "Let me", "Samarkand", "warm", "red-team"):
        assert written.encode() not in path.read_bytes()
        assert written not in repr(understood(recording.body)) + repr(understood(recording.out))
    assert understood(recording.out).calls[0][0] == "get_weather"
    assert [len(chunk) for chunk in recording.chunks] == [len(chunk) for chunk in LEAKING]
    assert "call without <tool_call>" in recording.comment


def test_only_what_is_wanted_is_recorded(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    proxy = start_proxy(upstream.url, qwen_record=tmp_path, qwen_record_what="failed")
    for upstream.answer in (streamed(LEAKING), sized(b"{}", status="500 Oops"), streamed(PROSE)):
        ask(proxy)
    upstream.answer = aborted(LEAKING[:5])
    ask(proxy)
    found = until(lambda: (names := [p.name for p in live.recordings(tmp_path)]) and len(names) > 1 and names)
    assert ["-error-" in found[0], "-aborted-" in found[1], len(found)] == [True, True, 2]


def test_an_upstream_that_does_not_answer_is_not_recorded(
    start_upstream: Callable[..., Upstream], start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    gone = start_upstream()
    proxy = start_proxy(gone.url, qwen_record=tmp_path)
    gone.stop()
    assert ask(proxy).status == 502
    proxy.stop()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_vanishes_costs_only_the_recordings(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    directory = tmp_path / "recordings"
    proxy = start_proxy(upstream.url, qwen_record=directory)
    directory.rmdir()
    directory.write_text("in the way")
    upstream.answer = streamed(LEAKING)
    assert [understood(ask(proxy).body) for _ in range(2)] == [HEALED, HEALED]
    proxy.wait_for("nothing is recorded until this is fixed")
    health = ask(proxy, b"", "/_qwen/health", method="GET").json
    assert health["reason"].startswith(f"nothing is recorded: {directory}: ")
    proxy.stop()
    assert proxy.log.count("nothing is recorded") == 1


def test_a_recording_loaded_from_a_file_is_left_alone(
    shared: Shared, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    shared.reply(streamed(LEAKING), chat(model="loaded"))
    path, saved = shared.recorded("loaded"), tmp_path / "saved.flow"
    proxy = start_proxy("", "-nr", str(path), "-w", str(saved), ready=False)
    assert proxy.wait() == 0
    assert load(saved) == load(path).__class__(**{**_fields(load(path)), "name": "saved"})


def _fields(recording: Any) -> dict[str, Any]:
    return {name: getattr(recording, name) for name in recording.__slots__}


@pytest.mark.parametrize("is_stream", [True, False])
def test_server_replay_is_rewritten(
    shared: Shared, upstream: Upstream, start_proxy: Callable[..., Proxy], is_stream: bool
) -> None:
    body = chat(model=f"replayed-{is_stream}", stream=is_stream)
    first = shared.reply(streamed(LEAKING) if is_stream else sized(completion(LEAK)), body)
    keep = ("--set", "keepserving=true", "--set", "server_replay_reuse=true")
    path = str(shared.recorded(f"replayed-{is_stream}"))
    proxy = start_proxy(shared.upstream.url, "--server-replay", path, *keep, server_replay_extra="404")
    asked = len(shared.upstream.requests)
    for _ in range(2):
        again = ask(proxy, body)
        if is_stream:
            assert understood(again.body) == understood(first.body) == HEALED
        else:
            assert again.json["choices"][0]["finish_reason"] == "tool_calls"
            assert again.headers["content-length"] == str(len(again.body))
    assert len(shared.upstream.requests) == asked


# What the user sees


def test_the_flow_shows_what_was_done(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    saved = tmp_path / "saved.flow"
    proxy = start_proxy(upstream.url, "-w", str(saved))
    upstream.answer = streamed(LEAKING)
    repaired = ask(proxy)
    upstream.answer = streamed(events("Nothing to call."))
    passed = ask(proxy)
    proxy.stop()
    with saved.open("rb") as file:
        flows = [f for f in io.FlowReader(file).stream() if isinstance(f, mitm.HTTPFlow)]
    assert [f.response.raw_content for f in flows if f.response] == [repaired.body, passed.body]
    said = "get_weather · call without <tool_call>"
    assert [flow.comment for flow in flows] == [f"{said} · qwen", "no call · qwen"]
    assert [bool(flow.marked) for flow in flows] == [True, False]
    assert flows[0].metadata["qwen_fix"]["raw"] == b"".join(LEAKING)
    assert proxy.log.count(said) == 1


def test_a_saved_flow_is_a_recording(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    saved = tmp_path / "saved.flow"
    upstream.answer = streamed(LEAKING)
    proxy = start_proxy(upstream.url, "-w", str(saved))
    repaired = ask(proxy)
    proxy.stop()
    assert load(saved).body == b"".join(LEAKING)
    assert load(saved).out == repaired.body


def test_observing_changes_nothing_but_reports(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    proxy = start_proxy(upstream.url, qwen_mode="observe", qwen_record=tmp_path)
    packed = gzip.compress(b"".join(LEAKING))
    scripts: list[tuple[live.Script, bytes]] = [
        (streamed(LEAKING), b"".join(LEAKING)),
        (sized(b"".join(LEAKING), "text/event-stream"), b"".join(LEAKING)),
        (streamed(cut(packed, 10), "Content-Encoding: gzip"), packed),
        (sized(completion(LEAK)), completion(LEAK)),
    ]
    for number, (upstream.answer, expected) in enumerate(scripts):
        reply = ask(proxy, chat(model=f"seen-{number}"), headers={"Accept-Encoding": "gzip"})
        assert reply.body == expected
        assert upstream.requests[-1].headers["accept-encoding"] == "gzip"
        path = until(lambda n=number: next(tmp_path.glob(f"*-seen-{n}-repaired-*.flow"), None))
        assert load(path).ledger["calls"] == 1
        assert b"tool_calls" in load(path).out
    proxy.wait_for("would call get_weather · would repair: call without <tool_call>")


# Fail open


BROKEN = {
    "raises in feed": "def feed(self, data): raise ValueError('planted')",
    "raises in close": "def close(self): raise ValueError('planted')",
    "raises at once": "def __init__(self, *_, **__): raise ValueError('planted')",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_rewriter_costs_only_the_repair(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path, how: str
) -> None:
    proxy = start_proxy(upstream.url, "-s", str(_break(tmp_path, BROKEN[how])))
    upstream.answer = streamed(LEAKING)
    reply = ask(proxy)
    assert (reply.body, reply.whole) == (b"".join(LEAKING), True)
    proxy.wait_for("planted")
    proxy.stop()
    assert proxy.log.count("ValueError: planted") in (1, 2)  # in the summary, and below its traceback
    assert proxy.log.count("Traceback") == 1


def test_an_empty_piece_of_a_rewriter_does_not_end_the_answer(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    proxy = start_proxy(
        upstream.url, "-s", str(_break(tmp_path, "def feed(self, data): return [b'', data, b'']"))
    )
    upstream.answer = streamed(PROSE)
    assert ask(proxy).body == b"".join(PROSE)


def _break(directory: Path, method: str) -> Path:
    """Return a script that replaces our rewriter with a faulty one."""
    script = directory / "broken.py"
    script.write_text(
        "from qwenproxy import answer\n"
        "from toolstream.ledger import Ledger\n"
        "class Broken:\n"
        "    def __init__(self, *_, **__): self.ledger = Ledger()\n"
        "    def feed(self, data): return [data]\n"
        "    def close(self): return []\n"
        f"    {method}\n"
        "answer.StreamRewriter = Broken\n"
    )
    return script


def test_a_broken_completion_costs_only_the_repair(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    script = tmp_path / "broken.py"
    script.write_text("from qwenproxy import answer\nanswer.rewrite_completion = None\n")
    proxy = start_proxy(upstream.url, "-s", str(script))
    upstream.answer = sized(completion(LEAK))
    assert ask(proxy, chat(stream=False)).body == completion(LEAK)
    proxy.wait_for("not callable")


# Start-up


def test_the_ready_line_names_the_real_port(upstream: Upstream, start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(upstream.url, qwen_recovery="strict")
    line = proxy.wait_for("qwen_fix ready")
    assert line.endswith(f"qwen_fix ready: {proxy.url} -> {upstream.url} (recovery strict, mode fix)")
    assert ask(proxy).status == 200


def test_old_mitmproxy_is_warned_of(start_proxy: Callable[..., Proxy]) -> None:
    from mitmproxy.version import VERSION

    log = start_proxy("http://127.0.0.1:9").log
    assert ("lacks security fixes" in log) == VERSION.startswith("11.")


BAD = {  # one of each kind; the others are in test_options.py
    "qwen_recovery=lax": "qwen_recovery=lax: write strict, tolerant or aggressive",
    "qwen_record=/dev/null": "qwen_record=/dev/null: write a directory",
    "qwen_record=/proc/flows": "qwen_record=/proc/flows: nothing can be written there (",
    "qwen_mdoe=observe": "qwen_mdoe: there is no such option; write qwen_mode",
    "recovery=strict": "recovery: there is no such option; write qwen_recovery",
    "qwen_mode": "qwen_mode: write --set qwen_mode=VALUE",
    "mode=reverse:18200@0": "--mode reverse:18200@0: write reverse:http://localhost:18200@0, or https://",
    "mode=reverse:localhost:1@0": "--mode reverse:localhost:1@0: write reverse:http://localhost:1@0, or https://",
    "mode=reverse:http://localhost:19@127.0.0.1:19": "it would listen where it sends to; write another port",
}


@pytest.mark.parametrize("setting", BAD)
def test_a_bad_option_stops_the_start(start_proxy: Callable[..., Proxy], setting: str) -> None:
    proxy = start_proxy("", "--set", setting, ready=False)
    assert proxy.wait() != 0  # 1, but mitmproxy 11 may crash in its end on a busy machine
    assert BAD[setting] in proxy.log
    assert "Traceback" not in proxy.log
    assert "qwen_fix ready" not in proxy.log


def test_an_option_given_twice_stops_the_start(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(
        "http://127.0.0.1:9", "--set", "qwen_mode=fix", "--set", "qwen_mode=observe", ready=False
    )
    assert proxy.wait() == 1
    assert "qwen_mode: given 2 times (fix, observe); write it once" in proxy.log


def test_eager_connections_stay_if_the_user_wants_them(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy("http://127.0.0.1:9", connection_strategy="eager")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask(proxy)


# Hooks and pure functions, in this process


def _flow(status: int = 200, content_type: str = "text/event-stream", **fields: Any) -> mitm.HTTPFlow:
    """Return a live flow whose upstream has sent its headers."""
    flow = tflow.tflow(resp=True)
    flow.live = True
    flow.request.method, flow.request.path = "POST", "/v1/chat/completions"
    flow.request.content = json.dumps(chat(**fields)).encode()
    flow.response = mitm.Response.make(status, b"", {"content-type": content_type})
    flow.response.raw_content = None
    return flow


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("content_type", ["text/event-stream", "application/json", "text/plain"])
@pytest.mark.parametrize("end", ["response", "error", "done"])
def test_nothing_is_kept_of_a_chat_that_is_over(status: int, content_type: str, end: str) -> None:
    addon, flow = QwenFix(), _flow(status, content_type)
    for hook in (addon.requestheaders, addon.request, addon.responseheaders):
        hook(flow)
    assert list(addon.open) == [flow.id]
    if end == "done":
        addon.done()
    else:
        getattr(addon, end)(flow)
    assert addon.open == {}
    assert flow.metadata["qwen_fix"]["aborted"] == {"response": "", "error": "error", "done": "shutdown"}[end]
    assert flow.response
    assert callable(flow.response.stream) == (end == "done" and content_type == "text/event-stream")


def test_an_upstream_that_never_answered_leaves_nothing() -> None:
    addon, flow = QwenFix(), _flow()
    addon.request(flow)
    flow.response = None
    addon.error(flow)
    assert addon.open == {}
    assert "qwen_fix" not in flow.metadata


@pytest.mark.parametrize(
    ("client", "upstream", "framing"),
    [
        ("HTTP/1.1", "HTTP/1.1", "chunked"),
        ("HTTP/1.1", "HTTP/2.0", "chunked"),
        ("HTTP/1.1", "HTTP/1.0", None),
        ("HTTP/1.0", "HTTP/1.1", None),
        ("HTTP/2.0", "HTTP/1.1", None),
        ("HTTP/2.0", "HTTP/2.0", None),
    ],
)
def test_only_http_1_1_is_chunked(client: str, upstream: str, framing: str | None) -> None:
    flow = _flow()
    assert flow.response
    flow.request.http_version, flow.response.http_version = client, upstream
    flow.response.headers["content-length"] = "5"
    free_length(flow.request, flow.response)
    assert "content-length" not in flow.response.headers
    assert flow.response.headers.get("transfer-encoding") == framing


def test_only_our_models_are_chats() -> None:
    settings = options.read({"qwen_models": "^qwen|coder"})
    models = ("qwen3", "x-coder", "gpt")
    asked = {model: chat_request(_flow(model=model).request, settings) for model in models}
    assert [model for model, request in asked.items() if request] == ["qwen3", "x-coder"]


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (502, "upstream_error", "bad_gateway"),
        (504, "upstream_error", "gateway_time_out"),
        (400, "invalid_request_error", "bad_request"),
        (499, "invalid_request_error", "client_closed_request"),
        (599, "upstream_error", "unknown"),
    ],
)
def test_errors_look_as_a_client_expects(status: int, kind: str, code: str) -> None:
    failed.set(("", CHAT))
    with taddons.context() as context:
        context.options.mode = ["reverse:http://[::1]:8080@127.0.0.1:9090", "regular"]
        error = json.loads(error_body(status, "it is so"))["error"]
    assert (error["type"], error["code"], error["param"]) == (kind, code, None)
    assert error["message"] == ("it is so" if status < 500 else "qwen-fix: http://[::1]:8080: it is so")


@pytest.mark.parametrize(
    ("modes", "named"),
    [
        (["regular"], "the server"),
        (["reverse:http://a:1@1"], "http://a:1"),
        (["reverse:http://a:1@1", "reverse:https://b@2"], "http://a:1 or https://b:443"),
    ],
)
def test_an_error_names_what_may_be_down(modes: list[str], named: str) -> None:
    failed.set(("", CHAT))
    assert upstream_named(modes) == named


# Requests and errors that are repaired

UNREADABLE = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Par'}},
]}  # fmt: skip


def test_a_broken_earlier_call_reaches_the_server_readable(shared: Shared) -> None:
    messages = [UNREADABLE, {"role": "tool", "tool_call_id": "1", "content": "?"}]
    before = json.dumps(chat(messages=messages, temperature=0.70, seed=2**70))
    shared.reply(streamed(PROSE), before.encode())
    after = shared.upstream.requests[-1].body.decode()
    sent = json.loads(after)["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert isinstance(json.loads(sent), dict)
    assert after == before.replace(json.dumps('{"city": "Par'), json.dumps(sent))


def test_a_readable_history_is_forwarded_byte_for_byte(shared: Shared) -> None:
    fine = json.loads(json.dumps(UNREADABLE).replace("Par", 'Par\\"}'))
    body = json.dumps(chat(messages=[fine]), indent=1).encode()
    shared.reply(streamed(PROSE), body)
    assert shared.upstream.requests[-1].body == body


def test_a_history_is_left_alone_if_the_user_says_so(
    upstream: Upstream, start_proxy: Callable[..., Proxy]
) -> None:
    upstream.answer = streamed(PROSE)
    body = json.dumps(chat(messages=[UNREADABLE])).encode()
    ask(start_proxy(upstream.url, qwen_repair_history="off"), body)
    assert upstream.requests[-1].body == body


def test_an_error_that_holds_the_call_becomes_the_call(shared: Shared) -> None:
    error = {
        "error": {"code": 500, "message": f"Failed to parse input at pos 0: {LEAK}", "type": "server_error"}
    }
    script = sized(json.dumps(error).encode(), status="500 Internal Server Error")
    reply = shared.reply(script, chat(stream=False))
    assert reply.status == 200
    choice = json.loads(reply.body)["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "get_weather"


# Calls that the server parsed, beside the text


def _parsed(*calls: dict[str, Any]) -> list[bytes]:
    """Return an answer with these elements of `tool_calls`, one per delta."""
    deltas = [chunk({"tool_calls": [call]}) for call in calls]
    return [
        chunk({"role": "assistant", "content": None}),
        *deltas,
        chunk({}, "tool_calls"),
        b"data: [DONE]\n\n",
    ]


def _named(index: int, arguments: str = "", name: str = "get_weather") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": f"x{index}", "type": "function", "function": function}


def _more(index: int, arguments: str) -> dict[str, Any]:
    return {"index": index, "function": {"arguments": arguments}}


CUSTOM = {"index": 0, "id": "p1", "type": "custom", "custom": {"name": "apply_patch", "input": "*** x"}}
ALTERNATING = [_named(0), _named(1), *(_more(n, part) for part in ('{"city": ', '"Oslo"}') for n in (0, 1))]


@pytest.mark.parametrize("calls", [[CUSTOM], ALTERNATING], ids=["no function", "alternating"])
def test_right_calls_of_any_kind_are_byte_identical(shared: Shared, calls: list[dict[str, Any]]) -> None:
    body = b"".join(_parsed(*calls))
    assert shared.reply(streamed(cut(body, 50))).body == body


def test_half_a_call_becomes_the_servers_own(shared: Shared) -> None:
    half = "Ok.\n\n<tool_call>\n<function=get_weather>\n<parameter=city>\nOs"
    own = _parsed(_named(0), _more(0, '{"city": "Oslo"}'))[1:]
    reply = shared.reply(streamed([*events(half)[:-2], *own]))
    assert understood(reply.body) == Message("Ok.", [("get_weather", {"city": "Oslo"})], "tool_calls")


def test_a_call_without_a_name_is_named(shared: Shared) -> None:
    reply = shared.reply(streamed(_parsed(_named(0, '{"city": "Oslo"}', name=""))))
    assert understood(reply.body).calls == [("get_weather", {"city": "Oslo"})]


def test_an_event_of_several_data_lines_stays_one(shared: Shared) -> None:
    leaking = [event.replace(b'"choices"', b'\ndata: "choices"') for event in LEAKING]
    reply = shared.reply(streamed(leaking))
    blocks = [block.split("\n") for block in reply.body.decode().split("\n\n")]
    datas = ["\n".join(line[6:] for line in lines if line.startswith("data: ")) for lines in blocks]
    choices = [choice for data in datas if data[:1] == "{" for choice in json.loads(data)["choices"]]
    assert [c["finish_reason"] for c in choices if c["finish_reason"]] == ["tool_calls"]


# Answers whose type says too little

VAGUE = ["", "text/plain; charset=utf-8", "application/octet-stream", "application/json"]


def _typed(kind: str) -> list[str]:
    return [f"Content-Type: {kind}"] if kind else []


def open_ended(pieces: list[bytes], kind: str = "") -> live.Script:
    """Send the pieces as chunks, with this type or none."""

    async def script(_request: live.Request, writer: Any) -> bool:
        writer.write(live.head(*_typed(kind), "Transfer-Encoding: chunked"))
        for piece in pieces:
            writer.write(live.framed(piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        return True

    return script


@pytest.mark.parametrize("kind", VAGUE)
@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_a_stream_without_its_type_is_repaired(shared: Shared, kind: str, size: int) -> None:
    for script in (open_ended(cut(b"".join(LEAKING), size), kind), sized(b"".join(LEAKING), kind)):
        reply = shared.reply(script)
        assert understood(reply.body) == HEALED
        assert reply.headers.get("content-type", "") == kind
    assert shared.reply(open_ended(cut(b"".join(PROSE), size), kind)).body == b"".join(PROSE)


@pytest.mark.parametrize("kind", VAGUE)
def test_a_stream_without_its_type_is_passed_on_as_it_comes(shared: Shared, kind: str) -> None:
    shared.upstream.answer = pause = Pause(events("first")[:2], events("second"), kind or "text/plain")
    client = Listening(shared.proxy)
    client.hear(b"firs")  # while the upstream waits
    pause.go()
    assert client.rest().endswith(b"[DONE]\n\n")


@pytest.mark.parametrize("kind", VAGUE)
@pytest.mark.parametrize("stream", [True, False])
def test_a_whole_answer_without_its_type_is_repaired(shared: Shared, kind: str, stream: bool) -> None:
    for script in (open_ended(cut(completion(LEAK), 50), kind), sized(completion(LEAK), kind)):
        reply = shared.reply(script, chat(stream=stream))
        assert reply.json["choices"][0]["finish_reason"] == "tool_calls"


def test_a_stream_without_its_type_is_recorded_as_one(shared: Shared) -> None:
    shared.reply(open_ended(LEAKING), chat(model="untyped"))
    recording = load(shared.recorded("untyped"))
    assert recording.is_stream
    assert (recording.body, recording.ledger["calls"]) == (b"".join(LEAKING), 1)


UNREAD = {
    "html": (open_ended([b"<html>", b"<p>Log in"], "text/html"), "content-type text/html"),
    "text": (open_ended([b"I am ", b"no API."], "text/plain"), "content-type text/plain"),
    "untyped": (open_ended([b"dat", b"um"]), "no content-type"),
    "empty": (sized(b"", "application/json"), "an empty body"),
    "no-events": (streamed([]), "an empty body"),
    "list": (sized(b"[1]"), "the body is no JSON"),
    "half": (open_ended([b'{"choices"'], "text/plain"), "the body is no JSON"),
    "packed": (
        streamed([gzip.compress(b"data: x")], "Content-Encoding: gzip", kind="text/plain"),
        "content-type text/plain, content-encoding gzip",
    ),
    "broken": (
        sized(gzip.compress(b"x")[:10] + b"\xff" * 10, "application/json", "Content-Encoding: gzip"),
        "the body is not gzip as its header says",
    ),
    "lines": (streamed([b"{}\n"], kind="application/x-ndjson"), "content-type application/x-ndjson"),
}


@pytest.mark.parametrize("model", UNREAD)
def test_what_is_not_read_is_said(shared: Shared, model: str) -> None:
    script, reason = UNREAD[model]
    model = f"unread-{model}"
    reply = shared.reply(script, chat(model=model))
    assert f" · {model} · 200 · not read: {reason}" in shared.proxy.wait_for(f" · chat · {model} · ")
    assert load(shared.recorded(model)).out == reply.body
    quiet = shared.reply(script, chat(model=f"{model}-quiet", tools=[]))
    assert quiet.body == reply.body
    assert " · no tools · " in shared.proxy.wait_for(f" · chat · {model}-quiet · ")


@pytest.mark.parametrize("kind", ["text/html", "text/plain", "application/octet-stream"])
@pytest.mark.parametrize("stream", [True, False])
def test_what_is_not_read_is_passed_on_as_it_comes(shared: Shared, kind: str, stream: bool) -> None:
    shared.upstream.answer = pause = Pause([b"first, "], [b"second"], kind)
    client = Listening(shared.proxy, chat(stream=stream))
    client.hear(b"first")
    pause.go()
    assert client.rest() == b"first, second"


def test_a_whole_answer_that_breaks_off_is_as_it_came(shared: Shared) -> None:
    reply = shared.reply(aborted([completion(LEAK)[:90]], kind="text/plain"), chat(model="half-whole"))
    assert (reply.body, reply.whole) == (completion(LEAK)[:90], False)
    assert "not read" not in shared.proxy.wait_for(" · half-whole · ")
