"""Which recording answers: sessions are recognised, and a miss is explained."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from answers import answer
from proxy import ROOT, WEATHER, chat, events

from qwenproxy.apis import CHAT, Api
from qwenproxy.recording.format import Recording, load
from qwenproxy.upstream.matching import (
    Library,
    Miss,
    differences,
    essence,
    features,
    settled,
)
from qwenproxy.upstream.server import read_library

SESSIONS = ("opencode-noopen", "opencode-json", "qwen-code-noopen")
ALL = [load(path) for path in sorted((ROOT / "recordings").glob("*.flow"))]


def session(name: str) -> list[Recording]:
    return [r for r in ALL if re.fullmatch(rf"{name}-\d-\w+", r.name)]


def user(text: str, **fields: Any) -> dict[str, Any]:
    return chat(messages=[{"role": "user", "content": text}], **fields)


def recorded(name: str, request: dict[str, Any], started: float = 0.0) -> Recording:
    return answer(name, events(name), request=request, started=started)


def asked(library: Library, request: dict[str, Any], api: Api = CHAT) -> str:
    found = library.find(request, api)
    return found.name if isinstance(found, Recording) else str(found)


# Sessions


def on_another_day(request: dict[str, Any]) -> dict[str, Any]:
    """Return the request of the same session in another folder, on another day."""
    text = json.dumps(request)
    for old, new in (
        ("/tmp/qwen-e2e", "/home/anna/work/new-project"),
        ("-tmp-qwen-e2e", "-home-anna-work-new-project"),
        ("Fri Nov 20 2026", "Mon Jan 4 2027"),
        ("Friday, November 20, 2026", "Monday, January 4, 2027"),
        ("Platform: linux", "Platform: darwin"),
    ):
        text = text.replace(old, new)
    text = re.sub(r"call_[0-9a-f]{24}", lambda m: f"call_{m[0][:4:-1]}", text)
    assert text != json.dumps(request)
    return json.loads(text) | {"prompt_cache_key": "ses_another", "seed": 7}


@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_is_found_again_on_another_day(name: str) -> None:
    library = Library(ALL)
    for recording in session(name):
        again = on_another_day(recording.request) if recording.request.get("tools") else recording.request
        assert library._same.get(essence(again)) is None or again is recording.request
        assert asked(library, again) == recording.name


def test_every_recording_is_found_by_its_own_request() -> None:
    library = Library(ALL)
    for recording in ALL:
        assert asked(library, recording.request, recording.of) == recording.name


def test_the_step_of_a_session_is_decisive() -> None:
    first, second = session("opencode-noopen")[1:3]
    assert "roles: 2 messages asked, 4 recorded" in asked(Library([second]), first.request)


def test_of_several_the_one_with_most_in_common_wins() -> None:
    calm = {"role": "system", "content": "Be calm."}
    brief = {"role": "system", "content": "Be brief."}
    library = Library(
        recorded(name, chat(messages=[system, {"role": "user", "content": "hi"}]))
        for name, system in (("calm", calm), ("brief", brief))
    )
    for system, name in ((calm, "calm"), (brief, "brief"), ({**brief, "content": "Be brief!"}, "brief")):
        messages = [system, {"role": "user", "content": "hi"}]
        assert asked(library, chat(messages=messages, temperature=0.3)) == name


# Modes


def test_what_was_recorded_twice_is_served_by_turns() -> None:
    library = Library([recorded("second", user("hi"), 2.0), recorded("first", user("hi"), 1.0)])
    assert [asked(library, user("hi", seed=n)) for n in range(4)] == ["first", "second", "first", "second"]
    assert [asked(library, user("hi", top_p=n)) for n in range(2)] == ["first", "second"]


def test_strict_serves_each_once_and_in_order() -> None:
    library = Library([recorded("b", user("hi"), 2.0), recorded("a", user("hi"), 1.0)], "strict")
    assert asked(library, user("hi", seed=1)) == "a"
    assert "exactly this request (--mode strict); the nearest is a, but settings:" in asked(
        library, user("hi", top_p=0.5)
    )
    assert asked(library, user("hi")) == "b"
    assert asked(library, user("hi")) == "a, b has this request and was already served (--mode strict)"


def test_strict_names_what_is_left_out_of_texts() -> None:
    library = Library([recorded("a", user("It is 10:15"))], "strict")
    assert asked(library, user("It is 11:20")).endswith(
        "a date, an id, a folder or the description of an environment differs"
    )


def test_cycle_takes_turns_among_those_of_the_model() -> None:
    library = Library(
        [recorded("q1", user("a")), recorded("q2", user("b")), recorded("other", user("c", model="o"))],
        "cycle",
    )
    assert [asked(library, user(str(n))) for n in range(3)] == ["q1", "q2", "q1"]
    assert [asked(library, user("x", model="o")) for _ in range(2)] == ["other", "other"]
    assert [asked(library, user("x", model="new")) for _ in range(4)] == ["q1", "q2", "other", "q1"]
    assert asked(library, user("x", model="q2")) == "q2"
    assert isinstance(Library([], "cycle").find({}), Miss)


def test_cycle_answers_what_streams_with_what_streams() -> None:
    whole = [recorded(name, user(name, stream=False)) for name in ("w1", "w2")]
    bare = replace(recorded("s2", {}), request={})
    library = Library([*whole, recorded("s1", user("s1")), bare], "cycle")
    assert [asked(library, user("x")) for _ in range(3)] == ["s1", "s1", "s1"]
    assert [asked(library, user("x", stream=False)) for _ in range(3)] == ["w1", "w2", "w1"]
    assert {asked(library, user("x", model="new")) for _ in range(4)} == {"s1", "s2"}
    only = Library(whole, "cycle")
    assert asked(only, user("x")) == "no recording answers this: none is streamed, as this request is"


def test_a_name_is_a_model() -> None:
    library = Library([recorded("a", user("hi")), replace(recorded("b", {}), request={})])
    assert asked(library, user("anything", model="b")) == "b"


# Misses


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (user("hi", model="other"), 'model: "other" asked, "qwen" recorded'),
        (user("hi", stream=False), "stream: false asked, true recorded"),
        (user("hi", tools=[]), "tools: without get_weather"),
        (
            user("hi", tools=[WEATHER, {"function": {"name": "write"}}, {"function": {"name": "read"}}]),
            "tools: with read, write",
        ),
        (
            chat(messages=[{"role": "system", "content": ""}, {"role": "user", "content": "hi"}]),
            "roles: message 1 is system and not user",
        ),
        (user("ho"), 'question: "ho" asked, "hi" recorded'),
    ],
)
def test_a_miss_says_what_differs(request_: dict[str, Any], said: str) -> None:
    found = Library([recorded("a", user("hi"))]).find(request_)
    assert isinstance(found, Miss)
    assert found.nearest == "a"
    assert said in found.differs[0]
    assert str(found).startswith(f"no recording answers this; the nearest is a, but {found.differs[0]}")


def test_long_texts_are_shown_where_they_differ() -> None:
    a, b = (features(user(f"{'so ' * 100}{end}{' and so on' * 100}")) for end in ("far", "good"))
    (said,) = differences(a, b)
    assert said.startswith('question: "…')
    assert "so far and" in said
    assert "so good and" in said
    assert len(said) < 180


def test_a_library_that_knows_no_request() -> None:
    assert asked(Library([replace(recorded("b", {}), request={})]), user("hi")) == (
        "no recording answers this: none has a request"
    )


@pytest.mark.parametrize(
    "broken", [{}, {"messages": 1, "tools": 2}, {"messages": [1, {}, {"content": [1, {"text": 2}]}]}]
)
def test_any_request_has_features(broken: dict[str, Any]) -> None:
    assert features(broken).model == ""
    assert isinstance(Library([recorded("a", user("hi"))]).find(broken), Miss)


# Texts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Today's date: Fri Nov 20 2026", "Today's date: Mon Jan 4 2027"),
        ("on Friday, November 20, 2026.", "on 4 January 2027."),
        ("at 2026-11-20T10:11:12.5Z", "at 2027-01-04 10:11"),
        ("call_0123456789abcdef x", "call_fedcba9876543210 x"),
        ("f47ac10b-58cc-4372-a567-0e02b2c3d479", "550e8400-e29b-41d4-a716-446655440000"),
        ("wrote /tmp/a/hello.txt", "wrote /home/anna/b/hello.txt"),
        (r"wrote C:\work\hello.txt", "wrote ~/hello.txt"),
        ("done in 12ms", "done in 3.5 seconds"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:9/v1"),
        ("hi <env>\nos: a</env>", "hi\n<env>os: b</env>"),
        ("<system-reminder>a</system-reminder>hi", "hi"),
        ("a  b\nc", "a b c"),
    ],
)
def test_what_is_volatile_in_a_text(one: str, other: str) -> None:
    assert settled(one) == settled(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TASK:oc-noopen", "TASK:oc-json"),
        ("write a.txt", "write b.txt"),
        ("3 days", "4 days"),
        ("/a/b.txt", "/a/c.txt"),
        ("and/or", "or"),
    ],
)
def test_what_is_not(one: str, other: str) -> None:
    assert settled(one) != settled(other)


def test_agents_put_reminders_before_the_question() -> None:
    parts = [{"type": "text", "text": t} for t in ("<system-reminder>x</system-reminder>", "Do it.")]
    assert features(chat(messages=[{"role": "user", "content": parts}])).question == "Do it."
    assert features(chat(messages=[{"role": "user", "content": parts[::-1]}])).question == "Do it."


def test_captures_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "x.http").write_bytes(b"HTTP/1.1 200 OK\r\n\r\n{}")
    assert asked(read_library([tmp_path], "cycle"), user("hi", stream=False)) == "x"
