"""Whether the kernel has killed for want of memory."""

from __future__ import annotations

from pathlib import Path


def oom_kills() -> int:
    """How often it has since boot; also counts kills within a memory cgroup. Source: vm/vmstat, `oom_kill`."""
    for line in Path("/proc/vmstat").read_text().splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill":
            return int(count)
    return 0
