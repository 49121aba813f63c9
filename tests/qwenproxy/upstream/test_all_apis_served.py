"""Recordings of every API are served to whoever asks by that API, by us and by mitmproxy."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_answers import NAMES, asked, recorded, stream, whole
from proxy import LEAK, Proxy, Upstream, ask
from served import Served

from qwenproxy.apis import APIS, error_text
from qwenproxy.recording.format import Recording, save
from qwenproxy.replay.outline import messages_of
from qwenproxy.upstream.matching import Library, Miss, features

TEXT = f"Let me see.\n{LEAK}"
every_api = pytest.mark.parametrize("name", NAMES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("served")
    for name in NAMES:
        for is_stream in (True, False):
            recording = recorded(name, TEXT, is_stream)
            save(recording, directory / f"{recording.name}.flow")
    return directory


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    server = Served(str(folder), "--speed", "0")
    yield server
    server.stop()


@every_api
def test_a_request_gets_what_was_recorded_for_it(served: Any, name: str) -> None:
    for is_stream, body in ((True, b"".join(stream(name, TEXT))), (False, whole(name, TEXT))):
        request = asked(name, stream=is_stream)
        assert ask(served, request, APIS[name].address).body == body
        changed = request | {"temperature": 0.5}
        assert ask(served, changed, f"{APIS[name].address}?beta=true").body == body


@every_api
def test_the_name_of_a_recording_is_a_model(served: Any, name: str) -> None:
    reply = ask(served, asked(name, model=f"{name}-streamed") | {"tools": []}, APIS[name].address)
    assert reply.body == b"".join(stream(name, TEXT))


@every_api
def test_a_recording_of_another_api_is_no_answer(served: Any, name: str) -> None:
    other = next(n for n in NAMES if n != name)
    reply = ask(served, asked(name, model=f"{other}-streamed"), APIS[name].address)
    assert reply.status == 404
    said = error_text(reply.json["error"])
    assert f"{other}-streamed is a recording of the API {other}, not of {name}" in said
    assert f"there are: {name}-streamed, {name}-whole" in said
    assert reply.json.keys() == APIS[name].error("c", "m").keys()


def test_ollamas_list_of_models(served: Any) -> None:
    listed = ask(served, b"", "/api/tags", method="GET").json["models"]
    assert {"name": "ollama-streamed", "model": "ollama-streamed"} in listed


@every_api
def test_cycle_takes_turns_within_an_api(name: str) -> None:
    recordings = [recorded(n, TEXT, title=f"{n}-{i}", started=float(i)) for n in NAMES for i in range(2)]
    library = Library(recordings, "cycle")
    found = [library.find(asked(name), APIS[name]) for _ in range(3)]
    assert [f.name for f in found if isinstance(f, Recording)] == [f"{name}-{i}" for i in (0, 1, 0)]
    others = Library([r for r in recordings if r.api != name], "cycle").find(asked(name), APIS[name])
    assert str(others) == f"no recording answers this: none is of the API {name}"


# The same conversation looks the same in every API

CALL = {"city": "Oslo"}


def conversation(name: str, city: str = "Oslo", question: str = "and now?") -> dict[str, Any]:
    """Return a request whose second turn asks a further question."""
    arguments = json.dumps({"city": city})
    function = {"name": "get_weather", "arguments": arguments}
    match name:
        case "messages":
            use = {"type": "tool_use", "id": "toolu_000001", "name": "get_weather", "input": {"city": city}}
            result = {"type": "tool_result", "tool_use_id": "toolu_000001", "content": "warm"}
            turns: list[Any] = [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [use]},
                {"role": "user", "content": [result, {"type": "text", "text": question}]},
            ]
            return asked(name, messages=turns)
        case "responses":
            items: list[Any] = [
                {"role": "user", "content": "hi"},
                {"type": "function_call", "call_id": "call_000001"} | function,
                {"type": "function_call_output", "call_id": "call_000001", "output": "warm"},
                {"role": "user", "content": [{"type": "input_text", "text": question}]},
            ]
            return asked(name, input=items)
    call = {"function": function if name == "chat" else function | {"arguments": {"city": city}}}
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "warm"},
        {"role": "user", "content": question},
    ]
    return asked(name, messages=turns)


@every_api
def test_what_a_request_is_about(name: str) -> None:
    found = features(conversation(name), APIS[name])
    assert (found.api, found.model, found.stream, found.tools) == (name, "qwen", True, ("get_weather",))
    assert found.roles == ("user", "assistant", "tool", "user")
    assert (found.question, found.results) == ("and now?", ("warm",))
    assert found.calls == ('get_weather {"city": "Oslo"}',)


@every_api
def test_the_conversation_decides(name: str) -> None:
    library = Library(
        recorded(name, TEXT, title=f"{city}-{question}", request=conversation(name, city, question))
        for city in ("Oslo", "Rome")
        for question in ("a", "b")
    )
    again = json.loads(json.dumps(conversation(name, "Rome", "b")).replace("000001", "999999"))
    found = library.find(again, APIS[name])
    assert isinstance(found, Recording)
    assert found.name == "Rome-b"
    missed = library.find(conversation(name, "Rome", "c"), APIS[name])
    assert isinstance(missed, Miss)
    assert 'question: "c" asked' in str(missed)


# mitmproxy's own replay


def test_mitmproxy_serves_them_too(
    folder: Path, start_proxy: Callable[..., Proxy], upstream: Upstream
) -> None:
    flows = [
        argument for path in sorted(folder.glob("*.flow")) for argument in ("--server-replay", str(path))
    ]
    options = {"server_replay_reuse": "true", "keepserving": "true", "server_replay_ignore_host": "true"}
    options |= {"server_replay_ignore_port": "true", "connection_strategy": "lazy"}
    proxy = start_proxy(upstream.url, *flows, **options)
    for name in NAMES:
        for is_stream in (True, False):
            body = ask(proxy, asked(name, stream=is_stream), APIS[name].address).body
            (message,) = messages_of(body, is_stream, APIS[name])
            assert [call.name for call in message.calls] == ["get_weather"], (name, is_stream)
    assert upstream.requests == []
