"""Every cut is the same answer, and a difference at one cut is noticed."""

from dataclasses import replace

import pytest
from answers import BUFFERED, CUT, DONE, ERROR, LEAKING, PROSE, answer, native
from proxy import LEAK, chat, chunk, completion, events

from qwenproxy.recording.format import Recording
from qwenproxy.replay import rerun
from qwenproxy.replay.golden import Golden
from qwenproxy.replay.rerun import (
    all_text_in_one_delta,
    at_random,
    cuts,
    is_read,
    one_character_per_delta,
    run,
)
from toolstream import StreamRewriter

ALL = [LEAKING, PROSE, BUFFERED, CUT, ERROR]


@pytest.mark.parametrize("recording", ALL, ids=lambda r: r.name)
def test_every_cut_comes_to_the_same(recording: Recording) -> None:
    result = run(recording)
    assert result.disagreements == []
    assert result.cuts == 1 + len(list(cuts(recording)))


def test_cuts_of_bytes_are_the_same_bytes() -> None:
    by_bytes = {name: cut() for name, cut in cuts(LEAKING) if "delta" not in name}
    assert all(b"".join(pieces) == LEAKING.body for pieces in by_bytes.values())
    assert all(all(pieces) for pieces in by_bytes.values())
    assert len(by_bytes["whole"]) == 1
    assert len(by_bytes["byte by byte"]) == len(LEAKING.body)
    assert len({len(pieces) for pieces in by_bytes.values()}) > 5


def test_random_cuts_are_the_same_each_time() -> None:
    assert at_random(LEAKING.body, 3) == at_random(LEAKING.body, 3) != at_random(LEAKING.body, 4)


def test_large_answers_are_not_cut_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerun, "SMALL_PIECES_LIMIT", 10)
    names = dict(cuts(LEAKING))
    assert not {"byte by byte", "with one character per delta"} & names.keys()
    assert {"whole", "with all text in one delta"} <= names.keys()


def test_only_streams_can_be_cut() -> None:
    assert list(cuts(BUFFERED)) == []


def test_what_broke_off_is_not_written_anew() -> None:
    assert not any("delta" in name for name, _ in cuts(CUT))


def test_deltas_are_split_and_joined() -> None:
    usage = chunk({"content": "u"}).replace(b'"choices"', b'"usage": {"a": 1}, "choices"')
    a, b, c = (chunk({"content": text}) for text in ("A", "B\n", "C"))
    body = b"".join([chunk({"role": "assistant", "content": ""}), a, b, b": ping\n\n", usage, c, DONE])
    assert one_character_per_delta(body) == [
        chunk({"role": "assistant", "content": ""}),
        a,
        chunk({"content": "B"}),
        chunk({"content": "\n"}),
        b": ping\n\n",
        usage,
        c,
        DONE,
    ]
    assert all_text_in_one_delta(body) == [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "AB\n"}),
        b": ping\n\n",
        usage,
        c,
        DONE,
    ]


def test_calls_and_reasoning_are_not_split() -> None:
    chunks = [*native(['{"city": "Oslo"}'])[:-1], chunk({"reasoning": "hm", "content": "x"})]
    assert one_character_per_delta(b"".join(chunks)) == chunks


@pytest.mark.parametrize(
    ("status", "content_type", "read"),
    [
        (200, "text/event-stream; charset=utf-8", True),
        (200, "application/json", True),
        (200, "text/html", False),
        (400, "text/event-stream", False),
    ],
)
def test_what_is_read(status: int, content_type: str, read: bool) -> None:
    recording = replace(LEAKING, status=status, headers=(("content-type", content_type),))
    assert is_read(recording) is read


def test_a_rule_that_depends_on_the_cut_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(StreamRewriter):
        def feed(self, data: bytes) -> list[bytes]:
            return super().feed(data.replace(b"Z", b"S") if len(data) > 2000 else data)

    broken = replace(rerun.TODAY, rewriter=Forgetful)
    monkeypatch.setattr(rerun.rewrite, "__defaults__", (broken,))
    monkeypatch.setattr(rerun.outcome, "__defaults__", ("tolerant", broken))
    found = dict(run(LEAKING).disagreements)
    assert "whole" in found
    assert "byte by byte" not in found
    assert '        + "Sürich"' in found["whole"] or any("Sürich" in line for line in found["whole"])


def test_events_without_choices_have_to_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(StreamRewriter):
        def close(self) -> list[bytes]:
            return []

        def feed(self, data: bytes) -> list[bytes]:
            return [piece.replace(DONE, b"") for piece in super().feed(data)]

    monkeypatch.setattr(rerun.rewrite, "__defaults__", (replace(rerun.TODAY, rewriter=Silent),))
    assert rerun.lost_events(answer("a", events(LEAK))) == [
        "events beside the message: 1 came, 0 left",
        "    - data: [DONE]",
    ]


def test_what_an_empty_answer_comes_to() -> None:
    assert run(answer("empty", [])).golden == Golden()


RULES = """
tools:
  get_weather:
    fixes:
      - {name: unit, parameter: unit, condition: missing, action: set_default, default_value: C}
"""
UNIT = {"type": "function", "function": {"name": "get_weather", "parameters": {"required": ["unit"]}}}


@pytest.mark.parametrize("events_or_text", [events(LEAK), [completion(LEAK)], native(['{"city": ', '"x"}'])])
def test_the_rules_of_its_time_are_in_force_again(events_or_text: list[bytes]) -> None:
    buffered = len(events_or_text) == 1
    fields = {"headers": BUFFERED.headers} if buffered else {}
    recording = answer("ruled", events_or_text, request=chat(tools=[UNIT]), rules=RULES, **fields)
    result = run(recording)
    assert result.disagreements == []
    (call,) = result.golden.choices[0].calls
    assert call.values
    assert call.values["unit"] == "C"
    assert result.golden.repairs["rule-default"] == 1
    assert "rule-default" not in run(replace(recording, rules="")).golden.repairs
