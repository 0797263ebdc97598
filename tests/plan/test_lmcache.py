"""The sidecar."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hosts import GIB, LOCAL_TINY, host, plan, profile

from dynkv.errors import PreflightRefused
from dynkv.plan.lmcache import l1_size_gb
from dynkv.plan.model import SIDECARS_STANDBY


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


RAW_BLOCK = {"type": "raw_block", "slot_bytes": 4096}
HF3FS = {"type": "hf3fs", "mount_point": "~/m", "base_paths": "a,~/b,${DYNKV_HOME}/c"}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"type": "fs", "base_path": "${DYNKV_HOME}/kv"}, {"base_path": "/state/kv"}),
        ({"type": "fs_native", "base_path": "kv"}, {"base_path": "/there/kv"}),
        ({**RAW_BLOCK, "device_path": "~/disk"}, {"device_path": "/home/me/disk"}),
        (HF3FS, {"mount_point": "/home/me/m", "base_paths": "a,/home/me/b,/state/c"}),
        (
            {"type": "dax", "slot_bytes": 1, "devices": [{"device_path": "~/d", "max_dax_size_gb": 1}]},
            {"devices": [{"device_path": "/home/me/d", "max_dax_size_gb": 1}]},
        ),
        (
            {"type": "nixl_native", "backend": "POSIX", "backend_params": {"file_path": "~/n"}},
            {"backend_params": {"file_path": "/home/me/n"}},
        ),
        (
            {"type": "hfbucket", "bucket_handle": "hf://buckets/a/b", "download_tmp_dir": "~/t"},
            {"download_tmp_dir": "/home/me/t"},
        ),
        ({"type": "of_tomorrow", "base_path": "/x", "name": "a~b"}, {"base_path": "/x", "name": "a~b"}),
    ],
    ids=lambda it: it.get("type"),
)
def test_paths_of_every_adapter_are_made_absolute(given: dict[str, Any], found: dict[str, Any]) -> None:
    argv = plan("agg", host(1), {"lmcache.l2": [given]}).unit("lmcache").argv
    (adapter,) = (json.loads(word) for flag, word in pairwise(argv) if flag == "--l2-adapter")
    assert {key: adapter[key] for key in found} == found


@pytest.mark.parametrize(
    ("given", "words", "hint"),
    [
        ({"type": "fs", "base_path": "$HOME/kv"}, "but not \\$HOME: ", "write ~/kv"),
        ({"type": "fs", "base_path": "/data/${USER}/kv"}, "but not \\${USER}: ", "starting with /"),
        (
            {"type": "of_tomorrow", "base_path": "~/kv"},
            "base_path of of_tomorrow is passed on as it is",
            "starting with /",
        ),
        ({"type": "mooncake_store", "x": {"y": ["$HOME/a"]}}, "y of mooncake_store is passed on", "starting with /"),
    ],
)
def test_what_nobody_expands_is_refused(given: dict[str, Any], words: str, hint: str) -> None:
    with pytest.raises(PreflightRefused, match=words) as refused:
        plan("agg", host(1), {"lmcache.l2": [given]})
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    ("settings", "killed"),
    [
        ({}, True),
        ({"lmcache.l2": [{"type": "fs", "base_path": "/l2"}]}, False),
        ({"lmcache.args": ["--l2-prefetch-policy", "default"]}, False),
        ({"device": "cpu", "model.path": "tiny"}, False),
    ],
)
def test_one_is_killed_at_the_end_that_has_pinned_memory_and_nothing_to_write(
    settings: dict[str, object], killed: bool
) -> None:
    facts = host(model=LOCAL_TINY) if "device" in settings else host(1)
    assert plan("agg", facts, settings).unit("lmcache").killed_at_end is killed


@pytest.mark.parametrize(
    ("settings", "asks"),
    [
        ({}, "1"),
        ({"lmcache.env": {"THP_MEM_ALLOC_ENABLE": "0"}}, "0"),
        ({"env": {"THP_MEM_ALLOC_ENABLE": "0"}}, "0"),
        ({"device": "cpu", "model.path": "tiny"}, None),
    ],
)
def test_pinned_memory_is_in_huge_pages_unless_the_profile_says_otherwise(
    settings: dict[str, object], asks: str | None
) -> None:
    made = plan("agg", host(model=LOCAL_TINY) if "device" in settings else host(1), settings)
    standby = next((it for it in made.standbys if it.name == SIDECARS_STANDBY), None)
    assert made.unit("lmcache").env.get("THP_MEM_ALLOC_ENABLE") == asks
    assert standby is None or standby.env.get("THP_MEM_ALLOC_ENABLE") == asks
