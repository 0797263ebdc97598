"""A full second level on a real disk: old chunks are evicted and new ones stay, across a restart of the sidecar."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .asking import prompt
from .figures import figures, registered, sidecar
from .harness import Dynkv, wait_for
from .test_l2 import L2, NO_PREFIX_CACHE, PROMPT_TOKENS, START_S, WHOLE_CHUNKS_TOKENS

pytestmark = pytest.mark.stack

MIB = 1024**2
CAPACITY_BYTES = 16 * MIB
"""Four prompts: a chunk of the random model is 1 MiB."""
WATERMARK = 0.8
CHUNKS = WHOLE_CHUNKS_TOKENS // 256
TIER = {
    "type": "nixl_store_dynamic",
    "backend": "POSIX",
    "backend_params": {"file_path": "${DYNKV_HOME}/_l2/full", "max_capacity_gb": CAPACITY_BYTES / 1024**3},
    "eviction": {"eviction_policy": "LRU", "trigger_watermark": WATERMARK},
}


def _bytes(l2: L2) -> int:
    return sum(file.stat().st_size for file in l2.files())


def _counted_bytes(port: int) -> int:
    """The bytes that LMCache counts as stored."""
    [tier] = sidecar(port)["storage_manager"]["l2_eviction_controller"]["adapters"]
    counted: int = tier["total_bytes_used"]
    return counted


def _store(l2: L2, seed: int) -> None:
    """Send a new prompt; return when its chunks are on the disk and old ones have made room."""
    port = l2.sidecar_port()
    name = "lmcache_mp_l2_store_completed_objects_chunks_total"
    before = figures(port).get(name, 0.0)
    l2.ask(prompt(PROMPT_TOKENS, seed))
    wait_for(lambda: figures(port).get(name, 0.0) >= before + CHUNKS, f"the chunks of prompt {seed} stored in L2")
    wait_for(lambda: _counted_bytes(port) < CAPACITY_BYTES * WATERMARK, f"room again after prompt {seed}")


def _hit_tokens(l2: L2, seed: int) -> float:
    before = l2.figure("lookup_hit_l2_tokens")
    l2.ask(prompt(PROMPT_TOKENS, seed))
    return l2.figure("lookup_hit_l2_tokens") - before


def test_a_full_tier_goes_on_storing_and_is_found_again(dynkv: Dynkv, random_model: Path) -> None:
    options = ("--set", f"model.args={NO_PREFIX_CACHE}", "--set", f"lmcache.l2={json.dumps([TIER])}")
    dynkv.up("agg", "--device", "cpu", "--model", str(random_model), *options, timeout_s=START_S)
    l2 = L2(dynkv, "full")
    for seed in range(30, 38):
        _store(l2, seed)
    left = set(l2.files())
    assert 0 < _bytes(l2) <= CAPACITY_BYTES

    before = dynkv.status()
    dynkv.do("restart", "lmcache")
    dynkv.wait_for_restart("lmcache", before)
    wait_for(lambda: len(registered(l2.sidecar_port())) == 1, "the worker registered again")
    assert left <= set(l2.files()), "a restart deletes nothing"
    assert _hit_tokens(l2, 37) == WHOLE_CHUNKS_TOKENS, "the newest prompt came from the disk"
    assert _hit_tokens(l2, 30) == 0, "the oldest one is gone"

    for seed in range(40, 46):
        _store(l2, seed)
    unasked = left & set(l2.files())
    assert len(unasked) >= len(left) - CHUNKS, "what nobody asked for since the restart is not counted, and stays"
    assert _bytes(l2) <= CAPACITY_BYTES + len(left) * MIB
