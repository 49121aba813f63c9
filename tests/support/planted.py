"""Failures that are planted, to see what they cost."""

import json
from typing import Any

import pytest


class PlantedError(RuntimeError): ...


def fails_at(patch: pytest.MonkeyPatch, owner: Any, name: str, use: int) -> list[int]:
    """Make one use of a function raise; return the list whose only element counts the uses."""
    original, uses = getattr(owner, name), [0]

    def broken(*args: Any, **more: Any) -> Any:
        uses[0] += 1
        if uses[0] == use:
            raise PlantedError
        return original(*args, **more)

    patch.setattr(owner, name, broken)
    return uses


def can_run(text: str) -> bool:
    """Whether these are the arguments of a call that can run."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
