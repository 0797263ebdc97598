"""A supervisor's claim to its deployment's directory: its lock there. Losing that is the one thing that ends it."""

from __future__ import annotations

import os

import anyio

from dynkv.errors import PreflightRefused
from dynkv.home import Place
from dynkv.locks import is_at, take_lock
from dynkv.owned import put_aside
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import EventLog
from dynkv.supervisor.journal import Journal

_PERIOD_S = 2.0
_TRIES, _PAUSE_S = 5, 0.02


async def until_lost(place: Place, lock: int, journal: Journal, events: EventLog) -> None:
    """Return when another supervisor has the deployment.

    If the directory or a part of it is removed, it is made again: nobody could find the file locked by `lock` any more,
    so another supervisor could take the deployment.
    """
    while True:
        await anyio.sleep(_PERIOD_S)
        try:
            if not is_at(place.lock, lock):
                put_aside(place.lock)
                place.create()
                os.chdir(place.directory)  # children start in this process's working directory
                taken = await _taken(place)
                if taken is None:
                    return
                os.close(lock)
                lock = taken
                events.record(EventKind.JOURNAL, "the deployment's lock was removed, and is made again")
            journal.renew()
        except (OSError, PreflightRefused):
            continue  # as on a disk that is gone for a moment; the status shows what cannot be written


async def _taken(place: Place) -> int | None:
    """Take the lock, trying several times, because a verb that checks for a supervisor holds it for a moment."""
    for _ in range(_TRIES):
        if (lock := take_lock(place.lock)) is not None:
            return lock
        await anyio.sleep(_PAUSE_S)
    return None
