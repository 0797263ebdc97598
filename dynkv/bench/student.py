"""Student's distribution, for intervals of the mean of a few values. Pure."""

from __future__ import annotations

from functools import cache
from math import atan, cos, pi, sin, sqrt


def within(t: float, degrees: int) -> float:
    """The probability of a value between -`t` and `t`.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    angle = atan(t / sqrt(degrees))
    squared = cos(angle) ** 2
    term, total = 1.0, 1.0
    for k in range(1 + degrees % 2, degrees - 2, 2):
        term *= squared * k / (k + 1)
        total += term
    if degrees % 2 == 0:
        return sin(angle) * total
    return 2 / pi * (angle + (sin(angle) * cos(angle) * total if degrees > 1 else 0.0))


@cache
def quantile(probability: float, degrees: int) -> float:
    """The `t` between whose negative and itself a value lies with this probability, below 1."""
    low, high = 0.0, 1.0
    while within(high, degrees) < probability:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle, degrees) < probability else (low, middle)
    return high
