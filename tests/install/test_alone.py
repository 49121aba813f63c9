"""The script works with a mitmproxy that was installed alone (brew, pipx, uvx, the official binary)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from environments import RELEASES, answer_of, new_environment
from proxy import LEAK, Proxy, Upstream, ask, chat, completion, cut, events, sized, streamed, understood

from qwenproxy.optional import ZSTD

MODULES = ["mitmproxy", "qwenproxy", "toolstream", "json_repair", "pytest", "hypothesis", "openai"]
IMPORTABLE = f"import importlib.util as u; print([m for m in {MODULES} if u.find_spec(m)])"
HEALED = [("get_weather", {"city": "Zürich", "days": 3})]


@pytest.mark.parametrize("release", RELEASES)
def test_the_script_works_where_there_is_nothing_but_mitmproxy(
    release: str, upstream: Upstream, start_proxy: Callable[..., Proxy], tmp_path: Path
) -> None:
    programs = new_environment(tmp_path / "environment", release)
    assert answer_of(programs / "python", IMPORTABLE) == "['mitmproxy']"
    mitmdump = str(programs / "mitmdump")
    proxy = start_proxy(
        upstream.url, program=(mitmdump,), qwen_record=tmp_path / "flows", qwen_rules="default"
    )
    upstream.answer = streamed(events(LEAK))
    assert understood(ask(proxy).body).calls == HEALED
    packed = ZSTD.load().compress(b"".join(events(LEAK)))
    upstream.answer = streamed(cut(packed, 9), "Content-Encoding: zstd")
    assert understood(ask(proxy).body).calls == HEALED  # each release depends on some zstd package
    upstream.answer = sized(completion(LEAK))
    assert ask(proxy, chat(stream=False)).json["choices"][0]["finish_reason"] == "tool_calls"
    assert ask(proxy, path="/_health", method="GET").json["rules"]["count"] == 10
    proxy.stop()
    assert len(list((tmp_path / "flows").glob("*-repaired-*.flow"))) == 3
    assert "json-repair is not installed: fewer calls" in proxy.log
    assert "Traceback" not in proxy.log
