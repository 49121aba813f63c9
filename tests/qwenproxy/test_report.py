"""What the flow list says."""

import pytest
from mitmproxy.utils import emoji

from qwenproxy import report
from qwenproxy.answer import Outcome
from toolstream.repairs import Refused, Repair


def outcome(
    *repairs: Repair, calls: int = 0, refused: tuple[Refused, ...] = (), failure: str = ""
) -> Outcome:
    result = Outcome()
    result.ledger.repairs.update(repairs)
    result.ledger.calls = calls
    result.ledger.failure = failure
    for reason in refused:
        result.ledger.refuse(reason, "…")
    return result


OPEN, CLOSER = Repair.MISSING_TOOL_CALL_OPEN, Repair.STRAY_CLOSER


@pytest.mark.parametrize(
    ("what", "said", "marker", "word"),
    [
        (outcome(), "", "", "passed"),
        (outcome(calls=1), "1 call converted", report.REPAIRED, "repaired"),
        (outcome(OPEN, calls=1), "1 call repaired: missing-tool-call-open", report.REPAIRED, "repaired"),
        (
            outcome(CLOSER, OPEN, CLOSER, calls=2),
            "2 calls repaired: missing-tool-call-open, stray-closer x2",
            report.REPAIRED,
            "repaired",
        ),
        (outcome(CLOSER), "repaired: stray-closer", report.REPAIRED, "repaired"),
        (outcome(refused=(Refused.FENCED,) * 2), "left as text: fenced x2", report.REFUSED, "refused"),
        (
            outcome(OPEN, calls=1, refused=(Refused.FENCED,)),
            "1 call repaired: missing-tool-call-open; left as text: fenced",
            report.REPAIRED,
            "repaired",
        ),
        (
            outcome(failure="Traceback:\n  …\nValueError: no\n"),
            "failed, the rest passed as it came: ValueError: no",
            report.FAILED,
            "failed",
        ),
    ],
)
def test_what_is_said(what: Outcome, said: str, marker: str, word: str) -> None:
    assert (report.comment(what), report.marker(what), report.word(what)) == (said, marker, word)


def test_an_answer_that_broke_off() -> None:
    what = outcome(OPEN, calls=1)
    what.aborted = "shutdown"
    assert report.comment(what) == "1 call repaired: missing-tool-call-open; broke off: shutdown"
    assert report.word(what) == "aborted"


def test_mitmproxy_knows_the_markers() -> None:
    assert {report.FAILED, report.REPAIRED, report.REFUSED} <= set(emoji.emoji)
