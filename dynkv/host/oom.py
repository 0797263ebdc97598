"""Whether the kernel has killed for want of memory."""

from __future__ import annotations

import re
from pathlib import Path


def oom_kills() -> int:
    """How often it has since boot; also counts kills within a memory cgroup. Source: vm/vmstat, `oom_kill`."""
    found = re.search(rb"^oom_kill (\d+)$", Path("/proc/vmstat").read_bytes(), re.MULTILINE)
    return int(found[1]) if found else 0
