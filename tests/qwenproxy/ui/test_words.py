"""What the flow list says."""

import pytest
from mitmproxy.utils import emoji

from qwenproxy.answer import Outcome
from qwenproxy.ui import words
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
        (outcome(calls=1), "1 call converted", words.REPAIRED, "repaired"),
        (outcome(OPEN, calls=1), "1 call repaired: missing-tool-call-open", words.REPAIRED, "repaired"),
        (
            outcome(CLOSER, OPEN, CLOSER, calls=2),
            "2 calls repaired: missing-tool-call-open, stray-closer x2",
            words.REPAIRED,
            "repaired",
        ),
        (outcome(CLOSER), "repaired: stray-closer", words.REPAIRED, "repaired"),
        (outcome(refused=(Refused.FENCED,) * 2), "left as text: fenced x2", words.REFUSED, "refused"),
        (
            outcome(OPEN, calls=1, refused=(Refused.FENCED,)),
            "1 call repaired: missing-tool-call-open; left as text: fenced",
            words.REPAIRED,
            "repaired",
        ),
        (
            outcome(failure="Traceback:\n  …\nValueError: no\n"),
            "failed, the rest passed as it came: ValueError: no",
            words.FAILED,
            "failed",
        ),
    ],
)
def test_what_is_said(what: Outcome, said: str, marker: str, word: str) -> None:
    assert (words.comment(what), words.marker(what), words.word(what)) == (said, marker, word)


def test_an_answer_that_broke_off() -> None:
    what = outcome(OPEN, calls=1)
    what.aborted = "shutdown"
    assert words.comment(what) == "1 call repaired: missing-tool-call-open; broke off: shutdown"
    assert words.word(what) == "aborted"


def test_mitmproxy_knows_the_markers() -> None:
    assert {words.FAILED, words.REPAIRED, words.REFUSED} <= set(emoji.emoji)
