"""A deadline for steps that take none: inspecting the host, waiting for another `up`, making a model."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from dynkv.control.deadline import Deadline
from dynkv.errors import TimedOut

_AT_LEAST_S = 10.0
"""Shortest deadline: even with none left, a person wants to know the reasons why a plan cannot run."""


@contextmanager
def alarm(deadline: Deadline, *, goal: str, why: str, hint: str) -> Iterator[None]:
    """Raise TimedOut in the main thread when the time is up, wherever it is; at the end if it was up from the
    beginning."""
    late = TimedOut(f"{goal} after {deadline.given_s:g} s: {why}", hint=hint)

    def ring(number: int, frame: FrameType | None) -> None:
        raise late

    before = signal.signal(signal.SIGALRM, ring)
    if (left_s := deadline.timeout_s) is not None:
        signal.setitimer(signal.ITIMER_REAL, left_s or _AT_LEAST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    if deadline.is_past:
        raise late
