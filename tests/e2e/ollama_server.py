"""Ollama's `/api/chat` in front of a server of chat completions: the same text, line by line.

    ollama_server.py SERVER

Prints its URL. It parses no calls: what the model writes is the content, as when Ollama's own parser is off.
"""

import json
import sys
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

END = {"total_duration": 1, "load_duration": 1, "prompt_eval_count": 1, "prompt_eval_duration": 1}
END |= {"eval_count": 1, "eval_duration": 1}


def line(content: str, **more: Any) -> dict[str, Any]:
    head = {"model": "tiny-qwen3", "created_at": "2026-11-28T12:00:00.000000Z"}
    return head | {"message": {"role": "assistant", "content": content}, "done": False} | more


def lines(server: str, asked: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The answer to a request, as Ollama streams it."""
    body = {"model": asked["model"], "messages": asked["messages"], "stream": True}
    body["max_tokens"] = asked.get("options", {}).get("num_predict", -1)
    request = urllib.request.Request(
        f"{server}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    reason = "stop"
    with urllib.request.urlopen(request) as answer:
        for event in answer:
            if event.startswith(b"data: {"):
                for choice in json.loads(event[6:])["choices"]:
                    reason = choice["finish_reason"] or reason
                    if content := choice["delta"].get("content"):
                        yield line(content)
    yield line("", done=True, done_reason=reason) | END


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = list(lines(sys.argv[1], asked))
        if asked.get("stream") is False:
            said = [said[-1] | {"message": line("".join(s["message"]["content"] for s in said))["message"]}]
        kind = "application/json" if asked.get("stream") is False else "application/x-ndjson"
        self.send_response(200)
        self.send_header("content-type", kind)
        self.end_headers()
        for one in said:
            self.wfile.write(json.dumps(one, ensure_ascii=False).encode() + b"\n")
            self.wfile.flush()

    def log_message(self, *_: Any) -> None: ...


if __name__ == "__main__":
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{httpd.server_port}", flush=True)
    httpd.serve_forever()
