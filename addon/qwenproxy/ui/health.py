"""Whether the model server answers. It is asked on demand, but at most once a second."""

import asyncio
import time
from collections.abc import Callable

from ..backend.probe import Ask, Heard

FRESH = 1.0  # seconds for which an answer is reused


class Backends:
    """The model servers behind this proxy. `clock` is monotonic."""

    def __init__(self, ask: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._asked: dict[str, tuple[float, asyncio.Task[Heard]]] = {}

    async def heard(self, url: str) -> Heard:
        """Return what a server answered. Concurrent callers share one question."""
        since, task = self._asked.get(url, (0.0, None))
        if task is None or (task.done() and self._clock() - since >= FRESH):
            task = asyncio.create_task(self._question(url))
            self._asked[url] = self._clock(), task
        return await asyncio.shield(task)

    async def _question(self, url: str) -> Heard:
        try:
            return await self._ask(url)
        except Exception as e:
            return Heard(down=f"{type(e).__name__}: {e}")
