"""Asking a live server: to record it, and to compare it with what was recorded."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from answers import ASKED, LEAKING, PROSE, answer, native
from proxy import Script, Upstream, aborted, completion, events, sized, streamed, until_close

from qwenproxy.apis import CHAT
from qwenproxy.recording.format import load, save
from qwenproxy.replay.command import main
from qwenproxy.replay.compare import rates
from qwenproxy.replay.golden import Golden
from qwenproxy.replay.record import ServerError, address, ask, default_request, read_headers
from qwenproxy.replay.rerun import outcome

NATIVE = native(['{"city": "Zürich", "days": 3}'])
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for recording in (LEAKING, PROSE):
        save(recording, tmp_path / f"{recording.name}.flow")
    return tmp_path


# Asking


@pytest.mark.parametrize("framing", [streamed, until_close])
def test_an_answer_is_recorded_in_its_pieces(upstream: Upstream, framing: Callable[..., object]) -> None:
    upstream.answer = framing(LEAKING.chunks)
    recording = ask(upstream.url, "x", ASKED, headers=(("X-Mine", "1"),))
    assert recording.body == LEAKING.body
    assert len(recording.times) == len(recording.chunks) >= 1
    assert outcome(recording, recording.chunks) == outcome(LEAKING, LEAKING.chunks)
    request = upstream.requests[0]
    assert request.line == "POST /v1/chat/completions HTTP/1.1"
    assert (request.json, request.headers["x-mine"]) == (ASKED, "1")


def test_an_answer_that_breaks_off_says_so(upstream: Upstream) -> None:
    upstream.answer = aborted(LEAKING.chunks[:3])
    recording = ask(upstream.url, "x", ASKED)
    assert recording.body == b"".join(LEAKING.chunks[:3])
    assert recording.aborted


def test_an_error_is_an_answer(upstream: Upstream) -> None:
    upstream.answer = sized(b'{"error": "no"}', status="400 Bad Request")
    assert (ask(upstream.url, "x", ASKED).status, ask(upstream.url, "x", ASKED).body) == (
        400,
        b'{"error": "no"}',
    )


@pytest.mark.parametrize(
    ("backend", "url"),
    [
        ("http://h:1", "http://h:1/v1/x"),
        ("http://h:1/", "http://h:1/v1/x"),
        ("h:1", "http://h:1/v1/x"),
        ("https://h/v1", "https://h/v1/x"),
        ("https://h/api/v1/", "https://h/api/v1/x"),
    ],
)
def test_addresses(backend: str, url: str) -> None:
    assert address(backend, "/v1/x") == url


@pytest.mark.parametrize(
    ("backend", "advice"),
    [
        ("", "an empty address: write a URL such as http://localhost:8080"),
        ("http:/localhost:1", "http:/localhost:1: write http://localhost:1"),
        ("http://h/?a=1", "http://h/?a=1: leave out what stands after the path"),
    ],
)
def test_an_address_that_cannot_be(backend: str, advice: str) -> None:
    with pytest.raises(ServerError) as refused:
        address(backend, "/v1/x")
    assert str(refused.value) == advice


@pytest.mark.parametrize("backend", [NOWHERE, "ftp://h", "http://", "http://h:x"])
def test_a_server_that_is_not_there(backend: str) -> None:
    with pytest.raises(ServerError, match=r"^\w+:/"):
        ask(backend, "x", ASKED)


def test_headers() -> None:
    assert read_headers(["Authorization: Bearer x y", "A:b"]) == (("Authorization", "Bearer x y"), ("A", "b"))
    with pytest.raises(ServerError, match="write 'Name: value'"):
        read_headers(["nothing"])


# Recording


def test_record(upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    upstream.answer = streamed(LEAKING.chunks)
    key = "Authorization: Bearer sk-planted-0123456789"
    arguments = ["record", "one", "--backend", upstream.url, "--into", str(tmp_path), "--header", key]
    assert main(arguments) == 0
    assert f"{tmp_path}/one.flow: status 200" in capsys.readouterr().out
    assert load(tmp_path / "one.flow").body == LEAKING.body
    assert upstream.requests[0].headers["authorization"] == "Bearer sk-planted-0123456789"
    assert b"planted" not in (tmp_path / "one.flow").read_bytes()
    assert upstream.requests[0].json == default_request(CHAT)
    assert main(arguments) == 2
    assert capsys.readouterr().err == (
        f"{tmp_path}/one.flow exists already: write another name, or use another --into\n"
    )


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (sized(b'{"error": {"message": "gone"}}', status="404 Not Found"), "with status 404: gone"),
        (sized(b"gone", status="404 Not Found"), "with status 404: gone"),
        (sized(b"", status="404 Not Found"), "with status 404: an empty body"),
        (sized(b'{"error": {"message": "full"}}'), "the server answered with an error: full"),
        (sized(b'{"hello": 1}'), "this is no answer of the API chat"),
        (aborted(LEAKING.chunks[:3]), "the answer broke off: "),
    ],
)
def test_what_is_no_answer_is_recorded_and_said(
    upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str], script: Script, said: str
) -> None:
    upstream.answer = script
    assert main(["record", "one", "--backend", upstream.url, "--into", str(tmp_path)]) == 1
    assert (tmp_path / "one.flow").exists()
    line = capsys.readouterr().err
    assert line.startswith(f"{upstream.url}/v1/chat/completions: ")
    assert said in line
    assert line.endswith("; it is recorded all the same\n")


@pytest.mark.parametrize("name", ["foo/../x", "/x", "a\\b", ""])
def test_a_name_has_no_slash(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", name, "--backend", NOWHERE, "--into", str(tmp_path)]) == 2
    assert "write a name without a slash; --into says where" in capsys.readouterr().err


def test_record_a_request_of_ones_own(upstream: Upstream, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps(ASKED))
    upstream.answer = sized(completion("Hello"))
    arguments = ["--request", str(request), "--model", "other", "--into", str(tmp_path / "new")]
    assert main(["record", "two", "--backend", upstream.url, *arguments]) == 0
    assert load(tmp_path / "new" / "two.flow").request == ASKED | {"model": "other"}


# Comparing


def test_nothing_has_become_different(
    upstream: Upstream, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(LEAKING, directory / "prose.flow")
    upstream.answer = streamed(LEAKING.chunks)
    assert main(["compare", str(directory), "--backend", upstream.url]) == 0
    assert "2 asked again: 2 same, 0 changed" in capsys.readouterr().out
    assert [r.json for r in upstream.requests] == [ASKED, ASKED]


def test_what_has_become_different(
    upstream: Upstream, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.answer = streamed(NATIVE)
    assert main(["compare", str(directory), "--backend", upstream.url, "--model", "new"]) == 1
    said = capsys.readouterr().out
    assert "leaking.flow: changed\n  repairs: missing-tool-call-open, 1 expected, none came\n" in said
    assert "\n  it leaked before and does not now\n" in said
    assert 'prose.flow: changed\n  call 1:\n      + get_weather {"city": "Zürich", "days": 3}\n' in said
    assert "2 asked again: 0 same, 2 changed" in said
    lines = {tuple(line.split()) for line in said.splitlines()}
    assert ("answers", "that", "leak", "50", "%", "0", "%", "*") in lines
    assert ("calls", "1", "2", "*") in lines
    assert ("repair", "missing-tool-call-open", "1", "0", "*") in lines
    assert {r.json["model"] for r in upstream.requests} == {"new"}


def test_wording_counts_only_if_it_has_to_be_exact(upstream: Upstream, directory: Path) -> None:
    save(answer("said", events("Something.")), directory / "said.flow")
    upstream.answer = streamed(events("Something else."))
    arguments = ["compare", str(directory / "said.flow"), "--backend", upstream.url]
    assert main(arguments) == 0
    assert main([*arguments, "--exact"]) == 1


def test_comparing_as_json(upstream: Upstream, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    upstream.answer = streamed(NATIVE)
    assert main(["compare", str(directory), "--backend", upstream.url, "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["recorded"]["answers that leak"] == 1
    assert result["now"]["calls"] == 2
    assert result["recordings"][0]["lines"] == [
        "repairs: missing-tool-call-open, 1 expected, none came",
        "it leaked before and does not now",
    ]


def test_a_server_that_is_down_is_one_line(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(directory), "--backend", NOWHERE]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"{NOWHERE}/v1/chat/completions: ")
    assert said.err.count("\n") == 1


def test_broken_recordings_are_named(
    upstream: Upstream, directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "bad.flow").write_bytes(b"no")
    save(answer("mute", [], request={}), directory / "mute.flow")
    upstream.answer = streamed(LEAKING.chunks)
    assert main(["compare", str(directory), "--backend", upstream.url]) == 2
    said = capsys.readouterr().out
    assert "bad.flow: " in said
    assert "mute.flow: it has no request to send" in said
    (tmp_path / "empty").mkdir()
    assert main(["compare", str(tmp_path / "empty"), "--backend", upstream.url]) == 2
    assert "no recordings" in capsys.readouterr().err


def test_what_was_not_asked_has_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "nope.flow"
    assert main(["compare", str(path), "--backend", NOWHERE]) == 2
    assert capsys.readouterr().out == f"{path}: No such file or directory\n"


def test_rates_of_nothing() -> None:
    assert rates([]) == {}
    assert rates([Golden(error="x")])["answers with an error"] == 1
