"""What units counted in a round, from their metrics before and after it. Pure."""

from __future__ import annotations

from dynkv.metrics.rates import increase
from dynkv.probes.text import Samples, total

QUERIES, HITS = "vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total"
ASKED, FOUND = "lmcache_mp_lookup_requested_tokens_total", "lmcache_mp_lookup_hit_tokens_total"
MOVED = "vllm:nixl_bytes_transferred_sum"
GPU_MEMORY = "dynkv_gpu_memory_used_bytes"
CACHE = "vllm:cache_config_info"
L1_USED, L1_FULL = "lmcache_mp_l1_memory_usage_bytes", "lmcache_mp_l1_usage_ratio"
NAMES = (QUERIES, HITS, ASKED, FOUND, L1_USED, L1_FULL, MOVED, GPU_MEMORY, CACHE)


def counted(before: Samples, after: Samples) -> dict[str, float]:
    """Figures of the caches, by their names in `FIGURES`; without those that nobody counted."""
    before = {**{name: {} for name in NAMES}, **before}  # a counter that was missing before began at 0
    found = {
        "gpu_hit_rate": _share(before, after, HITS, QUERIES),
        "sidecar_hit_rate": _share(before, after, FOUND, ASKED),
        **_l1(after),
        "nixl_bytes": increase(before, after, MOVED),
        "gpu_memory_bytes": total(after, GPU_MEMORY),
    }
    return {name: value for name, value in found.items() if value is not None}


def _l1(after: Samples) -> dict[str, float | None]:
    """Use of L1 over all sidecars; the size is computed from the used bytes and their share."""
    shares = {labels: share for labels, share in after.get(L1_FULL, {}).items() if share > 0}
    used, share = total(after, L1_USED), max(shares.values(), default=0.0)
    return {"l1_used_bytes": used, "l1_size_bytes": used / share if used and share and len(shares) == 1 else None}


def cache_tokens(samples: Samples) -> int | None:
    """How many tokens the workers' own KV caches can hold together; None if unknown."""
    sizes = [dict(labels) for labels in samples.get(CACHE, {})]
    counts = [(it.get("num_gpu_blocks", ""), it.get("block_size", "")) for it in sizes]
    held = sum(int(blocks) * int(size) for blocks, size in counts if blocks.isdigit() and size.isdigit())
    return held or None


def _share(before: Samples, after: Samples, part: str, whole: str) -> float | None:
    asked = increase(before, after, whole)
    return 100 * (increase(before, after, part) or 0.0) / asked if asked else None
