"""One turn per GPU: while an engine measures its GPU's memory, no other on it may start or stop.

Two at once mis-size their KV caches, or die when memory changes under them (vllm#55827, vllm#56830).
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import anyio


class Turn:
    """Held until `release`, which may be called twice."""

    def __init__(self) -> None:
        self._held: list[anyio.Semaphore] = []

    @property
    def is_held(self) -> bool:
        """Whether it holds any GPU."""
        return bool(self._held)

    async def add(self, lock: anyio.Semaphore) -> None:
        await lock.acquire()
        self._held.append(lock)

    def add_if_free(self, lock: anyio.Semaphore) -> None:
        with suppress(anyio.WouldBlock):
            lock.acquire_nowait()
            self._held.append(lock)

    def release(self) -> None:
        while self._held:
            self._held.pop().release()


class Turns:
    def __init__(self) -> None:
        self._by_gpu: dict[str, anyio.Semaphore] = {}

    async def take(self, gpus: Iterable[str]) -> Turn:
        """Wait until nobody has a turn on any of these GPUs, and take it. GPUs are taken in one order, to prevent
        deadlocks."""
        turn = Turn()
        try:
            for gpu in sorted(set(gpus)):
                await turn.add(self._lock(gpu))
        except BaseException:
            turn.release()
            raise
        return turn

    def take_free(self, gpus: Iterable[str]) -> Turn:
        """Take the turns that are free, without waiting: for a unit that is already starting."""
        turn = Turn()
        for gpu in sorted(set(gpus)):
            turn.add_if_free(self._lock(gpu))
        return turn

    def _lock(self, gpu: str) -> anyio.Semaphore:
        return self._by_gpu.setdefault(gpu, anyio.Semaphore(1))
