"""L2 adapters: every kind that is accepted, and each misuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from adapters import Given, adapter, dynamic, refuse_adapter, store

from dynkv.errors import ProfileError
from dynkv.profile.l2 import L2Adapter
from dynkv.profile.l2_generic import Adapter, Eviction, RawAdapter, Serde
from dynkv.profile.l2_kinds import (
    S3,
    Aerospike,
    Dax,
    FileSystem,
    Hf3fs,
    HuggingFaceBucket,
    MooncakeStore,
    NativeFileSystem,
    NixlNative,
    RawBlock,
    Resp,
    Valkey,
)
from dynkv.profile.l2_nixl import NixlAzureBlob, NixlFileStore, NixlGds, NixlGdsMt, NixlHf3fs, NixlObj, NixlPosix
from dynkv.profile.load import Override, load

LRU = {"eviction_policy": "LRU"}
TYPED: list[tuple[Given, type[Adapter], bool]] = [
    ({"type": "fs_native", "base_path": "/kv", "max_capacity_gb": 5, "num_workers": 2}, NativeFileSystem, True),
    ({"type": "nixl_native", "backend": "POSIX", "max_capacity_gb": 1.5}, NixlNative, True),
    ({"type": "raw_block", "device_path": "/dev/nvme1n1", "slot_bytes": 8192, "io_engine": "io_uring"}, RawBlock, True),
    ({"type": "dax", "device_path": "/dev/dax0.0", "max_dax_size_gb": 100, "slot_bytes": 4096}, Dax, True),
    ({"type": "dax", "devices": [{"device_path": "/dev/dax0.0", "max_dax_size_gb": 100}], "slot_bytes": 1}, Dax, True),
    ({"type": "hf3fs", "mount_point": "/3fs", "base_paths": "/3fs/kv", "per_op_workers": {"lookup": 1}}, Hf3fs, False),
    ({"type": "s3", "s3_endpoint": "kv.s3.amazonaws.com", "s3_region": "eu-west-1", "max_capacity_gb": 9}, S3, True),
    ({"type": "resp", "host": "127.0.0.1", "port": 6379, "username": "kv", "max_capacity_gb": 9}, Resp, True),
    ({"type": "valkey", "startup_nodes": "a:1,b:2", "cluster_mode": True, "max_capacity_gb": 9}, Valkey, True),
    ({"type": "mooncake_store", "anything": {"goes": 1}, "num_workers": 2}, MooncakeStore, False),
    ({"type": "hfbucket", "bucket_handle": "hf://buckets/me/kv", "max_capacity_gb": 9}, HuggingFaceBucket, True),
    ({"type": "aerospike", "hosts": "a:3000", "namespace": "kv", "max_capacity_gb": 9}, Aerospike, True),
]  # fmt: skip
"""The keys of each type, its model, and whether LMCache can evict from it."""


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (store("POSIX", file_path="/kv"), NixlPosix),
        (store("GDS", file_path="/kv", use_direct_io="true"), NixlGds),
        (store("GDS_MT", file_path="/kv"), NixlGdsMt),
        (store("HF3FS", file_path="/kv"), NixlHf3fs),
        (store("OBJ", bucket="kv", endpoint_override="http://minio:9000"), NixlObj),
        (store("AZURE_BLOB", container_name="kv", account_url="https://x.blob.core.windows.net"), NixlAzureBlob),
        ({"type": "nixl_store", "backend": "OBJ", "pool_size": 1}, NixlObj),
        (dynamic(max_capacity_gb="50"), NixlPosix),
        (dynamic("GDS", max_capacity_gb=50), NixlGds),
        ({"type": "fs", "base_path": "/kv", "read_ahead_size": 4096, "use_odirect": True}, FileSystem),
        *((given, kind) for given, kind, _ in TYPED),
        ({"type": "of_a_newer_lmcache", "anything": {"goes": 1}}, RawAdapter),
        ({"type": "nixl_store_v2", "anything": 1}, RawAdapter),
    ],
)
def test_kind(given: Given, kind: type[L2Adapter]) -> None:
    made = adapter(given)
    assert type(made) is kind
    assert (
        given.items() <= {**made.model_dump(exclude_unset=True), "backend_params": given.get("backend_params")}.items()
    )


@pytest.mark.parametrize("given", [dynamic(max_capacity_gb=1), *(given for given, _, _ in TYPED), {"type": "newer"}])
def test_every_adapter_takes_the_generic_keys(given: Given) -> None:
    more = {"serde": {"type": "fp8", "max_workers": 2}, "persist_enabled": True, "shared": True, "affinity_tag": "a"}
    made = adapter({**given, **more})
    assert isinstance(made.serde, Serde)
    assert made.model_dump(exclude_unset=True).items() >= more.items()


@pytest.mark.parametrize(("given", "kind", "evicts"), TYPED)
def test_eviction_is_taken_where_it_works(given: Given, kind: type[Adapter], evicts: bool) -> None:
    evicting = {**given, "eviction": {**LRU, "trigger_watermark": 0.9, "eviction_ratio": 0.1}}
    if evicts:
        made = adapter(evicting).eviction
        assert made == Eviction(eviction_policy="LRU", trigger_watermark=0.9, eviction_ratio=0.1)
    else:
        assert f"LMCache evicts nothing from {given['type']}" in refuse_adapter(evicting)


def test_nixl_takes_its_parameters_as_text() -> None:
    made = adapter(dynamic(max_capacity_gb=50, use_direct_io=True))
    assert isinstance(made, NixlFileStore)
    assert made.backend_params.max_capacity_gb == "50"
    assert made.backend_params.use_direct_io == "true"


@pytest.mark.parametrize("backend", ["POSIX", "GDS", "GDS_MT", "HF3FS"])
def test_a_file_backend_needs_its_directory(backend: str) -> None:
    assert "file_path is missing" in refuse_adapter(store(backend, use_direct_io="true"))


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (store("POSX", file_path="/kv"), "unknown backend of NIXL: POSX; did you mean POSIX?"),
        (store("posix", file_path="/kv"), "did you mean POSIX?"),
        ({"type": "nixl_store", "pool_size": 1}, "unknown backend of NIXL"),
        ({**store("POSIX", file_path="/kv"), "type": "nixl_stor"}, "did you mean nixl_store?"),
        ({"backend": "POSIX"}, "an L2 adapter needs a type"),
        ({"type": 3}, "an L2 adapter needs a type"),
        ({**store("POSIX", file_path="/kv"), "pool_size": None}, "nixl_store needs pool_size"),
        ({**dynamic(max_capacity_gb=1), "pool_size": 4}, "nixl_store_dynamic takes no pool_size"),
        ({"type": "nixl_store", "backend": "OBJ"}, "nixl_store needs pool_size"),
        (dynamic(), "nixl_store_dynamic needs max_capacity_gb in backend_params"),
        ({**dynamic(max_capacity_gb=1), "eviction": {"eviction_policy": "FIFO"}}, "should be 'LRU', 'ARC',"),
        ({**dynamic(max_capacity_gb=1), "eviction": {}}, "eviction_policy is missing"),
        ({**dynamic(max_capacity_gb=1), "eviction": {**LRU, "trigger_watermark": 1.5}}, "less than or equal to 1"),
        ({"type": "of_a_newer_lmcache", "eviction": {**LRU, "policy": 1}}, "unknown key 'policy'"),
        ({"type": "of_a_newer_lmcache", "serde": {}}, "type is missing"),
        ({"type": "fs", "base_path": "/kv", "eviction": LRU}, "LMCache evicts nothing from fs"),
        ({"type": "resp", "host": "h", "port": 1, "eviction": LRU}, "eviction of resp needs max_capacity_gb"),
        ({"type": "raw_block", "device_path": "/d", "slot_bytes": 1, "persist_enabled": False}, "should be True"),
        ({"type": "resp", "host": "h"}, "port is missing"),
        ({"type": "valky", "startup_nodes": "a:1"}, "did you mean valkey?"),
        ({"type": "valkey", "startup_nodes": "a:1", "password": "x"}, "valkey takes its password only on the command"),
        ({**store("POSIX", file_path="/kv"), "pool_size": 0}, "greater than 0"),
        (store("POSIX", file_path="/kv", use_direct_io="yes"), "should be 'true' or 'false', not the text 'yes'"),
        (store("POSIX", file_path="/kv", bucket="x"), "unknown key 'bucket'"),
        ({"type": "fs"}, "base_path is missing"),
        ({"type": "fs", "base_path": ""}, "at least 1 character"),
        ({"type": "fs", "base_path": "/kv", "base": "/kv"}, "unknown key 'base'"),
        ({"type": ""}, "at least 1 character"),
    ],
)  # fmt: skip
def test_misuse(given: Given, what: str) -> None:
    assert what in refuse_adapter(given)


@pytest.mark.parametrize("item", ["fs", None, 3, ["fs"]])
def test_an_adapter_is_a_mapping(item: object) -> None:
    with pytest.raises(ProfileError) as refused:
        load("agg", [Override(("lmcache", "l2"), [item], "--set lmcache.l2")])
    assert (refused.value.exit_code, refused.value.where) == (2, "--set lmcache.l2")
    assert refused.value.hint


@pytest.mark.parametrize(
    ("given", "survives"),
    [
        (store("POSIX", file_path="/kv"), False),
        (dynamic(max_capacity_gb=1), True),
        ({**dynamic(max_capacity_gb=1), "persist_enabled": True}, True),
        ({**dynamic(max_capacity_gb=1), "persist_enabled": False}, False),
    ],
)
def test_what_survives_a_restart(given: Given, survives: bool) -> None:
    made = adapter(given)
    assert isinstance(made, NixlFileStore)
    assert made.survives_restart is survives


def test_the_directory_of_an_adapter() -> None:
    assert adapter(store("GDS", file_path="/kv/gds")).directory == "/kv/gds"
    assert adapter({"type": "fs", "base_path": "~/kv"}).directory == "~/kv"
    assert adapter(store("OBJ")).directory is None
    assert adapter({"type": "mooncake_store"}).directory is None


def test_a_mistake_inside_the_list_is_shown_on_its_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "lmcache:\n  l2:\n    - type: fs\n      base_path: /a\n    - type: nixl_store\n      backend: POSIX\n"
        "      pool_size: 8\n      backend_params:\n        file_pth: /kv\n"
    )
    with pytest.raises(ProfileError) as refused:
        load(str(file))
    assert refused.value.where.startswith(f"{file}:")
    assert int(refused.value.where.split(":")[1]) in (8, 9)
    assert "did you mean 'file_path'?" in refused.value.hint or "file_path" in refused.value.what
