"""The children's own metrics of their KV caches, from their /metrics and /status."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import anyio

from dynkv.plan.model import Plan, Role, Unit
from dynkv.probes.finite import quotient, sum_of_known
from dynkv.probes.http import request
from dynkv.probes.registered import registered_in
from dynkv.probes.scrape import Figures, sources
from dynkv.probes.text import read, total
from dynkv.profile.engines import ENGINES
from dynkv.reclaim.registrations import Registrations

PERIOD_S = 5.0
_TIMEOUT_S = 5.0
_REQUESTED = "lmcache_mp_lookup_requested_tokens_total"
_HIT = "lmcache_mp_lookup_hit_tokens_total"
_L1_USAGE = "lmcache_mp_l1_usage_ratio"
_L1_USED = "lmcache_mp_l1_memory_usage_bytes"
_L2_USED = "lmcache_mp_l2_usage_bytes"
"""Source: lmcache 0.5.2 and 0.5.6, /metrics."""
_MOVED = "vllm:nixl_bytes_transferred_sum"
_TOOK = "vllm:nixl_xfer_time_seconds_sum"
"""Source: vllm 0.23.0 and 0.31.0, /metrics."""
KvFigures = dict[str, float | int | None]


async def gather_forever(
    plan: Plan, note: Callable[[Mapping[str, float | int | None]], None], figures: Figures | None = None
) -> None:
    """Gather and `note` every PERIOD_S; figures of a child that does not answer are None."""
    figures = figures or Figures(sources(plan))
    while True:
        note(await gather(plan, figures))
        await anyio.sleep(PERIOD_S)


async def gather(plan: Plan, figures: Figures | None = None) -> KvFigures:
    """Gather the figures. Token counts are totals since the sidecar started; bytes since each worker did.

    All are requested side by side, each with its own deadline. Whatever the answers, each figure is finite or None.
    """
    figures = figures or Figures(sources(plan))
    parts: list[Callable[[], Awaitable[KvFigures]]] = []
    if sidecars := [unit for unit in plan.units if unit.role is Role.LMCACHE]:
        parts += [partial(_caches, figures, sidecars), partial(_registrations, sidecars)]
    if any(unit.role is Role.DECODE for unit in plan.units) and ENGINES[plan.engine].runs_vllm:
        parts.append(partial(_nixl, figures, plan))
    found = [KvFigures() for _ in parts]

    async def fill(number: int, part: Callable[[], Awaitable[KvFigures]]) -> None:
        found[number] = await part()

    async with anyio.create_task_group() as tasks:
        for number, part in enumerate(parts):
            tasks.start_soon(fill, number, part)
    return {name: value for some in found for name, value in some.items()}


async def _caches(figures: Figures, sidecars: Sequence[Unit]) -> KvFigures:
    """Figures of all sidecars together; `l1_usage_ratio` is that of the fullest."""
    texts = await figures.of([unit.name for unit in sidecars], max_age_s=PERIOD_S, timeout_s=_TIMEOUT_S)
    said = [read(text, {_REQUESTED, _HIT, _L1_USAGE, _L1_USED, _L2_USED}) for text in texts.values()]
    of_each = {name: [total(samples, name) for samples in said] for name in (_REQUESTED, _HIT, _L1_USED, _L2_USED)}
    requested, hit, l1_used, l2_used = (sum_of_known(values) for values in of_each.values())
    hit_rate = quotient(hit, requested)
    fills = [fill for samples in said if (fill := total(samples, _L1_USAGE)) is not None]
    return {
        "lookup_requested_tokens": requested,
        "lookup_hit_tokens": hit,
        "hit_rate": None if hit_rate is None else round(hit_rate, 4),
        "l1_usage_ratio": max(fills, default=None),
        "l1_used_bytes": l1_used,
        "l2_used_bytes": l2_used,
    }


async def _registrations(sidecars: Sequence[Unit]) -> KvFigures:
    held = [await _registered(unit) for unit in sidecars]
    known = [len(registrations) for registrations in held if registrations is not None]
    return {"registered_workers": sum(known) if known else None}


async def _registered(sidecar: Unit) -> Registrations | None:
    try:
        with anyio.fail_after(_TIMEOUT_S):
            return registered_in((await request("127.0.0.1", sidecar.ports["http"], "/status")).body)
    except (OSError, TimeoutError):
        return None  # it is starting, or gone


async def _nixl(figures: Figures, plan: Plan) -> KvFigures:
    """Figures of NIXL. `nixl_bytes_s`: bytes per second of transfer time."""
    texts = await figures.of([unit.name for unit in plan.workers], max_age_s=PERIOD_S, timeout_s=_TIMEOUT_S)
    said = [read(text, {_MOVED, _TOOK}) for text in texts.values()]
    moved = sum_of_known(total(samples, _MOVED) for samples in said)
    speed = quotient(moved, sum_of_known(total(samples, _TOOK) for samples in said))
    return {"nixl_bytes_transferred": moved, "nixl_bytes_s": None if speed is None else round(speed, 1)}
