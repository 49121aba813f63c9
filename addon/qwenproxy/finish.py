"""The end of a chat: what is recorded, what mitmproxy shows, and what the user is told."""

import logging
import time
from dataclasses import replace
from typing import Any

from mitmproxy import http

from .backend import probe
from .chat import SHUTDOWN, Chat, flow_name
from .form import JSON, Form
from .outcome import Outcome
from .recording import format as recording
from .recording.format import Headers, Recording
from .recording.mask import mask_for
from .recording.recorder import Recorder, file_stem
from .response import answer_at_once, why_unread
from .rules.file import as_text
from .ui import endings, words
from .ui.observer import Observer
from .ui.report import CUT, UNHEARD, Heard, Report, brief, client_name, error_page, heard_in, shown

log = logging.getLogger("qwen_fix")


def finish(chat: Chat, aborted: str, observer: Observer, recorder: Recorder | None) -> None:
    """Close a chat; `aborted` says why its answer broke off. A failure here never costs an answer, and a
    failure in the report never costs the recording."""
    response = chat.flow.response
    if response is None:
        observer.finished(report_of(chat, Outcome(), aborted))
        return
    outcome = chat.answer.outcome if chat.answer else answer_at_once(chat, response)
    outcome.aborted = outcome.aborted or aborted
    chat.unread = why_unread(chat, outcome)
    for repair in chat.repairs:
        outcome.ledger.repaired(repair)
    report = _reported(chat, outcome)
    record = as_recording(chat, outcome)  # with the comment
    chat.flow.metadata[recording.KEY] = metadata(record, chat.unread)
    if chat.answer:
        show_streamed(chat, outcome, response)
    if recorder:
        recorder.write(record)
    if report:
        sent, received = (record.body, record.out) if chat.settings.control else (None, None)
        observer.finished(report, sent, received, record.is_stream)


def _reported(chat: Chat, outcome: Outcome) -> Report | None:
    """The report of a chat, also as the comment of its flow."""
    try:
        report = report_of(chat, outcome)
        chat.flow.comment, chat.flow.marked = words.comment(report), words.marker(report.ledger)
        return report
    except Exception:
        log.exception("%s: error in its report", flow_name(chat.flow))
        return None


def report_of(chat: Chat, outcome: Outcome, down: str = "") -> Report:
    """Return the chat as its user sees it. `down`: why there is no answer."""
    flow, asked = chat.flow, chat.request.asked
    heard, got = _heard(chat, outcome)
    left = bool(down) and client_left(flow, down)
    aborted = outcome.aborted or (down if left else "")
    return Report(
        started=flow.request.timestamp_start,
        seconds=time.time() - flow.request.timestamp_start,
        client=client_name(flow.request.headers.get("user-agent", "")),
        api=chat.api.name,
        model=shown(chat.request.body.get("model")),
        status=flow.response.status_code if flow.response else 0,
        streamed=asked.stream,
        with_tools=bool(asked.tools) and asked.tool_choice != "none",
        observed=chat.settings.observe,
        tools=heard.tools,
        calls=got.calls,
        truncated=heard.truncated,
        ledger=outcome.ledger,
        aborted=endings.CLIENT_LEFT if left else endings.in_words(aborted),
        down="" if aborted else probe.in_words(down) or got.error,
        unread=chat.unread,
        unfinished=heard.unfinished,
        is_endless=heard.is_endless,
        told=got.tools,
        why_no_tools=_why_no_tools(chat),
    )


def _heard(chat: Chat, outcome: Outcome) -> tuple[Heard, Heard]:
    """Return what the client would have got if nothing was only observed, and what it got."""
    request, status = chat.flow.request, chat.flow.response.status_code if chat.flow.response else 0
    mask = mask_for(tuple(request.headers.items(multi=True)), request.url)
    may_be_cut = bool(outcome.aborted) or not outcome.ledger.refused.keys().isdisjoint(CUT)

    def heard(body: bytes) -> Heard:
        found = heard_in(body, chat.is_stream, chat.api, mask, may_be_cut) if body else UNHEARD
        if status < 400 or found.error:
            return found
        return replace(found, error=brief(mask(error_page(body))))

    sent, out = b"".join(outcome.chunks), b"".join(outcome.out)
    fixed = heard(out)
    return fixed, heard(sent) if chat.settings.observe and sent != out else fixed


def _why_no_tools(chat: Chat) -> str:
    asked, body = chat.request.asked, chat.request.body
    if asked.tools:
        return "tool_choice is none" if asked.tool_choice == "none" else ""
    return "the old functions are not read" if body.get("functions") else ""


def client_left(flow: http.HTTPFlow, reason: str) -> bool:
    """Whether there is no answer because the client has disconnected."""
    return endings.in_words(reason) == endings.CLIENT_LEFT or not flow.client_conn.connected


def show_streamed(chat: Chat, outcome: Outcome, response: http.Response) -> None:
    """Set the body of a streamed flow to what the client got: mitmproxy keeps none."""
    if outcome.aborted != SHUTDOWN:  # after a shutdown the callable may still be needed
        response.stream = False
    response.raw_content = b"".join(outcome.chunks if chat.settings.observe else outcome.out)
    if chat.settings.observe and "content-encoding" not in dict(chat.head["headers"]):
        response.headers.pop("content-encoding", None)  # the client already has the head


def as_recording(chat: Chat, outcome: Outcome) -> Recording:
    request = recording.request_of(chat.flow)
    model = str(chat.request.body.get("model", ""))
    return Recording(
        name=file_stem(request["started"], model, words.word(outcome, chat.head["status"]), chat.flow.id),
        api=chat.api.name,
        chunks=outcome.chunks,
        times=outcome.times,
        out=b"".join(outcome.out),
        ledger=outcome.ledger.as_dict(),
        aborted=outcome.aborted,
        observed=chat.settings.observe,
        rules=as_text(chat.rules) if chat.rules and chat.rules.tools else "",
        **chat.head | {"headers": _read_as(chat)},
        **request,
    )


def _read_as(chat: Chat) -> Headers:
    """Return the headers of the answer. Where they did not say what it is, they do in a recording: the tools
    for recordings only know that."""
    headers: Headers = chat.head["headers"]
    kinds = {Form.STREAM: chat.api.wire.media_type, Form.WHOLE: JSON}
    kind = kinds.get(chat.form or Form.OTHER, "")
    if not kind or kind in recording.header(headers, "content-type").lower():
        return headers
    others = tuple((key, value) for key, value in headers if key.lower() != "content-type")
    return (*others, ("content-type", kind))


def metadata(record: Recording, unread: str = "") -> dict[str, Any]:
    """Return the metadata of a live flow. Its body is the rewritten one, so the raw one is added."""
    data = recording.metadata(record)
    if record.body != record.out:
        data["raw"] = record.body
    if unread:
        data["unread"] = unread
    return data
