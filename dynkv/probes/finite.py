"""Arithmetic with figures from elsewhere: the result is a finite number, or unknown. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable


def sum_of_known(values: Iterable[float | None]) -> float | None:
    """The sum; None if no value is known, or the sum overflows."""
    known = [value for value in values if value is not None]
    return finite(sum(known)) if known else None


def quotient(part: float | None, whole: float | None) -> float | None:
    """The quotient; None if a value is unknown, or the divisor is zero."""
    return finite(part / whole) if part is not None and whole else None


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
