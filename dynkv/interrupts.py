"""Holding back what ends or times out a command while others' modules are imported or at work.

The handlers of these signals raise. If that happens while msgspec is imported, the import succeeds all the same and
its first decoding crashes (msgspec 0.22, CPython 3.11); pydantic 2.13 makes an error about the profile's models of it.

Only for this thread: while a command imports its modules it has no other.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_RAISING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


def hold_back() -> None:
    """Signals that arrive from now on take effect when they are let come."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _RAISING)


@contextmanager
def held_back() -> Iterator[None]:
    """Signals that arrive meanwhile take effect at the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _RAISING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
