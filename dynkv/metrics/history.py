"""Maintaining the ledger of a deployment: events of earlier supervisors first, then each new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from dynkv.host.asking import Questions
from dynkv.metrics.ledger import Ledger
from dynkv.owned import open_own
from dynkv.supervisor.events import Event, EventLog, decoded

_READ_BYTES = 4 * 1024**2
"""Most bytes to read, some 20,000 events; of a longer history the end counts, and sums begin lower, as after a
reset."""
_PATIENCE_S = 30.0


async def keep_ledger(ledger: Ledger, events: EventLog, since: str) -> None:
    """Run until cancelled. `since`: when the deployment was started; ISO 8601, UTC."""
    try:
        before = await Questions().ask(partial(_history, events.path, since), _PATIENCE_S)
    except (OSError, TimeoutError):
        before = []  # there are none, or the disk does not answer: sums begin now
    for event in before:
        ledger.note(event)
    while True:
        async for event in events.follow(ledger.seq):  # the stream ends for a listener that is too slow
            ledger.note(event)


def _history(path: Path, since: str) -> list[Event]:
    """Past events; runs in a thread."""
    return [event for event in _events(path) if event.at >= since]


def _events(path: Path) -> Iterator[Event]:
    with os.fdopen(open_own(path, os.O_RDONLY), "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _READ_BYTES))
        for line in file:
            if (event := decoded(line)) is not None:
                yield event
