"""How many examples, and which: few and always the same in `make test`, other ones in `make fuzz`."""

import os
from typing import Any

from hypothesis import HealthCheck, settings

FUZZ = int(os.environ.get("FUZZ", "0"))  # run.py says how many times as many examples


def fuzzed(examples: int) -> Any:
    """Settings for a test; `make test`, where it must not flicker, takes a quarter of these examples."""
    return settings(
        max_examples=examples * FUZZ if FUZZ else examples // 4,
        derandomize=not FUZZ,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
