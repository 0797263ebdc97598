"""The units' counters over a round."""

from __future__ import annotations

import pytest

from dynkv.bench.counters import NAMES, counted
from dynkv.probes.text import read

BEFORE = """\
lmcache_mp_lookup_requested_tokens_total{model="a"} 1000
lmcache_mp_lookup_hit_tokens_total{model="a"} 500
"""
AFTER = """\
lmcache_mp_lookup_requested_tokens_total{model="a"} 3000
lmcache_mp_lookup_hit_tokens_total{model="a"} 2000
lmcache_mp_l1_memory_usage_bytes{l1_tag="x"} 1024
lmcache_mp_l1_usage_ratio{l1_tag="x"} 0.25
"""


def test_hits_are_those_of_the_round() -> None:
    assert counted(read(BEFORE, set(NAMES)), read(AFTER, set(NAMES)))["sidecar_hit_rate"] == pytest.approx(75.0)


def test_the_size_of_l1_is_what_makes_its_use_a_share() -> None:
    found = counted({}, read(AFTER, set(NAMES)))
    assert (found["l1_used_bytes"], found["l1_size_bytes"]) == (1024, 4096)


@pytest.mark.parametrize("share", ["0", "NaN", '0.5\nlmcache_mp_l1_usage_ratio{l1_tag="y"} 0.1'])
def test_of_an_empty_l1_or_of_two_there_is_no_size(share: str) -> None:
    said = f"lmcache_mp_l1_memory_usage_bytes 1024\nlmcache_mp_l1_usage_ratio {share}\n"
    assert "l1_size_bytes" not in counted({}, read(said, set(NAMES)))
