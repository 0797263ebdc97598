"""One scrape for everything: dynkv's own metrics, and those of all its units, with their labels."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from msgspec import Struct

from dynkv.metrics.exposition import unit_labels
from dynkv.metrics.families import (
    Families,
    NotReadable,
    Source,
    as_openmetrics,
    as_text,
    families_of,
    merged,
    own_family,
)
from dynkv.plan.model import Plan, Unit
from dynkv.probes.scrape import Figures
from dynkv.probes.text import Sample
from dynkv.secrets import hidden
from dynkv.supervisor.life import secrets_of

SCRAPE_FAMILIES = {
    "dynkv_scrape_ok": ("gauge", "1 if the unit's metrics arrived in time, complete and valid."),
    "dynkv_scrape_duration_seconds": ("gauge", "How long the unit's metrics took, or were waited for."),
}
"""Type and description by name."""
_TIMEOUT_S = 2.0
_FRESH_S = 1.0
OLDEST_S = 2 * _FRESH_S
"""Greatest age of a value in seconds: a text is served for _FRESH_S, and made of units' texts that may be as old."""
_LONGEST = 2 * 1024**2
"""Most characters of one unit: a vLLM worker has some 200,000."""


class _Said(Struct, frozen=True):
    unit: Unit
    families: Families | None
    took_s: float


class Whole:
    """Gathers everything. Requests within a second get the same text, so that many cost no more than one."""

    def __init__(self, plan: Plan, figures: Figures, own: Callable[[], Awaitable[Families]]) -> None:
        """`own`: dynkv's own metrics."""
        self._plan = plan
        self._figures = figures
        self._own = own
        self._turn = anyio.Lock()
        self._newest: Families = {}
        self._at = -_FRESH_S

    async def text(self, *, openmetrics: bool) -> str:
        async with self._turn:
            if anyio.current_time() >= self._at + _FRESH_S:
                self._newest = await self._gathered()
                self._at = anyio.current_time()
            return as_openmetrics(self._newest) if openmetrics else as_text(self._newest)

    async def _gathered(self) -> Families:
        units = [unit for unit in self._plan.units if unit.name in self._figures.sources]
        said: dict[str, _Said] = {}

        async def ask(unit: Unit) -> None:
            said[unit.name] = await self._ask(unit)

        async with anyio.create_task_group() as tasks:
            for unit in units:
                tasks.start_soon(ask, unit)
        in_order = [said[unit.name] for unit in units]
        scrapes = self._scrapes(in_order)
        return merged([await self._own(), scrapes, *(it.families for it in in_order if it.families)])

    async def _ask(self, unit: Unit) -> _Said:
        began = anyio.current_time()
        source = self._figures.sources[unit.name]
        text = await self._figures.get(source, max_age_s=_FRESH_S, timeout_s=_TIMEOUT_S, only_whole=True)
        took_s = anyio.current_time() - began
        if text is None or len(text) > _LONGEST:
            return _Said(unit, None, took_s)
        text = hidden(text, secrets_of(unit).values())
        try:
            return _Said(unit, families_of(text, Source(self._plan.name, unit.name, unit.role)), took_s)
        except NotReadable:
            return _Said(unit, None, took_s)

    def _scrapes(self, said: list[_Said]) -> Families:
        ok, took = [], []
        for it in said:
            labels = unit_labels(self._plan.name, it.unit.name, it.unit.role)
            ok.append(Sample("dynkv_scrape_ok", labels, int(it.families is not None)))
            took.append(Sample("dynkv_scrape_duration_seconds", labels, round(it.took_s, 4)))
        return {
            samples[0].name: own_family(*SCRAPE_FAMILIES[samples[0].name], samples) for samples in (ok, took) if samples
        }
