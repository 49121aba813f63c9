"""The JSON of each endpoint has the shape that the manual shows."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from proxy import LEAK, ROOT, WEATHER, Proxy, Upstream, ask, chat, events, streamed

from qwenproxy.ui.endpoints import ENDPOINTS

MANUAL = (ROOT / "addon/qwenproxy/README.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^\*\*`(GET|POST) /_qwen/([^`]*)`\*\*[^\n]*\n```json\n(.*?)^```$", MANUAL, re.M | re.S)
# Objects whose keys are names
NAMES = ("models", "clients", "apis", "repairs", "refusals", "options", "arguments")
RULES = """
tools: {bash: {fixes: [{name: r, parameter: p, condition: missing, action: set_default, default_value: 1}]}}
"""


def shape(value: Any, key: str = "") -> Any:
    """Return the keys and kinds of a document; for lists and objects by name those of the first entry."""
    match value:
        case dict() if key in NAMES:
            return {"*": next((shape(item) for item in value.values() if item != "as in total"), None)}
        case dict():
            return {name: shape(item, name) for name, item in value.items()}
        case list():
            return [shape(item) for item in value[:1]]
        case bool() | None:
            return type(value).__name__
        case int() | float():
            return "number"
    return "text"


def fits(said: Any, shown: Any) -> bool:
    """Whether an answer has the shape that is shown. An empty value fits anything."""
    match said, shown:
        case dict(), dict() if "*" in said or "*" in shown:
            values = said.get("*"), shown.get("*")
            return None in values or fits(*values)
        case dict(), dict():
            return said.keys() == shown.keys() and all(fits(said[key], shown[key]) for key in said)
        case list(), list():
            return not said or not shown or fits(said[0], shown[0])
    return said == shown or "NoneType" in (said, shown)


@pytest.fixture(scope="module")
def proxy(confdir: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    rules = tmp_path_factory.mktemp("rules") / "rules.yaml"
    rules.write_text(RULES)
    upstream = Upstream(streamed(events(f"{LEAK}\n```\n{LEAK}\n```\n")))
    found = Proxy(upstream.url, confdir, qwen_rules=rules).wait_ready()
    stored = {"model": "qwen", "input": "hi", "tools": [WEATHER], "previous_response_id": "resp_1"}
    ask(found, stored, "/v1/responses")
    yield found
    found.stop()
    upstream.stop()


@pytest.mark.parametrize(("method", "path", "example"), SHOWN, ids=[path for _, path, _ in SHOWN])
def test_it_answers_as_the_manual_shows(proxy: Proxy, method: str, path: str, example: str) -> None:
    shown = json.loads(example)
    body = {"text": LEAK, "tools": [WEATHER]} if path == "test" else b""
    ask(proxy, chat())
    last = ask(proxy, b"", "/_qwen/chats", method="GET").json["chats"][0]["id"]
    said = ask(proxy, body, f"/_qwen/{path.replace('c17', last)}", method=method).json
    if "?" in path:
        (chat_shown,) = json.loads(next(e for _, p, e in SHOWN if p == "chats"))["chats"]
        shown = chat_shown | shown
    assert fits(shape(said), shape(shown)), (shape(said), shape(shown))


def test_every_endpoint_is_shown() -> None:
    no_json = {("GET", ""), ("GET", "metrics"), ("GET", "test")}  # the last one answers as POST does
    shown = {(method, path.partition("?")[0]) for method, path, _ in SHOWN}
    assert shown == {(e.method, e.name) for e in ENDPOINTS} - no_json


def test_a_shape_that_differs_is_seen() -> None:
    differ: list[tuple[Callable[[], Any], Callable[[], Any]]] = [
        (lambda: {"a": 1}, lambda: {"a": "1"}),
        (lambda: {"a": 1}, lambda: {"a": 1, "b": 1}),
        (lambda: [{"a": 1}], lambda: [{"b": 1}]),
        (lambda: {"models": {"x": {"a": 1}}}, lambda: {"models": {"y": {"b": 1}}}),
    ]
    assert not [(a(), b()) for a, b in differ if fits(shape(a()), shape(b()))]
