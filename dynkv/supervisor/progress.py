"""Whether a running unit has hung, from samples of its activity. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from dynkv.plan.model import Liveness

IDLE_CPU = 0.02
"""Share of one CPU below which a process does nothing; a waiting Python program uses less."""


class Sample(Struct, frozen=True):
    """Observations of a unit at one moment; None if it did not say."""

    at: float
    answered: bool
    is_stopped: bool
    cpu_s: float
    """CPU seconds of its whole tree."""
    has_engine: bool = False
    running: float | None = None
    """Number of requests that its engine is working on."""
    tokens: float | None = None
    """A counter that moves with every step of the engine."""
    canary_failed: bool = False


def hung(samples: Sequence[Sample], liveness: Liveness) -> str | None:
    """Why the unit counts as hung; None if it does not. The oldest sample comes first."""
    last = samples[-liveness.failure_threshold :]
    if len(last) == liveness.failure_threshold:
        if all(sample.is_stopped for sample in last):
            return "it is stopped (SIGSTOP)"
        if not any(sample.has_engine for sample in last) and any(sample.has_engine for sample in samples):
            return "its engine died under a live main process"
        is_idle = not any(sample.running for sample in last)
        if is_idle and all(sample.canary_failed for sample in last) and last[0].tokens == last[-1].tokens:
            return "its canary fails: HTTP answers, its engine does not"
        if _is_silent_and_idle(last):
            return f"it has not answered for {last[-1].at - last[0].at:.0f} s, and does nothing"
    return _stalled(samples, liveness.stall_seconds)


def _is_silent_and_idle(last: Sequence[Sample]) -> bool:
    if any(sample.answered for sample in last) or len(last) < 2:
        return False
    elapsed = last[-1].at - last[0].at
    return last[-1].cpu_s - last[0].cpu_s < IDLE_CPU * elapsed


def _stalled(samples: Sequence[Sample], stall_s: float) -> str | None:
    """Whether requests ran for `stall_s` without a single token. A sample without figures proves nothing either way."""
    known = [sample for sample in samples if sample.tokens is not None]
    if not known:
        return None
    since = known[-1].at
    for sample in reversed(known):
        if not sample.running or sample.tokens != known[-1].tokens:
            break
        since = sample.at
    if known[-1].at - since < stall_s:
        return None
    return f"{known[-1].running:.0f} requests run, and not one token has come for {known[-1].at - since:.0f} s"
