"""How much memory can still be had. Small: the supervisor asks, too."""

from __future__ import annotations

import os
import re

from dynkv.host.cgroups import hierarchy, memory_left_bytes
from dynkv.host.files import read_file


def memory_available_bytes() -> int:
    """RAM that can still be had: the kernel's estimate, or what control groups leave if that is less.

    Source: proc_meminfo(5), MemAvailable.
    """
    available, left = _available_bytes(), memory_left_bytes(hierarchy("memory"))
    return available if left is None else min(available, left)


def _available_bytes() -> int:
    """Where /proc does not tell, what is not used for anything, as for a cache of files."""
    try:
        found = re.search(rb"^MemAvailable: +(\d{1,20}) kB$", read_file("/proc/meminfo"), re.MULTILINE)
    except OSError:  # a /proc of processes alone
        found = None
    return int(found[1]) * 1024 if found else os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
