"""What a dead supervisor left, as it is seen from outside: imported by whoever only looks."""

from __future__ import annotations

import os
from collections.abc import Collection

from dynkv.children.marks import MARK_INCARNATION, is_of
from dynkv.children.tree import Host, Root, marked, tree_of, with_descendants
from dynkv.home import Place, is_same
from dynkv.host.processes import Process, environment_of, is_own, read_process
from dynkv.supervisor.journal import ChildRecord, JournalFile
from dynkv.supervisor.neighbours import is_supervisor, supervisor_of


def survivors(journal: JournalFile | None, place: Place, host: Host | None = None) -> list[Process]:
    """Every living process of a deployment whose supervisor is dead; from the snapshot `host`, else from a new one.

    Without a readable journal, or with one from before a reboot or of another directory, processes are found only by
    their markers.
    """
    host = host or Host.now()
    places = places_of(journal, place)
    found = {process.pid: process for it in places for process in marked(host, str(it.home), it.name)}
    for record in trusted(journal, places).values():
        found |= {process.pid: process for process in tree_of(root_of(record), host)}
    return list((found | {process.pid: process for process in strays_of(journal, place, host)}).values())


def strays_of(journal: JournalFile | None, place: Place, host: Host) -> list[Process]:
    """Processes that had left their unit's tree, so that it is unknown whom they serve, and their descendants.

    Excludes processes with markers, which are found by these, and ancestors of this process.
    """
    if journal is None or not _is_believed(journal, places_of(journal, place)):
        return []
    left = [host.processes[pid] for pid, _ in journal.strays if pid in host.processes]
    trees = (
        with_descendants([process.pid], host.children)
        for process in left
        if process.identity in journal.strays and _may_be_stray(process, host)
    )
    pids = {pid for tree in trees if os.getpid() not in tree for pid in tree}
    return [host.processes[pid] for pid in sorted(pids) if host.processes[pid].is_alive]


def spared_for(kept: Collection[ChildRecord], journal: JournalFile | None, place: Place, host: Host) -> set[int]:
    """Pids to spare: the trees of adopted children, and strays, which may belong to them."""
    strays = {process.pid for process in strays_of(journal, place, host)} if kept else set()
    return strays | {process.pid for record in kept for process in tree_of(root_of(record), host)}


def places_of(journal: JournalFile | None, place: Place) -> tuple[Place, ...]:
    """The deployments whose processes are meant: that of the directory, and the previous one if it was moved since.

    A copy's journal describes the original, which still exists or has a supervisor.
    """
    if journal is None or journal.written_for is None or is_same(journal.written_for, place.directory):
        return (place,)
    before = Place(journal.written_for.parent, journal.written_for.name)
    is_copy = os.path.lexists(before.directory) or supervisor_of(before) is not None
    return (place,) if is_copy else (place, before)


def trusted(journal: JournalFile | None, places: Collection[Place]) -> dict[str, ChildRecord]:
    """Records without those whose process exists but provably belongs to something else; none from a journal from
    before a reboot, or of other places."""
    if journal is None or not _is_believed(journal, places):
        return {}
    records = journal.children.items()
    return {name: record for name, record in records if not is_alive(record) or is_ours(record, places)}


def is_ours(record: ChildRecord, places: Collection[Place]) -> bool:
    """Whether the process is ours by its markers; if these were wiped, as by setproctitle, by what every child has."""
    if not is_alive(record):
        return False
    marks = environment_of(record.pid)
    if marks is None:
        process = read_process(record.pid)
        return process is not None and process.sid == process.pid and is_own(process.pid)
    is_of_place = any(is_of(marks, place.home, place.name) for place in places)
    return is_of_place and marks[MARK_INCARNATION] == record.incarnation


def is_alive(record: ChildRecord) -> bool:
    process = read_process(record.pid)
    return process is not None and process.start_ticks == record.start_ticks and process.is_alive


def root_of(record: ChildRecord) -> Root:
    return Root(record.pid, record.start_ticks, record.incarnation)


def _may_be_stray(process: Process, host: Host) -> bool:
    """Whether it may be a stray: not pid 1, not a kernel thread (group 0), and not working for another deployment."""
    if process.pid <= 1 or process.pgid == 0 or not host.is_own(process.pid) or is_supervisor(process.pid):
        return False
    return MARK_INCARNATION not in (host.environment(process.pid) or {})


def _is_believed(journal: JournalFile, places: Collection[Place]) -> bool:
    written = journal.written_for
    is_of_them = written is None or any(is_same(written, place.directory) for place in places)
    return is_of_them and journal.is_of_this_boot
