"""Whether /proc has what dynkv needs to know of the host, and not only processes. Source: proc(5), "subset"."""

from __future__ import annotations

import os
from functools import partial

from dynkv.host.files import with_descriptor

BOOT_ID = "/proc/sys/kernel/random/boot_id"
_NEEDED = (BOOT_ID, "/proc/meminfo", "/proc/stat", "/proc/net/tcp")


def proc_problem() -> str | None:
    """Which file cannot be opened, in a sentence; None if all can.

    Nothing is read: for /proc/net/tcp the kernel would walk its table of all sockets.
    """
    for path in _NEEDED:
        try:
            with_descriptor(partial(_open, path))
        except OSError as error:
            return f"/proc is incomplete: {path}: {error.strerror}"
    return None


def _open(path: str) -> None:
    os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
