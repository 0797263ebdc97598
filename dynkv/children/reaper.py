"""The supervisor as a subreaper: orphans of its children become its own, and must not stay zombies."""

from __future__ import annotations

import ctypes
import os

from dynkv.children.child import expect_orphans, unreaped
from dynkv.host.processes import own_children, read_process

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def become_subreaper() -> None:
    """From now on orphaned descendants are given to this process; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")
    expect_orphans()


def reap_orphans() -> int:
    """Reap the zombies that were spawned by others and came to this process; how many there were."""
    reaped, own = 0, unreaped()
    for pid in own_children():
        process = None if pid in own else read_process(pid)
        if process is not None and process.state == "Z":
            os.waitpid(pid, os.WNOHANG)
            reaped += 1
    return reaped
