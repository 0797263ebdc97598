"""L2 adapters as in a profile."""

from __future__ import annotations

from typing import Any

import pytest

from dynkv.errors import ProfileError
from dynkv.profile.l2 import L2Adapter
from dynkv.profile.load import Override, load

Given = dict[str, Any]


def adapter(given: Given) -> L2Adapter:
    return load("agg", [Override(("lmcache", "l2"), [given], "--set lmcache.l2")]).profile.lmcache.l2[0]


def refuse_adapter(given: Given) -> str:
    with pytest.raises(ProfileError) as refused:
        adapter(given)
    assert refused.value.exit_code == 2
    assert refused.value.hint
    assert refused.value.where == "--set lmcache.l2"
    return refused.value.what


def store(backend: str, **params: Any) -> Given:
    return {"type": "nixl_store", "backend": backend, "pool_size": 64, "backend_params": params}


def dynamic(backend: str = "POSIX", **params: Any) -> Given:
    return {"type": "nixl_store_dynamic", "backend": backend, "backend_params": {"file_path": "/kv", **params}}
