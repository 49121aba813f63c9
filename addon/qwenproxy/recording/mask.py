"""Hides keys in what a server says, before it reaches the log, the status page or a comment.

A server may repeat the client's key in an error (`Incorrect API key provided: Bearer sk-…`). What is secret
in the headers and the URL of the request is hidden wherever the text repeats it, and so is any word that
looks like a key.
"""

import re
from collections.abc import Callable

from .format import Headers
from .redaction import Scrubber, credentials, is_key
from .repeats import Repeats

HIDDEN = "***"

_WORD = re.compile(r"[A-Za-z0-9][\w.:+=~-]{7,}")
_ASTERISKS = re.compile(r"\*{4,}")

Mask = Callable[[str], str]


def mask_for(headers: Headers, url: str) -> Mask:
    """Return the function that hides the keys of this request in a text."""

    def masked(text: str) -> str:
        if not text:
            return ""
        found = frozenset(credentials(headers, url))
        scrubbed = Scrubber(Repeats(found, found), frozenset()).text(text)
        return _ASTERISKS.sub(HIDDEN, _WORD.sub(_word, scrubbed))

    return masked


def _word(found: re.Match[str]) -> str:
    word = found[0].rstrip(".:")
    return found[0].replace(word, HIDDEN, 1) if is_key(word) else found[0]
