"""When consecutive results add up to a verdict. Pure; Kubernetes' thresholds."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from dynkv.plan.model import Probe


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    OPEN = "open"
    """Not enough equal results in a row: the earlier verdict still holds."""


class Streak(Struct, frozen=True):
    """Counts the most recent equal results in a row."""

    successes: int = 0
    failures: int = 0

    def after(self, ok: bool, periods: int = 1) -> Streak:
        """With one more result; a failure counts for all `periods` that have passed since the one before."""
        return Streak(self.successes + 1, 0) if ok else Streak(0, self.failures + periods)

    def verdict(self, probe: Probe) -> Verdict:
        if self.successes >= probe.success_threshold:
            return Verdict.PASSED
        return Verdict.FAILED if self.failures >= probe.failure_threshold else Verdict.OPEN
