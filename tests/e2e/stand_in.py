"""A stand-in for the proxy: it serves the status page, and the JSON of the proxy's endpoints.

A chat is a report as the proxy writes one, and the proxy's own code counts it and puts it into words. Only
what was said is made up. `chat()` adds a chat. A test changes the fields of `StandIn` to check how the page
shows it: a list that may not be read, a server that is down, observe mode.

    stand_in.py [PORT]      to look at the page while editing it; there is a new chat every two seconds
"""

import json
import random
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

sys.path.insert(0, str(Path(__file__).parents[2] / "addon"))

from qwenproxy.ui.recent import MOST_CHATS, Kept
from qwenproxy.ui.report import Report
from qwenproxy.ui.stats import Stats
from qwenproxy.ui.trial import BadTrialError, tried
from qwenproxy.ui.verdict import verdicts
from toolstream import Ledger, Refused, Repair

PAGE = Path(__file__).parents[2] / "addon/qwenproxy/ui/page.html"
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:"
)
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


# What the model sent, what the client received, if that differs, and the fields of the report
REPAIRED: Json = {
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
    "found": 1,
}
PASSED: Json = {"sent": [message("All 14 tests pass.")]}
NATIVE: Json = {
    "sent": [message("", ("bash", {"command": "pytest -q", "timeout": 60000}), finish="tool_calls")],
}
DAMAGED: Json = {
    "sent": [message("", ("edit", '{"filePath": "a.py", "old')), message("", ("bash", "{}{}"))],
    "received": [message("", ("edit", {"filePath": "a.py"}), finish="tool_calls")],
    "repairs": [Repair.REPEATED_ARGUMENTS, Repair.WRONG_TYPE],
}
SHOWN: Json = {
    "sent": [message("A call looks like this:\n```\n<function=bash>\n</function>\n```")],
    "refusals": [(Refused.FENCED, "<function=bash>\n</function>")],
}
LEFT: Json = {
    "sent": [message("<function=deploy>\n</function>")],
    "refusals": [(Refused.UNDECLARED, "<function=deploy>\n</function>")],
}
BROKEN: Json = {"sent": None, "aborted": "the server closed the connection"}
REFUSED: Json = {"sent": [], "status": 503, "down": "Loading model"}
USUAL = (REPAIRED, REPAIRED, PASSED, NATIVE, NATIVE, NATIVE, PASSED, DAMAGED, SHOWN, LEFT, BROKEN, REFUSED)


def ledger_of(kind: Json, failure: str) -> Ledger:
    """What the rewriter noted about such a chat."""
    ledger = Ledger()
    for repair in kind.get("repairs", ()):
        ledger.repaired(repair)
    for reason, excerpt in kind.get("refusals", ()):
        ledger.refuse(reason, excerpt)
    ledger.calls, ledger.failure = kind.get("found", 0), failure
    return ledger


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
        self.ago = 0.0  # seconds between what is counted now and now
        self.counted = Stats(lambda: time.time() - self.ago)
        self.chats: list[Json] = []
        self.mode = "fix"
        self.server_answers = True
        self.said = "3 models"
        self.reason = ""
        self.may_read = True

    def chat(
        self,
        kind: Json = REPAIRED,
        *,
        ago: float = 0,
        failure: str = "",
        observed: bool = False,
        **names: str,
    ) -> None:
        """Add a chat from so many seconds ago. `names`: of its `client`, `model` and `api`."""
        sent = kind["sent"]
        received = kind.get("received", sent)
        ledger = ledger_of(kind, failure)
        tools = tuple(call["name"] for each in received or () for call in each["calls"])
        report = Report(
            started=time.time() - ago,
            seconds=random.Random(len(self.chats)).uniform(0.3, 20),
            **({"client": "opencode/1.18.33", "api": "chat", "model": "qwen3-coder"} | names),
            status=kind.get("status", 200),
            streamed=True,
            with_tools=True,
            observed=observed,
            tools=tools,
            calls=len(tools),
            truncated=False,
            ledger=ledger,
            aborted=kind.get("aborted", ""),
            down=kind.get("down", ""),
        )
        self.ago = ago
        self.counted.add(report)
        self.ago = 0
        body = None if sent is None else b""
        chat = Kept(f"c{len(self.chats) + 1}", report, body, body, is_stream=True).in_full()
        self.chats.append(chat | {"sent": sent, "received": received})

    def busy(self, chats: int = 400, minutes: int = 50) -> None:
        """Add many chats of two models and three clients, the same ones each time."""
        chance = random.Random(7)
        for n in range(chats):
            small = n % 5 == 4
            names = {
                "model": "qwen3-30b-a3b-instruct-2507" if small else "qwen3-coder",
                "client": chance.choice(("opencode/1.18.33", "opencode/1.18.33", "qwen-code/0.4.1", "")),
                "api": "responses" if n % 7 == 6 else "chat",
            }
            kind = chance.choice(USUAL[2:4] if small and chance.random() < 0.8 else USUAL)
            self.chat(kind, ago=(chats - n) * minutes * 60 / chats, **names)
        self.counted.since = time.time() - minutes * 60

    # Answers of the endpoints

    def stats(self) -> Json:
        found = [verdict.as_json() for verdict in verdicts(self.counted.models)]
        return {"mode": self.mode, "verdicts": found} | self.counted.as_json()

    def health(self) -> Json:
        return {
            "status": "degraded" if self.reason else "ok",
            "reason": self.reason,
            "version": "0.1.0",
            "mitmproxy": "12.3.1",
            "python": "3.13.0",
            "mode": self.mode,
            "recovery": "tolerant",
            "upstreams": [
                {"url": "http://localhost:8080", "answers": self.server_answers, "said": self.said}
            ],
            "uptime": self.counted.seconds,
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
            last = self.chats[-MOST_CHATS:][::-1]
            return 200, {"chats": [{k: v for k, v in chat.items() if k not in hidden} for chat in last]}
        found = [chat for chat in self.chats if chat["id"] == wanted]
        return (200, found[0]) if found else (404, _error(f"no chat {wanted} is kept"))

    def test(self, asked: Json) -> tuple[int, Json]:
        try:
            return 200, tried(asked, "tolerant")
        except BadTrialError as e:
            return 422, _error(str(e))


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


def _error(words: str) -> Json:
    return {"error": {"message": words}}


if __name__ == "__main__":
    shown = StandIn(int(sys.argv[1]) if len(sys.argv) > 1 else 0).up()
    shown.busy()
    print(shown.url, flush=True)
    while True:
        time.sleep(2)
        shown.chat(random.choice(USUAL))
