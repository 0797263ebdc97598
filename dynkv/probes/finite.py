"""Arithmetic with figures that others give: the result is a finite number, or not known. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable


def sum_of_known(values: Iterable[float | None]) -> float | None:
    """None where none is known, or the sum is beyond all numbers."""
    known = [value for value in values if value is not None]
    return finite(sum(known)) if known else None


def quotient(part: float | None, whole: float | None) -> float | None:
    """None where one is not known, or nothing can be divided by the other."""
    return finite(part / whole) if part is not None and whole else None


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
