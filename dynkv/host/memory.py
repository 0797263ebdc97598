"""How much memory can still be had. Small: the supervisor asks, too."""

from __future__ import annotations

from pathlib import Path


def memory_available_bytes() -> int:
    """RAM that can still be had: the kernel's estimate, or what the cgroup leaves if that is less.

    Source: proc_meminfo(5), MemAvailable; Linux, "Control Group v2".
    """
    available = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemAvailable:")
    )
    limit, used = _cgroup("memory.max"), _cgroup("memory.current")
    return available if limit is None or used is None else max(0, min(available, limit - used))


def _cgroup(file: str) -> int | None:
    """A figure of this process's cgroup v2; None where there is no limit."""
    try:
        own = Path("/proc/self/cgroup").read_text().strip().rpartition(":")[2]
        return int(Path(f"/sys/fs/cgroup{own}/{file}").read_text())
    except (OSError, ValueError):
        return None
