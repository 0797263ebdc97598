"""Processes as /proc shows them: the only reader of its files about a process.

Unreadable means missing: a process may end between two reads, and with `hidepid` /proc hides those of others, so no
look at the host fails because of one process. Source: proc(5).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress

from msgspec import Struct

from dynkv.host.files import names_in, read_file

_MAPPED_FIELDS = 6
_REAL, _EFFECTIVE = 0, 1
_PF_KTHREAD = 0x00200000  # include/linux/sched.h
_ARGUMENTS_MAX_BYTES = 8 * 1024**2
"""Most bytes to read: arguments and environment together take at most 6 MB. Source: execve(2), "Limits on size"."""
Identity = tuple[int, int]
"""A certain process: its pid, and its start time in clock ticks since boot."""


class Process(Struct, frozen=True):
    pid: int
    ppid: int
    pgid: int
    sid: int
    start_ticks: int
    state: str
    name: str = ""
    """At most 15 bytes, as the kernel stores it."""
    cpu_ticks: int = 0
    """CPU time since it started."""
    threads: int = 1
    is_kernels: bool = False
    """Whether it is a kernel thread, which has no environment."""

    @property
    def identity(self) -> Identity:
        return self.pid, self.start_ticks

    @property
    def is_stopped(self) -> bool:
        """Whether it is suspended by SIGSTOP or a similar signal, not by a debugger."""
        return self.state == "T"

    @property
    def is_alive(self) -> bool:
        """Whether it lives: a process whose first thread has ended shows as a zombie while others continue."""
        return self.state not in "ZX" or (self.state == "Z" and self.threads > 1)


def pids() -> list[int]:
    """Pids of all processes that /proc shows."""
    return [int(name) for name in names_in("/proc") if name.isdecimal()]


def processes() -> list[Process]:
    """All visible processes at about one moment, except kernel threads."""
    found = (read_process(pid) for pid in pids())
    return [process for process in found if process is not None and not process.is_kernels]


def read_process(pid: int) -> Process | None:
    """One process; None if it does not exist or cannot be seen. Source: proc_pid_stat(5)."""
    try:
        stat = read_file(f"/proc/{pid}/stat")
        # the command, in parentheses, may itself contain spaces and parentheses
        name = stat[stat.index(b"(") + 1 : stat.rindex(b")")].decode(errors="replace")
        fields = stat[stat.rindex(b")") + 2 :].split()
        state, ppid, pgid, sid = fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3])
        cpu_ticks, threads = int(fields[11]) + int(fields[12]), int(fields[17])
        is_kernels = bool(int(fields[6]) & _PF_KTHREAD)
        return Process(pid, ppid, pgid, sid, int(fields[19]), state, name, cpu_ticks, threads, is_kernels)
    except (OSError, ValueError, IndexError):
        return None


def own_children() -> list[int]:
    """Pids of this process's children, including those it inherited as a subreaper, and those that /proc hides.

    Source: proc_tid_children(5); a kernel may be built without it.
    """
    told = [listed for thread in threads_of(os.getpid()) if (listed := _children(thread)) is not None]
    if not told:
        return [process.pid for process in processes() if process.ppid == os.getpid()]
    return [pid for listed in told for pid in listed]


def threads_of(pid: int) -> list[int]:
    return [int(name) for name in names_in(f"/proc/{pid}/task")]


def environment_of(pid: int, prefix: str = "") -> dict[str, str] | None:
    """The initial environment of a process, or its variables whose names begin with `prefix`; None if it cannot be read
    or was wiped by setproctitle."""
    try:
        raw = read_file(f"/proc/{pid}/environ", _ARGUMENTS_MAX_BYTES)
    except OSError:
        return None
    if b"=" not in raw:
        return None
    wanted = os.fsencode(prefix)
    entries = [entry.partition(b"=") for entry in raw.split(b"\0") if entry.startswith(wanted) and b"=" in entry]
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in entries}


def command_line(pid: int, max_bytes: int = _ARGUMENTS_MAX_BYTES) -> bytes:
    """A process's arguments, each ended by a NUL, or their beginning; empty if it is gone or cannot be seen."""
    try:
        return read_file(f"/proc/{pid}/cmdline", max_bytes)
    except OSError:
        return b""


def open_files(pid: int) -> Iterator[str]:
    """What its descriptors refer to, as far as visible. Source: proc_pid_fd(5)."""
    directory = f"/proc/{pid}/fd"
    for name in names_in(directory):
        with suppress(OSError):  # closed meanwhile
            yield os.readlink(f"{directory}/{name}")  # noqa: PTH115 (a quarter of the time)


def mapped_files(pid: int) -> Iterator[str]:
    """Paths of the files mapped into its memory, as far as visible. Source: proc_pid_maps(5)."""
    with suppress(OSError):
        for line in read_file(f"/proc/{pid}/maps").splitlines():
            fields = line.split(maxsplit=_MAPPED_FIELDS - 1)
            if len(fields) == _MAPPED_FIELDS:
                yield os.fsdecode(fields[-1])


def resident_bytes(processes: Iterable[Process]) -> int:
    """Resident memory of all of them together; shared pages count once for each process."""
    return sum(_resident_pages(process.pid) for process in processes) * os.sysconf("SC_PAGE_SIZE")


def bytes_read(processes: Iterable[Process]) -> int:
    """Bytes read from files and sockets, and from disks into mapped memory. Source: proc_pid_io(5)."""
    total = 0
    for process in processes:
        with suppress(OSError, ValueError):  # it has ended, or is another user's
            fields = dict(line.split(b": ") for line in read_file(f"/proc/{process.pid}/io").splitlines())
            total += int(fields.get(b"rchar", 0)) + int(fields.get(b"read_bytes", 0))
    return total


def is_own(pid: int) -> bool:
    """Whether this user has started it, for root too.

    It goes by the real uid: running a setuid program of this user gives another user's process the effective one.
    Source: proc_pid_status(5), credentials(7).
    """
    return _user(pid, _REAL) == os.getuid()


def working_directory(pid: int) -> str | None:
    """Its working directory, or what that was before it was removed; None if it cannot be seen. Source:
    proc_pid_cwd(5)."""
    try:
        return os.readlink(f"/proc/{pid}/cwd").removesuffix(" (deleted)")  # noqa: PTH115 (no path is made of it)
    except OSError:
        return None


def effective_user(pid: int) -> int | None:
    """Its effective uid; None if it cannot be seen. Source: proc_pid_status(5)."""
    found = _user(pid, _EFFECTIVE)
    return _owner(f"/proc/{pid}") if found is None else found


def _user(pid: int, which: int) -> int | None:
    try:
        _, _, uids = read_file(f"/proc/{pid}/status").partition(b"\nUid:")  # no name before it has a line break
        return int(uids.split(maxsplit=which + 1)[which])
    except (OSError, ValueError, LookupError):
        return None


def _owner(path: str) -> int | None:
    try:
        return os.stat(path).st_uid  # noqa: PTH116 (no path is made of it)
    except OSError:
        return None


def _children(thread: int) -> list[int] | None:
    """Children of a thread; None if it has just ended."""
    try:
        return [int(word) for word in read_file(f"/proc/self/task/{thread}/children").split()]
    except (OSError, ValueError):
        return None


def _resident_pages(pid: int) -> int:
    try:
        return int(read_file(f"/proc/{pid}/statm").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
