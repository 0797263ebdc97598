"""What the workers of all engines have in common."""

from __future__ import annotations

from hosts import host, plan

from dynkv.plan.model import HttpGet


def test_a_canary_only_where_asked_for() -> None:
    quiet = plan("agg", host(1)).unit("worker-0")
    assert quiet.probes.liveness is not None
    assert (quiet.probes.liveness.canary, "DYN_HEALTH_CHECK_ENABLED" in quiet.env) == (None, False)
    asked = plan("agg", host(1), {"probes.canary.enabled": True, "probes.canary.idle_seconds": 4}).unit("worker-0")
    assert asked.probes.liveness is not None
    assert asked.probes.liveness.canary == HttpGet(asked.ports["system"], "/health")
    assert (asked.env["DYN_HEALTH_CHECK_ENABLED"], asked.env["DYN_CANARY_WAIT_TIME"]) == ("true", "4")


def test_liveness_can_be_left_out() -> None:
    made = plan("agg", host(1), {"probes.worker.startup": {}, "probes.worker.liveness": {"enabled": False}})
    assert made.unit("worker-0").probes.liveness is None
    assert made.unit("frontend").probes.liveness is not None
