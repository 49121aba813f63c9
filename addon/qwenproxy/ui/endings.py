"""Why an answer broke off, in words: mitmproxy says it in the terms of its protocols."""

from collections.abc import Mapping

from ..chat import SHUTDOWN

CLIENT_LEFT = "the client disconnected"

# What is found in mitmproxy's messages, over HTTP/1 and HTTP/2; the first one counts.
_WORDS: Mapping[str, str] = {
    SHUTDOWN: "the proxy was stopped",
    "client disconnect": CLIENT_LEFT,
    "by client": CLIENT_LEFT,
    "closed connection": "the server closed the connection",
}


def in_words(reason: str) -> str:
    """Return the reason in our words, or as it is if we have none for it."""
    said = reason.lower()
    return next((words for part, words in _WORDS.items() if part in said), reason)
