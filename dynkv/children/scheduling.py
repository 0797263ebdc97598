"""Which children the kernel serves first, and on which CPUs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from dynkv.children.tree import Process


def set_priority(pid: int, nice: int) -> None:
    """Set the nice value of a process that has just begun a session; what it starts later inherits it.

    Where the kernel groups processes by session, a nice value compares processes of one session only, and the group
    has one of its own. Source: setpriority(2), sched(7) "The autogroup feature".
    """
    with suppress(ProcessLookupError, PermissionError):  # it has ended already, or asked for more than is allowed
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    with suppress(OSError):  # a kernel without the feature, or too many changes within a moment (EAGAIN)
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))


def bring_back(tree: Iterable[Process], cpus: Iterable[int]) -> int:
    """Move every thread that bound itself to other CPUs to `cpus`; how many there were.

    One that may run on any of them is bound to nothing, and left alone.
    """
    own = frozenset(cpus)
    moved = 0
    for process in tree:
        for thread in _threads(process.pid):
            with suppress(OSError):  # it has ended meanwhile
                if not own & os.sched_getaffinity(thread):
                    os.sched_setaffinity(thread, own)
                    moved += 1
    return moved


def _threads(pid: int) -> list[int]:
    try:
        return [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []
