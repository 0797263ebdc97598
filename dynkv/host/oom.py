"""Whether the kernel has killed processes for lack of memory."""

from __future__ import annotations

import re

from dynkv.host.files import read_file


def oom_kills() -> int:
    """The number of such kills since boot, including those within a memory cgroup; 0 if /proc does not say.

    Source: vm/vmstat, `oom_kill`.
    """
    try:
        found = re.search(rb"^oom_kill (\d{1,20})$", read_file("/proc/vmstat"), re.MULTILINE)
    except OSError:  # a /proc with processes only, or a sandbox's
        return 0
    return int(found[1]) if found else 0
