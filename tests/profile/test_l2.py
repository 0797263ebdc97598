"""L2 adapters: every kind that is accepted, and each misuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from adapters import Given, adapter, dynamic, refuse_adapter, store

from dynkv.errors import ProfileError
from dynkv.profile.l2 import (
    FileSystem,
    L2Adapter,
    NixlAzureBlob,
    NixlFileStore,
    NixlGds,
    NixlGdsMt,
    NixlHf3fs,
    NixlObj,
    NixlPosix,
    RawAdapter,
    directory,
)
from dynkv.profile.load import Override, load


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
        ({"type": "mooncake_store", "anything": {"goes": 1}}, RawAdapter),
        ({"type": "fs_native", "base_path": "/kv"}, RawAdapter),
    ],
)
def test_kind(given: Given, kind: type[L2Adapter]) -> None:
    made = adapter(given)
    assert type(made) is kind
    assert (
        given.items() <= {**made.model_dump(exclude_unset=True), "backend_params": given.get("backend_params")}.items()
    )


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
        ({**store("POSIX", file_path="/kv"), "persist_enabled": True}, "only nixl_store_dynamic knows persist_enabled"),
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
    assert directory(adapter(store("GDS", file_path="/kv/gds"))) == "/kv/gds"
    assert directory(adapter({"type": "fs", "base_path": "~/kv"})) == "~/kv"
    assert directory(adapter(store("OBJ"))) is None
    assert directory(adapter({"type": "mooncake_store"})) is None


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
