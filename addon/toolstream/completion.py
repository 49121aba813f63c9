"""Placeholder until it lands: everything passes."""

from typing import Any

from .repairs import Ledger


def rewrite_completion(
    request_body: dict[str, Any], response_body: bytes, recovery: str = "tolerant"
) -> tuple[bytes, Ledger]:
    return response_body, Ledger()
