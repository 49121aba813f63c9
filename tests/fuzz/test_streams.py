"""The same answer, streamed and not: what a client understands must be the same.

Messages of every kind (soup, calls with a slip, hostile values) as the engines stream them, cut into
deltas and the bytes cut again, against the message that was never streamed. Only a call that was
cut while it streamed, or whose end turned out to be unclear, may differ: it is left open there, with
the finish_reason `length`, and text here (P9).
"""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fuzz.calls import Tool, tools
from fuzz.messages import PLACES, messages
from fuzz.noise import noisy_messages
from fuzz.settings import fuzzed
from fuzz.soup import SOUP, TOOLS, is_subsequence
from support.cuts import cut_at, joined, units
from support.streams import EVERY_ENGINE, Engine, Message, read_answer, send
from toolstream import Refused, rewrite_completion
from toolstream.parser.parser import LEVELS

FINISH = st.sampled_from(["stop", "stop", "tool_calls", "length", "content_filter"])


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[Any], str]:
    """Declared tools, and a message."""
    if draw(st.booleans()):
        return TOOLS, joined(draw(SOUP))
    of: list[Tool] = draw(tools())
    message = draw(messages(of, slip=True) | noisy_messages(of))
    return [tool.declared() for tool in of], message.text


def streamed(
    engine: Engine, text: str, finish: str, places: list[int], cuts: list[int], asked: Any, level: str
) -> tuple[Message, bytes, bytes, bool]:
    """What the client has of the text in deltas, the bytes in pieces; the bytes in and out; and whether a
    call was left open for a parameter that cannot be read: what follows it is text, then."""
    size = len(units(text)) + 1
    body = b"".join(engine.answer(filter(None, cut_at(text, [place % size for place in places])), finish))
    at = sorted(cut % (len(body) + 1) for cut in cuts)
    pieces = [body[a:b] for a, b in zip([0, *at], [*at, len(body)], strict=True)]
    out, rewriter = send(pieces, asked, recovery=level)
    message = read_answer(out, role=engine.first is not None or bool(engine.every)).message
    return message, body, out, Refused.UNREAD in rewriter.ledger.refused


def buffered(text: str, finish: str, asked: Any, level: str) -> tuple[str, list[Any], str, bool]:
    """Text, calls and finish_reason of the same answer in one piece; and whether it was changed."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    body = json.dumps({"object": "chat.completion", "choices": [choice]}).encode()
    out, ledger = rewrite_completion(asked, body, level)
    assert ledger.failure == ""
    choice = json.loads(out)["choices"][0]
    calls = [call["function"] for call in choice["message"].get("tool_calls", [])]
    named = [(call["name"], json.loads(call["arguments"])) for call in calls]
    return choice["message"]["content"] or "", named, choice["finish_reason"], out is not body


def has_surrogates(text: str) -> bool:
    """Whether a cut can fall into a pair of surrogates, whose halves leave joined."""
    return any("\ud800" <= unit <= "\udfff" for unit in units(text))


@fuzzed(200)
@given(
    answers(), st.sampled_from(EVERY_ENGINE), FINISH, PLACES, PLACES, st.sampled_from(LEVELS), st.booleans()
)
def test_streamed_and_not_are_alike(
    answer: tuple[list[Any], str],
    engine: Engine,
    finish: str,
    places: list[int],
    cuts: list[int],
    level: str,
    parallel: bool,
) -> None:
    declared, text = answer
    asked = {"tools": declared, "parallel_tool_calls": parallel}
    content, named, reason, changed = buffered(text, finish, asked, level)
    message, body, out, unread = streamed(engine, text, finish, places, cuts, asked, level)
    if unread:
        complete = [call for call in message.named if isinstance(call[1], dict)]
        assert named[: len(complete)] == complete
        return
    whole = all(isinstance(arguments, dict) for _, arguments in message.named)
    stopped = finish in ("stop", "tool_calls")
    if stopped and message.finish == "length":
        assert not whole
        assert named == message.named[:-1]
        assert is_subsequence(joined(message.text), joined(content))
        return
    if stopped or whole:
        assert (joined(message.text), message.named, message.finish) == (joined(content), named, reason)
        assert changed or out == body or has_surrogates(text), (text, out)
        return
    assert message.finish == reason == finish
    assert named in (message.named, message.named[:-1])
    assert is_subsequence(joined(message.text), joined(content))
