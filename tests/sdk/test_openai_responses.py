"""The real OpenAI SDK reads rewritten answers of the Responses API.

A small server answers each request with the answer that its model names: rewritten for that very request, or
raw. The stream helper of the SDK checks indexes and order, and builds the final answer itself.
"""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from support.strict_responses import Part, canonical, late, llamacpp, whole
from toolstream import StreamRewriter, rewrite_completion

openai = pytest.importorskip("openai")
if not hasattr(pytest.importorskip("openai.resources.responses").Responses, "stream"):
    pytest.skip("this version has no helper for Responses", allow_module_level=True)

CAPTURES = Path(__file__).parents[1] / "captures"
PROPERTIES = {"city": {"type": "string"}, "days": {"type": "integer"}, "detailed": {"type": "boolean"}}
TOOLS = [
    {
        "type": "function",
        "name": "get_weather",
        "parameters": {"type": "object", "properties": PROPERTIES, "required": ["city"]},
    }
]
LEAK = (
    "<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n"
    "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>"
)
ROME = LEAK.replace("Oslo", "Rome")
CUT = LEAK[: LEAK.index("slo")]
ANSWERS: dict[str, list[Part]] = {
    "leak": [("text", f"Hi.\n\n{LEAK}")],
    "alone": [("text", LEAK)],
    "around": [("text", f"A\n{LEAK}\nB\n{ROME}\nC")],
    "thinking": [("thinking", f"Hm.\n{LEAK}")],
    "native": [("text", "Hi."), ("call", "get_weather", '{"city":"Nice","days":"1"}')],
    "both": [("text", LEAK), ("call", "get_weather", '{"city":"Nice"}')],
    "text": [("text", "Hello <b>, world.\n")],
}
OSLO = ("get_weather", {"city": "Oslo", "days": 3})
SAID = {
    "leak": ("Hi.", [OSLO]),
    "alone": ("", [OSLO]),
    "around": ("A\nB\nC", [OSLO, ("get_weather", {"city": "Rome", "days": 3})]),
    "thinking": ("", [OSLO]),
    "native": ("Hi.", [("get_weather", {"city": "Nice", "days": 1})]),
    "both": ("", [OSLO, ("get_weather", {"city": "Nice"})]),
    "text": ("Hello <b>, world.\n", []),
}
SERVERS = {"canonical": canonical, "late": late, "llamacpp": llamacpp}
ZURICH = ("get_weather", {"city": "Zürich", "days": 3, "detailed": True})


def answer(request: dict[str, Any]) -> bytes:
    """The body for a request; its model is `raw/`, if it is not to be rewritten, and the answer's name."""
    name = request["model"].removeprefix("raw/")
    if name.startswith("rsp-"):
        body = (CAPTURES / f"{name}.http").read_bytes().partition(b"\r\n\r\n")[2]
    else:
        server, _, parts = name.partition("/")
        cut = [("text", f"Hi.\n{CUT}")]
        body = (
            SERVERS[server](ANSWERS.get(parts, cut))
            if request.get("stream")
            else whole(ANSWERS.get(parts, cut))
        )
    if request["model"].startswith("raw/"):
        return body
    if not request.get("stream"):
        return rewrite_completion(request, body, api="responses")[0]
    rewriter = StreamRewriter(request, api="responses")
    return b"".join(rewriter.feed(body) + rewriter.close())


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        body = answer(request)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if request.get("stream") else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/v1"
    yield openai.OpenAI(base_url=url, api_key="sk-none", max_retries=0, timeout=30)
    server.shutdown()
    server.server_close()


def said(response: Any) -> tuple[str, list[tuple[str, Any]]]:
    """The text, and the calls that can be run."""
    calls = [item for item in response.output if item.type == "function_call" and item.status == "completed"]
    return response.output_text, [(call.name, json.loads(call.arguments)) for call in calls]


def helped(client: Any, model: str, **more: Any) -> Any:
    """The final response as the helper has built it. Its own events must say the same."""
    text, arguments = "", {}
    with client.responses.stream(model=model, input="?", tools=TOOLS, **more) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                text += event.delta
            elif event.type == "response.function_call_arguments.delta":
                arguments[event.output_index] = event.snapshot
        final = stream.get_final_response()
    calls = {n: item.arguments for n, item in enumerate(final.output) if item.type == "function_call"}
    assert text == final.output_text
    assert arguments == calls
    return final


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", ANSWERS)
def test_the_helper_reads_every_answer(client: Any, name: str, server: str) -> None:
    assert said(helped(client, f"{server}/{name}")) == SAID[name]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", ANSWERS)
def test_a_stream_without_the_helper(client: Any, name: str, server: str) -> None:
    stream = client.responses.create(model=f"{server}/{name}", input="?", tools=TOOLS, stream=True)
    events = list(stream)
    assert said(events[-1].response) == SAID[name]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert sorted(item.id for item in done) == sorted(item.id for item in events[-1].response.output)


@pytest.mark.parametrize("name", ANSWERS)
def test_not_streamed(client: Any, name: str) -> None:
    assert said(client.responses.create(model=f"canonical/{name}", input="?", tools=TOOLS)) == SAID[name]


@pytest.mark.parametrize("server", SERVERS)
def test_a_cut_call_is_never_run(client: Any, server: str) -> None:
    final = helped(client, f"{server}/cut", max_output_tokens=9)
    assert said(final) == ("Hi.", [])
    assert [item.status for item in final.output if item.type == "function_call"] == ["incomplete"]
    raw = client.responses.create(model=f"{server}/cut", input="?", tools=TOOLS, max_output_tokens=9)
    assert said(raw) == (f"Hi.\n{CUT}", [])


@pytest.mark.parametrize("form", ["good", "noopen", "think"])
@pytest.mark.parametrize("parser", ["raw", "jinja"])
def test_what_llamacpp_sent(client: Any, form: str, parser: str) -> None:
    text, calls = said(helped(client, f"rsp-{parser}-gw-{form}"))
    assert calls == [ZURICH]
    assert "<function" not in text


def test_what_llamacpp_sent_in_one_piece(client: Any) -> None:
    for parser in ("raw", "jinja"):
        response = client.responses.create(model=f"rsp-{parser}-gw-good-ns", input="?", tools=TOOLS)
        assert said(response)[1] == [ZURICH]


def test_the_helper_fails_on_what_llamacpp_sends(client: Any) -> None:
    """As soon as it does not, the envelope need not be repaired for it."""
    for name in ("rsp-jinja-gw-good", "rsp-jinja-text", "llamacpp/native"):
        with pytest.raises((TypeError, AttributeError)):  # by its version
            helped(client, f"raw/{name}")
