"""Every API through a real mitmdump: what leaks is repaired, what is right passes, and what goes wrong is
said in the words of that API."""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_answers import CITY, NAMES, asked, content_type, small, stream, whole
from proxy import (
    LEAK,
    Listening,
    Pause,
    Proxy,
    Reply,
    Script,
    Upstream,
    aborted,
    ask,
    sized,
    streamed,
    until,
)

from qwenproxy.apis import APIS, error_text
from qwenproxy.encoding import LIMIT
from qwenproxy.recording.format import Recording, load
from qwenproxy.replay.outline import Call, Message, messages_of, read

TEXT = f"Let me see.\n{LEAK}"
CALLED = (Call("get_weather", json.dumps(CITY, ensure_ascii=False, sort_keys=True)),)


def healed(name: str) -> tuple[Message, ...]:
    return (Message("Let me see.", "", CALLED, "tool_calls" if APIS[name].says_calls else "stop"),)


def live(name: str, pieces: list[bytes], *headers: str) -> Script:
    """Send the pieces as a stream of this API."""
    return streamed(pieces, *headers, kind=content_type(name))


class Shared:
    """A proxy for all tests that need no special options."""

    def __init__(self, upstream: Upstream, proxy: Proxy, recordings: Path) -> None:
        self.upstream, self.proxy, self.recordings = upstream, proxy, recordings

    def reply(self, name: str, script: Script, body: Any = None, **more: Any) -> Reply:
        self.upstream.answer = script
        path = APIS[name].address + ("?beta=true" if name == "messages" else "")
        return ask(self.proxy, asked(name) if body is None else body, path, **more)

    def recorded(self, model: str) -> Recording:
        (path,) = self.recordings.glob(f"*-{model}-*.flow")
        return load(path)

    def get(self, path: str) -> Any:
        return ask(self.proxy, b"", path, method="GET").json


@pytest.fixture(scope="module")
def shared(confdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    recordings = tmp_path_factory.mktemp("all-apis")
    upstream = Upstream()
    proxy = Proxy(upstream.url, confdir, qwen_record=recordings, stream_large_bodies="5k").wait_ready()
    yield Shared(upstream, proxy, recordings)
    proxy.stop()
    upstream.stop()


every_api = pytest.mark.parametrize("name", NAMES)


@every_api
def test_a_leak_is_repaired_while_it_streams(shared: Shared, name: str) -> None:
    reply = shared.reply(name, live(name, small(name, TEXT)), asked(name, model=f"leaks-{name}"))
    assert messages_of(reply.body, True, APIS[name]) == healed(name)
    assert reply.headers["content-type"] == content_type(name)
    shared.proxy.wait_for(f" · {name} · leaks-{name} · 200 · get_weather · call without <tool_call> · ")


@every_api
def test_a_leak_is_repaired_without_its_type(shared: Shared, name: str) -> None:
    reply = shared.reply(name, streamed(small(name, TEXT), kind="text/plain"))
    assert messages_of(reply.body, True, APIS[name]) == healed(name)
    reply = shared.reply(name, streamed([whole(name, TEXT)], kind="text/plain"), asked(name, stream=False))
    assert messages_of(reply.body, False, APIS[name]) == healed(name)


@every_api
def test_a_leak_is_repaired_in_one_piece(shared: Shared, name: str) -> None:
    reply = shared.reply(name, sized(whole(name, TEXT)), asked(name, stream=False))
    assert messages_of(reply.body, False, APIS[name]) == healed(name)
    assert reply.headers["content-length"] == str(len(reply.body))


@every_api
def test_what_is_right_passes_byte_for_byte(shared: Shared, name: str) -> None:
    text = "The tag <tool_call> opens a call. Zürich 🙂 is a city."
    frames = stream(name, text)
    assert shared.reply(name, live(name, small(name, text))).body == b"".join(frames)
    body = whole(name, text)
    assert shared.reply(name, sized(body), asked(name, stream=False)).body == body


@every_api
def test_without_tools_nothing_is_read(shared: Shared, name: str) -> None:
    body = asked(name)
    del body["tools"]
    assert shared.reply(name, live(name, stream(name, TEXT)), body).body == b"".join(stream(name, TEXT))


@every_api
def test_a_compressed_answer_is_read(shared: Shared, name: str) -> None:
    packed = zlib.compressobj(wbits=31)
    pieces = [packed.compress(frame) + packed.flush(zlib.Z_SYNC_FLUSH) for frame in stream(name, TEXT)]
    reply = shared.reply(name, live(name, [*pieces, packed.flush()], "Content-Encoding: gzip"))
    assert messages_of(reply.body, True, APIS[name]) == healed(name)
    body = gzip.compress(whole(name, TEXT))
    reply = shared.reply(
        name, sized(body, "application/json", "Content-Encoding: gzip"), asked(name, stream=False)
    )
    assert messages_of(reply.body, False, APIS[name]) == healed(name)


@every_api
def test_a_large_chat_is_read_too(shared: Shared, name: str) -> None:
    """`stream_large_bodies` is 5 kB here."""
    key = "input" if name == "responses" else "messages"
    large = asked(name, stream=False) | {key: [{"role": "user", "content": "x" * 20_000}]}
    text = TEXT.replace("Zürich", "Z" * 20_000)
    (message,) = messages_of(shared.reply(name, sized(whole(name, text)), large).body, False, APIS[name])
    assert [call.name for call in message.calls] == ["get_weather"]


@every_api
def test_text_is_passed_on_as_it_comes(shared: Shared, name: str) -> None:
    frames = stream(name, "first and second")
    half = len(frames) // 2
    shared.upstream.answer = pause = Pause(frames[:half], frames[half:], content_type(name))
    client = Listening(shared.proxy, asked(name), APIS[name].address)
    client.hear(b"firs")  # while the upstream waits
    pause.go()
    assert client.rest() == b"".join(frames)


@every_api
def test_an_error_of_the_server_is_unchanged(shared: Shared, name: str) -> None:
    body = json.dumps(APIS[name].error("c", "no room")).encode()
    reply = shared.reply(name, sized(body, status="400 Bad Request"), asked(name, model=f"fails-{name}"))
    assert (reply.status, reply.body) == (400, body)
    shared.proxy.wait_for(f" · {name} · fails-{name} · 400 · the server's error: no room · ")


@every_api
def test_a_stream_that_breaks_off_loses_no_text(shared: Shared, name: str) -> None:
    frames = stream(name, "Look: <tool_call>")
    count = next(n for n, frame in enumerate(frames) if b'"ool_"' in frame) + 1
    reply = shared.reply(
        name, aborted(frames[:count], kind=content_type(name)), asked(name, model=f"breaks-{name}")
    )
    assert not reply.whole
    (message,) = messages_of(reply.body, True, APIS[name])
    assert message.content == "Look: <tool_"


BROKEN = {"name": "get_weather", "arguments": '{"city": "Os'}
HISTORIES = {
    "chat": {"messages": [{"role": "assistant", "tool_calls": [{"id": "c", "function": BROKEN}]}]},
    "responses": {"input": [{"type": "function_call", "call_id": "c"} | BROKEN]},
}


@pytest.mark.parametrize("name", HISTORIES)
def test_an_earlier_call_that_no_server_can_read(shared: Shared, name: str) -> None:
    request = asked(name, model=f"earlier-{name}") | HISTORIES[name]
    shared.reply(name, live(name, stream(name, "Hi")), request)
    ((_, ((_, arguments),)),) = [
        (t.role, t.calls) for t in APIS[name].turns(shared.upstream.requests[-1].json)
    ]
    assert isinstance(json.loads(arguments), dict)
    shared.proxy.wait_for(
        f" · {name} · earlier-{name} · 200 · no call · earlier call in the request with unread"
    )


# What is said and kept


@every_api
def test_a_chat_is_recorded_with_its_api(shared: Shared, name: str) -> None:
    frames = stream(name, TEXT)
    reply = shared.reply(name, live(name, frames), asked(name, model=f"kept-{name}"))
    recording = shared.recorded(f"kept-{name}")
    assert (recording.api, recording.body, recording.out) == (name, b"".join(frames), reply.body)
    assert recording.is_stream
    assert recording.ledger["repairs"] == {"missing-tool-call-open": 1}


@every_api
def test_the_last_chats_show_both_sides(shared: Shared, name: str) -> None:
    shared.reply(name, live(name, stream(name, TEXT)), asked(name, model=f"shown-{name}"))
    last = shared.get("/_qwen/chats")["chats"][0]
    assert (last["api"], last["model"], last["tools"]) == (name, f"shown-{name}", ["get_weather"])
    full = shared.get(f"/_qwen/chats?id={last['id']}")
    assert full["sent"][0]["content"] == TEXT
    assert [call["arguments"] for call in full["received"][0]["calls"]] == [CITY]
    assert shared.get("/_qwen/stats")["apis"][name]["chats"] >= 1


def test_the_metrics_tell_apis_apart(shared: Shared) -> None:
    pytest.importorskip("prometheus_client")
    for name in NAMES:
        shared.reply(name, live(name, stream(name, TEXT)))
    said = ask(shared.proxy, b"", "/_qwen/metrics", method="GET").body.decode()
    for name in NAMES:
        assert re.search(rf'qwen_fix_api_chats_total{{api="{name}",outcome="repaired"}} [1-9]', said)


@every_api
def test_the_box_to_try_a_text(shared: Shared, name: str) -> None:
    body = {"text": TEXT, "api": name}
    said = ask(shared.proxy, body, "/_qwen/test").json
    assert said["message"]["calls"][0]["name"] == "get_weather"
    assert (said["message"]["content"], said["api"], said["tools"]) == (
        "Let me see.",
        name,
        "guessed from the text",
    )
    typed = ask(shared.proxy, body | {"tools": [asked("chat")["tools"][0]]}, "/_qwen/test").json
    assert typed["message"]["calls"] == [{"name": "get_weather", "arguments": CITY}]
    assert ask(shared.proxy, body | {"api": "openai"}, "/_qwen/test").status == 422


@every_api
def test_only_observing(
    confdir: Path, start_proxy: Callable[..., Proxy], upstream: Upstream, name: str
) -> None:
    proxy = start_proxy(upstream.url, qwen_mode="observe")
    upstream.answer = live(name, stream(name, TEXT))
    assert ask(proxy, asked(name), APIS[name].address).body == b"".join(stream(name, TEXT))
    proxy.wait_for(
        f" · {name} · qwen · 200 · would call get_weather · would repair: call without <tool_call> · "
    )


@every_api
def test_an_api_that_is_left_out_is_not_read(
    start_proxy: Callable[..., Proxy], upstream: Upstream, name: str
) -> None:
    others = ",".join(other for other in NAMES if other != name)
    proxy = start_proxy(upstream.url, qwen_apis=others)
    upstream.answer = live(name, stream(name, TEXT))
    assert ask(proxy, asked(name), APIS[name].address).body == b"".join(stream(name, TEXT))
    proxy.wait_for(
        f"sends tools to {APIS[name].address}, and its calls are not repaired: qwen_apis does not name"
    )


# Errors of our own


@every_api
def test_a_server_that_is_down(start_proxy: Callable[..., Proxy], name: str) -> None:
    proxy = start_proxy("http://127.0.0.1:9")
    reply = ask(proxy, asked(name), APIS[name].address)
    assert (reply.status, reply.headers["content-type"]) == (502, "application/json")
    assert reply.json.keys() == APIS[name].error("c", "m").keys()
    assert error_text(reply.json["error"]).startswith(
        "qwen-fix: http://127.0.0.1:9 does not answer (nothing is listening there). Start your model server"
    )
    proxy.wait_for(f" · {name} · qwen · no answer · the server gave no answer: nothing is listening there · ")


@every_api
def test_an_answer_that_is_too_large(shared: Shared, name: str) -> None:
    packed = zlib.compressobj(wbits=31)
    bomb = b"".join(packed.compress(bytes(1 << 20)) for _ in range((LIMIT >> 20) + 2)) + packed.flush()
    headers = "Content-Encoding: gzip"
    reply = shared.reply(name, live(name, [*stream_start(name), bomb], headers))
    assert read(reply.body, True, APIS[name])[1].startswith("the answer decodes to more than")
    reply = shared.reply(name, sized(bomb, "application/json", headers), asked(name, stream=False))
    assert reply.status == 502
    assert reply.json.keys() == APIS[name].error("c", "m").keys()


def stream_start(name: str) -> list[bytes]:
    """Return the first frame of a stream, compressed as a member of its own."""
    return [gzip.compress(stream(name, "hi")[0])]


# Silence

SIGNS = {
    "chat": b": keep-alive\n\n",
    "messages": b'event: ping\ndata: {"type": "ping"}\n\n',
    "responses": b": keep-alive\n\n",
}


@every_api
def test_while_a_call_is_held_the_client_hears_a_sign_of_life(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path, name: str
) -> None:
    call = json.dumps({"name": "get_weather", "arguments": CITY}, ensure_ascii=False)
    frames = stream(name, f"Let me see.\n\n<tool_call>\n{call}\n</tool_call>")
    held = next(n for n, frame in enumerate(frames) if b'l>\\n"' in frame or b'ol_c"' in frame) + 4
    upstream.answer = pause = Pause(frames[:held], frames[held:], content_type(name))
    proxy = start_proxy(upstream.url, qwen_keepalive="0.000001", qwen_record=tmp_path)
    client = Listening(proxy, asked(name), APIS[name].address)
    sign = SIGNS.get(name)
    client.hear(sign or b"me s")
    pause.go()
    rest = client.rest()
    assert messages_of(rest, True, APIS[name]) == healed(name)
    recording = load(until(lambda: next(tmp_path.glob("*.flow"), None)))
    assert recording.out == (rest.replace(sign, b"") if sign else rest)


def test_a_ruled_parameter_in_every_api(
    upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "models: {ruled: {tools: {get_weather: {fixes: [{name: r, parameter: days, condition: missing, "
        "action: set_default, default_value: 9}]}}}}\n"
    )
    proxy = start_proxy(upstream.url, qwen_rules=rules)
    text = "<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n</function>"
    for name in NAMES:
        body = json.loads(json.dumps(asked(name, model="ruled")))
        tool = body["tools"][0]
        schema = tool.get("input_schema") or tool.get("parameters") or tool["function"]["parameters"]
        schema["required"] = ["city", "days"]
        upstream.answer = live(name, stream(name, text))
        (message,) = messages_of(ask(proxy, body, APIS[name].address).body, True, APIS[name])
        assert [call.values for call in message.calls] == [{"city": "Oslo", "days": 9}], name
