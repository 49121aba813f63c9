"""A stand-in for the proxy: it serves the status page, and the JSON of the proxy's endpoints.

The JSON is derived from a list of chats, so the numbers agree with each other. `chat()` adds one. A
test changes the fields of `StandIn` to check how the page shows it: a list that may not be read, a
server that is down, observe mode.

    stand_in.py [PORT]      to look at the page while editing it; there is a new chat every two seconds
"""

import json
import random
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).parents[2] / "addon"))

from toolstream.repairs import Refused, Repair

PAGE = Path(__file__).parents[2] / "addon/qwenproxy/ui/page.html"
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:"
)
OUTCOMES = ("repaired", "would-repair", "left", "passed", "failed-open", "broken-off", "backend-error")
LEAKED = """\
I'll write the tests first, then the parser.

<function=write>
<parameter=filePath>
/home/me/src/parser.py
</parameter>
<parameter=content>
def parse(text):
    return [line.split("=") for line in text.splitlines() if line]
</parameter>
</function>
</tool_call>"""
ARGUMENTS = {
    "filePath": "/home/me/src/parser.py",
    "content": 'def parse(text):\n    return [line.split("=") for line in text.splitlines() if line]',
}
Json = dict[str, Any]


def message(content: str = "", *calls: tuple[str, Any], reasoning: str = "", finish: str = "stop") -> Json:
    found = [{"name": name, "arguments": arguments} for name, arguments in calls]
    return {"content": content, "reasoning": reasoning, "calls": found, "finish_reason": finish}


REPAIRED: Json = {
    "outcome": "repaired",
    "sent": [message(LEAKED, reasoning="The user wants a parser. Tests first.")],
    "received": [
        message(
            "I'll write the tests first, then the parser.",
            ("write", ARGUMENTS),
            reasoning="The user wants a parser. Tests first.",
            finish="tool_calls",
        )
    ],
    "repairs": [Repair.MISSING_TOOL_CALL_OPEN],
}
PASSED: Json = {"outcome": "passed", "sent": [message("All 14 tests pass.")]}
NATIVE: Json = {
    "outcome": "passed",
    "sent": [message("", ("bash", {"command": "pytest -q", "timeout": 60000}), finish="tool_calls")],
}
DAMAGED: Json = {
    "outcome": "repaired",
    "sent": [message("", ("edit", '{"filePath": "a.py", "old')), message("", ("bash", "{}{}"))],
    "received": [message("", ("edit", {"filePath": "a.py"}), finish="tool_calls")],
    "repairs": [Repair.REPEATED_ARGUMENTS, Repair.WRONG_TYPE],
}
LEFT: Json = {
    "outcome": "left",
    "sent": [message("A call looks like this:\n```\n<function=bash>\n</function>\n```")],
    "refusals": [(Refused.FENCED, "<function=bash>\n</function>")],
}
BROKEN: Json = {"outcome": "broken-off", "sent": None, "note": "too long to be kept"}
REFUSED: Json = {"outcome": "backend-error", "status": 503, "sent": [], "failure": "503: Loading model"}
USUAL = (REPAIRED, REPAIRED, PASSED, NATIVE, NATIVE, NATIVE, PASSED, DAMAGED, LEFT, BROKEN, REFUSED)


class StandIn:
    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.empty()
        self.asked: Counter[str] = Counter()
        self.server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/_qwen/"

    def up(self) -> "StandIn":
        handler = type("Handler", (_Handler,), {"stand_in": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def down(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def empty(self) -> None:
        """Reset everything, as after a start of the proxy."""
        self.since = datetime.now(UTC)
        self.chats: list[Json] = []
        self.mode = "fix"
        self.server_answers = True
        self.said = "3 models"
        self.reason = ""
        self.may_read = True

    def chat(self, kind: Json = REPAIRED, *, ago: float = 0, **fields: Any) -> Json:
        sent = kind["sent"]
        received = kind.get("received", sent)
        tools = [call["name"] for each in received or () for call in each["calls"]]
        repairs = [{"name": r, "count": 1, "words": r.words} for r in kind.get("repairs", ())]
        refusals = [
            {"name": r, "words": r.words, "excerpt": excerpt} for r, excerpt in kind.get("refusals", ())
        ]
        words = "; ".join(each["words"] for each in (*repairs, *refusals)) or kind.get("failure", "")
        self.chats.append(
            {
                "id": f"c{len(self.chats) + 1}",
                "time": _iso(datetime.now(UTC) - timedelta(seconds=ago)),
                "client": "opencode/1.18.33",
                "api": "chat",
                "model": "qwen3-coder",
                "status": kind.get("status", 200),
                "streamed": True,
                "seconds": 3.21,
                "outcome": kind["outcome"],
                "tools": tools,
                "said": " · ".join(filter(None, [", ".join(tools), words])),
                "sent": sent,
                "received": received,
                "repairs": repairs,
                "refusals": refusals,
                "failure": kind.get("failure", ""),
            }
            | ({"note": kind["note"]} if "note" in kind else {})
            | fields
        )
        return self.chats[-1]

    def busy(self, chats: int = 400, minutes: int = 50) -> None:
        """Add many chats of two models and three clients, the same ones each time."""
        chance = random.Random(7)
        for n in range(chats):
            small = n % 5 == 4
            fields = {
                "model": "qwen3-30b-a3b-instruct-2507" if small else "qwen3-coder",
                "client": chance.choice(("opencode/1.18.33", "opencode/1.18.33", "qwen-code/0.4.1", "")),
                "seconds": round(chance.uniform(0.3, 20), 2),
            }
            kind = chance.choice(USUAL[2:4] if small and chance.random() < 0.8 else USUAL)
            self.chat(kind, ago=(chats - n) * minutes * 60 / chats, **fields)
        self.since = datetime.now(UTC) - timedelta(minutes=minutes)

    # Answers of the endpoints

    def stats(self) -> Json:
        def grouped(key: str) -> Json:
            names = dict.fromkeys(chat[key] for chat in self.chats)
            return {name: _counts([chat for chat in self.chats if chat[key] == name]) for name in names}

        return {
            "since": _iso(self.since),
            "seconds": (datetime.now(UTC) - self.since).total_seconds(),
            "mode": self.mode,
            "verdicts": [_verdict(model, counts) for model, counts in grouped("model").items()],
            "total": _counts(self.chats),
            "models": grouped("model"),
            "clients": grouped("client"),
            "history": self._history(),
        }

    def _history(self) -> list[Json]:
        answers: Counter[tuple[str, str]] = Counter()
        leaked: Counter[tuple[str, str]] = Counter()
        for chat in self.chats:
            key = chat["time"][:17] + "00Z", chat["model"]
            answers[key] += 1
            leaked[key] += _leaked(chat)
        return [
            {"minute": minute, "model": model, "answers": n, "leaked": leaked[minute, model]}
            for (minute, model), n in answers.items()
        ]

    def health(self) -> Json:
        return {
            "status": "degraded" if self.reason else "ok",
            "reason": self.reason,
            "version": "0.1.0",
            "mitmproxy": "12.3.1",
            "python": "3.13.0",
            "upstreams": [
                {"url": "http://localhost:8080", "answers": self.server_answers, "said": self.said}
            ],
            "uptime": (datetime.now(UTC) - self.since).total_seconds(),
            "open_chats": 1 if self.chats else 0,
            "bytes_held": 0,
            "options": {"qwen_mode": self.mode, "qwen_recovery": "tolerant", "qwen_record": ""},
            "rules": None,
        }

    def listed(self, wanted: str) -> tuple[int, Json]:
        if not self.may_read:
            return 403, _error("What was said is shown only on the proxy's own machine")
        if not wanted:
            hidden = ("sent", "received", "repairs", "refusals", "failure", "note")
            last = self.chats[-50:][::-1]
            return 200, {"chats": [{k: v for k, v in chat.items() if k not in hidden} for chat in last]}
        found = [chat for chat in self.chats if chat["id"] == wanted]
        return (200, found[0]) if found else (404, _error(f"no chat {wanted} is kept"))

    def test(self, asked: Json) -> tuple[int, Json]:
        if "<function=" not in asked["text"]:
            return 422, _error("there is nothing in it that looks like a call")
        if "```" in asked["text"]:
            excerpt = {"name": "fenced", "words": Refused.FENCED.words, "excerpt": asked["text"][:120]}
            found: Json = {"message": message(asked["text"]), "repairs": [], "refusals": [excerpt]}
        else:
            repair = Repair.MISSING_TOOL_CALL_OPEN
            found = {
                "message": message("I'll create the file.", ("write", ARGUMENTS), finish="tool_calls"),
                "repairs": [{"name": repair, "count": 1, "words": repair.words}],
                "refusals": [],
            }
        return 200, found | {"tools": "given" if asked.get("tools") else "guessed from the text"}


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        name = url.path.removeprefix("/_qwen/")
        self.stand_in.asked[name] += 1
        if name == "":
            return self._send(200, PAGE.read_bytes(), "text/html; charset=utf-8")
        if name == "chats":
            return self._json(*self.stand_in.listed(parse_qs(url.query).get("id", [""])[0]))
        if name in ("stats", "health"):
            return self._json(200, getattr(self.stand_in, name)())
        return self._json(404, _error("there is no such endpoint"))

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._json(*self.stand_in.test(asked))

    def _json(self, status: int, body: Json) -> None:
        self._send(status, json.dumps(body).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-security-policy", POLICY)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


def _iso(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _error(words: str) -> Json:
    return {"error": {"message": words}}


def _leaked(chat: Json) -> bool:
    return "missing-tool-call-open" in [repair["name"] for repair in chat["repairs"]]


def _counts(chats: list[Json]) -> Json:
    def share(n: int) -> Json:
        return {"count": n, "share": n / len(chats) if chats else 0.0}

    def tally(key: str) -> Json:
        found = [(each["name"], each["words"]) for chat in chats for each in chat[key]]
        return {name: share(n) | {"words": words} for (name, words), n in Counter(found).items()}

    outcomes = Counter(chat["outcome"] for chat in chats)
    named = {name.replace("-", "_"): share(outcomes[name]) for name in OUTCOMES}
    return {
        "chats": len(chats),
        "calls": sum(len(chat["tools"]) for chat in chats),
        "streamed": share(sum(chat["streamed"] for chat in chats)),
        "with_tools": share(len(chats)),
        "leaked": share(sum(map(_leaked, chats))),
        "damaged": share(sum(chat["outcome"] == "repaired" and not _leaked(chat) for chat in chats)),
        "truncated": share(0),
        "backend_errors": named.pop("backend_error"),
        "repairs": tally("repairs"),
        "refusals": tally("refusals"),
    } | named


def _verdict(model: str, counts: Json) -> Json:
    leaked, chats = counts["leaked"], counts["chats"]
    if not leaked["count"]:
        return {"model": model, "text": f"Nothing leaks: {chats} answers of {model}", "level": "good"}
    text = (
        f"{leaked['share']:.0%} of the answers of {model} leaked ({leaked['count']} of {chats}): "
        f"repaired {counts['repaired']['count']}, left {counts['left']['count']}"
    ).replace("%", " %")
    return {"model": model, "text": text, "level": "warn"}


if __name__ == "__main__":
    shown = StandIn(int(sys.argv[1]) if len(sys.argv) > 1 else 0).up()
    shown.busy()
    print(shown.url, flush=True)
    while True:
        time.sleep(2)
        shown.chat(random.choice(USUAL))
