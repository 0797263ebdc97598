"""Processes, as /proc shows them: the only reader of what it says about one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_FILE_MAX_BYTES = 256 * 1024


Identity = tuple[int, int]
"""A process for certain: its pid, and its start time in clock ticks since boot."""


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    ppid: int
    pgid: int
    sid: int
    start_ticks: int
    state: str
    name: str = ""
    """At most 15 bytes, as the kernel keeps it."""
    cpu_ticks: int = 0
    """Time on a CPU since it started."""

    @property
    def identity(self) -> Identity:
        return self.pid, self.start_ticks

    @property
    def is_stopped(self) -> bool:
        """By SIGSTOP or its like, not by a debugger."""
        return self.state == "T"

    @property
    def is_alive(self) -> bool:
        return self.state not in "ZX"


def _read(path: str) -> bytes:
    """A small file of /proc: thousands are read on a large host, and this takes half as long as pathlib."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _FILE_MAX_BYTES)
    finally:
        os.close(fd)


def read_process(pid: int) -> Process | None:
    """One process from /proc; None when there is none. Source: proc_pid_stat(5)."""
    try:
        stat = _read(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # the command, in parentheses, may itself hold spaces and parentheses
    name = stat[stat.index(b"(") + 1 : stat.rindex(b")")].decode(errors="replace")
    fields = stat[stat.rindex(b")") + 2 :].split()
    state, ppid, pgid, sid = fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3])
    return Process(pid, ppid, pgid, sid, int(fields[19]), state, name, int(fields[11]) + int(fields[12]))


def own_children() -> list[int]:
    """Pids of this process's children, those that it was given as a subreaper too. Source: proc_tid_children(5)."""
    pids: list[int] = []
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # one that has just ended
            pids += map(int, _read(f"{thread}/children").split())
    return pids


def environment_of(pid: int) -> dict[str, str] | None:
    """The environment a process began with; None where it cannot be read or was wiped by setproctitle."""
    try:
        raw = _read(f"/proc/{pid}/environ")
    except OSError:
        return None
    entries = [entry.partition(b"=") for entry in raw.split(b"\0") if b"=" in entry]
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in entries} or None


def command_line(pid: int) -> bytes:
    """A process's arguments, each ended by a NUL; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def resident_bytes(processes: Iterable[Process]) -> int:
    """Resident memory of all of them together; shared pages count once for each process."""
    return sum(_resident_pages(process.pid) for process in processes) * os.sysconf("SC_PAGE_SIZE")


def bytes_read(processes: Iterable[Process]) -> int:
    """From files and sockets, and from disks into memory that is mapped. Source: proc_pid_io(5)."""
    total = 0
    for process in processes:
        with suppress(OSError):  # it has ended
            fields = dict(line.split(b": ") for line in _read(f"/proc/{process.pid}/io").splitlines())
            total += int(fields[b"rchar"]) + int(fields[b"read_bytes"])
    return total


def _resident_pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
