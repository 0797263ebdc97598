"""The timing of a unit's probes: startup until it first passes, then readiness."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from enum import StrEnum

import anyio
from msgspec import Struct

from dynkv.plan.model import Probe, Probes
from dynkv.probes.attempt import Attempt, attempt
from dynkv.probes.pace import periods
from dynkv.probes.scrape import Figures
from dynkv.probes.streak import Streak, Verdict


class Phase(StrEnum):
    STARTUP = "startup"
    READINESS = "readiness"


class News(Struct, frozen=True):
    """A probe's result, and the verdict with those before it."""

    phase: Phase
    verdict: Verdict
    attempt: Attempt


async def probing(probes: Probes, *, figures: Figures | None = None) -> AsyncGenerator[News, None]:
    """Results as they come; ends only if the startup probe fails for good. Close it with `aclosing`.

    A probe without checks passes once, and is not repeated. What readiness reads of the unit's metrics goes into
    `figures`, for others that need it.
    """
    async with aclosing(_results(probes.startup, probes.startup.period_seconds)) as results:
        async for verdict, result in results:
            yield News(Phase.STARTUP, verdict, result)
            if verdict is Verdict.FAILED:
                return
            if verdict is Verdict.PASSED:
                break
    # who waits for a start wants to learn of its end at once, so until then readiness keeps startup's pace; so does who
    # waits for one that has failed: the frontend reports on workers, and one that is back would be seen a period later
    pace = min(probes.startup.period_seconds, probes.readiness.period_seconds)
    async with aclosing(_results(probes.readiness, pace, figures)) as results:
        async for verdict, result in results:
            yield News(Phase.READINESS, verdict, result)
            if verdict is Verdict.PASSED:
                break
    if not probes.readiness.checks:
        await anyio.sleep_forever()
    async with aclosing(
        _results(probes.readiness, probes.readiness.period_seconds, figures, wait_first=True, failed_period_s=pace)
    ) as results:
        async for verdict, result in results:
            yield News(Phase.READINESS, verdict, result)


async def _results(
    probe: Probe,
    period_s: float,
    figures: Figures | None = None,
    *,
    wait_first: bool = False,
    failed_period_s: float | None = None,
) -> AsyncGenerator[tuple[Verdict, Attempt], None]:
    """Results; `failed_period_s` is the period while the probe has failed.

    The longer it has not passed, the more periods lie between attempts; a failure counts for all of them.
    """
    await anyio.sleep(period_s if wait_first else probe.initial_delay_seconds)
    streak, count, since = Streak(), 1, anyio.current_time()
    while True:
        result = await attempt(probe, figures)
        if result.is_known:
            streak = streak.after(result.ok, count)
        verdict = streak.verdict(probe) if result.is_known else Verdict.OPEN
        yield verdict, result
        if result.ok:
            since = anyio.current_time()
        every_s = failed_period_s if failed_period_s and verdict is Verdict.FAILED else period_s
        count = periods(every_s, anyio.current_time() - since)
        await anyio.sleep(max(0.0, count * every_s - result.latency_s))
