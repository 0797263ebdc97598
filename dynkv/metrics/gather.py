"""The children's own figures about their KV caches, fetched from their /metrics and /status."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial

import anyio

from dynkv.plan.model import Plan, Role
from dynkv.probes.figures import total
from dynkv.probes.http import request

PERIOD_S = 5.0
_TIMEOUT_S = 5.0
Figures = dict[str, float | int | None]


async def gather_forever(plan: Plan, note: Callable[[Mapping[str, float | int | None]], None]) -> None:
    """Fetch and `note` every PERIOD_S; a child that does not answer leaves its figures as None."""
    while True:
        note(await gather(plan))
        await anyio.sleep(PERIOD_S)


async def gather(plan: Plan) -> Figures:
    """Token counts are totals since the sidecar started; bytes likewise since each worker did."""
    figures: Figures = {}
    for unit in plan.units:
        if unit.role is Role.LMCACHE:
            figures |= await _sidecar(unit.ports["http"])
    if any(unit.role is Role.DECODE for unit in plan.units) and plan.engine == "vllm":
        figures |= await _nixl(plan)
    return figures


async def _sidecar(port: int) -> Figures:
    metrics = await _answer_or_none(partial(_fetch, port, "/metrics"))
    status = await _answer_or_none(partial(_fetch, port, "/status"))
    requested = total(metrics, "lmcache_mp_lookup_requested_tokens_total")
    hit = total(metrics, "lmcache_mp_lookup_hit_tokens_total")
    return {
        "lookup_requested_tokens": requested,
        "lookup_hit_tokens": hit,
        "hit_rate": round(hit / requested, 4) if hit is not None and requested else None,
        "l1_usage_ratio": total(metrics, "lmcache_mp_l1_usage_ratio"),
        "l1_used_bytes": total(metrics, "lmcache_mp_l1_memory_usage_bytes"),
        "registered_workers": registered_workers(status),
    }


async def _nixl(plan: Plan) -> Figures:
    """`nixl_bytes_s`: bytes for each second in which one was moved. Source: vllm 0.23.0 and 0.31.0, /metrics."""
    texts = [await _answer_or_none(partial(_fetch, unit.ports["system"], "/metrics")) for unit in plan.workers]
    moved = _sum_of_known(total(text, "vllm:nixl_bytes_transferred_sum") for text in texts)
    took_s = _sum_of_known(total(text, "vllm:nixl_xfer_time_seconds_sum") for text in texts)
    return {
        "nixl_bytes_transferred": moved,
        "nixl_bytes_s": round(moved / took_s) if moved is not None and took_s else None,
    }


def _sum_of_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def registered_workers(status: str | None) -> int | None:
    """How many workers' KV caches the sidecar holds. Source: lmcache 0.5.2 and 0.5.6, GET /status."""
    try:
        given = json.loads(status or "")
        return len(given.get("registered_gpu_ids") or []) + len(given.get("registered_non_cuda_instance_ids") or [])
    except (ValueError, AttributeError, TypeError):
        return None


async def _answer_or_none(fetch: Callable[[], Awaitable[str]]) -> str | None:
    try:
        with anyio.fail_after(_TIMEOUT_S):
            return await fetch()
    except (OSError, TimeoutError):
        return None


async def _fetch(port: int, path: str) -> str:
    return (await request("127.0.0.1", port, path)).body.decode(errors="replace")
