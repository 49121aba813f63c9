"""No secret is left in what is written."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_recording import FULL

from qwenproxy.redaction import redact

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
        ('{"USER" :\t12345}', '{"USER" :\t"***"}'),
        ('{"user": 1}', '{"user": 0}'),
        ('{"a": [{"user": {"x": ["y", "}"]}}], "b": 2}', '{"a": [{"user": "***************"}], "b": 2}'),
        ('{"user": "a\\"b", "user_id": 7}', '{"user": "****", "user_id": 7}'),
        ('data: {"user": "anna"}\n\ndata: {"user": "an', 'data: {"user": "****"}\n\ndata: {"user": "*"'),
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
