"""Deadlines: every request and every pause is limited to the time that is left."""

from __future__ import annotations

import math
import time

_NO_END_S = 31_536_000.0
"""A year or more means no deadline, and is not counted: the kernel's clocks reach to 292 years."""


class Deadline:
    """A deadline `given_s` seconds from now; without a number, or with more than a year, there is none."""

    def __init__(self, given_s: float | None = None) -> None:
        self.given_s = math.inf if given_s is None or given_s > _NO_END_S else given_s
        self._end = time.monotonic() + self.given_s

    @property
    def left_s(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())

    @property
    def timeout_s(self) -> float | None:
        """Seconds left for select and similar calls: None without a deadline."""
        return None if self._end == math.inf else self.left_s

    @property
    def is_past(self) -> bool:
        return self.left_s == 0

    def cut(self, seconds: float) -> float:
        """`seconds`, or what is left if that is less."""
        return min(seconds, self.left_s)
