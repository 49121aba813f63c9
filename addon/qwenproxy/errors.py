"""Errors in the format of OpenAI's API, which every client can read."""

from typing import Any


def api_error(code: str, message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    """`kind` is `invalid_request_error` if the client is at fault, `upstream_error` if the server is."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def too_large(error: Exception) -> dict[str, Any]:
    return api_error("answer_too_large", str(error), "upstream_error")
