"""The workers whose KV caches the sidecar holds, as reported by its /status. Pure; no answer raises."""

from __future__ import annotations

import json

_LISTS = ("registered_gpu_ids", "registered_non_cuda_instance_ids")


def registered_in(status: bytes) -> frozenset[str] | None:
    """The workers' ids, one for each rank; None if the answer does not have them."""
    try:
        given = json.loads(status)
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, dict):
        return None
    lists = [given.get(name) or [] for name in _LISTS]
    if not all(isinstance(ids, list) for ids in lists):
        return None
    return frozenset(f"{found}" for ids in lists for found in ids if isinstance(found, int | str))
