"""Whether a dead unit may start again, and after how long. Pure; times are monotonic seconds."""

from __future__ import annotations

from collections.abc import Sequence

from dynkv.plan.model import RestartPolicy


def restarts_left(policy: RestartPolicy, deaths: Sequence[float], now: float) -> int:
    """How many more deaths may be followed by a restart."""
    recent = sum(1 for death in deaths if now - death < policy.window_s)
    return max(0, policy.max_restarts - recent)


def backoff_s(policy: RestartPolicy, deaths: Sequence[float], now: float) -> float | None:
    """Seconds to wait after the newest of `deaths`: none after the first within the window, then doubling. None if the
    budget is spent.

    A budget of 5 in 10 minutes allows five restarts: the sixth death within ten minutes is final.
    """
    recent = sum(1 for death in deaths if now - death < policy.window_s)
    if recent > policy.max_restarts:
        return None
    if recent <= 1:
        return 0.0
    return min(policy.backoff_initial_s * 2.0 ** (min(recent, 64) - 2), policy.backoff_max_s)
