"""The format, and what is refused."""

import dataclasses
from pathlib import Path

import pytest
from answers import FULL, saved
from mitmproxy import http, io
from mitmproxy.io import tnetstring
from mitmproxy.test import tflow

from qwenproxy.recording.format import (
    KEY,
    Recording,
    RecordingError,
    load,
    metadata,
    to_flow,
)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    assert load(saved(FULL, tmp_path)) == FULL
    minimal = Recording(name="minimal", request={}, chunks=[], times=[])
    assert load(saved(minimal, tmp_path)) == minimal


def test_it_is_a_flow_of_mitmproxy(tmp_path: Path) -> None:
    with saved(FULL, tmp_path).open("rb") as file:
        (flow,) = io.FlowReader(file).stream()
    assert isinstance(flow, http.HTTPFlow)
    assert flow.response is not None
    assert flow.response.raw_content == FULL.body
    assert flow.request.pretty_url == FULL.url
    assert flow.request.raw_content == FULL.request_body
    assert flow.metadata[KEY]["v"] == 1
    assert flow.metadata[KEY]["sizes"] == [9, 1, 14]


def test_what_was_recorded_without_rules_says_nothing_of_them() -> None:
    assert "rules" in metadata(FULL)
    assert "rules" not in metadata(dataclasses.replace(FULL, rules=""))


def test_half_a_surrogate_pair_in_an_excerpt_can_be_stored(tmp_path: Path) -> None:
    broken = dataclasses.replace(FULL, ledger={"refusals": [["fenced", "half \ud83d"]]})
    assert load(saved(broken, tmp_path)).ledger == {"refusals": [["fenced", "half ?"]]}


def _flow(**data: object) -> http.HTTPFlow:
    flow = to_flow(FULL)
    flow.metadata[KEY] = metadata(FULL) | data
    return flow


@pytest.mark.parametrize(
    ("flows", "reason"),
    [
        ([], "holds one chat, this file holds 0 flows$"),
        (
            [to_flow(FULL), to_flow(FULL)],
            "this file holds 2 flows; qwen-fix replay import makes a recording of",
        ),
        ([tflow.tflow(resp=True)], "no qwen_fix metadata; qwen-fix replay import makes one of a chat"),
        ([_flow(v=2)], "format version 2, only 1"),
        ([_flow(sizes=[1])], "add up to 1 bytes, its body has 24"),
    ],
)
def test_a_foreign_file_is_refused(tmp_path: Path, flows: list[http.HTTPFlow], reason: str) -> None:
    path = tmp_path / "foreign.flow"
    with path.open("wb") as file:
        for flow in flows:
            io.FlowWriter(file).add(flow)
    with pytest.raises(RecordingError, match=reason) as caught:
        load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", [b"HTTP/1.1 200 OK\r\n\r\n", b"\x00\xff" * 50, b"12:not a flow,"])
def test_a_corrupt_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "corrupt.flow"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"corrupt\.flow: not a mitmproxy flow file, or cut off"):
        load(path)


def test_a_file_of_a_newer_mitmproxy_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "newer.flow"
    path.write_bytes(tnetstring.dumps({"version": 9999}))
    with pytest.raises(RecordingError, match=r"newer\.flow: .* cannot read .* version 9999"):
        load(path)


def test_a_recording_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    data = saved(FULL, tmp_path).read_bytes()
    path = tmp_path / "cut.flow"
    for length in range(0, len(data), 97):
        path.write_bytes(data[:length])
        with pytest.raises(RecordingError, match=r"cut\.flow"):
            load(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        load(tmp_path / "none.flow")
