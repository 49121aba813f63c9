"""Frames of each API in any order, with anything in their members: no wire ever fails, and where there is no
markup and no call, not a byte changes.

The frames are those of a sound answer; what is put into them is of any type. The rewriter survives a wire
that raises, so its ledger is asked for failures.
"""

import json
from functools import cache
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fuzz.settings import fuzzed
from support.cases import read_tool
from support.streams import send
from support.wires import APIS, Api, Json
from toolstream import rewrite_completion

TOOLS = [read_tool("get_weather(city: string, days?: integer)"), read_tool("get_goal()")]
LEAK = "<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>"
PROSE = [("thinking", "Let me see, a <b."), ("text", "It may rain.\n\nOr not.")]
CALL = ("call", "get_weather", '{"city": "Nice", "days": 1}')
ANY = [*PROSE, CALL, ("text", f"So.\n{LEAK}\nBye.")]

GARBAGE = st.sampled_from(
    [
        *(None, True, False, 0, 1, 7, -1, 1.5, 10**30, "", "x", "stop", "\x85", [], [None], [[]], ["x"]),
        *({}, [{}], {"a": 1}, {"type": "text"}, {"index": 0}, [{"type": "function"}], {"function": []}),
    ]
)
DELETED = object()
apis = st.sampled_from(APIS)


@cache
def request(api: Api, stream: bool) -> Json:
    asked = api.request(TOOLS, stream=stream)
    assert asked
    return asked


@cache
def frames(api: Api, with_calls: bool) -> list[bytes]:
    """The frames of an answer, and an error."""
    body = api.streamed(ANY if with_calls else PROSE, "stop", 9)
    end = b"\n" if api.name == "ollama" else b"\n\n"
    return [frame + end for frame in body.split(end) if frame]


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The place of every member in a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, member in inner for path in ((*at, key), *paths(member, (*at, key)))]


def changed(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    """The value with another one at this place, or without it."""
    key, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        copy[key] = changed(copy[key], tuple(rest), other)
    elif other is DELETED:
        del copy[key]
    else:
        copy[key] = other
    return copy


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """JSON with up to two members that are something else, or nothing."""
    value = json.loads(text)
    for _ in range(draw(st.integers(0, 2))):
        if places := paths(value):
            value = changed(value, draw(st.sampled_from(places)), draw(GARBAGE | st.just(DELETED)))
    return json.dumps(value)


@st.composite
def damaged_frame(draw: st.DrawFn, frame: bytes) -> bytes:
    head, brace, rest = frame.partition(b"{")
    if not brace:
        return frame  # [DONE]
    data = rest.rstrip(b"\n")
    return head + draw(damaged((brace + data).decode())).encode() + rest[len(data) :]


@st.composite
def answers(draw: st.DrawFn, with_calls: bool) -> tuple[Api, bytes]:
    """An API, and frames of it: some are missing, come twice, or are out of order, and hold anything."""
    api = draw(apis)
    sound = frames(api, with_calls)
    order = draw(st.permutations(range(len(sound))) | st.lists(st.integers(0, len(sound) - 1), max_size=12))
    if draw(st.booleans()):
        order = sorted(order)
    return api, b"".join(draw(damaged_frame(sound[at])) for at in order)


def pieces(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


SIZES = st.sampled_from([5, 64, 10_000])


@fuzzed(600)
@given(answers(with_calls=True), SIZES)
def test_no_frames_make_a_wire_fail(answer: tuple[Api, bytes], size: int) -> None:
    api, body = answer
    send(pieces(body, size), request(api, True), api=api.name)  # which looks for failures


@fuzzed(600)
@given(answers(with_calls=False), SIZES)
def test_frames_without_calls_leave_as_they_came(answer: tuple[Api, bytes], size: int) -> None:
    api, body = answer
    sent, rewriter = send(pieces(body, size), request(api, True), api=api.name)
    if "envelope" not in map(str, rewriter.ledger.repairs):  # numbers that a server left out are added
        assert sent == body
        assert not rewriter.ledger.repairs


@fuzzed(300)
@given(apis, st.data())
def test_no_whole_answer_makes_a_wire_fail(api: Api, data: st.DataObject) -> None:
    body = data.draw(damaged(api.whole(ANY).decode())).encode()
    assert rewrite_completion(request(api, False), body, api=api.name)[1].failure == ""


@fuzzed(300)
@given(apis, st.data())
def test_a_whole_answer_without_calls_leaves_as_it_came(api: Api, data: st.DataObject) -> None:
    body = data.draw(damaged(api.whole(PROSE).decode())).encode()
    sent, ledger = rewrite_completion(request(api, False), body, api=api.name)
    assert sent is body
    assert ledger.failure == ""
