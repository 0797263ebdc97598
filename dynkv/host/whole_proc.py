"""Whether /proc has what dynkv needs to know of the host, and not only processes. Source: proc(5), "subset"."""

from __future__ import annotations

from dynkv.host.files import read_file

BOOT_ID = "/proc/sys/kernel/random/boot_id"
_NEEDED = (BOOT_ID, "/proc/meminfo", "/proc/stat", "/proc/net/tcp")


def proc_problem() -> str | None:
    """What cannot be read, in a sentence; None if everything can."""
    for path in _NEEDED:
        try:
            read_file(path)
        except OSError as error:
            return f"/proc is incomplete: {path}: {error.strerror}"
    return None
