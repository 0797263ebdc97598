"""What deployments without a supervisor have left in a DYNKV_HOME: finding and removing it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from dynkv.children.marks import MARK_DEPLOYMENT, is_of
from dynkv.children.tree import Host
from dynkv.home import Place, deployments, is_name, is_own_directory, place
from dynkv.host.described import described
from dynkv.host.processes import Process
from dynkv.locks import take_lock
from dynkv.owned import not_own
from dynkv.plan.facts import Leftover, LeftoverKind
from dynkv.short_paths import holder_of, is_whole
from dynkv.supervisor.journal import Journal, read_journal
from dynkv.supervisor.neighbours import Supervisor, has_supervisor, is_supervisor, supervisor_of, supervisors
from dynkv.supervisor.survivors import survivors


def leftovers(home: Path, host: Host | None = None, living: Sequence[Supervisor] | None = None) -> tuple[Leftover, ...]:
    """Leftovers of every deployment without a living supervisor, in the order of their names; from the snapshot `host`
    and the `living` supervisors, else from new ones."""
    host, living = host or Host.now(), supervisors() if living is None else living
    known = [*(place(home, name) for name in deployments(home)), *_without_directory(home, host)]
    unsupervised = [where for where in known if not has_supervisor(where, living)]
    return tuple(left for where in unsupervised for left in _of(where, host))


async def remove_leftovers(home: Path) -> list[Leftover]:
    """End and remove what leftovers() finds, and return it. Deployments with a supervisor are not touched.

    The caller holds planning(home), so that no new deployment appears meanwhile.
    """
    removed: list[Leftover] = []
    for name in dict.fromkeys(left.deployment for left in leftovers(home)):
        where = place(home, name)
        if not_own(where.lock):
            continue  # `dynkv up` and `dynkv down` report it
        lock = take_lock(where.lock) if where.directory.is_dir() else None
        if lock is None and where.directory.is_dir():
            continue  # a supervisor has come up
        try:
            if supervisor_of(where) is None:
                removed += await _remove(where)
        finally:
            if lock is not None:
                os.close(lock)
    return removed


async def _remove(where: Place) -> list[Leftover]:
    from dynkv.supervisor.salvage import clear_files, end_survivors  # nothing that only looks ends anybody

    found, journal = _of(where, Host.now()), read_journal(where.journal)
    if any(left.kind is LeftoverKind.PROCESSES for left in found):
        await end_survivors(journal, where)
        if journal is not None and not journal.stopped:
            Journal(where.journal, journal).close()
    clear_files(where)
    return found


def _of(where: Place, host: Host) -> list[Leftover]:
    """Leftovers of one deployment. Files count only if nothing runs: until then they are in use."""
    journal = read_journal(where.journal)
    processes = survivors(journal, where, host)
    if any(_is_supervised(process, host) for process in processes):
        return []  # its supervisor lives, but its lock was removed
    if processes:
        return [Leftover(where.name, LeftoverKind.PROCESSES, tuple(described(process.pid) for process in processes))]
    files = tuple(str(path) for path in _files(where))
    return [Leftover(where.name, LeftoverKind.FILES, files)] if files else []


def _files(where: Place) -> Iterator[Path]:
    """The existing files that clear_files() would remove."""
    if where.socket.is_socket():
        yield where.socket
    if where.discovery.is_dir():
        yield where.discovery
    if is_own_directory(where.directory) and is_own_directory(where.scratch_root):
        yield where.scratch_root
    if is_whole(where.directory) and (holder := holder_of(where.directory)) is not None:
        yield holder


def _without_directory(home: Path, host: Host) -> list[Place]:
    """Deployments known only from their processes, because the directory was removed."""
    names = set()
    for process in host.processes.values():
        marks = (host.environment(process.pid) if process.is_alive else None) or {}
        if is_of(marks, home, name := marks.get(MARK_DEPLOYMENT, "")) and host.is_own(process.pid):
            names.add(name)
    return [place(home, name) for name in sorted(names - {*deployments(home)}) if is_name(name)]


def _is_supervised(process: Process, host: Host) -> bool:
    """Whether a supervisor is among its ancestors, as is the case while one lives: it adopts orphans."""
    parent = host.processes.get(process.ppid)
    while parent is not None and parent.pid != process.pid:
        if is_supervisor(parent.pid):
            return True
        parent = host.processes.get(parent.ppid)
    return False
