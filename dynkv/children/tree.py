"""Finding every process that belongs to a child, and no other.

A child leads its own session and has a marker in its environment. Its tree is found by process group and session, by
descent and by marker; so a grandchild that calls setsid or gets another parent is found too. The marker alone is not
enough: setproctitle, which vLLM's engine uses, wipes what /proc shows of a process's environment.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Self

from msgspec import Struct

from dynkv.children.marks import MARK_INCARNATION, PREFIX, is_of
from dynkv.host.processes import Identity, Process, environment_of, is_own, processes


class Root(Struct, frozen=True):
    """What identifies a child for good: its first process, and the marker that its whole tree inherits."""

    pid: int
    start_ticks: int
    incarnation: str


EnvironmentReader = Callable[[int], Mapping[str, str] | None]
_marks_of = partial(environment_of, prefix=PREFIX)


class Host:
    """All processes at one moment. Owners, and the markers in environments, are read once each, and only when
    needed."""

    def __init__(
        self,
        processes: Iterable[Process],
        environment: EnvironmentReader = _marks_of,
        is_own: Callable[[int], bool] = lambda pid: True,
    ) -> None:
        self.processes: Mapping[int, Process] = {process.pid: process for process in processes}
        self.environment = cache(environment)
        self.is_own = cache(is_own)

    @classmethod
    def now(cls) -> Self:
        return cls(processes(), _marks_of, is_own)

    @classmethod
    def lately(cls) -> Host:
        """A snapshot from within the last second: when hundreds are stopped at once, each need not take its own."""
        global _lately
        if _lately is None or time.monotonic() > _lately[0] + _LATELY_S:
            _lately = (time.monotonic(), cls.now())
        return _lately[1]

    @cached_property
    def children(self) -> Mapping[int, list[int]]:
        """Pids by their parent's pid."""
        found: dict[int, list[int]] = {}
        for process in self.processes.values():
            found.setdefault(process.ppid, []).append(process.pid)
        return found

    @cached_property
    def groups(self) -> Mapping[int, list[Process]]:
        """Processes by process group, and by session."""
        found: dict[int, list[Process]] = {}
        for process in self.processes.values():
            for number in {process.pgid, process.sid}:
                found.setdefault(number, []).append(process)
        return found

    @cached_property
    def marked(self) -> Mapping[str, list[Process]]:
        """Processes by the incarnation in their initial environment."""
        found: dict[str, list[Process]] = {}
        for process in self.processes.values():
            if incarnation := (self.environment(process.pid) or {}).get(MARK_INCARNATION):
                found.setdefault(incarnation, []).append(process)
        return found


_INIT = 1
_LATELY_S = 1.0
_lately: tuple[float, Host] | None = None


def tree_of(root: Root, host: Host, known: Iterable[Identity] = ()) -> list[Process]:
    """The living processes of a child's tree. `known` are those seen in it earlier, for as long as they live.

    Never includes the host's first process, from which all descend, nor kernel threads, whose group and session are 0.
    """
    leader = host.processes.get(root.pid)
    leader_is_ours = leader is not None and leader.start_ticks == root.start_ticks
    found = [process for pid, start in known if (process := host.processes.get(pid)) and process.start_ticks == start]
    found += [leader] if leader is not None and leader_is_ours else []
    found += [process for process in host.marked.get(root.incarnation, []) if process.start_ticks >= root.start_ticks]
    for process in host.groups.get(root.pid, []) if root.pid > _INIT else []:
        # a wiped environment proves nothing, but the group's number cannot have been reused while members
        # of the group live and no other process has that pid
        is_later = process.start_ticks >= root.start_ticks
        if leader_is_ours or (leader is None and is_later and _may_be_ours(process.pid, host)):
            found.append(process)
    own = os.getpid()
    members = with_descendants({process.pid for process in found if process.pid > _INIT} - {own}, host.children) - {own}
    return [host.processes[pid] for pid in sorted(members) if host.processes[pid].is_alive]


def _may_be_ours(pid: int, host: Host) -> bool:
    return host.environment(pid) is None and host.is_own(pid)


def marked(host: Host, home: str, deployment: str) -> list[Process]:
    """The living processes with a deployment's marker, whichever child they belong to.

    Only this user's: unlike an incarnation, the value of the marker can be guessed.
    """
    found = []
    for process in host.processes.values():
        env = host.environment(process.pid) if process.is_alive and process.pid != os.getpid() else None
        if env and is_of(env, Path(home), deployment) and host.is_own(process.pid):
            found.append(process)
    return found


def with_descendants(members: Iterable[int], children: Mapping[int, list[int]]) -> set[int]:
    """These pids and those of all their descendants."""
    found = set(members)
    todo = list(found)
    while todo:
        new = [pid for pid in children.get(todo.pop(), []) if pid not in found]
        found.update(new)
        todo += new
    return found
