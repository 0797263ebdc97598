"""Whether /proc tells what dynkv has to know of the host, and not of its processes alone. Source: proc(5), "subset"."""

from __future__ import annotations

from dynkv.host.files import read_file

BOOT_ID = "/proc/sys/kernel/random/boot_id"
_NEEDED = (BOOT_ID, "/proc/meminfo", "/proc/stat", "/proc/net/tcp")


def proc_problem() -> str | None:
    """What cannot be read, in a sentence; None where all is well."""
    for path in _NEEDED:
        try:
            read_file(path)
        except OSError as error:
            return f"/proc does not tell all: {path}: {error.strerror}"
    return None
