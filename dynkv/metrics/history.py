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
_OLDER_MAX = 100
_PATIENCE_S = 30.0


async def keep_ledger(ledger: Ledger, events: EventLog, since: str) -> None:
    """Run until cancelled. `since`: when the deployment was started; ISO 8601, UTC."""
    try:
        before = await Questions().ask(partial(history_of, events.path, since), _PATIENCE_S)
    except (OSError, TimeoutError):
        before = []  # there are none, or the disk does not answer: sums begin now
    for event in before:
        ledger.note(event)
    while True:
        async for event in events.follow(ledger.seq):  # the stream ends for a listener that is too slow
            ledger.note(event)


def history_of(path: Path, since: str) -> list[Event]:
    """Past events, the oldest first; runs in a thread. Raises OSError.

    After many older ones in a row all others count as older, whatever a clock that was set back may have made of them.
    """
    found: list[Event] = []
    older = 0
    for line in _lines_from_the_end(path):
        if (event := decoded(line)) is None:
            continue
        older = 0 if event.at >= since else older + 1
        if not older:
            found.append(event)
        elif older > _OLDER_MAX:
            break
    return found[::-1]


def _lines_from_the_end(path: Path) -> Iterator[bytes]:
    with os.fdopen(open_own(path, os.O_RDONLY), "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _READ_BYTES))
        return reversed(file.read().splitlines())
