"""Which children the kernel serves first, and on which CPUs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dynkv.host.processes import Process, threads_of


@dataclass(frozen=True, slots=True)
class Schedule:
    """A nice value and CPUs; what the process starts later inherits both."""

    nice: int = 0
    cpus: tuple[int, ...] = ()
    """All that there are, when empty."""

    def apply(self, pid: int) -> None:
        """To a process that has just begun a session.

        Where the kernel groups processes by session, a nice value compares processes of one session only, and the
        group has one of its own. Source: setpriority(2), sched(7) "The autogroup feature".
        """
        if self.nice:
            with suppress(OSError):  # it has ended already, or more than is allowed
                os.setpriority(os.PRIO_PROCESS, pid, self.nice)
            with suppress(OSError):  # a kernel without the feature, or too many changes within a moment (EAGAIN)
                Path(f"/proc/{pid}/autogroup").write_text(str(self.nice))
        if self.cpus:
            with suppress(OSError):  # it has ended already, or they were taken offline
                os.sched_setaffinity(pid, self.cpus)


FREE = Schedule()


def bring_back(tree: Iterable[Process], cpus: Iterable[int]) -> int:
    """Move every thread that bound itself to other CPUs to `cpus`; how many there were.

    One that may run on any of them is bound to nothing, and left alone.
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
