"""What mitmweb shows of a chat, on a live flow and on a recording."""

from dataclasses import replace
from typing import Any

import api_answers
import pytest
from mitmproxy import contentviews, http
from mitmproxy.test import taddons, tflow
from proxy import LEAK

from qwenproxy.recording.format import KEY, to_flow
from qwenproxy.replay.rerun import rewrite
from qwenproxy.ui import contentview

MODEL = (
    b'{"choices":[{"index":0,"finish_reason":"stop","message":{"content":"<tool_call>\\n<function=ls>"}}]}'
)
CLIENT = (
    b'{"choices":[{"index":0,"finish_reason":"tool_calls","message":{"content":null,"tool_calls":[{"id":"1",'
    b'"type":"function","function":{"name":"write",'
    b'"arguments":"{\\"path\\": \\"a\\", \\"text\\": \\"1\\\\n2\\"}"}}]}}]}'
)
LEDGER = {"repairs": {"missing-function-close": 1}, "refusals": [["fenced", "<function=ls>"]], "failure": ""}
SHOWN = """\
CLIENT RECEIVED
  tool call: write
    path: "a"
    text:
      1
      2
  finish_reason: tool_calls

REPAIRED
  </function> missing
  left as text: in code, a quotation, a table or a comment: <function=ls>
    Code and quotations are examples, so they never run. The call must be outside.

MODEL SENT
  content:
    <tool_call>
    <function=ls>
  finish_reason: stop
"""


def flow_with(body: bytes, **data: Any) -> http.HTTPFlow:
    flow = tflow.tflow(resp=True)
    assert flow.response
    flow.response.headers["content-type"] = "application/json"
    flow.response.content = body
    if data:
        flow.metadata[KEY] = {"v": 1, "ledger": LEDGER, "out": CLIENT, **data}
    return flow


def shown(flow: http.HTTPFlow, message: http.Message | None) -> str:
    """Return mitmproxy's default view of a message."""
    assert message
    contentview.register()
    if hasattr(contentviews, "prettify_message"):
        with taddons.context():
            return contentviews.prettify_message(message, flow).text
    _, lines, error = contentviews.get_message_content_view("auto", message, flow)
    assert not error
    return "".join(text for line in lines for _, text in [*line, ("", "\n")])


@pytest.mark.parametrize(
    "flow", [flow_with(CLIENT, raw=MODEL), flow_with(MODEL, aborted="")], ids=["live", "recording"]
)
def test_a_chat_is_shown_by_itself(flow: http.HTTPFlow) -> None:
    assert shown(flow, flow.response) == SHOWN


def test_an_answer_that_broke_off_says_so() -> None:
    flow = flow_with(MODEL, aborted="Client disconnected.")
    assert "BROKEN OFF: the client disconnected\n" in shown(flow, flow.response)
    flow = flow_with(MODEL, unread="no content-type")
    assert "NOT READ: no content-type\n" in shown(flow, flow.response)


def test_an_unchanged_answer_is_shown_once() -> None:
    flow = flow_with(MODEL, out=MODEL, ledger={})
    text = shown(flow, flow.response)
    assert "MODEL SENT" not in text
    assert "REPAIRED\n  nothing: the answer was passed through unchanged\n" in text


def test_what_is_only_observed_would_be_done() -> None:
    text = shown(flow := flow_with(MODEL, raw=MODEL, observed=True), flow.response)
    assert text == SHOWN.replace("CLIENT RECEIVED", "CLIENT WOULD RECEIVE").replace(
        "REPAIRED", "WOULD BE REPAIRED"
    )


def test_names_that_are_not_known_stay_names() -> None:
    """A recording may be older or newer than this version."""
    ledger = {"repairs": {"old-repair": 2}, "refusals": [["old-reason", "<x>"]]}
    text = shown(flow := flow_with(MODEL, ledger=ledger), flow.response)
    assert "REPAIRED\n  old-repair x2\n  left as text: old-reason: <x>\n" in text


@pytest.mark.parametrize("part", ["request", "response"])
def test_other_messages_keep_their_view(part: str) -> None:
    flow = flow_with(MODEL) if part == "response" else flow_with(MODEL, raw=MODEL)
    assert "CLIENT RECEIVED" not in shown(flow, getattr(flow, part))


def test_registering_twice_leaves_one() -> None:
    contentview.register()
    contentview.register()
    views = getattr(contentviews, "views", None)
    names = [v.name for v in views] if views else contentviews.registry.available_views()
    assert [n.lower() for n in names].count(contentview.NAME.lower()) == 1


@pytest.mark.parametrize("name", api_answers.NAMES)
@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("is_typed", [True, False])
def test_a_chat_of_each_api(name: str, is_stream: bool, is_typed: bool) -> None:
    recording = api_answers.recorded(name, f"Let me see.\n{LEAK}", is_stream)
    sent, ledger = rewrite(recording, recording.chunks, "tolerant")
    headers = recording.headers if is_typed else ()
    flow = to_flow(replace(recording, out=sent, ledger=ledger.as_dict(), headers=headers))
    said = shown(flow, flow.response)
    received, _, model = said.partition("MODEL SENT")
    assert 'tool call: get_weather\n    city: "Zürich"\n    days: 3' in received
    assert "call without <tool_call>" in received
    assert "<function=get_weather>" in model
