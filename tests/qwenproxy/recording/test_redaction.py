"""No secret is left in what is written."""

import base64
import dataclasses
import json
from typing import Any

import pytest
from answers import FULL, answer, native, unstreamed
from hypothesis import given, settings
from hypothesis import strategies as st
from proxy import chat, chunk, events, understood

from qwenproxy.recording.format import Recording
from qwenproxy.recording.redaction import redact
from qwenproxy.replay.rerun import outcome, rewrite
from support.streams import ENGINES, Engine

KEYS = [
    "Authorization",
    "Proxy-Authorization",
    "Cookie",
    "Set-Cookie",
    "X-API-Key",
    "api-key",
    "x-goog-api-key",
    "Ocp-Apim-Subscription-Key",
    "X-Auth-Token",
    "cf-aig-authorization",
    "X-Amz-Security-Token",
    "Helicone-Auth",
]


@pytest.mark.parametrize("name", KEYS)
def test_headers_that_hold_secrets(name: str) -> None:
    headers = ((name, "Bearer sk=planted-0123456789"), ("X-Mine", "1"))
    clean = redact(dataclasses.replace(FULL, request_headers=headers, headers=headers))
    assert clean.request_headers == clean.headers == ((name, "REDACTED"), ("X-Mine", "1"))


@pytest.mark.parametrize(
    "name", ["Content-Type", "X-RateLimit-Remaining-Tokens", "User-Agent", "X-Request-Id"]
)
def test_headers_that_hold_none(name: str) -> None:
    headers = ((name, "anything"),)
    assert redact(dataclasses.replace(FULL, headers=headers)).headers == headers


@pytest.mark.parametrize("name", ["key", "api_key", "apikey", "api-key", "access_token", "token", "sig"])
def test_parameters_that_hold_secrets(name: str) -> None:
    clean = redact(dataclasses.replace(FULL, url=f"http://h:1/v1?a=1&{name}=planted&b="))
    assert clean.url == f"http://h:1/v1?a=1&{name}=REDACTED&b="


@pytest.mark.parametrize(
    "name",
    ["api_key", "apiKey", "openai_api_key", "password", "client_secret", "access_token", "authorization"],
)
def test_json_keys_that_hold_secrets(name: str) -> None:
    secret = "pl\u00e4nted"
    asked = {"model": "m", name: secret, "extra": [{name: secret}], "user": "u"}
    for body in (json.dumps(asked), json.dumps(asked, ensure_ascii=False)):
        clean = redact(dataclasses.replace(FULL, request=asked, request_body=body.encode()))
        assert "nted" not in repr(clean)
        assert (clean.request["model"], clean.request["user"]) == ("m", "u")
        assert len(clean.request_body) == len(body.encode())


def test_a_parameter_that_is_called_so_stays_in_the_schema() -> None:
    tool = {"function": {"name": "login", "parameters": {"properties": {"password": {"type": "string"}}}}}
    asked = {"tools": [tool], "logprobs": {"token": "a"}, "max_tokens": 5}
    recording = dataclasses.replace(FULL, request=asked, request_body=json.dumps(asked).encode())
    assert redact(recording).request == asked


def test_a_secret_of_the_body_is_gone_wherever_it_is_echoed() -> None:
    asked = {"api_key": "sk-planted-0123456789", "team": "the red planted team"}
    echo = f"no {asked['api_key']} in {asked['team']}"
    recording = dataclasses.replace(
        FULL, request=asked, request_body=json.dumps(asked).encode(), comment=echo, name=echo
    )
    assert "planted" not in repr(redact(recording, ["team"]))


def test_a_secret_is_gone_wherever_it_is_echoed() -> None:
    secret = "sk-planted-0123456789"
    echo = f"wrong key {secret}".encode()
    clean = redact(
        dataclasses.replace(
            FULL,
            request_headers=(("Authorization", f"Bearer {secret}"),),
            headers=(("X-Echo", secret),),
            chunks=[echo[:15], echo[15:]],
            times=[0.0, 0.0],
            out=echo,
            ledger={"refusals": [["fenced", secret]]},
            comment=secret,
            aborted=secret,
        )
    )
    assert secret not in repr(clean)
    assert b"planted" not in clean.body
    assert [len(c) for c in clean.chunks] == [15, len(echo) - 15]


def test_short_keys_and_cookie_names_are_not_wiped_out_of_the_text() -> None:
    text = b"lm-studio session_identifier HttpOnly SameSite"
    headers = (
        ("Authorization", "Bearer lm-studio"),
        ("Cookie", "session_identifier=x"),
        ("Set-Cookie", "a=b; HttpOnly; SameSite=Strict"),
    )
    clean = redact(dataclasses.replace(FULL, headers=headers, chunks=[text], times=[0.0]))
    assert clean.body == text


@pytest.mark.parametrize(
    ("body", "clean"),
    [
        ('{"user": "anna", "n": 1}', '{"user": "****", "n": 1}'),
        ('{"USER" :\t12345}', '{"USER" :\t11111}'),
        ('{"user": 1}', '{"user": 0}'),
        ('{"a": [{"user": {"x": ["y", "}"]}}], "b": 2}', '{"a": [{"user": {"x": ["*", "*"]}}], "b": 2}'),
        ('{"user": "a\\"b", "user_id": 7}', '{"user": "****", "user_id": 7}'),
        ('data: {"user": "anna"}\n\ndata: {"user": "an', 'data: {"user": "****"}\n\ndata: {"user": "**'),
        ('{"user": "Zürich 🙂"}', '{"user": "************"}'),
        ('"user"', '"user"'),
    ],
)
def test_named_json_keys(body: str, clean: str) -> None:
    recording = dataclasses.replace(FULL, request_body=body.encode(), chunks=[body.encode()], times=[0.0])
    redacted = redact(recording, ["User"])
    assert redacted.request_body == redacted.body == clean.encode()
    assert len(redacted.body) == len(body.encode())


@given(st.binary(max_size=200), st.text(max_size=30))
def test_redaction_never_fails_and_keeps_lengths(body: bytes, value: str) -> None:
    data = body + b'{"user": ' + json.dumps(value).encode() + b"}" + body
    recording = dataclasses.replace(
        FULL, chunks=[data], times=[0.0], out=body, request_headers=(("Authorization", value),)
    )
    redacted = redact(recording, ["user"])
    assert len(redacted.body) == len(data)
    assert len(redacted.out) == len(body)


def test_what_holds_no_secret_is_unchanged() -> None:
    assert redact(FULL, ["user"]) == FULL


# Where the deltas cut them

SECRETS = ("hunter2-planted", "sk-planted-0123456789", "anna-planted-secret")
LOGIN = {
    "type": "function",
    "function": {
        "name": "login",
        "parameters": {
            "type": "object",
            "properties": {
                "host": {"type": "string"},
                "password": {"type": "string"},
                "session_id": {"type": "integer"},
                "credentials": {"type": "object"},
                "auth_tokens": {"type": "array"},
            },
            "required": ["host", "password"],
        },
    },
}
ARGUMENTS = {
    "host": "h",
    "password": SECRETS[0],
    "session_id": 4711,
    "credentials": {"key": SECRETS[1], "n": 1},
    "auth_tokens": [SECRETS[2], 2],
}
SPOKEN = "\n".join(
    f"<parameter={name}>\n{value if isinstance(value, str) else json.dumps(value)}\n</parameter>"
    for name, value in ARGUMENTS.items()
)
CALL = f"Let me.\n<tool_call>\n<function=login>\n{SPOKEN}\n</function>\n</tool_call>"
JSON_CALL = f"<tool_call>\n{json.dumps({'name': 'login', 'arguments': ARGUMENTS})}\n</tool_call>"
WRITTEN = json.dumps(ARGUMENTS)


def cut_up(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def in_choices(texts: list[str]) -> list[bytes]:
    """Return two answers at once, with alternating deltas."""
    deltas = [
        {"choices": [{"index": n, "delta": {"content": t}, "finish_reason": None}]}
        for t in texts
        for n in (0, 1)
    ]
    return [b"data: " + json.dumps(d).encode() + b"\n\n" for d in deltas]


def parallel(step: int) -> list[bytes]:
    """Return two calls at once, both in each event."""
    pieces = cut_up(WRITTEN, step)
    calls = [[{"index": n, "function": {"arguments": piece}} for n in (0, 1)] for piece in pieces]
    names = [
        {"index": n, "id": f"x{n}", "type": "function", "function": {"name": "login", "arguments": ""}}
        for n in (0, 1)
    ]
    return [chunk({"tool_calls": names}), *(chunk({"tool_calls": c}) for c in calls), chunk({}, "tool_calls")]


def chats() -> dict[str, Recording]:
    asked = chat(tools=[LOGIN])
    return {
        "xml": answer("xml", events(CALL), request=asked),
        "xml, one character each": answer("xml1", events(CALL, 1), request=asked),
        "xml, whole": answer("xml0", events(CALL, 10_000), request=asked),
        "json": answer("json", events(JSON_CALL, 3), request=asked),
        "cut off": answer("cut", events(CALL[:150]), request=asked),
        "reasoning": answer(
            "thoughts", [chunk({"reasoning_content": t}) for t in cut_up(CALL, 4)], request=asked
        ),
        "native": answer("native", native(cut_up(WRITTEN, 3), "login"), request=asked),
        "native, parallel": answer("parallel", parallel(3), request=asked),
        "two choices": answer("choices", in_choices(cut_up(CALL, 5)), request=asked),
        "not streamed": dataclasses.replace(
            unstreamed("whole", CALL), request=asked, request_body=json.dumps(asked).encode()
        ),
    }


def with_out(recording: Recording) -> Recording:
    sent, ledger = rewrite(recording, recording.chunks, "tolerant")
    return dataclasses.replace(recording, out=sent, ledger=ledger.as_dict())


def shape(recording: Recording) -> Any:
    found = outcome(recording, recording.chunks)
    calls = [(c.name, kinds(c.values)) for choice in found.choices for c in choice.calls]
    finish = [(len(choice.content), choice.finish_reason) for choice in found.choices]
    return found.repairs, found.refused, found.unchanged, found.error, found.crash, calls, finish


def kinds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: kinds(item) for key, item in value.items()}
    return [kinds(item) for item in value] if isinstance(value, list) else type(value)


def texts_of(body: bytes) -> str:
    """Return all strings of the events, joined by key."""
    joined: dict[str, str] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            place = f"{path}.{value.get('index', '')}"
            for key, item in value.items():
                walk(item, f"{place}.{key}")
        elif isinstance(value, list):
            for item in value:
                walk(item, path)
        elif isinstance(value, str):
            joined[path] = joined.get(path, "") + value

    for line in body.splitlines():
        if line.startswith((b"data: {", b"{")):
            walk(json.loads(line.removeprefix(b"data: ")), "")
    return "\n".join(joined.values())


@pytest.mark.parametrize("name", list(chats()))
def test_calls_lose_their_secrets_and_nothing_else(name: str) -> None:
    recording = with_out(chats()[name])
    clean = redact(recording)
    for before, after in ((recording.body, clean.body), (recording.out, clean.out)):
        assert len(before) == len(after)
        assert any(secret in texts_of(before) for secret in SECRETS)
        for secret in (*SECRETS, "4711"):
            assert secret not in texts_of(after)
            assert secret.encode() not in after
    assert [len(c) for c in clean.chunks] == [len(c) for c in recording.chunks]
    assert shape(clean) == shape(recording)
    assert clean.request == recording.request


@pytest.mark.parametrize("step", [1, 3, 4, 50])
def test_a_key_that_the_model_echoes_bit_by_bit(step: int) -> None:
    key = 'sk-"planted"-/0123456789'
    recording = answer(
        "echo",
        events(f"Your key is {key}, is it?", step),
        request_headers=(("Authorization", f"Bearer {key}"),),
    )
    said = understood(redact(recording).body).content
    assert "planted" not in said
    assert said.startswith("Your key is *")
    assert said.endswith("*, is it?")


def test_logprobs_spell_no_secret() -> None:
    def spoken(text: str) -> bytes:
        token = {"token": text, "logprob": -0.1, "bytes": list(text.encode())}
        choice = {"delta": {"content": text}, "logprobs": {"content": [token | {"top_logprobs": [token]}]}}
        return b"data: " + json.dumps({"choices": [{"index": 0} | choice]}).encode() + b"\n\n"

    recording = answer("spelt", [spoken(t) for t in ("a", *cut_up("<parameter=token>\nplanted", 3))])
    clean = redact(recording)
    spelt = b"".join(clean.chunks).decode()
    tokens = "".join(json.loads(c[6:])["choices"][0]["logprobs"]["content"][0]["token"] for c in clean.chunks)
    assert "planted" not in tokens
    assert tokens.startswith("a<parameter=token>"[:16])
    assert str(list(b"ant")) not in spelt
    assert [len(c) for c in clean.chunks] == [len(c) for c in recording.chunks]


def test_in_tool_arguments_and_results_of_the_history() -> None:
    inner = json.dumps({"accessToken": "planted-1", "deep": json.dumps([{"pwd": "planted-2"}])})
    asked = chat(
        messages=[
            {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": inner}}]},
            {"role": "tool", "content": inner, "session": {"id": "planted-3", "list": ["planted-4"]}},
        ]
    )
    clean = redact(dataclasses.replace(FULL, request=asked, request_body=json.dumps(asked).encode()))
    assert "planted" not in repr(clean)
    arguments = json.loads(clean.request["messages"][0]["tool_calls"][0]["function"]["arguments"])
    assert arguments["accessToken"] == "*" * 9
    assert json.loads(arguments["deep"]) == [{"pwd": "*" * 9}]


# In headers and URLs


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("http://h:1/v1?code=planted;pwd=planted&v=1", "http://h:1/v1?code=REDACTED;pwd=REDACTED&v=1"),
        ("http://h/v1?X-Amz-Signature=planted&a", "http://h/v1?X-Amz-Signature=REDACTED&a"),
        (
            "http://h/v1?api%5Fkey=pl%61nted#access_token=x",
            "http://h/v1?api%5Fkey=REDACTED#access_token=REDACTED",
        ),
        ("http://h/bot12345678:planted-planted/chat", "http://h/REDACTED/chat"),
        ("http://h/v1/sk-planted0123/chat/completions", "http://h/v1/REDACTED/chat/completions"),
        ("http://h/9f86d081884c7d659a2feaa0c55ad015/v1", "http://h/REDACTED/v1"),
        ("http://anna:planted@h/v1", "http://REDACTED@h/v1"),
        ("http://h/models/Qwen3-Coder-480B-A35B-Instruct-FP8/v1", None),
        ("http://h/v1/accounts/123e4567-e89b-12d3-a456-426614174000/chat/completions?v=1", None),
    ],
)
def test_urls(url: str, clean: str | None) -> None:
    assert redact(dataclasses.replace(FULL, url=url)).url == (clean or url)


def test_a_key_of_the_url_is_gone_wherever_it_is_echoed() -> None:
    url = "http://h/v1/sk-planted0123/x?key=pl%61nted-0123456789"
    echo = "no sk-planted0123, planted-0123456789, pl%61nted-0123456789 or /sk-planted0123/"
    headers = (("Location", url), ("X-Said", echo))
    clean = redact(dataclasses.replace(FULL, url=url, headers=headers, comment=echo, out=echo.encode()))
    assert "planted" not in repr(dataclasses.replace(clean, comment="", headers=()))
    assert "sk-" not in repr(clean)


def test_the_password_of_basic_auth() -> None:
    coded = base64.b64encode(b"anna:pass:w0rd").decode()
    echo = json.dumps({"error": {"message": f"anna:pass:w0rd, not pass:w0rd, {coded}"}}).encode()
    clean = redact(
        dataclasses.replace(
            FULL,
            request_headers=(("Authorization", f"Basic {coded}"),),
            chunks=[echo],
            times=[0.0],
            status=401,
        )
    )
    assert b"w0rd" not in clean.body
    assert coded.encode() not in clean.body


@pytest.mark.parametrize("bearer", ["abc123", "swordfish", "1234"])
def test_a_short_bearer_that_an_error_echoes(bearer: str) -> None:
    echo = json.dumps({"error": {"message": f"'{bearer}' is wrong", "code": None}}).encode()
    headers = (("Authorization", f"Bearer {bearer}"),)
    clean = redact(
        dataclasses.replace(
            FULL, request_headers=headers, chunks=[echo], times=[0.0], status=401, aborted=bearer
        )
    )
    assert bearer.encode() not in clean.body
    assert bearer not in clean.aborted
    assert json.loads(clean.body)["error"]["code"] is None


@pytest.mark.parametrize("bearer", ["none", "null", "error", "message", "EMPTY", "ollama"])
def test_a_word_as_bearer_damages_nothing(bearer: str) -> None:
    said = f"none of the ollama models had an error message, {bearer}s"
    body = json.dumps({"choices": [{"message": {"content": said, "error": None}}]}).encode()
    headers = (("Authorization", f"Bearer {bearer}"),)
    clean = redact(dataclasses.replace(FULL, request_headers=headers, chunks=[body], times=[0.0]))
    assert clean.body == body
    error = json.dumps({"error": {"message": "x", "param": None}}).encode()
    clean = redact(
        dataclasses.replace(FULL, request_headers=headers, chunks=[error], times=[0.0], status=400)
    )
    assert clean.body == error


def test_signatures_in_headers_of_many_parts() -> None:
    value = (
        'AWS4 Credential=AKIAPLANTED0123/20260101, SignedHeaders=host;x-date, Signature="planted0123456789"'
    )
    body = b"SignedHeaders=host;x-date AKIAPLANTED0123/20260101 planted0123456789"
    clean = redact(
        dataclasses.replace(FULL, request_headers=(("Authorization", value),), chunks=[body], times=[0.0])
    )
    assert clean.body == b"SignedHeaders=host;x-date ************************ *****************"


def test_a_secret_that_is_the_name_of_a_tool_stays_there() -> None:
    tool = {"type": "function", "function": {"name": "press_any_key_now"}}
    asked = chat(tools=[tool], metadata={"key": "press_any_key_now"})
    clean = redact(dataclasses.replace(FULL, request=asked, request_body=json.dumps(asked).encode()))
    assert clean.request["tools"] == [tool]
    assert clean.request["metadata"] == {"key": "*" * 17}


def test_many_secrets_are_all_gone() -> None:
    secrets = [f"sk-planted-{n * 7919:08}" for n in range(300)]
    asked = chat(metadata={f"key{n}": s for n, s in enumerate(secrets)})
    clean = redact(
        dataclasses.replace(
            FULL, request=asked, request_body=json.dumps(asked).encode(), out=" ".join(secrets).encode()
        )
    )
    assert "planted" not in repr(clean)


VALUES = st.recursive(
    st.from_regex(r"planted-\d{4}(|\"x|\\n|\n|é|🙂|'| b|\})", fullmatch=True)
    | st.integers(0, 10**6)
    | st.sampled_from([True, None, 1.5, -2]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["user", "n"]), inner, max_size=2)
    ),
    max_leaves=3,
)
NAMES = st.sampled_from(["password", "session_id", "credentials", "auth_tokens", "api_key", "x-jwt"])


@settings(derandomize=True, deadline=None)
@given(
    arguments=st.dictionaries(NAMES, VALUES, min_size=1, max_size=3),
    kinds_of=st.lists(st.sampled_from(["string", "integer", "object", "array"]), min_size=6, max_size=6),
    engine=st.sampled_from(ENGINES),
    form=st.sampled_from(["xml", "json", "native", "nested", "cut"]),
    step=st.integers(1, 30),
)
def test_whatever_is_called_comes_to_the_same(
    arguments: dict[str, Any], kinds_of: list[str], engine: Engine, form: str, step: int
) -> None:
    if form == "nested":
        arguments = {"a": json.dumps(arguments)}
    properties = {name: {"type": kind} for name, kind in zip(arguments, kinds_of, strict=False)}
    function = {"name": "login", "parameters": {"type": "object", "properties": properties}}
    written = json.dumps({"name": "login", "arguments": arguments})
    spoken = "\n".join(
        f"<parameter={k}>\n{v if isinstance(v, str) else json.dumps(v)}\n</parameter>"
        for k, v in arguments.items()
    )
    text = f"<tool_call>\n<function=login>\n{spoken}\n</function>\n</tool_call>"
    text = f"<tool_call>\n{written}\n</tool_call>" if form == "json" else text
    text = text[: len(text) // 2] if form == "cut" else text
    native_call = native(cut_up(json.dumps(arguments), step), "login")
    chunks = native_call if form == "native" else list(engine.answer(cut_up(text, step)))
    recording = with_out(
        answer("any", chunks, request=chat(tools=[{"type": "function", "function": function}]))
    )
    clean = redact(recording)
    for before, after in ((recording.body, clean.body), (recording.out, clean.out)):
        assert len(before) == len(after)
        assert "planted" not in texts_of(after)
    *same, ends = zip(shape(recording), shape(clean), strict=True)
    assert all(before == after for before, after in same)
    assert [finish for _, finish in ends[0]] == [finish for _, finish in ends[1]]
