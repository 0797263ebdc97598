"""Signals that can only reach the process they are meant for."""

from __future__ import annotations

import os
import signal

from dynkv.host.processes import Identity, read_process


def open_process(identity: Identity) -> int | None:
    """A pidfd of exactly this process; None if it is gone, also when its pid has gone to another.

    The start time is compared after the descriptor is open: from then on the pid cannot change hands.
    """
    pid, start_ticks = identity
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    process = read_process(pid)
    if process is None or process.start_ticks != start_ticks:
        os.close(fd)
        return None
    return fd


def send(pidfd: int, number: signal.Signals) -> bool:
    """Whether the process was there to receive it."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    return True
