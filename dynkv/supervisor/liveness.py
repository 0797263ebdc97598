"""Taking samples of a running unit, and saying when it has hung."""

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
"""Source: vllm 0.23.0 and 0.31.0, /metrics; the first moves with every step of the engine."""
_MAX_AGE_S = 5.0
"""At most a period, so that two samples are of two answers."""


async def until_hung(
    child: Child,
    liveness: Liveness,
    ready: anyio.Event,
    passes: Callable[[], bool],
    *,
    figures: Figures | None = None,
) -> str:
    """Sample the unit for as long as it does well; returns why it counts as hung.

    `passes`: whether its readiness probe has not failed as often in a row as counts.
    `figures`: where others put what its /metrics says; nothing is taken from there that is older than this call, as
    that may be of an incarnation before.
    Before it is first `ready`, its startup probe judges it; but one that is stopped by a signal is not slow.
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
        reason = hung(tuple(samples), liveness)
        if reason is not None:
            return reason
        await _until_next(liveness.period_seconds, ready)


async def is_idle(unit: str, figures: Figures, timeout_s: float) -> bool:
    """Whether a worker says that it has no request, running or waiting; False if it does not say."""
    texts = await figures.of([unit], max_age_s=0.0, timeout_s=timeout_s)
    said = read(texts.get(unit, ""), _UNDER_WAY)
    return total(said, _RUNNING) is not None and not any(total(said, name) for name in _UNDER_WAY)


async def _until_next(period_s: float, ready: anyio.Event) -> None:
    """A unit that has just become ready is looked at at once: what its readiness probe has read is new then."""
    if ready.is_set():
        await anyio.sleep(period_s)
        return
    with anyio.move_on_after(period_s):
        await ready.wait()


async def until_idle(child: Child, ready: anyio.Event) -> None:
    """Return when all of its tree has done nothing for a while before it was ready, as one that waits for a lock does.

    Also one that waits for something does nothing, so this says only that it is worth trying another way.
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
        tree = child.tree()  # it may be busy in a process that it has started just now
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
    """Whether it says so; not answering is not a canary's failure."""
    if canary is None:
        return False
    try:
        with anyio.fail_after(timeout_s):
            response = await request(canary.host, canary.port, canary.path)
    except (OSError, TimeoutError):
        return False
    return response.status >= 500
