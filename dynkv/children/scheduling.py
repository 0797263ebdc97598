"""The priority of children, and the CPUs they may use."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from dynkv.host.processes import Process, threads_of


class Schedule(Struct, frozen=True):
    """A niceness and CPUs, both of which are inherited by what the process starts."""

    nice: int = 0
    cpus: tuple[int, ...] = ()
    """All CPUs, if empty."""

    def apply(self, pid: int) -> None:
        """Apply to a process that has just begun a session.

        If the kernel groups processes by session, niceness only compares processes of one session, and the group has
        its own value. Source: setpriority(2), sched(7) "The autogroup feature".
        """
        if self.nice:
            with suppress(OSError):  # it has already ended, or this is not permitted
                os.setpriority(os.PRIO_PROCESS, pid, self.nice)
            with suppress(OSError):  # a kernel without the feature, or too many changes in a moment (EAGAIN)
                Path(f"/proc/{pid}/autogroup").write_text(str(self.nice))
        if self.cpus:
            with suppress(OSError):  # it has already ended, or the CPUs were taken offline
                os.sched_setaffinity(pid, self.cpus)


FREE = Schedule()


def bring_back(tree: Iterable[Process], cpus: Iterable[int]) -> int:
    """Move every thread that bound itself to other CPUs to `cpus`; returns how many.

    A thread that may run on any of them is not bound, and left alone.
    """
    own = frozenset(cpus)
    moved = 0
    for process in tree:
        for thread in threads_of(process.pid):
            with suppress(OSError):  # it has ended meanwhile
                if not own & os.sched_getaffinity(thread):
                    os.sched_setaffinity(thread, own)
                    moved += 1
    return moved
