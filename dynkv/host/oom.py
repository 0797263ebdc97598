"""Whether the kernel has killed for want of memory."""

from __future__ import annotations

import re

from dynkv.host.files import read_file


def oom_kills() -> int:
    """How often it has since boot; also counts kills within a memory cgroup; 0 where /proc does not tell.

    Source: vm/vmstat, `oom_kill`.
    """
    try:
        found = re.search(rb"^oom_kill (\d{1,20})$", read_file("/proc/vmstat"), re.MULTILINE)
    except OSError:  # a /proc of processes alone, or a sandbox's
        return 0
    return int(found[1]) if found else 0
