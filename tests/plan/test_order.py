"""The order in which units start and stop."""

from __future__ import annotations

from hosts import host, plan

from dynkv.plan.model import Condition, Dependency
from dynkv.plan.order import start_stages, stop_stages


def test_disagg() -> None:
    units = plan("disagg", host(3)).units
    assert start_stages(units) == [["frontend", "lmcache"], ["decode-0", "decode-1"], ["prefill-0"]]
    assert stop_stages(units) == [["frontend"], ["prefill-0", "decode-0", "decode-1", "lmcache"]]


def test_agg_without_sidecar() -> None:
    units = plan("agg", host(1), {"lmcache.enabled": False}).units
    assert start_stages(units) == [["frontend"], ["worker-0"]]
    assert stop_stages(units) == [["frontend"], ["worker-0"]]


def test_what_a_worker_waits_for() -> None:
    assert plan("disagg", host(2)).unit("prefill-0").depends_on == (
        Dependency("frontend", Condition.STARTED),
        Dependency("lmcache", Condition.READY),
        Dependency("decode-0", Condition.READY),
    )
