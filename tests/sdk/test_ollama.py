"""The real `ollama` package for Python reads rewritten answers, from a small server of this machine."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from support.cases import read_tool
from support.strict_ollama import call, done, line, lines
from support.strict_ollama import whole as not_streamed
from toolstream import StreamRewriter, rewrite_completion

ollama = pytest.importorskip("ollama")

TOOLS = [read_tool("get_weather(city: string, days?: integer)")]
PARAMETERS = "<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n3\n</parameter>"
LEAK = f"<tool_call>\n<function=get_weather>\n{PARAMETERS}\n</function>\n</tool_call>"
OSLO = ("get_weather", {"city": "Oslo", "days": 3})
NATIVE = ("call", "get_weather", '{"city": "Nice", "days": 1}')


class Server(ThreadingHTTPServer):
    """Answers as it is told, rewritten or not."""

    answer: list[bytes]  # lines; one if the answer is not streamed
    rewrites = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        streams = request.get("stream", True)
        self.send_response(200)
        self.send_header("content-type", "application/x-ndjson" if streams else "application/json")
        self.end_headers()
        for piece in self._pieces(request, streams):
            self.wfile.write(piece)
            self.wfile.flush()

    def _pieces(self, request: Any, streams: bool) -> Iterator[bytes]:
        if not self.server.rewrites:
            yield from self.server.answer
        elif streams:
            rewriter = StreamRewriter(request, api="ollama")
            for raw in self.server.answer:
                yield from rewriter.feed(raw)
            yield from rewriter.close()
        else:
            yield rewrite_completion(request, self.server.answer[0], api="ollama")[0]

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=started.serve_forever, daemon=True).start()
    yield started
    started.shutdown()
    started.server_close()


def ask(
    server: Server, answer: list[bytes], rewrites: bool = True
) -> tuple[str, str, list[tuple[str, Any]], str | None]:
    """What the SDK makes of a streamed answer: content, thinking, calls, done_reason."""
    server.answer, server.rewrites = answer, rewrites
    content, thinking, calls, reason = "", "", [], None
    messages = [{"role": "user", "content": "What is the weather?"}]
    for part in ollama.Client(server.url).chat("qwen3", messages=messages, tools=TOOLS, stream=True):
        assert part.model == "qwen3"
        content += part.message.content or ""
        thinking += part.message.thinking or ""
        calls += [(c.function.name, dict(c.function.arguments)) for c in part.message.tool_calls or []]
        reason = part.done_reason if part.done else reason
    return content, thinking, calls, reason


def test_a_leak_is_a_call(server: Server) -> None:
    answer = lines([("text", f"Hi.\n\n{LEAK}\n{LEAK}")])
    assert ask(server, answer) == ("Hi.", "", [OSLO, OSLO], "stop")
    assert ask(server, answer, rewrites=False)[2] == []


def test_a_leak_in_the_thinking_is_a_call(server: Server) -> None:
    assert ask(server, lines([("thinking", f"Hm.\n{LEAK}")])) == ("", "Hm.", [OSLO], "stop")


def test_a_leak_in_the_only_line_is_a_call(server: Server) -> None:
    assert ask(server, [done(message={"content": f"Hi.\n{LEAK}"})]) == ("Hi.", "", [OSLO], "stop")


def test_what_is_right_stays_right(server: Server) -> None:
    answer = lines([("thinking", "Hm."), ("text", "Use `<tool_call>`.\n"), NATIVE])
    assert ask(server, answer) == ask(server, answer, rewrites=False)
    assert ask(server, answer)[2] == [("get_weather", {"city": "Nice", "days": 1})]


def test_a_call_that_is_cut_off_is_text(server: Server) -> None:
    assert ask(server, lines([("text", LEAK[:50])], "length")) == (LEAK[:50], "", [], "length")


def test_arguments_that_are_text_break_the_sdk_without_us(server: Server) -> None:
    element = call(0, *NATIVE[1:])
    element["function"]["arguments"] = NATIVE[2]
    for answer in ([line({"tool_calls": [element]}), done()], [done(message={"tool_calls": [element]})]):
        assert ask(server, answer)[2] == [("get_weather", {"city": "Nice", "days": 1})]
        with pytest.raises(ValueError, match="valid dictionary"):
            ask(server, answer, rewrites=False)


def test_our_lines_end_where_the_sdk_thinks_they_end(server: Server) -> None:
    """It takes more characters for the end of a line than JSON does."""
    odd = "\x85\u2028\u2029\x0b\x1c"
    calls = ask(server, lines([("text", f"Hi{odd}.\n{LEAK.replace('Oslo', odd)}")], step=100))[2]
    assert calls == [("get_weather", {"city": odd, "days": 3})]


def test_an_error_is_an_error(server: Server) -> None:
    with pytest.raises(ollama.ResponseError, match="XML syntax error"):
        ask(server, [*lines([("text", f"Hi.\n{LEAK[:50]}")], None), b'{"error":"XML syntax error"}\n'])


def test_not_streamed(server: Server) -> None:
    server.answer, server.rewrites = [not_streamed([("text", f"Hi.\n{LEAK}")])], True
    answer = ollama.Client(server.url).chat("qwen3", messages=[], tools=TOOLS)
    (found,) = answer.message.tool_calls
    assert (answer.message.content, answer.done_reason) == ("Hi.", "stop")
    assert (found.function.name, dict(found.function.arguments)) == OSLO


def test_a_call_can_be_sent_back(server: Server) -> None:
    """As agents do: with what the tool said."""
    server.answer, server.rewrites = [not_streamed([("text", LEAK)])], True
    messages: list[Any] = [{"role": "user", "content": "?"}]
    client = ollama.Client(server.url)
    messages.append(client.chat("qwen3", messages=messages, tools=TOOLS).message)
    messages.append({"role": "tool", "tool_name": "get_weather", "content": "rain"})
    server.answer = [not_streamed([("text", "It rains.")])]
    assert client.chat("qwen3", messages=messages, tools=TOOLS).message.content == "It rains."
