"""The sidecar."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hosts import GIB, host, plan, profile

from dynkv.plan.lmcache import l1_size_gb


@pytest.mark.parametrize(
    ("settings", "available_gib", "expected"),
    [
        ({}, 256, 20),
        ({}, 40, 10),
        ({}, 2, 1),
        ({"device": "cpu"}, 256, 1),
        ({"engine": "mocker"}, 256, 1),
        ({"lmcache.l1_size_gb": 64}, 256, 64),
        ({"lmcache.l1_size_gb": 0.5, "device": "cpu"}, 256, 0.5),
    ],
)
def test_l1_size(settings: dict[str, object], available_gib: int, expected: float) -> None:
    facts = host(1, memory_available_bytes=available_gib * GIB)
    assert l1_size_gb(profile("agg", settings), facts) == expected


def test_nixl_store_gets_files_with_room_for_a_chunk() -> None:
    store = {"type": "nixl_store", "backend": "POSIX", "pool_size": 8, "backend_params": {"file_path": "/kv"}}
    own = {**store, "backend_params": {"file_path": "~/kv", "file_size": "4096"}}
    argv = plan("agg", host(1), {"lmcache.l2": [store, own]}).unit("lmcache").argv
    first, second = (json.loads(word) for flag, word in pairwise(argv) if flag == "--l2-adapter")
    assert first["backend_params"] == {"file_path": "/kv", "use_direct_io": "false", "file_size": "16777216"}
    assert second["backend_params"]["file_size"] == "4096"
    assert second["backend_params"]["file_path"].startswith("/")
