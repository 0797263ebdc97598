"""Sampling a running unit to find out whether it has hung."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

import anyio

from dynkv.children.child import Child
from dynkv.host.processes import bytes_read
from dynkv.plan.model import HttpGet, Liveness
from dynkv.probes.finite import sum_of_known
from dynkv.probes.http import request
from dynkv.probes.scrape import Figures
from dynkv.probes.text import read, total
from dynkv.supervisor.progress import IDLE_CPU, Sample, hung

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_IDLE_S, _IDLE_PERIOD_S = 120.0, 5.0
_IDLE_READ_BYTES = 1_000_000
_ENGINE = "VLLM::EngineCore"[:15]
_RUNNING = "vllm:num_requests_running"
_UNDER_WAY = (_RUNNING, "vllm:num_requests_waiting")
_MOVING = ("vllm:iteration_tokens_total_sum", "vllm:prompt_tokens_total", "vllm:generation_tokens_total")
"""Counters of progress. Source: vllm 0.23.0 and 0.31.0, /metrics; the first moves with every step of the engine."""
_MAX_AGE_S = 5.0
"""Most seconds of a sample's age: no more than a period, so that two samples come from two answers."""


async def until_hung(
    child: Child,
    liveness: Liveness,
    ready: anyio.Event,
    passes: Callable[[], bool],
    *,
    figures: Figures | None = None,
    note: Callable[[], None] = lambda: None,
) -> str:
    """Sample the unit while it does well; returns why it counts as hung.

    `passes`: whether its readiness probe has not failed often enough in a row to count. `figures`: contents of its
    /metrics that others have requested; anything older than this call is ignored, as it may be from an earlier
    incarnation. `note` is called for each sample. Before it is first `ready`, its startup probe judges it, but a unit
    suspended by a signal is not just slow.
    """
    figures = figures or Figures()
    began = anyio.current_time()
    kept = max(liveness.failure_threshold, int(liveness.stall_seconds / liveness.period_seconds)) + 2
    samples: deque[Sample] = deque(maxlen=kept)
    while True:
        if ready.is_set():
            max_age_s = min(anyio.current_time() - began, liveness.period_seconds, _MAX_AGE_S)
            samples.append(await _sample(child, liveness, passes, figures, max_age_s))
        else:
            samples.append(_early_sample(child))
        note()
        reason = hung(tuple(samples), liveness)
        if reason is not None:
            return reason
        await _until_next(liveness.period_seconds, ready)


async def is_idle(unit: str, figures: Figures, timeout_s: float) -> bool:
    """Whether a worker reports no running or waiting request; False if it does not report."""
    texts = await figures.of([unit], max_age_s=0.0, timeout_s=timeout_s)
    said = read(texts.get(unit, ""), _UNDER_WAY)
    return total(said, _RUNNING) is not None and not any(total(said, name) for name in _UNDER_WAY)


async def _until_next(period_s: float, ready: anyio.Event) -> None:
    """Wait for the next sample. A unit that has just become ready is sampled at once: its readiness probe has new
    data."""
    if ready.is_set():
        await anyio.sleep(period_s)
        return
    with anyio.move_on_after(period_s):
        await ready.wait()


async def until_idle(child: Child, ready: anyio.Event) -> None:
    """Return when its whole tree has done nothing for a while before it was ready, like a process that waits for a
    lock.

    Any process that waits does nothing, so this only means that it is worth trying another way.
    """
    used, read, since = 0.0, 0, anyio.current_time()
    while anyio.current_time() < since + _IDLE_S:
        tree = child.tree()
        now, now_read = sum(process.cpu_ticks for process in tree) / _TICKS_PER_S, bytes_read(tree)
        if now > used + _IDLE_PERIOD_S * IDLE_CPU or now_read > read + _IDLE_READ_BYTES:
            since = anyio.current_time()
        used, read = now, now_read
        await anyio.sleep(_IDLE_PERIOD_S)
        if ready.is_set():
            await anyio.sleep_forever()


def _early_sample(child: Child) -> Sample:
    is_stopped = any(process.is_stopped for process in child.members())
    return Sample(anyio.current_time(), answered=True, is_stopped=is_stopped, cpu_s=0.0)


async def _sample(
    child: Child, liveness: Liveness, passes: Callable[[], bool], figures: Figures, max_age_s: float
) -> Sample:
    tree = child.members()
    is_stopped = any(process.is_stopped for process in tree)
    text = None
    if liveness.check is not None and not is_stopped:
        text = await figures.get(liveness.check, max_age_s=max_age_s, timeout_s=liveness.timeout_seconds)
    answered = passes() if liveness.check is None else text is not None
    if not answered:
        tree = child.tree()  # it may be busy in a process that it has just started
    said = read(text or "", {_RUNNING, *_MOVING})
    canary_failed = not is_stopped and await _fails(liveness.canary, liveness.timeout_seconds)
    return Sample(
        at=anyio.current_time(),
        answered=answered,
        is_stopped=is_stopped,
        cpu_s=sum(process.cpu_ticks for process in tree) / _TICKS_PER_S,
        has_engine=any(process.name == _ENGINE for process in tree),
        running=total(said, _RUNNING),
        tokens=sum_of_known(total(said, name) for name in _MOVING),
        canary_failed=canary_failed,
    )


async def _fails(canary: HttpGet | None, timeout_s: float) -> bool:
    """Whether the canary reports a failure; no answer is not one."""
    if canary is None:
        return False
    try:
        with anyio.fail_after(timeout_s):
            response = await request(canary.host, canary.port, canary.path)
    except (OSError, TimeoutError):
        return False
    return response.status >= 500
