"""Holding a process: to signal it and no other, and to learn of its end."""

from __future__ import annotations

import os
import select
import signal
from contextlib import closing, suppress

import anyio

from dynkv.children.signals import is_there, open_process, send
from dynkv.host.processes import Identity, read_process

_PERIOD_S = 0.1


class Held:
    """One certain process for as long as it is held: even when it is gone, no other is taken for it.

    Without a pidfd its start time is compared before each signal, and it is polled.
    """

    def __init__(self, identity: Identity, pidfd: int | None) -> None:
        self._identity = identity
        self._pidfd = pidfd

    @property
    def is_running(self) -> bool:
        """Whether it has not ended, reaped or not."""
        if self._pidfd is None:
            process = read_process(self._identity[0])
            return process is not None and process.identity == self._identity and process.is_alive
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return not poll.poll(0)

    def send(self, number: signal.Signals) -> bool:
        """Send a signal; whether the process existed and may be signalled."""
        if self._pidfd is not None:
            return send(self._pidfd, number)
        with suppress(OSError):
            if is_there(self._identity):
                os.kill(self._identity[0], number)
                return True
        return False

    async def ended(self) -> None:
        """Return when it is no longer running."""
        if self._pidfd is not None:
            with suppress(OSError):  # the kernel watches no more descriptors for us
                await anyio.wait_readable(self._pidfd)
        while self.is_running:  # noqa: ASYNC110 (without a pidfd, nothing tells)
            await anyio.sleep(_PERIOD_S)

    def close(self) -> None:
        """Let go of it. Safe to call twice."""
        if self._pidfd is not None:
            os.close(self._pidfd)
        self._pidfd = None


def hold(identity: Identity) -> Held | None:
    """Hold a process; None if it is gone or hidden by /proc. Without a free descriptor it is held without one.

    None for pid 1 too: ending that would end everything.
    """
    if identity[0] <= 1:
        return None
    try:
        fd = open_process(identity)
    except OSError:
        return Held(identity, None) if is_there(identity) else None
    return None if fd is None else Held(identity, fd)


def send_to(identity: Identity, number: signal.Signals) -> bool:
    """Send a signal; whether the process existed and may be signalled."""
    held = hold(identity)
    if held is None:
        return False
    with closing(held):
        return held.send(number)
