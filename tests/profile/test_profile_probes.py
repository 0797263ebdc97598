"""Parameters of probes, with defaults for each kind of unit."""

from __future__ import annotations

from dynkv.profile.load import load, parse_set


def test_what_is_not_said_of_a_probe_keeps_its_default() -> None:
    """A worker may take half an hour to start, whatever else is set."""
    usual = load("agg").profile.probes
    some = load(
        "agg", [parse_set("probes.worker.startup.period_seconds=2"), parse_set("probes.lmcache.liveness.enabled=false")]
    )
    assert some.profile.probes.worker.startup.failure_threshold == usual.worker.startup.failure_threshold == 18_000
    assert some.profile.probes.lmcache.startup == usual.lmcache.startup
    assert some.profile.probes.frontend == usual.frontend
