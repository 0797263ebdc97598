"""How much memory can still be had. Small: the supervisor asks, too."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dynkv.host.files import read_file


def memory_available_bytes() -> int:
    """RAM that can still be had: the kernel's estimate, or what the cgroup leaves if that is less.

    Source: proc_meminfo(5), MemAvailable; Linux, "Control Group v2".
    """
    available = _available_bytes()
    limit, used = _cgroup("memory.max"), _cgroup("memory.current")
    return available if limit is None or used is None else max(0, min(available, limit - used))


def _available_bytes() -> int:
    """Where /proc does not tell, what is not used for anything, as for a cache of files."""
    try:
        found = re.search(rb"^MemAvailable: +(\d+) kB$", read_file("/proc/meminfo"), re.MULTILINE)
    except OSError:  # a /proc of processes alone
        found = None
    return int(found[1]) * 1024 if found else os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _cgroup(file: str) -> int | None:
    """A figure of this process's cgroup v2; None where there is no limit."""
    try:
        own = Path("/proc/self/cgroup").read_text().strip().rpartition(":")[2]
        return int(Path(f"/sys/fs/cgroup{own}/{file}").read_text())
    except (OSError, ValueError):
        return None
