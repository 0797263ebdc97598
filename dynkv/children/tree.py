"""Finding every process that belongs to a child, and no other.

A child is the leader of a session of its own and carries a marker in its environment. Its tree is found
by process group and session, by descent, and by marker; so a grandchild that calls setsid, or that is
given to another parent, is found as well. The marker alone does not do: setproctitle, which vLLM's
engine uses, wipes what /proc shows of a process's environment.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Self

_FILE_MAX_BYTES = 256 * 1024
MARK_HOME = "DYNKV_HOME"
MARK_DEPLOYMENT = "DYNKV_DEPLOYMENT"
MARK_UNIT = "DYNKV_UNIT"
MARK_INCARNATION = "DYNKV_INCARNATION"

SHIELD = {"DYNKV_SHIELD": "1", "PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
"""Has to stand first in a child's environment. setproctitle overwrites the environment up to the first
variable that the program has set again, which vLLM does with this one: so the markers behind it stay
readable in /proc (vllm 0.31.0, setproctitle 1.3; measured)."""


def marked_environment(home: Path, deployment: str, unit: str, env: Mapping[str, str]) -> dict[str, str]:
    """`env` with the markers by which a process is known as a unit's; nothing in `env` can replace them."""
    marks = {MARK_HOME: str(home), MARK_DEPLOYMENT: deployment, MARK_UNIT: unit}
    return {**SHIELD, **marks, **env, **marks}


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


@dataclass(frozen=True, slots=True)
class Root:
    """What identifies a child for good: its first process and the marker all of its tree inherits."""

    pid: int
    start_ticks: int
    incarnation: str


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


EnvironmentReader = Callable[[int], Mapping[str, str] | None]


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


class Host:
    """All processes at one moment. Environments are read once each, and only when someone asks."""

    def __init__(self, processes: Iterable[Process], environment: EnvironmentReader = environment_of) -> None:
        self.processes: Mapping[int, Process] = {process.pid: process for process in processes}
        self.environment = cache(environment)

    @classmethod
    def now(cls) -> Self:
        found = (read_process(int(name)) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208
        return cls(process for process in found if process is not None)

    @classmethod
    def lately(cls) -> Host:
        """As it was within the last second: hundreds that are stopped at once need not look each for itself."""
        global _lately
        if _lately is None or time.monotonic() > _lately[0] + _LATELY_S:
            _lately = (time.monotonic(), cls.now())
        return _lately[1]

    @cached_property
    def children(self) -> Mapping[int, list[int]]:
        """Pids by that of their parent."""
        found: dict[int, list[int]] = {}
        for process in self.processes.values():
            found.setdefault(process.ppid, []).append(process.pid)
        return found

    @cached_property
    def groups(self) -> Mapping[int, list[Process]]:
        """Processes by the number of their process group, and of their session."""
        found: dict[int, list[Process]] = {}
        for process in self.processes.values():
            for number in {process.pgid, process.sid}:
                found.setdefault(number, []).append(process)
        return found

    @cached_property
    def marked(self) -> Mapping[str, list[Process]]:
        """Processes by the incarnation in whose environment they began."""
        found: dict[str, list[Process]] = {}
        for process in self.processes.values():
            if incarnation := (self.environment(process.pid) or {}).get(MARK_INCARNATION):
                found.setdefault(incarnation, []).append(process)
        return found


_LATELY_S = 1.0
_lately: tuple[float, Host] | None = None


def tree_of(root: Root, host: Host, known: Iterable[Identity] = ()) -> list[Process]:
    """The living processes of a child's tree. `known` are those seen in it earlier, for as long as they live."""
    leader = host.processes.get(root.pid)
    leader_is_ours = leader is not None and leader.start_ticks == root.start_ticks
    found = [process for pid, start in known if (process := host.processes.get(pid)) and process.start_ticks == start]
    found += [leader] if leader is not None and leader_is_ours else []
    found += [process for process in host.marked.get(root.incarnation, []) if process.start_ticks >= root.start_ticks]
    for process in host.groups.get(root.pid, []):
        # a wiped environment proves nothing, but the group's number cannot have been given to others while members
        # of the group live and no other process has that pid
        is_unmarked = process.start_ticks >= root.start_ticks and host.environment(process.pid) is None
        if leader_is_ours or (leader is None and is_unmarked):
            found.append(process)
    own = os.getpid()
    members = _with_descendants({process.pid for process in found} - {own}, host.children) - {own}
    return [host.processes[pid] for pid in sorted(members) if host.processes[pid].is_alive]


def marked(host: Host, home: str, deployment: str) -> list[Process]:
    """The living processes that carry a deployment's marker, whatever child they belong to."""
    found = []
    for process in host.processes.values():
        env = host.environment(process.pid) if process.is_alive and process.pid != os.getpid() else None
        if env and env.get(MARK_HOME) == home and env.get(MARK_DEPLOYMENT) == deployment and MARK_INCARNATION in env:
            found.append(process)
    return found


def _with_descendants(members: set[int], children: Mapping[int, list[int]]) -> set[int]:
    found, todo = set(members), list(members)
    while todo:
        new = [pid for pid in children.get(todo.pop(), []) if pid not in found]
        found.update(new)
        todo += new
    return found


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
