"""Whether this host supports pidfds, without which no child could be watched."""

from __future__ import annotations

import errno
import os
import signal

_OURS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors that pass, and say nothing of the host."""


def pidfd_problem() -> str | None:
    """What is refused, in a sentence; None if nothing is. Tried on this process itself.

    Source: pidfd_open(2), pidfd_send_signal(2): Linux 5.3 and 5.1.
    """
    if not hasattr(os, "pidfd_open") or not hasattr(signal, "pidfd_send_signal"):
        return "this Python was built without pidfd_open and pidfd_send_signal"
    try:
        fd = os.pidfd_open(os.getpid())
    except OSError as error:
        return _in_words("pidfd_open", error)
    try:
        signal.pidfd_send_signal(fd, 0)
    except OSError as error:
        return _in_words("pidfd_send_signal", error)
    finally:
        os.close(fd)
    return None


def _in_words(call: str, error: OSError) -> str | None:
    if error.errno in _OURS:
        return None
    if error.errno == errno.ENOSYS:
        return f"the kernel has no {call}, or a seccomp filter hides it"
    return f"{call} is refused ({error.strerror}), as by the seccomp filter of a container"
