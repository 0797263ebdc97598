"""Budget and backoff."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynkv.plan.model import RestartPolicy
from dynkv.supervisor.restart import backoff_s

POLICY = RestartPolicy(max_restarts=5, window_s=600, backoff_initial_s=1, backoff_max_s=10)


@pytest.mark.parametrize(("deaths", "delay"), [(1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (6, None), (7, None)])
def test_none_after_the_first_then_it_doubles_and_the_sixth_death_within_the_window_is_final(
    deaths: int, delay: float | None
) -> None:
    assert backoff_s(POLICY, [float(n) for n in range(deaths)], now=deaths) == delay


def test_deaths_before_the_window_are_forgotten() -> None:
    assert backoff_s(POLICY, [0, 1, 2, 3, 4, 599.5], now=599.5) is None
    assert backoff_s(POLICY, [0, 1, 2, 3, 4, 600], now=600) == 8
    assert backoff_s(POLICY, [0, 1, 2, 3, 4, 700], now=700) == 0
    assert backoff_s(POLICY, [0, 1, 2, 3, 603, 604], now=604) == 1


def test_without_a_budget_the_first_death_is_final() -> None:
    assert backoff_s(RestartPolicy(max_restarts=0), [5], now=5) is None


def test_without_deaths_there_is_no_delay() -> None:
    assert backoff_s(POLICY, [], now=0) == 0


def test_a_delay_has_a_cap() -> None:
    assert backoff_s(RestartPolicy(100, 600, 1, 10), [float(n) for n in range(50)], now=50) == 10


@given(st.lists(st.floats(0, 10_000), max_size=200), st.integers(0, 10_000), st.floats(0.01, 100))
def test_after_the_first_death_a_delay_is_never_below_the_initial_one_nor_above_the_cap(
    deaths: list[float], budget: int, first: float
) -> None:
    policy = RestartPolicy(budget, 600, first, max(first, 60))
    delay = backoff_s(policy, deaths, now=max(deaths, default=0))
    if delay is None:
        assert len(deaths) > budget
    else:
        assert delay == 0 if len(deaths) <= 1 else delay == 0 or first <= delay <= policy.backoff_max_s
