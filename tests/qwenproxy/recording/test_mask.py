"""No key reaches the log or the status page, however a server repeats it."""

import base64

import pytest

from qwenproxy.recording.mask import mask_for

KEY = "sk-live-0123456789abcdef"
BASIC = base64.b64encode(b"anna:pass-0123-word").decode()
HEADERS = (
    ("Authorization", f"Bearer {KEY}"),
    ("X-Api-Key", "hunter22"),
    ("Proxy-Authorization", f"Basic {BASIC}"),
    ("X-Team-Token", "letmein"),
    ("User-Agent", "opencode/1.18.33"),
)
URL = "http://localhost:8080/bot12345678:abcdef/v1/chat/completions?key=in-the-query-01&v=1"


@pytest.mark.parametrize(
    ("said", "masked"),
    [
        (f"Incorrect API key provided: Bearer {KEY}.", "Incorrect API key provided: ***."),
        ("wrong key hunter22, or letmein?", "wrong key ***, or ***?"),
        (f"no {BASIC}, no pass-0123-word", "no ***, no ***"),
        ("in-the-query-01 and bot12345678:abcdef", "*** and ***"),
        ("not your key: hf_aBcDeFgHiJkLmN0123", "not your key: ***"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc is over", "*** is over"),
        ('{"api_key": "so-so"}', '{"api_key": "***"}'),
    ],
)
def test_keys_are_hidden(said: str, masked: str) -> None:
    assert mask_for(HEADERS, URL)(said).replace("*****", "***") == masked


@pytest.mark.parametrize(
    "said",
    [
        "The model Qwen/Qwen3-Coder-30B-A3B-Instruct-2507 does not exist",
        "maximum context length is 4096 tokens, you sent 12345678901234567890",
        "opencode/1.18.33 at http://localhost:8080: connection refused",
        "request 550e8400-e29b-41d4-a716-446655440000 failed",
    ],
)
def test_other_words_stay(said: str) -> None:
    assert mask_for(HEADERS, URL)(said) == said
