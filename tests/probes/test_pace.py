"""A program that takes long to start is asked less and less often, and its time limit stays what it is."""

from __future__ import annotations

import anyio
import pytest

from dynkv.plan.model import Probe
from dynkv.probes import worker
from dynkv.probes.attempt import Attempt
from dynkv.probes.pace import periods
from dynkv.probes.streak import Streak, Verdict


@pytest.mark.parametrize(
    ("period_s", "waited_s", "expected"),
    [
        (0.1, 0.0, 1),
        (0.1, 9.9, 1),
        (0.1, 10.1, 2),
        (0.1, 30.1, 6),
        (0.1, 1000.0, 10),
        (0.5, 1000.0, 2),
        (1.0, 1000.0, 1),
        (10.0, 1000.0, 1),
        (0.001, 0.0, 1),
    ],
)
def test_how_long_the_next_attempt_waits(period_s: float, waited_s: float, expected: int) -> None:
    assert periods(period_s, waited_s) == expected


def asked_until_it_fails(period_s: float, limit_s: float) -> tuple[int, float]:
    """How many attempts a program gets that never answers, and after how many seconds it has failed."""
    probe = Probe((), period_seconds=period_s, failure_threshold=round(limit_s / period_s))
    streak, count, now_s, attempts = Streak(), 1, 0.0, 0
    while True:
        streak, attempts = streak.after(False, count), attempts + 1
        if streak.verdict(probe) is Verdict.FAILED:
            return attempts, now_s
        count = periods(period_s, now_s)
        now_s += count * period_s


def test_a_start_of_minutes_leaves_few_lines_in_the_log_and_has_its_whole_time() -> None:
    attempts, failed_s = asked_until_it_fails(0.1, 120)
    assert attempts < 300
    assert failed_s == pytest.approx(120, abs=1.0)
    attempts, failed_s = asked_until_it_fails(0.1, 1800)
    assert attempts < 2000
    assert failed_s == pytest.approx(1800, abs=1.0)


def test_nobody_waits_much_longer_than_the_start_took() -> None:
    late_s = [periods(0.1, waited / 10) * 0.1 - 0.1 for waited in range(1, 10_000)]
    assert all(late <= max(0.0, 0.02 * waited / 10) for late, waited in zip(late_s, range(1, 10_000), strict=True))


@pytest.mark.anyio
async def test_the_pace_is_quick_again_at_the_first_success(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that further successes, if several are needed, take no longer than they must."""
    now_s = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds

    async def attempt(*_: object) -> Attempt:
        return Attempt(now_s >= 60.0, 0.0, "")

    monkeypatch.setattr(worker, "attempt", attempt)
    monkeypatch.setattr(anyio, "sleep", sleep)
    monkeypatch.setattr(anyio, "current_time", lambda: now_s)
    probe = Probe((), period_seconds=0.1, success_threshold=5, failure_threshold=10_000)
    results = worker._results(probe, 0.1)
    while (await anext(results))[0] is not Verdict.PASSED:
        pass
    assert 60.3 < now_s < 61.7
