"""The real OpenAI SDK reads what a real mitmdump with the addon passes on.

The upstream serves recordings of real servers in their own pieces. The SDK requests each by using
its name as the model, streamed and not. What the SDK's strict parser reads is compared.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from proxy import WEATHER, Proxy, Upstream, completion, events, sized, streamed

from qwenproxy.upstream.server import Pace, in_background, read_library

ROOT = Path(__file__).parents[2]
TYPED = {**WEATHER["function"]["parameters"]["properties"], "detailed": {"type": "boolean"}}
TOOLS = [{"type": "function", "function": {"name": "get_weather", "parameters": {
    "type": "object", "properties": TYPED, "required": ["city", "days"]}}}]  # fmt: skip
ZURICH = ("get_weather", {"city": "Zürich", "days": 3, "detailed": True})
OSLO = ("get_weather", {"city": "Oslo", "days": 1})
LODZ = ("get_weather", {"city": "Łódź", "days": 2})
LEAKS = ("noopen", "bare", "nofclose", "nopclose", "json", "noclose", "good")


@pytest.fixture(scope="module")
def recordings() -> Iterator[str]:
    """Serve the recordings; yield the URL."""
    with in_background(read_library([ROOT / "recordings"]), Pace(speed=0)) as url:
        yield url


@pytest.fixture(scope="module")
def replaying(recordings: str, confdir: Path) -> Iterator[Proxy]:
    """Run one proxy in front of the recordings, for all tests that need no special options."""
    proxy = Proxy(recordings, confdir).wait_ready()
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def scripted(confdir: Path) -> Iterator[tuple[Upstream, Proxy]]:
    """Run one proxy in front of a scripted server."""
    upstream = Upstream()
    proxy = Proxy(upstream.url, confdir).wait_ready()
    yield upstream, proxy
    proxy.stop()
    upstream.stop()


def client(proxy: Proxy) -> OpenAI:
    return OpenAI(base_url=f"{proxy.url}/v1", api_key="sk-none", max_retries=0, timeout=30)


def read(completion: Any) -> tuple[str | None, list[tuple[str, Any]], str]:
    """Return content, calls with the arguments as the SDK parsed them, and finish_reason."""
    choice = completion.choices[0]
    calls = [(c.function.name, c.function.parsed_arguments) for c in choice.message.tool_calls or []]
    return choice.message.content, calls, choice.finish_reason


def ask(proxy: Proxy, model: str) -> tuple[str | None, list[tuple[str, Any]], str]:
    """Ask with the streaming helper, tools and strict parsing; return what was read."""
    strict = [{**TOOLS[0], "function": {**TOOLS[0]["function"], "strict": True}}]
    messages = [{"role": "user", "content": "What is the weather?"}]
    with client(proxy).chat.completions.stream(model=model, messages=messages, tools=strict) as stream:
        for _ in stream:
            pass
        return read(stream.get_final_completion())


def test_every_leak_becomes_a_typed_call(replaying: Proxy) -> None:
    for form in LEAKS:
        found = ask(replaying, f"llamacpp-raw-{form}")
        assert found == ("I'll create the file.", [ZURICH], "tool_calls"), form
    assert ask(replaying, "llamacpp-raw-par") == ("Both cities:", [OSLO, LODZ], "tool_calls")
    assert ask(replaying, "mlx-noopen") == ("I'll create the file.", [ZURICH], "tool_calls")
    assert ask(replaying, "litellm-raw-good") == ("I'll create the file.", [ZURICH], "tool_calls")


def test_what_is_right_stays_right(
    replaying: Proxy, recordings: str, start_proxy: Callable[..., Proxy]
) -> None:
    direct = start_proxy(recordings, qwen_mode="observe")
    for name in ("llamacpp-parsed-good", "vllm-qwen3coder-par", "mlx-par", "llamacpp-raw-prose"):
        assert ask(replaying, name) == ask(direct, name), name
    content, calls, finish = ask(replaying, "llamacpp-raw-fence")
    assert content
    assert "<function=get_weather>" in content
    assert (calls, finish) == ([], "stop")


def test_not_streamed(scripted: tuple[Upstream, Proxy]) -> None:
    upstream, proxy = scripted
    leak = "<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n1\n</function>"
    upstream.answer = sized(completion(f"So.\n\n{leak}"))
    messages = [{"role": "user", "content": "What is the weather?"}]
    answer = client(proxy).chat.completions.create(model="qwen", messages=messages, tools=TOOLS)
    choice = answer.choices[0]
    call = choice.message.tool_calls[0]
    assert (choice.message.content, choice.finish_reason) == ("So.", "tool_calls")
    assert (call.function.name, call.function.arguments) == (OSLO[0], '{"city": "Oslo", "days": 1}')


def test_a_truncated_call_is_never_run(replaying: Proxy) -> None:
    with pytest.raises(openai.LengthFinishReasonError):
        ask(replaying, "llamacpp-raw-trunc30")


def test_prose_is_read_as_it_is_written(scripted: tuple[Upstream, Proxy]) -> None:
    upstream, proxy = scripted
    prose = "If a <b, write `<tool_call>` or <tool_call>.\n\n- std::function<void()>\n\n"
    upstream.answer = streamed(events(prose, step=3))
    assert ask(proxy, "qwen") == (prose, [], "stop")


def test_an_upstream_that_is_down_is_an_error_of_the_sdk(start_proxy: Callable[..., Proxy]) -> None:
    with pytest.raises(openai.InternalServerError, match=r"http://127\.0\.0\.1:1 does not answer") as error:
        ask(start_proxy("http://127.0.0.1:1"), "qwen")
    assert error.value.type == "upstream_error"
