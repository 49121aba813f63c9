"""Anthropic's SDK reads what the rewriter makes of Messages: by its stream helper, event by event, and whole.

A server on this machine sends the bytes. The helper is the strictest reader: it fails on a gap in the
numbers, and makes an empty input of a block that is numbered twice.
"""

import json
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from support.strict_messages import BEGIN, ORDERS, Part, block, canonical, end, event, stop, whole
from toolstream import StreamRewriter, rewrite_completion

anthropic = pytest.importorskip("anthropic")

PROPERTIES = {"city": {"type": "string"}, "days": {"type": "integer"}}
TOOLS = [{"name": "get_weather", "input_schema": {"type": "object", "properties": PROPERTIES}}]
MESSAGES = [{"role": "user", "content": "What is the weather?"}]
ASKED: dict[str, Any] = {"model": "qwen", "max_tokens": 1000, "tools": TOOLS, "messages": MESSAGES}
LEAK = (
    "<tool_call>\n<function=get_weather>\n<parameter=city>\nZürich\n</parameter>\n"
    "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>"
)
ZURICH = ("tool_use", "get_weather", {"city": "Zürich", "days": 3})
NICE = ("tool_use", "get_weather", {"city": "Nice"})
CALL: Part = ("call", "get_weather", '{"city":"Nice"}')


class Server:
    """Answers every request with the same bytes, and remembers what was asked."""

    def __init__(self) -> None:
        self.body, self.media_type = b"", ""
        server = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.send_header("content-type", server.media_type)
                self.end_headers()
                self.wfile.write(server.body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def client(server: Server) -> Any:
    return anthropic.Anthropic(base_url=server.url, api_key="sk-none", max_retries=0, timeout=30)


def streamed(server: Server, events: Iterable[bytes]) -> Any:
    """The final message of the helper, for a stream that was rewritten."""
    _serve(server, events)
    with client(server).messages.stream(**ASKED) as stream:
        return stream.get_final_message()


def _serve(server: Server, events: Iterable[bytes]) -> None:
    rewriter = StreamRewriter(ASKED, api="messages")
    server.body = b"".join(out for one in events for out in rewriter.feed(one)) + b"".join(rewriter.close())
    server.media_type = "text/event-stream"
    assert rewriter.ledger.failure == ""


def read(message: Any) -> tuple[list[tuple[Any, ...]], str]:
    """The blocks, and the reason to stop."""
    return [_block(one) for one in message.content], message.stop_reason


def _block(one: Any) -> tuple[Any, ...]:
    if one.type == "tool_use":
        return one.type, one.name, one.input
    return one.type, getattr(one, one.type)


SAID: dict[str, tuple[list[Part], list[tuple[Any, ...]]]] = {
    "a leak": ([("text", f"Hi.\n{LEAK}")], [("text", "Hi."), ZURICH]),
    "nothing but a leak": ([("text", LEAK)], [ZURICH]),
    "text between two": (
        [("text", f"{LEAK}\nAnd\n{LEAK}")],
        [ZURICH, ("text", "\nAnd"), ZURICH],
    ),
    "in the thinking": ([("thinking", f"So.\n{LEAK}")], [("thinking", "So."), ZURICH]),
    "and a call of the server": ([("text", f"Hi.\n{LEAK}"), CALL], [("text", "Hi."), ZURICH, NICE]),
    "a call of the server": ([("text", "Hi."), CALL], [("text", "Hi."), NICE]),
    "a call of the server, mended": (
        [("text", "Hi."), ("call", "get_weather", '{"city":"Nice"')],
        [("text", "Hi."), NICE],
    ),
    "text after it": ([("text", LEAK), CALL, ("text", "Done.")], [ZURICH, NICE, ("text", "Done.")]),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", SAID)
def test_the_stream_helper(server: Server, name: str, order: str) -> None:
    parts, expected = SAID[name]
    assert read(streamed(server, ORDERS[order](parts, "tool_calls"))) == (expected, "tool_use")


def test_event_by_event(server: Server) -> None:
    _serve(server, canonical([("text", f"Hi.\n{LEAK}")]))
    events = list(client(server).messages.create(**ASKED, stream=True))
    starts = [e.content_block.type for e in events if e.type == "content_block_start"]
    pieces = [
        e.delta.partial_json for e in events if getattr(getattr(e, "delta", None), "partial_json", None)
    ]
    assert starts == ["text", "tool_use"]
    assert json.loads("".join(pieces)) == {"city": "Zürich", "days": 3}
    assert events[-1].type == "message_stop"


@pytest.mark.parametrize(
    "name", ["a leak", "nothing but a leak", "in the thinking", "and a call of the server"]
)
def test_not_streamed(server: Server, name: str) -> None:
    parts, expected = SAID[name]
    body, _ = rewrite_completion(ASKED, whole(parts), api="messages")
    server.body, server.media_type = body, "application/json"
    assert read(client(server).messages.create(**ASKED)) == (expected, "tool_use")


@pytest.mark.parametrize("index", [0, 2])
def test_an_index_that_the_helper_breaks_on(server: Server, index: int) -> None:
    call = [e.replace(b'"index":1', b'"index":%d' % index) for e in [*block(1, CALL), stop(1)]]
    events = [BEGIN, *block(0, ("text", "Hi.")), stop(0), *call, *end("tool_calls")]
    assert read(streamed(server, events)) == ([("text", "Hi."), NICE], "tool_use")


def test_a_cut_call_is_not_to_be_run(server: Server) -> None:
    cut = LEAK.partition("rich")[0]
    message = streamed(server, canonical([("text", f"Hi.\n{cut}")], "length"))
    assert message.stop_reason == "max_tokens"


def test_an_engines_error_becomes_the_answer(server: Server) -> None:
    failed = {"code": 500, "message": f"Failed to parse input at pos 0: {LEAK}", "type": "server_error"}
    data = f"event: error\ndata: {json.dumps(failed)}\n\n".encode()
    assert read(streamed(server, [BEGIN, data])) == ([ZURICH], "tool_use")
    assert read(streamed(server, [data])) == ([ZURICH], "tool_use")


def test_any_other_error_stays_one(server: Server) -> None:
    error = event("error", error={"type": "api_error", "message": "boom"})
    with pytest.raises(anthropic.APIStatusError, match="boom"):
        streamed(server, [BEGIN, *block(0, ("text", f"Hi.\n{LEAK[:60]}")), error])
