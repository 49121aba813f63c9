"""Errors that the proxy makes itself, in the shape that a client of the API in use can read.

Our own endpoints answer as chat completions do.
"""

from typing import Any

from .apis import CHAT, CLIENTS_FAULT, SERVERS_FAULT, Api

TOO_LARGE = "answer_too_large"


def api_error(code: str, message: str, kind: str = CLIENTS_FAULT, api: Api = CHAT) -> dict[str, Any]:
    """`kind` says whether the client or the server is at fault."""
    return api.error(code, message, kind)


def too_large(error: Exception, api: Api) -> dict[str, Any]:
    return api.error(TOO_LARGE, str(error), SERVERS_FAULT)


def too_large_frame(error: Exception, api: Api) -> bytes:
    """The same as a part of a stream."""
    return api.error_frame(TOO_LARGE, str(error), SERVERS_FAULT)
