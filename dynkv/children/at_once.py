"""Ending processes where nothing can be awaited: after a failed start, and at a supervisor's own end."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from dynkv.children.held import send_to
from dynkv.host.processes import Identity, Process

_PERIOD_S = 0.005


def end_at_once(find: Callable[[], list[Process]], deadline_s: float) -> None:
    """Kill what `find` finds with SIGKILL until it finds nothing, or only what may not be killed, for at most
    `deadline_s`."""
    refused: set[Identity] = set()
    until = time.monotonic() + deadline_s
    while members := [process for process in find() if process.identity not in refused]:
        refused |= {it.identity for it in members if not send_to(it.identity, signal.SIGKILL)}
        if time.monotonic() > until:
            return
        time.sleep(_PERIOD_S)
