"""Whether two series differ: what counts as noise, and what does not."""

from __future__ import annotations

import random
from math import exp

import pytest

from dynkv.bench.compare import Verdict, difference
from dynkv.bench.student import quantile, within


@pytest.mark.parametrize(
    ("degrees", "t"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (10, 2.228), (30, 2.042)],
)
def test_quantiles_are_those_of_the_tables(degrees: int, t: float) -> None:
    assert quantile(0.95, degrees) == pytest.approx(t, abs=5e-4)
    assert within(t, degrees) == pytest.approx(0.95, abs=5e-5)


def test_what_drifts_with_time_meets_both_alike() -> None:
    drifting = [1.0, 1.3, 1.7, 2.2, 2.9]
    found = difference(drifting, [1.5 * it for it in drifting])
    assert found is not None
    assert found.verdict is Verdict.HIGHER
    assert (found.ratio, found.low, found.high) == pytest.approx((1.5, 1.5, 1.5))


def test_noise_around_the_same_is_equal() -> None:
    found = difference([1.0, 1.1, 0.9, 1.05, 0.95], [1.05, 1.0, 1.0, 0.9, 1.1])
    assert found is not None
    assert found.verdict is Verdict.EQUAL
    assert found.low < 1 < found.high


def test_a_certain_difference_of_less_than_2_per_cent_is_nobodys_reason() -> None:
    found = difference([1.0] * 5, [1.019] * 5)
    assert found is not None
    assert found.verdict is Verdict.EQUAL
    assert difference([1.0] * 5, [1.03] * 5) != found


def test_one_round_tells_no_noise() -> None:
    found = difference([1.0], [3.0])
    assert found is not None
    assert found.ratio == pytest.approx(3.0)
    assert found.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("other", [[0.0, 1.0], [float("nan"), 1.0], [-1.0, 1.0], [float("inf"), 1.0]])
def test_there_is_no_ratio_to_what_is_no_positive_number(other: list[float]) -> None:
    assert difference([1.0, 1.0], other) is None
    assert difference([], []) is None


def test_of_equal_variants_19_in_20_comparisons_find_nothing() -> None:
    """Five rounds, five figures at four points: all twenty must be called equal."""
    noise = random.Random(7)

    def series() -> list[float]:
        return [exp(noise.gauss(0, 0.1)) for _ in range(5)]

    def finds_nothing() -> bool:
        found = [difference(series(), series(), comparisons=20) for _ in range(20)]
        return all(it is not None and it.verdict is Verdict.EQUAL for it in found)

    assert sum(finds_nothing() for _ in range(1000)) >= 950


def test_a_difference_of_a_half_is_found_in_noise_of_a_twentieth() -> None:
    noise = random.Random(7)

    def finds_it() -> bool:
        base = [exp(noise.gauss(0, 0.05)) for _ in range(5)]
        found = difference(base, [1.5 * exp(noise.gauss(0, 0.05)) for _ in base], comparisons=5)
        return found is not None and found.verdict is Verdict.HIGHER

    assert sum(finds_it() for _ in range(200)) >= 190


def test_two_rounds_that_differ_by_half_are_not_called_equal() -> None:
    """Measured on two H200: 0.202 and 0.205 s against 0.289 and 0.367 s."""
    found = difference([0.205, 0.202], [0.289, 0.367], comparisons=5)
    assert found is not None
    assert found.verdict is Verdict.UNKNOWN
