"""Signals that can only reach the intended process."""

from __future__ import annotations

import errno
import os
import signal

from dynkv.host.processes import Identity, read_process

ALL_BY_DEFAULT = tuple(sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}))
"""Signals to reset in a child, whatever this process or its parent ignores or catches."""
_NO_SUCH_PROCESS = (errno.ESRCH, errno.EINVAL)


def open_process(identity: Identity) -> int | None:
    """A pidfd of exactly this process; None if it is gone, even if its pid was reused.

    The start time is compared after the descriptor is open: from then on the pid cannot change hands. Raises OSError if
    no pidfd is available, which says nothing about the process.
    """
    try:
        fd = os.pidfd_open(identity[0])
    except OverflowError:
        return None
    except OSError as error:
        if error.errno in _NO_SUCH_PROCESS:
            return None
        raise
    if is_there(identity):
        return fd
    os.close(fd)
    return None


def send(pidfd: int, number: signal.Signals) -> bool:
    """Send a signal; whether the process existed and may be signalled, unlike another user's, such as a setuid
    program's."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except OSError:
        return False
    return True


def is_there(identity: Identity) -> bool:
    """Whether /proc shows exactly this process."""
    process = read_process(identity[0])
    return process is not None and process.identity == identity
