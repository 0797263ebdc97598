"""What a deployment has been doing of late, from one look at it after the other. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from dynkv.metrics.rates import increase, quantile
from dynkv.metrics.traffic import FIRST_TOKEN, REQUESTS
from dynkv.probes.finite import finite, quotient
from dynkv.probes.text import Samples
from dynkv.supervisor.status import DeploymentStatus

WINDOW_S = 10.0
"""A rate or a median is over what happened in this time before a look."""
_KV_WINDOW_S = 30.0
"""The figures of the caches are gathered every 5 s, and not every request looks up."""


@dataclass(frozen=True, slots=True)
class Look:
    """A deployment at one moment; `at_s` is of a monotonic clock."""

    at_s: float
    status: DeploymentStatus
    scrape: Samples


@dataclass(frozen=True, slots=True)
class Reading:
    """What a look and those before it tell; None where nothing does."""

    requests_s: float | None = None
    """Requests that were finished, in a second."""
    first_token_s: float | None = None
    """The median time to first token."""
    hit_rate: float | None = None
    """Share of the tokens looked up at the sidecar that it had, 0 to 1; when none were of late, of all so far."""
    l1_usage_ratio: float | None = None
    gpu_usage_ratios: dict[str, float] = field(default_factory=dict)
    """Memory in use of each GPU, by whomever, 0 to 1."""


class Trend:
    """The last `length` readings, the newest at the end."""

    def __init__(self, length: int) -> None:
        self.readings: deque[Reading] = deque(maxlen=length)
        self._looks: deque[Look] = deque()

    def take(self, look: Look) -> Reading:
        """Looks come in the order of their times."""
        self._looks.append(look)
        while look.at_s - self._looks[0].at_s > _KV_WINDOW_S:
            self._looks.popleft()
        before = next(it for it in self._looks if look.at_s - it.at_s <= WINDOW_S)
        reading = Reading(
            _requests_s(before, look),
            quantile(before.scrape, look.scrape, FIRST_TOKEN, 0.5),
            _hit_rate(self._looks[0], look),
            look.status.kv.get("l1_usage_ratio"),
            {gpu.id: gpu.memory_used_bytes / gpu.memory_total_bytes for gpu in look.status.gpus},
        )
        self.readings.append(reading)
        return reading


def _requests_s(before: Look, look: Look) -> float | None:
    finished = increase(before.scrape, look.scrape, REQUESTS)
    took_s = look.at_s - before.at_s
    return None if took_s <= 0 else quotient(finished, took_s)


def _hit_rate(before: Look, look: Look) -> float | None:
    requested, hit = (
        _grown(before.status.kv.get(name), look.status.kv.get(name))
        for name in ("lookup_requested_tokens", "lookup_hit_tokens")
    )
    of_late = quotient(hit, requested)
    return look.status.kv.get("hit_rate") if of_late is None else of_late


def _grown(old: float | None, new: float | None) -> float | None:
    """None where one is not known, and where the counter has begun anew."""
    return None if old is None or new is None or new < old else finite(new - old)
