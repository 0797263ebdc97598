"""Metrics of the frontend and the workers about their requests, passed on with the unit's name as a label.

Fetched on demand. Sources: ai-dynamo 1.6.1, prometheus_names.py (frontend_service); vllm 0.23.0 and 0.31.0, /metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dynkv.metrics.exposition import family, labelled, unit_labels
from dynkv.plan.model import Plan, Role, Unit
from dynkv.probes.scrape import Figures, sources
from dynkv.probes.text import Sample, samples

REQUESTS = "dynamo_frontend_requests_total"
FIRST_TOKEN = "dynamo_frontend_time_to_first_token_seconds"
INTER_TOKEN = "dynamo_frontend_inter_token_latency_seconds"
INFLIGHT = "dynamo_frontend_inflight_requests"
QUEUED = "dynamo_frontend_queued_requests"
TOKENS_IN = "vllm:prompt_tokens_total"
TOKENS_OUT = "vllm:generation_tokens_total"
KV_USAGE = "vllm:kv_cache_usage_perc"
LOOKED_UP = "vllm:prefix_cache_queries_total"
HIT = "vllm:prefix_cache_hits_total"
PASSED_ON = {
    REQUESTS: ("counter", "Requests that the frontend has answered, by their outcome."),
    FIRST_TOKEN: ("histogram", "Seconds from a request to its first token."),
    INTER_TOKEN: ("histogram", "Seconds between two tokens of an answer."),
    INFLIGHT: ("gauge", "Requests that are being answered."),
    QUEUED: ("gauge", "Requests that are waiting for a first token."),
    "vllm:num_requests_running": ("gauge", "Requests that a worker's engine is processing."),
    "vllm:num_requests_waiting": ("gauge", "Requests that are waiting for a worker's engine."),
    KV_USAGE: ("gauge", "Share of a worker's KV cache in use, 0 to 1."),
    LOOKED_UP: ("counter", "Tokens that were looked up in a worker's own KV cache."),
    HIT: ("counter", "Tokens found in a worker's own KV cache."),
    TOKENS_IN: ("counter", "Prompt tokens of a worker."),
    TOKENS_OUT: ("counter", "Tokens that a worker has generated."),
}
"""Type and description by name. The reference is made from this."""
_MAX_AGE_S = 1.0
"""Oldest acceptable answer, in seconds: `top` looks every second."""
_TIMEOUT_S = 1.0
_OF_A_HISTOGRAM = ("_bucket", "_sum", "_count")
_FAMILY_OF = {
    name + suffix: name
    for name, (kind, _) in PASSED_ON.items()
    for suffix in (_OF_A_HISTOGRAM if kind == "histogram" else ("",))
}
"""Families by the name of a sample."""


async def traffic(plan: Plan, figures: Figures | None = None) -> str:
    """Each family once, with samples of all units that have answered within a second."""
    figures = figures or Figures(sources(plan))
    serving = [unit for unit in plan.units if unit.role is Role.FRONTEND or unit.role.is_worker]
    texts = await figures.of([unit.name for unit in serving], max_age_s=_MAX_AGE_S, timeout_s=_TIMEOUT_S)
    return passed_on(plan.name, [(unit, texts[unit.name]) for unit in serving if unit.name in texts])


def passed_on(deployment: str, texts: Iterable[tuple[Unit, str]]) -> str:
    """What is passed on of each unit's metrics, written anew, so that it is valid whatever a unit wrote."""
    found: dict[str, list[Sample]] = {}
    for unit, text in texts:
        for sample in _own(text):
            labels = _labels(deployment, unit, sample.labels)
            found.setdefault(_FAMILY_OF[sample.name], []).append(Sample(sample.name, labels, sample.value))
    return "".join(family(name, *PASSED_ON[name], found[name]) for name in PASSED_ON if name in found)


def _own(text: str) -> Iterable[Sample]:
    """Each series once; the last one if a unit repeats it."""
    series = {(it.name, frozenset(it.labels.items())): it for it in samples(text, _FAMILY_OF)}
    return series.values()


def _labels(deployment: str, unit: Unit, given: Mapping[str, str]) -> dict[str, str]:
    return labelled(unit_labels(deployment, unit.name, unit.role) | {"process": unit.name}, given)
