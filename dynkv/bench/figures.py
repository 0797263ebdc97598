"""The figures that a round of a benchmark measures. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from math import ceil
from statistics import median

from msgspec import Struct


class Better(StrEnum):
    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = ""


class Figure(Struct, frozen=True):
    words: str
    unit: str
    better: Better = Better.NEITHER
    """NEITHER is for figures that are only shown: they explain something, but are not a goal."""


FIGURES = {
    "ttft_p50_s": Figure("median time to first token", "s", Better.LOWER),
    "ttft_p99_s": Figure("p99 time to first token", "s", Better.LOWER),
    "itl_p50_s": Figure("median inter-token latency", "s", Better.LOWER),
    "e2e_p50_s": Figure("median end-to-end latency", "s", Better.LOWER),
    "output_tokens_per_s": Figure("output throughput", "tokens/s", Better.HIGHER),
    "goodput_per_s": Figure("goodput", "requests/s", Better.HIGHER),
    "requests": Figure("requests answered", ""),
    "failed": Figure("requests failed", ""),
    "duration_s": Figure("length of a round", "s"),
    "input_tokens": Figure("prompt tokens", ""),
    "output_tokens": Figure("output tokens in all", ""),
    "gpu_hit_rate": Figure("hit rate of the GPU's prefix cache", "%"),
    "sidecar_hit_rate": Figure("hit rate of the sidecar", "%"),
    "l1_used_bytes": Figure("held in L1 at the end of a round", "bytes"),
    "l1_size_bytes": Figure("size of L1", "bytes"),
    "nixl_bytes": Figure("moved by NIXL", "bytes"),
    "gpu_memory_bytes": Figure("GPU memory used, highest", "bytes"),
}
"""All figures, in the order in which they are shown."""


class Limits(Struct, frozen=True):
    """Limits that a request must meet to count for goodput; None for no limit. Source: DistServe, arXiv 2401.09670."""

    ttft_s: float | None = None
    itl_s: float | None = None
    e2e_s: float | None = None

    @property
    def are_given(self) -> bool:
        return (self.ttft_s, self.itl_s, self.e2e_s) != (None, None, None)


class Answered(Struct, frozen=True):
    """One request, as the load generator saw it; times in seconds."""

    label: str
    start_s: float
    ttft_s: float
    gaps_s: tuple[float, ...]
    """Times between its output's tokens, or the pieces in which they came."""
    input_tokens: int
    output_tokens: int

    @property
    def e2e_s(self) -> float:
        return self.ttft_s + sum(self.gaps_s)

    @property
    def itl_s(self) -> float | None:
        """The mean, so that the number of pieces does not matter; None for a single token."""
        return sum(self.gaps_s) / (self.output_tokens - 1) if self.output_tokens > 1 else None

    def keeps(self, limits: Limits) -> bool:
        given = ((self.ttft_s, limits.ttft_s), (self.itl_s, limits.itl_s), (self.e2e_s, limits.e2e_s))
        return all(value is None or limit is None or value <= limit for value, limit in given)


class Load(Struct, frozen=True):
    """A load generator's report of one round, without warm-up."""

    answered: tuple[Answered, ...]
    failed: int = 0
    error: str = ""
    """The first error, in words."""


_NO_LIMITS = Limits()


def figures_of(load: Load, limits: Limits = _NO_LIMITS) -> dict[str, float]:
    """Figures of one round, without those that were not measured."""
    answered = load.answered
    found: dict[str, float] = {"requests": len(answered), "failed": load.failed}
    if not answered:
        return found
    duration_s = max(it.start_s + it.e2e_s for it in answered) - min(it.start_s for it in answered)
    times = [it.ttft_s for it in answered]
    found |= {
        "ttft_p50_s": median(times),
        "ttft_p99_s": percentile(times, 99),
        "e2e_p50_s": median(it.e2e_s for it in answered),
        "input_tokens": sum(it.input_tokens for it in answered),
        "output_tokens": sum(it.output_tokens for it in answered),
        "duration_s": duration_s,
    }
    if gaps := [it.itl_s for it in answered if it.itl_s is not None]:
        found["itl_p50_s"] = median(gaps)
    if duration_s > 0:
        found["output_tokens_per_s"] = found["output_tokens"] / duration_s
        if limits.are_given:
            found["goodput_per_s"] = sum(it.keeps(limits) for it in answered) / duration_s
    return found


def first_tokens(answered: Iterable[Answered]) -> dict[str, float]:
    """The median time to first token in seconds, by label."""
    labels: dict[str, list[float]] = {}
    for it in answered:
        labels.setdefault(it.label, []).append(it.ttft_s)
    return {label: median(times) for label, times in labels.items() if label}


def percentile(values: Sequence[float], per_cent: float) -> float:
    """The nearest rank: one of the measured values, of which there must be at least one."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * per_cent / 100) - 1)]
