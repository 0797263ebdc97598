"""The password of an L2 adapter comes from the environment, and only the sidecar gets it."""

from __future__ import annotations

import pytest
from adapters import adapter, refuse_adapter

from dynkv.secrets import SECRETS


@pytest.mark.parametrize("name", ["LMCACHE_RESP_PASSWORD", "LMCACHE_AEROSPIKE_PASSWORD"])
def test_lmcache_reads_it_under_this_name_and_no_worker_gets_it(name: str) -> None:
    assert SECRETS[name] == "store"


@pytest.mark.parametrize("given", [{"type": "resp", "host": "h", "port": 1}, {"type": "aerospike", "hosts": "h:1"}])
def test_none_stands_in_the_profile(given: dict[str, object]) -> None:
    assert "password" not in adapter(given).model_dump()
    assert "password" in refuse_adapter({**given, "password": "word"})
