"""The properties in /proc that a process may have inherited from its parent, or kept from an earlier program."""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path

from dynkv.host.processes import environment_of

_STATUS = (
    "Umask Groups Uid Gid CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp SigBlk SigIgn SigCgt "
    "Cpus_allowed_list Mems_allowed_list CoreDumping THP_enabled"
).split()
_FILES = "limits oom_score_adj cgroup personality timerslack_ns coredump_filter attr/current".split()


def seen(pid: int) -> dict[str, object]:
    """Environment, working directory, kinds of open files, signals, limits, priority and so on, without numbers that
    differ for every process."""
    proc = Path("/proc", str(pid))
    lines = (line.partition(":") for line in (proc / "status").read_text().splitlines())
    found: dict[str, object] = {name: value.split() for name, _, value in lines if name in _STATUS}
    for name in _FILES:
        with suppress(OSError):  # an older kernel
            found[name] = (proc / name).read_text()
    found["environment"] = environment_of(pid)
    found["cwd"] = str((proc / "cwd").readlink())
    found["open files"] = open_files(pid)
    found["nice"] = os.getpriority(os.PRIO_PROCESS, pid)
    found["schedule"] = os.sched_getscheduler(pid)
    found["threads"] = {re.sub(r"\d+", "N", (task / "comm").read_text().strip()) for task in (proc / "task").iterdir()}
    return found


def open_files(pid: int) -> Counter[str]:
    """How many of each: the paths of files, and the kinds of everything else, without directories and what it waits
    with, which are open only briefly."""
    found: Counter[str] = Counter()
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # it has been closed meanwhile
            if not fd.is_dir():
                found[re.sub(r"\[\d+\]", "", str(fd.readlink()))] += 1
    del found["anon_inode:[eventpoll]"]
    return found


def own_memory_kb(pid: int) -> int:
    """Memory that it has written itself. Mapped files count as long as somebody uses them."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))
