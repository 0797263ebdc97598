"""Whether two series of the same measurement differ beyond their noise. Pure.

Rounds of both were taken in turn and with the same requests, so they are compared in pairs; people ask for a ratio, so
pairs are compared by their logarithms.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from math import exp, isfinite, log, sqrt
from statistics import fmean, stdev

from msgspec import Struct

from dynkv.bench.student import quantile

CONFIDENCE = 0.95
"""Confidence of all intervals of one comparison together."""
EQUAL_WITHIN = 16.0
"""Widest useful interval, from a quarter to four times: a wider one shows nothing, not even equality."""
RELEVANT = 0.02
"""A smaller difference is no reason to choose, however certain it is."""


class Verdict(StrEnum):
    LOWER = "lower"
    HIGHER = "higher"
    EQUAL = "equal"
    UNKNOWN = "unknown"
    """Too few rounds for the noise: the ratio may be far from 1."""


class Difference(Struct, frozen=True):
    """How one variant's figure compares with the other's."""

    ratio: float
    """The geometric mean over the pairs: 0.5 is half as much."""
    low: float
    high: float
    verdict: Verdict


def difference(base: Sequence[float], other: Sequence[float], comparisons: int = 1) -> Difference | None:
    """The difference of paired rounds; None if a ratio has no meaning, as with zeros.

    `comparisons`: how many intervals must hold together (Bonferroni), so that many figures of equal variants show no
    difference by chance.
    """
    pairs = list(zip(base, other, strict=True))
    if not pairs or any(not isfinite(value) or value <= 0 for pair in pairs for value in pair):
        return None
    logs = [log(after / before) for before, after in pairs]
    middle = fmean(logs)
    if len(logs) < 2:
        return Difference(exp(middle), 0.0, float("inf"), Verdict.UNKNOWN)
    reach = quantile(1 - (1 - CONFIDENCE) / max(1, comparisons), len(logs) - 1) * stdev(logs) / sqrt(len(logs))
    low, high = exp(middle - reach), exp(middle + reach)
    return Difference(exp(middle), low, high, _verdict(exp(middle), low, high))


def _verdict(ratio: float, low: float, high: float) -> Verdict:
    if low <= 1 <= high or abs(ratio - 1) < RELEVANT:
        return Verdict.EQUAL if high <= EQUAL_WITHIN * low else Verdict.UNKNOWN
    return Verdict.LOWER if ratio < 1 else Verdict.HIGHER
