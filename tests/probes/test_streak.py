"""Thresholds, compared with the simplest implementation: look back over all results."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dynkv.plan.model import Probe
from dynkv.probes.streak import Streak, Verdict


def by_looking_back(results: list[bool], probe: Probe) -> Verdict:
    if len(results) >= probe.success_threshold and all(results[-probe.success_threshold :]):
        return Verdict.PASSED
    if len(results) >= probe.failure_threshold and not any(results[-probe.failure_threshold :]):
        return Verdict.FAILED
    return Verdict.OPEN


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(1, 5), st.integers(1, 5))
def test_verdicts(results: list[bool], successes: int, failures: int) -> None:
    probe = Probe((), success_threshold=successes, failure_threshold=failures)
    streak = Streak()
    for n, ok in enumerate(results, start=1):
        streak = streak.after(ok)
        assert streak.verdict(probe) is by_looking_back(results[:n], probe)


def test_nothing_known_is_open() -> None:
    assert Streak().verdict(Probe((), success_threshold=1, failure_threshold=1)) is Verdict.OPEN
