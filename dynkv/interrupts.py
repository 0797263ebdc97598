"""Deferring signals that end a command or time it out, while third-party modules are imported or at work.

The handlers of these signals raise an exception. If that happens while msgspec is imported, the import still succeeds,
and the first decoding crashes (msgspec 0.22, CPython 3.11); pydantic 2.13 turns it into an error about the models.

Only this thread defers them: a command that imports its modules has no other.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

_RAISING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


def hold_back() -> None:
    """Defer signals until they are unblocked, as by `let_signals_come`."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _RAISING)


@contextmanager
def held_back() -> Iterator[None]:
    """Defer signals that arrive within the block until its end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _RAISING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
