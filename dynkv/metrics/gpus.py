"""GPU figures for a status: requested from NVML on demand, with a short timeout."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from functools import partial

from dynkv.host.asking import Questions
from dynkv.host.gpus import GpuLoad, gpu_loads
from dynkv.supervisor.status import GpuStatus, UnitStatus

_PATIENCE_S = 0.2
"""Timeout in seconds. A quick status waits 0.5 s for the whole answer; NVML takes some 10 ms, and minutes for a GPU
that fell off the bus."""
_FRESH_S = 0.5
_STALE_S = 10.0
"""Seconds after which figures of an earlier look are outdated."""


class GpuFigures:
    """GPU figures; if NVML does not answer in time, those of the last look. One look at a time."""

    def __init__(self) -> None:
        self._loads: dict[str, GpuLoad] = {}
        self._loaded_at = -_STALE_S
        self._looked_at = -_FRESH_S
        self._nvml = Questions()

    async def of(self, units: Iterable[UnitStatus]) -> tuple[GpuStatus, ...]:
        """Figures of the GPUs that units use, in order; asks nobody if they use none."""
        loads = await self.loads(units)
        return tuple(
            GpuStatus(gpu, load.used_bytes, load.total_bytes, load.utilisation, load.power_w, load.temperature_c)
            for gpu, load in loads.items()
        )

    async def loads(self, units: Iterable[UnitStatus]) -> dict[str, GpuLoad]:
        """The same figures as NVML gives them."""
        wanted = tuple(dict.fromkeys(gpu for unit in units for gpu in unit.gpus))
        if wanted and time.monotonic() >= self._looked_at + _FRESH_S:
            with suppress(TimeoutError):
                await self._nvml.ask(partial(self._look, wanted), _PATIENCE_S)
            self._looked_at = time.monotonic()
        if time.monotonic() >= self._loaded_at + _STALE_S:
            return {}
        return {gpu: load for gpu in wanted if (load := self._loads.get(gpu)) is not None}

    def _look(self, wanted: tuple[str, ...]) -> None:
        """Look, in a thread that continues even when nobody waits for it any more."""
        self._loads, self._loaded_at = gpu_loads(wanted), time.monotonic()
