"""Recent activity of a deployment, from successive looks. Pure."""

from __future__ import annotations

from collections import deque

from msgspec import Struct, field

from dynkv.metrics.rates import increase, quantile
from dynkv.metrics.traffic import (
    FIRST_TOKEN,
    HIT,
    INFLIGHT,
    INTER_TOKEN,
    KV_USAGE,
    LOOKED_UP,
    QUEUED,
    REQUESTS,
    TOKENS_IN,
    TOKENS_OUT,
)
from dynkv.probes.finite import finite, quotient
from dynkv.probes.text import Samples, total
from dynkv.supervisor.status import DeploymentStatus

WINDOW_S = 10.0
"""Seconds before a look over which a rate or a median is computed."""
_KV_WINDOW_S = 30.0
"""The same for the caches: their figures are gathered every 5 s, and not every request looks up."""


class Look(Struct, frozen=True):
    """The state of a deployment at one moment; `at_s` is of a monotonic clock."""

    at_s: float
    status: DeploymentStatus
    scrape: Samples


class Reading(Struct, frozen=True):
    """Figures from a look and those before it; None if unknown."""

    requests_s: float | None = None
    """Finished requests per second."""
    first_token_s: float | None = None
    """Median time to first token."""
    first_token_p95_s: float | None = None
    inter_token_s: float | None = None
    """Median time between two tokens."""
    inter_token_p95_s: float | None = None
    tokens_in_s: float | None = None
    """Prompt tokens per second, over all workers."""
    tokens_out_s: float | None = None
    """Generated tokens per second, over all workers."""
    running: float | None = None
    """Requests that are being answered."""
    waiting: float | None = None
    """Requests that are waiting for their first token."""
    kv_usage_ratio: float | None = None
    """Usage of the fullest worker's own KV cache, 0 to 1."""
    gpu_hit_rate: float | None = None
    """Share of the tokens looked up in the workers' own KV caches that were found, 0 to 1."""
    hit_rate: float | None = None
    """Share of the tokens looked up at the sidecar that were found, 0 to 1; if there were none recently, of all so
    far."""
    l1_usage_ratio: float | None = None
    l2_used_bytes: float | None = None
    """Bytes that the sidecar counts in L2; None without an L2."""
    nixl_bytes_s: float | None = None
    """Bytes per second moved between workers."""
    gpu_usage_ratios: dict[str, float] = field(default_factory=dict)
    """Share of each GPU's memory in use, by any process, 0 to 1."""


class Trend:
    """The last `length` readings, the newest at the end."""

    def __init__(self, length: int) -> None:
        self.readings: deque[Reading] = deque(maxlen=length)
        self._looks: deque[Look] = deque()

    def take(self, look: Look) -> Reading:
        """Add a look; looks come in order of time."""
        self._looks.append(look)
        while look.at_s - self._looks[0].at_s > _KV_WINDOW_S:
            self._looks.popleft()
        before = next(it for it in self._looks if look.at_s - it.at_s <= WINDOW_S)
        reading = _reading(before, self._looks[0], look)
        self.readings.append(reading)
        return reading


def _reading(before: Look, earliest: Look, look: Look) -> Reading:
    """The reading: figures of the caches since the `earliest` look, all others since the one `before`."""
    old, new, took_s = before.scrape, look.scrape, look.at_s - before.at_s
    return Reading(
        requests_s=_rate(increase(old, new, REQUESTS), took_s),
        first_token_s=quantile(old, new, FIRST_TOKEN, 0.5),
        first_token_p95_s=quantile(old, new, FIRST_TOKEN, 0.95),
        inter_token_s=quantile(old, new, INTER_TOKEN, 0.5),
        inter_token_p95_s=quantile(old, new, INTER_TOKEN, 0.95),
        tokens_in_s=_rate(increase(old, new, TOKENS_IN), took_s),
        tokens_out_s=_rate(increase(old, new, TOKENS_OUT), took_s),
        running=total(new, INFLIGHT),
        waiting=total(new, QUEUED),
        kv_usage_ratio=max(new.get(KV_USAGE, {}).values(), default=None),
        gpu_hit_rate=quotient(increase(earliest.scrape, new, HIT), increase(earliest.scrape, new, LOOKED_UP)),
        hit_rate=_hit_rate(earliest, look),
        l1_usage_ratio=look.status.kv.get("l1_usage_ratio"),
        l2_used_bytes=look.status.kv.get("l2_used_bytes"),
        nixl_bytes_s=_rate(_kv_grown(earliest, look, "nixl_bytes_transferred"), look.at_s - earliest.at_s),
        gpu_usage_ratios={gpu.id: gpu.memory_used_bytes / gpu.memory_total_bytes for gpu in look.status.gpus},
    )


def _rate(grown: float | None, took_s: float) -> float | None:
    return None if took_s <= 0 else quotient(grown, took_s)


def _hit_rate(before: Look, look: Look) -> float | None:
    requested, hit = (_kv_grown(before, look, name) for name in ("lookup_requested_tokens", "lookup_hit_tokens"))
    of_late = quotient(hit, requested)
    return look.status.kv.get("hit_rate") if of_late is None else of_late


def _kv_grown(before: Look, look: Look, name: str) -> float | None:
    return _grown(before.status.kv.get(name), look.status.kv.get(name))


def _grown(old: float | None, new: float | None) -> float | None:
    """The increase; None if a value is unknown, or the counter was reset."""
    return None if old is None or new is None or new < old else finite(new - old)
