"""Rates and quantiles from two looks at the same figures."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynkv.metrics.rates import increase, quantile
from dynkv.probes.text import Samples, read


def counter(**values: float) -> str:
    return "".join(f'requests_total{{status="{status}"}} {value}\n' for status, value in values.items())


def histogram(*counts: int, process: str = "a") -> str:
    """A cumulative histogram for at most 0.1, 0.5, 1 and more seconds."""
    bounds = ("0.1", "0.5", "1", "+Inf")
    return "".join(
        f'ttft_bucket{{process="{process}",le="{bound}"}} {count}\n'
        for bound, count in zip(bounds, counts, strict=True)
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (counter(ok=10), counter(ok=13), 3),
        (counter(ok=10, bad=1), counter(ok=13, bad=3), 5),
        (counter(ok=10), counter(ok=10), 0),
        (counter(ok=10), counter(ok=4), 4),
        (counter(ok=10, bad=5), counter(ok=4, bad=6), 5),
        (counter(ok=10), counter(ok=12, bad=2), 4),
        (counter(ok=10, bad=5), counter(ok=12), 2),
        ("", counter(ok=10), None),
        (counter(ok=10), "", None),
        ("", "", None),
    ],
    ids="grows labels still reset one-reset new-series gone-series no-before no-after nothing".split(),
)
def test_increase(before: str, after: str, expected: float | None) -> None:
    assert increase(read(before), read(after), "requests_total") == expected


@pytest.mark.parametrize(
    ("before", "after", "share", "expected"),
    [
        (histogram(0, 0, 0, 0), histogram(10, 10, 10, 10), 0.5, 0.05),
        (histogram(5, 5, 5, 5), histogram(5, 15, 15, 15), 0.5, 0.3),
        (histogram(5, 5, 5, 5), histogram(10, 15, 15, 15), 1.0, 0.5),
        (histogram(0, 0, 0, 0), histogram(0, 0, 0, 3), 0.5, 1.0),
        (histogram(8, 8, 8, 8), histogram(0, 4, 4, 4), 0.5, 0.3),
        (histogram(0, 3, 3, 9), histogram(0, 4, 4, 4), 0.5, 0.3),
        (histogram(5, 5, 5, 5), histogram(5, 5, 5, 5), 0.5, None),
        ("", histogram(5, 5, 5, 5), 0.5, None),
        (histogram(5, 5, 5, 5), "", 0.5, None),
    ],
    ids="first middle all beyond-the-last reset reset-seen-in-one-bucket nothing-new no-before no-after".split(),
)
def test_quantile(before: str, after: str, share: float, expected: float | None) -> None:
    found = quantile(read(before), read(after), "ttft", share)
    assert found == (None if expected is None else pytest.approx(expected))


def test_a_quantile_is_of_all_processes_and_one_that_is_new_counts_from_nothing() -> None:
    before = histogram(1, 1, 1, 1)
    after = histogram(2, 2, 2, 2) + histogram(0, 0, 3, 3, process="b")
    assert quantile(read(before), read(after), "ttft", 1.0) == pytest.approx(1.0)
    assert quantile(read(before), read(after), "ttft", 0.25) == pytest.approx(0.1)


@pytest.mark.parametrize("bound", ["", "abc", "NaN", "1_0", "-Inf"])
def test_a_bucket_without_a_bound_is_left_out(bound: str) -> None:
    before, after = histogram(0, 0, 0, 0), histogram(10, 10, 10, 10) + f'ttft_bucket{{le="{bound}"}} 5\nttft_bucket 7\n'
    found = quantile(read(before), read(after), "ttft", 0.5)
    assert found is not None
    assert 0 <= found <= 0.1


VALUES = st.floats(allow_nan=False, allow_infinity=False)
BOUNDS = st.sampled_from(["0.1", "1", "+Inf", "-Inf", "NaN", "x", "1e308", "-1e308"])
LOOKS = st.lists(st.tuples(BOUNDS, VALUES)).map(
    lambda buckets: read(
        "".join(f'x_bucket{{le="{bound}"}} {value}\nx{{a="{bound}"}} {value}\n' for bound, value in buckets)
    )
)


@given(LOOKS, LOOKS, st.floats(0, 1))
def test_whatever_is_counted_the_result_is_finite_or_not_known(before: Samples, after: Samples, share: float) -> None:
    for found in (increase(before, after, "x"), quantile(before, after, "x", share)):
        assert found is None or math.isfinite(found)
