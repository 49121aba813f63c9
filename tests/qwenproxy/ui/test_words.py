"""What the log, the flow list and the page say about a chat."""

import re
from dataclasses import replace

import pytest
from mitmproxy.utils import emoji

from qwenproxy.outcome import Outcome
from qwenproxy.ui import words
from qwenproxy.ui.endings import CLIENT_LEFT
from qwenproxy.ui.report import Kind, Report
from qwenproxy.ui.stats import Stats
from qwenproxy.ui.verdict import Level, verdicts
from toolstream.ledger import Ledger
from toolstream.repairs import Refused, Repair

OPEN, CLOSER = Repair.MISSING_TOOL_CALL_OPEN, Repair.STRAY_CLOSER


def ledger(*repairs: Repair, calls: int = 0, refused: tuple[Refused, ...] = (), failure: str = "") -> Ledger:
    found = Ledger()
    found.repairs.update(repairs)
    found.calls, found.failure = calls, failure
    for reason in refused:
        found.refuse(reason, "…")
    return found


CHAT = Report(
    started=0.0,
    seconds=3.21,
    client="opencode/1.18.33",
    api="chat",
    model="qwen3-coder",
    status=200,
    streamed=True,
    with_tools=True,
    observed=False,
    tools=(),
    calls=0,
    truncated=False,
    ledger=Ledger(),
)


@pytest.mark.parametrize(
    ("what", "tools", "said", "marker", "kind"),
    [
        (ledger(), (), "no call", "", Kind.PASSED),
        (ledger(), ("read",), "read", "", Kind.PASSED),
        (ledger(calls=1), ("write",), "write · call as text", words.REPAIRED, Kind.REPAIRED),
        (
            ledger(OPEN, calls=1),
            ("write",),
            "write · call without <tool_call>",
            words.REPAIRED,
            Kind.REPAIRED,
        ),
        (
            ledger(CLOSER, OPEN, CLOSER, calls=2),
            ("write", "bash"),
            "write, bash · call without <tool_call>, closing tag or stop token that closes nothing x2",
            words.REPAIRED,
            Kind.REPAIRED,
        ),
        (
            ledger(refused=(Refused.FENCED,) * 2),
            (),
            "no call · left as text: in code, a quotation, a table or a comment x2",
            words.REFUSED,
            Kind.PASSED,
        ),
        (
            ledger(OPEN, calls=1, refused=(Refused.UNCLEAR_END,)),
            ("write",),
            "write · call without <tool_call>; left as text: no clear end",
            words.REPAIRED,
            Kind.LEFT,
        ),
        (
            ledger(failure="Traceback:\n  …\nValueError: no\n"),
            (),
            "no call · the rewriter failed, the rest was passed through unchanged: ValueError: no",
            words.FAILED,
            Kind.FAILED_OPEN,
        ),
        (ledger(), tuple("abcdefg"), "a, b, c, d, e, 2 more", "", Kind.PASSED),
    ],
)
def test_what_is_said(what: Ledger, tools: tuple[str, ...], said: str, marker: str, kind: Kind) -> None:
    report = replace(CHAT, ledger=what, tools=tools)
    assert (words.said(report), words.marker(what), report.kind) == (said, marker, kind)
    assert words.comment(report) == f"{said} · qwen3-coder"
    assert words.line(report) == f"opencode/1.18.33 · chat · qwen3-coder · 200 · {said} · 3.2 s"


def test_what_is_only_observed_would_be_done() -> None:
    report = replace(CHAT, ledger=ledger(OPEN, calls=1), tools=("ls", "write"), told=("ls",), observed=True)
    assert words.said(report) == "ls · would call write · would repair: call without <tool_call>"
    assert report.kind == Kind.WOULD_REPAIR
    assert words.said(replace(CHAT, observed=True)) == "no call"


@pytest.mark.parametrize(
    ("fields", "said", "kind"),
    [
        ({"with_tools": False}, "no tools", Kind.PASSED),
        (
            {"with_tools": False, "why_no_tools": "tool_choice is none"},
            "no tools (tool_choice is none)",
            Kind.PASSED,
        ),
        ({"unread": "content-type text/html"}, "not read: content-type text/html", Kind.NOT_READ),
        ({"unread": "content-type text/html", "with_tools": False}, "no tools", Kind.PASSED),
        ({"is_endless": True}, "no call · the server sent no finish_reason", Kind.PASSED),
        ({"aborted": CLIENT_LEFT}, "no call · broke off: the client disconnected", Kind.CLIENT_LEFT),
        ({"truncated": True}, "no call · cut off at the token limit", Kind.PASSED),
        ({"status": 500}, "", Kind.BACKEND_ERROR),
        ({"status": 0, "down": "refused"}, "the server gave no answer: refused", Kind.BACKEND_ERROR),
        ({"aborted": "shutdown", "tools": ("ls",)}, "ls · broke off: shutdown", Kind.BROKEN_OFF),
        ({"status": 0, "aborted": "client left"}, "no call · broke off: client left", Kind.BROKEN_OFF),
        ({"model": "a\n[12:00] b", "tools": ("x\x1b[2J",)}, "x\\x1b[2J", Kind.PASSED),
    ],
)
def test_what_else_may_happen(fields: dict[str, object], said: str, kind: Kind) -> None:
    report = replace(CHAT, **fields)  # type: ignore[arg-type]
    assert (words.said(report), report.kind) == (said, kind)
    assert words.line(report).isprintable()


def test_an_error_of_the_server_that_held_the_call_is_none_any_more() -> None:
    report = replace(CHAT, ledger=ledger(Repair.ENGINE_ERROR, calls=1), tools=("ls",))
    assert report.kind == Kind.REPAIRED
    assert replace(report, status=500, observed=True).kind == Kind.WOULD_REPAIR


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-0.01, "0 ms"), (0.0071, "7 ms"), (1.04, "1.0 s"), (59, "59.0 s"), (150, "2 min"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


def test_the_word_in_the_name_of_a_recording() -> None:
    assert words.word(Outcome()) == "passed"
    assert words.word(Outcome(ledger=ledger(OPEN, calls=1))) == "repaired"
    assert words.word(Outcome(ledger=ledger(refused=(Refused.FENCED,)))) == "refused"
    assert words.word(Outcome(ledger=ledger(failure="x"))) == "failed"
    assert words.word(Outcome(ledger=ledger(OPEN)), 500) == "error"
    assert words.word(Outcome(aborted="shutdown"), 500) == "aborted"


def test_mitmproxy_knows_the_markers() -> None:
    assert {words.FAILED, words.REPAIRED, words.REFUSED} <= set(emoji.emoji)


# Who is to blame


BLAME = [  # what was repaired or refused, other fields: leaked, damaged, kind
    (ledger(OPEN, calls=1), {}, (True, False, Kind.REPAIRED)),
    (ledger(Repair.WRONG_TYPE), {}, (False, True, Kind.REPAIRED)),
    (ledger(Repair.BROKEN_HISTORY), {}, (False, False, Kind.REPAIRED)),
    (ledger(Repair.BROKEN_HISTORY), {"status": 500}, (False, False, Kind.BACKEND_ERROR)),
    (ledger(Repair.BROKEN_HISTORY), {"with_tools": False}, (False, False, Kind.REPAIRED)),
    (ledger(Repair.RULE_DEFAULT), {}, (False, False, Kind.REPAIRED)),
    (ledger(Repair.PARALLEL_DROPPED), {}, (False, False, Kind.REPAIRED)),
    (ledger(refused=(Refused.MISFIT,)), {}, (False, True, Kind.LEFT)),
    (ledger(refused=(Refused.TRUNCATED,)), {}, (True, False, Kind.LEFT)),
    (ledger(refused=(Refused.FENCED,)), {}, (False, False, Kind.PASSED)),
    (ledger(), {"status": 0, "aborted": "client left"}, (False, False, Kind.BROKEN_OFF)),
    (ledger(), {"down": "out of memory"}, (False, False, Kind.BACKEND_ERROR)),
]


@pytest.mark.parametrize(("what", "fields", "expected"), BLAME)
def test_who_is_to_blame(what: Ledger, fields: dict[str, object], expected: tuple[bool, bool, Kind]) -> None:
    report = replace(CHAT, ledger=what, **fields)  # type: ignore[arg-type]
    assert (report.leaked, report.damaged, report.kind) == expected


@pytest.mark.parametrize(("what", "fields", "expected"), BLAME)
def test_no_share_is_more_than_all(
    what: Ledger, fields: dict[str, object], expected: tuple[bool, bool, Kind]
) -> None:
    stats = Stats()
    for report in (replace(CHAT, ledger=what, **fields), replace(CHAT, calls=1)):  # type: ignore[arg-type]
        stats.add(report)
    said = stats.total.as_json()
    assert all(0 <= said[name]["share"] <= 1 for name in ("leaked", "damaged", "passed", "repaired"))
    assert not re.search(r"[2-9]\d\d %", verdicts(stats.models)[0].text)


def test_what_the_server_parsed_is_not_left_as_text() -> None:
    report = replace(CHAT, ledger=ledger(refused=(Refused.MISFIT, Refused.FENCED)), tools=("ls",))
    words_of_it = f"ls · left as text: {Refused.FENCED.words}; {Refused.MISFIT.words}"
    assert words.said(report) == words_of_it


def test_a_call_that_was_sent_unfinished_is_not_left_as_text() -> None:
    cut = replace(CHAT, ledger=ledger(refused=(Refused.TRUNCATED,)), unfinished=1)
    assert words.said(cut) == f"no call · {words.UNFINISHED}"
    both = replace(cut, ledger=ledger(refused=(Refused.TRUNCATED, Refused.TRUNCATED, Refused.FENCED)))
    left = f"left as text: {Refused.FENCED.words}, {Refused.TRUNCATED.words}"
    assert words.said(both) == f"no call · {left}; {words.UNFINISHED}"
    assert cut.kind == Kind.LEFT


NATIVE = {"tools": ("ls",), "calls": 1}
LIMITED = {"status": 429, "down": "slow down"}
DOWN = {"status": 0, "down": "nothing is listening there"}


@pytest.mark.parametrize(
    ("chats", "said", "level"),
    [
        ([DOWN, DOWN], "qwen: the server gave no answer to 2 chats.", Level.BAD),
        (
            [LIMITED, DOWN],
            "qwen: 2 of 2 chats failed at the server, the last with no answer: nothing is",
            "bad",
        ),
        (
            [{"status": 401, "down": "Invalid API key"}] * 2,
            "qwen: 2 of 2 chats failed at the server, the last with 401: Invalid API key.",
            Level.BAD,
        ),
        (
            [NATIVE, LIMITED],
            "0 of 1 needed repair. 1 of 2 chats failed at the server, the last with 429: slow down.",
            "bad",
        ),
        ([NATIVE, DOWN], "0 of 1 needed repair. The server gave no answer to 1 chat.", Level.BAD),
        ([NATIVE, {"aborted": "x"}], "0 of 2 needed repair. 1 of 2 answers broke off.", Level.WARN),
        ([NATIVE, {"aborted": CLIENT_LEFT}], "of qwen itself: 0 of 2 needed repair.", Level.GOOD),
        (
            [{"unread": "no content-type"}],
            "qwen: 1 of 1 answers could not be read, the last: no content-type.",
            Level.BAD,
        ),
    ],
)
def test_what_went_wrong_is_in_the_verdict(chats: list[dict[str, object]], said: str, level: Level) -> None:
    stats = Stats()
    for fields in chats:
        stats.add(replace(CHAT, model="qwen", **fields))  # type: ignore[arg-type]
    (verdict,) = verdicts(stats.models)
    assert said in verdict.text
    assert verdict.level == level
