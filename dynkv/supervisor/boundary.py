"""Keeping faults of observing tasks away from what serves: such a task may fail, is reported, and starts again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from traceback import format_exception
from typing import TypeVar

import anyio

from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import EventLog

_FIRST_PAUSE_S, _LAST_PAUSE_S = 1.0, 60.0
_LASTED_S = 120.0
T = TypeVar("T")


async def outliving(what: str, work: Callable[[], Awaitable[T]], events: EventLog) -> T:
    """Do `work` until it returns, and return its result.

    A fault is recorded, only once while it stays the same, and the work begins again. The pause before that doubles
    with each fault, and is short again after work that has lasted.
    """
    pause_s, told = _FIRST_PAUSE_S, ""
    while True:
        began = anyio.current_time()
        try:
            return await work()
        except Exception as fault:  # noqa: BLE001 (this is the boundary)
            if anyio.current_time() - began > _LASTED_S:
                pause_s, told = _FIRST_PAUSE_S, ""
            if (words := described(fault)) != told:
                told = words
                tell_fault(events, f"{what}: {words}", fault)
        await anyio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LAST_PAUSE_S)


def tell_fault(events: EventLog, message: str, fault: Exception, unit: str | None = None) -> None:
    events.record(EventKind.FAULT, message, unit=unit, cause="a fault in dynkv", trace=format_exception(fault))


def described(fault: BaseException) -> str:
    """The fault in words; of a group with a single exception, that exception."""
    while isinstance(fault, BaseExceptionGroup) and len(fault.exceptions) == 1:
        fault = fault.exceptions[0]
    return f"{type(fault).__name__}: {fault}"
