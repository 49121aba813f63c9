"""Crafted, damaged or cut files give one line with file and reason, and never a traceback."""

import base64
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from answers import FULL, REQUEST, saved
from hypothesis import given, settings
from hypothesis import strategies as st
from mitmproxy.io import tnetstring

from qwenproxy import cli
from qwenproxy.recording.format import (
    KEY,
    Recording,
    RecordingError,
    load,
    load_chats,
    save,
)
from qwenproxy.recording.redaction import redact
from qwenproxy.replay import importing
from qwenproxy.upstream.matching import Library

State = dict[str, Any]
Damage = Callable[[State], object]
DEEP = 5_000


def state_of(directory: Path) -> State:
    """Return the content of a recording's file."""
    state = tnetstring.loads(saved(FULL, directory).read_bytes())
    assert isinstance(state, dict)
    return state


def nested(depth: int, inner: bytes = b"0:~") -> bytes:
    """Return nested lists in tnetstring format; the library cannot write them so deep."""
    for _ in range(depth):
        inner = b"%d:%b]" % (len(inner), inner)
    return inner


def put(*path: str, value: Any) -> Damage:
    def damage(state: State) -> None:
        for key in path[:-1]:
            state = state[key]
        state[path[-1]] = value

    return damage


def ours(name: str, value: Any) -> Damage:
    return put("metadata", KEY, name, value=value)


DAMAGES: dict[str, Damage] = {
    **{
        f"sizes {v!r}"[:40]: ours("sizes", v)
        for v in ("abc", None, ["9"], [-1, 25], [True] * 24, [10**30], 7)
    },
    "sizes, a number that is too precise": ours("sizes", [9.0, 1.0, 14.0]),
    **{
        f"times {v!r}"[:40]: ours("times", v)
        for v in ("abc", None, ["0"], [-1.0] * 3, [True] * 3, [1e300] * 3)
    },
    "times, one of three": ours("times", [0.0]),
    "times, not numbers": ours("times", [float("nan")] * 3),
    **{f"raw {v!r}": ours("raw", v) for v in (5, "text", [b"x"], True)},
    **{f"out {v!r}": ours("out", v) for v in (5, "text", None)},
    **{f"ledger {v!r}": ours("ledger", v) for v in (5, [], {"repairs": 5}, {"repairs": {"x": "y"}})},
    "ledger, calls": ours("ledger", {"calls": "many"}),
    "ledger, deep": ours("ledger", {"x": tnetstring.loads(nested(150))}),
    **{f"{name} 5": ours(name, 5) for name in ("aborted", "rules")},
    "version": ours("v", 2),
    "no metadata": put("metadata", value={}),
    "metadata, a list": put("metadata", value={KEY: []}),
    "no response": put("response", value=None),
    **{f"host {v!r}": put("request", "host", value=v) for v in ("", "a b", 5, "\0", "a/b", "x" * 300)},
    **{f"port {v!r}": put("request", "port", value=v) for v in (-1, 99999, "80", None)},
    **{f"scheme {v!r}": put("request", "scheme", value=v) for v in (b"", b"ftp", 5, b"\xff")},
    **{f"path {v!r}": put("request", "path", value=v) for v in (5, b"/\r\nX: y", b"/\xff")},
    **{f"method {v!r}": put("request", "method", value=v) for v in (5, b"", b"GET /", b"\xff")},
    **{f"status {v!r}": put("response", "status_code", value=v) for v in ("200", 0, 5000, None)},
    **{f"http_version {v!r}": put("response", "http_version", value=v) for v in (b"", b"HTTP/1.1\r\n", 5)},
    **{
        f"headers {v!r}": put("response", "headers", value=v)
        for v in (5, [[b"a"]], [[b"a", b"b", b"c"]], [["a", 5]], [[b"a", b"b\r\nc: d"]], "abc", None)
    },
    "comment": put("comment", value=5),
    "marked": put("marked", value=[]),
    "time": put("request", "timestamp_start", value="now"),
    "no request": put("request", value=None),
    "body": put("request", "content", value=5),
    "deep request": put("request", "content", value=b'{"a":' * DEEP + b"1" + b"}" * DEEP),
}


def written(directory: Path, name: str, content: bytes) -> Path:
    path = directory / name
    path.write_bytes(content)
    return path


def damaged(directory: Path, damage: Damage) -> Path:
    state = state_of(directory)
    damage(state)
    return written(directory, "crafted.flow", tnetstring.dumps(state))


def har(**changes: Any) -> bytes:
    entry = {
        "startedDateTime": "2026-01-01T00:00:00Z",
        "request": {
            "method": "POST",
            "url": "http://h/v1/chat/completions",
            "headers": [],
            "postData": {"text": json.dumps(REQUEST)},
        },
        "response": {"status": 200, "headers": [], "content": {"text": "{}"}},
    }
    for path, value in changes.items():
        *outer, last = path.split("__")
        place: Any = entry
        for key in outer:
            place = place[key]
        place[last] = value
    return json.dumps({"log": {"entries": [entry]}}).encode()


FILES: dict[str, bytes] = {
    "deep.flow": nested(DEEP),
    "deep-metadata.flow": b"%d:8:metadata;%b}" % (11 + len(nested(DEEP)), nested(DEEP)),
    "empty.flow": b"",
    "long.flow": b"99999999999999999999:x,",
    "negative.flow": b"-5:x,",
    "text.flow": b"not a flow",
    "list.flow": tnetstring.dumps([1, 2]),
    "unknown.flow": tnetstring.dumps({"type": "x", "version": 21}),
    "future.flow": tnetstring.dumps({"type": "http", "version": 10**6}),
    "empty.har": b"",
    "deep.har": b"[" * DEEP,
    "deep-log.har": b'{"log":' * DEEP + b"1" + b"}" * DEEP,
    "number.har": b'{"log": {"entries": 5}}',
    "none.har": b'{"log": {"entries": [null, 5, "x", [], {}]}}',
    "utf.har": b'{"log": {"entries": ["\xff"]}}',
    "status.har": har(response__status="200"),
    "low.har": har(response__status=1),
    "url.har": har(request__url="http://"),
    "url-number.har": har(request__url=5),
    "ipv6.har": har(request__url="http://[::1/v1"),
    "method.har": har(request__method=None),
    "headers.har": har(response__headers=5),
    "header.har": har(response__headers=[{"name": "a\r\nb", "value": "c"}]),
    "base64.har": har(response__content={"encoding": "base64", "text": "a"}),
    "content.har": har(response__content=None),
    "text.har": har(response__content={"text": [5]}),
    "date.har": har(startedDateTime=5),
    "request.har": har(request__postData={"text": 5}),
    "empty.http": b"",
    "status.http": b"HTTP/1.1 2x0 OK\r\n\r\n",
    "low.http": b"HTTP/1.1 000 No\r\n\r\n{}",
    "nul.http": b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n{}",
    "empty.sse": b"",
    "binary.sse": bytes(range(256)),
    "empty.json": b"",
    "list.json": b"[]",
    "deep.json": b"[" * DEEP,
    "utf.json": b"\xff\xfe",
    "binary.txt": b"\xff",
    "what.xyz": b"",
}


def assert_one_line(arguments: list[str], path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    printed = capsys.readouterr()
    said = [line for line in (printed.err or printed.out).splitlines() if str(path) in line]
    assert len(said) == 1, printed
    assert "Traceback" not in printed.err + printed.out
    assert len(said[0]) > len(str(path)) + 5


COMMANDS = {
    "import": lambda path: ["replay", "import", str(path), "--into", str(path.parent / "into")],
    "summary": lambda path: ["replay", "summary", str(path)],
    "shrink": lambda path: ["replay", "shrink", str(path), "--keep", "crash"],
}
ON_FLOWS = {
    "serve": lambda path: ["serve", str(path)],
    "compare": lambda path: ["replay", "compare", str(path), "--backend", "http://127.0.0.1:9"],
    "run": lambda path: ["run", "--recordings", str(path.parent), "--listen", "0"],
}


@pytest.mark.parametrize("name", list(DAMAGES))
def test_a_damaged_flow(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = damaged(tmp_path, DAMAGES[name])
    (tmp_path / "full.flow").unlink()
    with pytest.raises(RecordingError, match=r"crafted\.flow: .{5}"):
        load(path)
    if name == "no metadata":
        return  # then it is a plain chat of mitmproxy
    for command in COMMANDS.values():
        assert_one_line(command(path), path, capsys)
    assert cli.main(["replay", str(path)]) == 2
    assert "Traceback" not in capsys.readouterr().out
    for command in [ON_FLOWS["serve"], ON_FLOWS["compare"]]:
        assert_one_line(command(path), path, capsys)


@pytest.mark.parametrize("name", list(FILES))
def test_a_crafted_file(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, name, FILES[name])
    for command in COMMANDS.values():
        assert_one_line(command(path), path, capsys)
    if path.suffix == ".flow":
        for command in ON_FLOWS.values():
            assert_one_line(command(path), path, capsys)


def test_gzip_that_is_none(tmp_path: Path) -> None:
    state = state_of(tmp_path)
    state["metadata"] = {}
    state["response"]["headers"] = [[b"content-encoding", b"gzip"], [b"content-type", b"text/event-stream"]]
    chats, _ = load_chats(written(tmp_path, "plain.flow", tnetstring.dumps(state)))
    assert [chat.body for chat in chats] == [FULL.body]


def test_a_har_with_one_odd_entry_keeps_the_others(tmp_path: Path) -> None:
    good = json.loads(har())["log"]["entries"][0]
    content = json.dumps({"log": {"entries": [good, {"request": 5}, good]}}).encode()
    chats, others = importing.read(written(tmp_path, "some.har", content), {})
    assert (len(chats), len(others)) == (2, 1)


@pytest.mark.parametrize("url", ["http://[::1]:8080/v1", "https://h/v1?a=b", "http://h:1/%C3%BC"])
def test_what_is_odd_but_sound(url: str, tmp_path: Path) -> None:
    assert load(saved(replace(FULL, url=url, status=299), tmp_path)).url == url


# Anything at all


def loaded(path: Path) -> tuple[Recording | None, str]:
    try:
        return load(path), ""
    except RecordingError as e:
        return None, str(e)


def assert_read_or_refused(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    recording, said = loaded(path)
    if recording is None:
        assert said.startswith(f"{path}: ")
        assert "\n" not in said
        return
    clean = redact(recording, ["user"])
    save(clean, path)
    assert load(path).chunks == clean.chunks
    Library([recording]).find(recording.request)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzed")


@settings(derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_mutated_bytes(seed: int, folder: Path) -> None:
    pick = random.Random(seed)
    content = bytearray(saved(FULL, folder).read_bytes())
    for _ in range(pick.randint(1, 4)):
        start = pick.randrange(len(content))
        end = min(len(content), start + pick.choice((0, 1, 1, 8)))
        content[start:end] = pick.randbytes(pick.choice((0, 1, 1, 5)))
    assert_read_or_refused(bytes(content), folder / "mutated.flow")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**32), value=PLAIN)
def test_mutated_structures(seed: int, value: Any, folder: Path) -> None:
    state: Any = state_of(folder)
    place, pick = state, random.Random(seed)
    while True:
        key = pick.choice(list(place) if isinstance(place, dict) else range(len(place)))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or pick.random() < 0.2:
            break
        place = inner
    place[key] = value
    assert_read_or_refused(tnetstring.dumps(state), folder / "mutated.flow")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["content", "role", "type", "text", "function", "name", "tool_calls", "id", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(derandomize=True, deadline=None)
@given(request=st.dictionaries(st.sampled_from(["messages", "tools", "model", "stream", "x"]), JSON))
def test_any_request_can_be_served(request: dict[str, Any], folder: Path) -> None:
    recording = replace(FULL, request=request, request_body=json.dumps(request).encode())
    save(redact(recording, ["messages"]), folder / "asked.flow")
    Library([recording, load(folder / "asked.flow")]).find(REQUEST)


@settings(derandomize=True, deadline=None)
@given(entry=JSON, text=st.text(max_size=20))
def test_any_har(entry: Any, text: str, folder: Path) -> None:
    for content in (
        json.dumps({"log": {"entries": [entry]}}).encode(),
        har(response=entry),
        har(request=entry),
        har(request__headers=entry),
        har(response__content={"encoding": "base64", "text": text}),
        har(response__content={"text": base64.b64encode(text.encode()).decode()}),
    ):
        try:
            chats, _ = importing.read(written(folder, "any.har", content), {})
        except RecordingError:
            continue
        for chat in chats:
            save(redact(chat), folder / "any.flow")
