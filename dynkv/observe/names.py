"""The stack's metrics that rules and dashboards use, with the version that introduced each. Pure.

Sources: prometheus_names.py of ai-dynamo 1.3.1 and 1.6.1, vllm/v1/metrics of vllm 0.23.0 and 0.31.0, mp_observability
of lmcache 0.5.2 and 0.5.6, and these programs' /metrics.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Program(StrEnum):
    DYNAMO = "ai-dynamo"
    VLLM = "vllm"
    LMCACHE = "lmcache"


SUPPORTED = {
    Program.DYNAMO: ("1.3.1", "1.6.1"),
    Program.VLLM: ("0.23.0", "0.31.0"),
    Program.LMCACHE: ("0.5.2", "0.5.6"),
}
"""The oldest and the newest version that dynkv has been run with."""


class StackMetric(Struct, frozen=True):
    program: Program
    kind: str
    meaning: str
    labels: tuple[str, ...]
    """Its own labels, besides those that dynkv puts before them and `le` of a histogram."""
    since: str = ""
    """The version that introduced it; empty if all supported versions have it."""


_DYNAMO, _VLLM, _LMCACHE = Program.DYNAMO, Program.VLLM, Program.LMCACHE
_MODEL, _ENGINE, _LOOKUP = ("model",), ("model_name", "engine"), ("model_name", "cache_salt")
STACK_METRICS = {
    "dynamo_frontend_requests_total": StackMetric(
        _DYNAMO,
        "counter",
        "requests answered, by their outcome",
        ("model", "endpoint", "request_type", "status", "error_type"),
    ),
    "dynamo_frontend_inflight_requests": StackMetric(_DYNAMO, "gauge", "requests that are being answered", _MODEL),
    "dynamo_frontend_queued_requests": StackMetric(_DYNAMO, "gauge", "requests waiting for a first token", _MODEL),
    "dynamo_frontend_time_to_first_token_seconds": StackMetric(_DYNAMO, "histogram", "request to first token", _MODEL),
    "dynamo_frontend_inter_token_latency_seconds": StackMetric(_DYNAMO, "histogram", "between two tokens", _MODEL),
    "dynamo_frontend_input_sequence_tokens": StackMetric(_DYNAMO, "histogram", "tokens of prompts", _MODEL),
    "dynamo_frontend_output_tokens_total": StackMetric(_DYNAMO, "counter", "tokens of answers", _MODEL),
    "vllm:num_requests_running": StackMetric(_VLLM, "gauge", "requests that an engine is processing", _ENGINE),
    "vllm:num_requests_waiting": StackMetric(_VLLM, "gauge", "requests waiting for an engine", _ENGINE),
    "vllm:num_preemptions_total": StackMetric(_VLLM, "counter", "requests put back for lack of KV cache", _ENGINE),
    "vllm:kv_cache_usage_perc": StackMetric(_VLLM, "gauge", "share of the KV cache in use, 0 to 1", _ENGINE),
    "vllm:prefix_cache_queries_total": StackMetric(
        _VLLM, "counter", "tokens looked up in the GPU's prefix cache", _ENGINE
    ),
    "vllm:prefix_cache_hits_total": StackMetric(_VLLM, "counter", "those that were found", _ENGINE),
    "vllm:prompt_tokens_total": StackMetric(_VLLM, "counter", "prompt tokens of a worker", _ENGINE),
    "vllm:generation_tokens_total": StackMetric(_VLLM, "counter", "tokens that a worker has generated", _ENGINE),
    "vllm:nixl_bytes_transferred": StackMetric(_VLLM, "histogram", "bytes of a KV transfer", _ENGINE),
    "vllm:nixl_xfer_time_seconds": StackMetric(_VLLM, "histogram", "how long a KV transfer took", _ENGINE),
    "vllm:nixl_num_failed_transfers_total": StackMetric(_VLLM, "counter", "KV transfers that failed", _ENGINE),
    "lmcache_mp_lookup_requested_tokens_total": StackMetric(
        _LMCACHE, "counter", "tokens looked up at the sidecar", _LOOKUP
    ),
    "lmcache_mp_lookup_hit_tokens_total": StackMetric(_LMCACHE, "counter", "those that were found", _LOOKUP),
    "lmcache_mp_l2_usage_bytes": StackMetric(_LMCACHE, "gauge", "bytes that L2 holds", ("l2_name",)),
}
