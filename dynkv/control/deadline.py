"""Until when somebody waits: every request and every pause is cut to what is left of it."""

from __future__ import annotations

import math
import time

_NO_END_S = 31_536_000.0
"""Who gives a year means that there is none, and no clock has to count it: the kernel's reach to 292 years."""


class Deadline:
    """`given_s` seconds from now; without a number, or with one beyond a year, there is no end."""

    def __init__(self, given_s: float | None = None) -> None:
        self.given_s = math.inf if given_s is None or given_s > _NO_END_S else given_s
        self._end = time.monotonic() + self.given_s

    @property
    def left_s(self) -> float:
        """Never less than nothing."""
        return max(0.0, self._end - time.monotonic())

    @property
    def timeout_s(self) -> float | None:
        """What is left, as select and its like want it: None without an end."""
        return None if self._end == math.inf else self.left_s

    @property
    def is_past(self) -> bool:
        return self.left_s == 0

    def cut(self, seconds: float) -> float:
        """No more than what is left."""
        return min(seconds, self.left_s)
