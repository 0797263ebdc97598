"""How much memory is available. Small, since the supervisor uses it too."""

from __future__ import annotations

import os
import re

from dynkv.host.cgroups import hierarchy, memory_left_bytes
from dynkv.host.files import read_file


def memory_available_bytes() -> int:
    """Available RAM: the kernel's estimate, or what control groups leave if that is less.

    Source: proc_meminfo(5), MemAvailable.
    """
    available, left = _available_bytes(), memory_left_bytes(hierarchy("memory"))
    return available if left is None else min(available, left)


def _available_bytes() -> int:
    """The kernel's estimate; if /proc does not have it, memory that is not used at all, not even by file caches."""
    try:
        found = re.search(rb"^MemAvailable: +(\d{1,20}) kB$", read_file("/proc/meminfo"), re.MULTILINE)
    except OSError:  # a /proc with processes only
        found = None
    return int(found[1]) * 1024 if found else os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
