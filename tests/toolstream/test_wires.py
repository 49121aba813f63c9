"""Every case of `tests/cases` as an answer of each API, streamed and whole: the same text, calls and repairs.

What a parser makes of a text is tried at every cut elsewhere (test_cases.py). Here it is what becomes of
that on the wire. So a few sizes of deltas, and cuts of the bytes, are enough; `make fuzz` tries more.
Streams of chat completions, as each engine writes them, are in rewriter/test_stream.py and test_reasoning.py.
"""

from collections.abc import Iterator

import pytest

from qwenproxy.replay.casefile import Case
from support.cases import by_file, named, read_all
from support.checks import normal
from support.streams import cut_anywhere, per_byte, send
from support.wires import APIS, LATE, Api, Heard, Json
from toolstream import Ledger, rewrite_completion

pytestmark = pytest.mark.slow

CASES = [case for case in read_all() if not case.bug]
FILES = by_file(CASES)
OTHERS = [api for api in APIS if api.name != "chat"]
APPLIES = 0.95  # of all cases, to each API
SMALL = 5000  # a body that is tried byte by byte
WHOLE = 10**6  # the size of a delta that holds a whole text
STEPS = (1, WHOLE, 3, 4, WHOLE, 2, 5)  # sizes of deltas, of which each case takes one


@pytest.fixture(params=APIS, ids=lambda api: api.title)
def api(request: pytest.FixtureRequest) -> Api:
    found: Api = request.param
    return found


def asked(api: Api, case: Case, stream: bool) -> Json | None:
    """The request of a case; None if this API cannot say it, or not why its answer ends."""
    if case.finish not in (None, *api.reasons) or not (case.input.strip() and _is_sound(case.input)):
        return None
    request = case.request
    return api.request(request["tools"], request["tool_choice"], request["parallel_tool_calls"], stream)


def _is_sound(text: str) -> bool:
    """Whether it is text: not every server of this test writes lone surrogates."""
    return not any("\ud800" <= c <= "\udfff" for c in text)


def parts(case: Case) -> list[tuple[str, str]]:
    return [("thinking" if case.reasoning else "text", case.input)]


def check_streamed(api: Api, case: Case, steps: list[int], thorough: bool) -> None:
    """Check a case with deltas of these sizes, its bytes cut anywhere."""
    request = asked(api, case, stream=True)
    if request is None:
        return
    for step in steps:
        sent = api.streamed(parts(case), case.finish, step)
        first = None
        for pieces in cut_bytes(sent, thorough):
            body, rewriter = send(
                pieces, request, api=api.name, recovery=case.recovery, rules=case.user_rules
            )
            heard = api.hear(body, case.finish is not None)
            if first is None:
                first = heard
                compare(api, case, heard, rewriter.ledger, live=True)
            assert heard == first
            assert body == sent or not unchanged(case)


def cut_bytes(body: bytes, thorough: bool) -> Iterator[list[bytes]]:
    """Ways in which a network brings a body."""
    if thorough:
        yield [body]
    if thorough and len(body) < SMALL:
        yield per_byte(body)
    yield cut_anywhere(body)


def compare(api: Api, case: Case, heard: Heard, ledger: Ledger, live: bool) -> None:
    """What a client has heard is what the case says."""
    live = live and api.pieces and case.recovery != "strict"
    cut_off = case.open is not None and not live
    text = case.buffered if cut_off else case.text
    if api.name == "messages" and case.calls and not text.strip():
        text = ""  # there whitespace alone is no text
    assert (heard.thinking, heard.text) == ((text, "") if case.reasoning else ("", text))
    assert normal(heard.calls) == normal(case.calls)
    assert heard.open == (None if cut_off else case.open)
    assert heard.finish == finish(api, case, cut=heard.open is not None)
    assert ledger.failure == ""
    assert ledger.calls == len(case.calls)
    repairs = case.buffered_repairs if cut_off else case.repairs
    assert sorted(map(str, ledger.repairs.elements())) == sorted(repairs)
    assert sorted(map(str, ledger.refused.elements())) == list(case.refused)


def finish(api: Api, case: Case, cut: bool) -> str | None:
    """Why the answer ends, as a client has to hear it."""
    if not api.tells_calls or case.finish not in ("stop", "tool_calls"):
        return case.finish
    return "length" if cut else "tool_calls" if case.calls else "stop"


def unchanged(case: Case) -> bool:
    """Whether not a byte may change."""
    return case.text == case.input and not (case.calls or case.open or case.finish == "tool_calls")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("api", OTHERS, ids=lambda api: api.title)
def test_a_streamed_answer(api: Api, file: str, thorough: bool) -> None:
    for number, case in enumerate(FILES[file]):
        if not thorough and number % len(OTHERS) != OTHERS.index(api):
            continue  # each case in one of them
        steps = [1, 4, WHOLE] if thorough else [STEPS[number % len(STEPS)]]
        with named(case):
            check_streamed(api, case, steps, thorough)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("api", LATE, ids=lambda api: api.title)
def test_a_streamed_answer_in_the_order_of_llama_cpp(api: Api, file: str, thorough: bool) -> None:
    for number, case in enumerate(FILES[file][:: 1 if thorough else 8]):
        with named(case):
            check_streamed(api, case, [1, 4, WHOLE] if thorough else [STEPS[number % len(STEPS)]], thorough)


@pytest.mark.parametrize("file", FILES)
def test_a_whole_answer(api: Api, file: str) -> None:
    for case in FILES[file]:
        request = asked(api, case, stream=False)
        if request is None or case.finish is None:
            continue
        with named(case):
            sent = api.whole(parts(case), case.finish)
            body, ledger = rewrite_completion(
                request, sent, case.recovery, rules=case.user_rules, api=api.name
            )
            compare(api, case, api.hear_whole(body), ledger, live=False)
            assert body == sent or not unchanged(case)


def test_most_cases_can_be_said_in_every_api(api: Api) -> None:
    said = [case for case in CASES if asked(api, case, stream=True) is not None]
    assert len(said) > APPLIES * len(CASES)
