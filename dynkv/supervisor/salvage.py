"""Finding and ending, from outside, what a dead supervisor left."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Collection
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import anyio

from dynkv.children.held import hold
from dynkv.children.marks import MARK_INCARNATION, is_of
from dynkv.children.stop import kill_tree
from dynkv.children.tree import Host, Root, marked, tree_of, with_descendants
from dynkv.home import Place, is_own_directory, is_same
from dynkv.host.processes import Process, environment_of, is_own, read_process
from dynkv.plan.model import Plan, Role, Unit
from dynkv.plan.order import stop_stages
from dynkv.reclaim.sidecar import Registrations, registrations_in
from dynkv.short_paths import remove_shortcut
from dynkv.supervisor.events import seconds_of
from dynkv.supervisor.journal import ChildRecord, JournalFile
from dynkv.supervisor.neighbours import is_supervisor, supervisor_of
from dynkv.supervisor.renewal import kept_as_they_were
from dynkv.supervisor.states import State
from dynkv.supervisor.status import DeploymentState, DeploymentStatus, UnitStatus

_STOP_TIMEOUT_S = 30.0
"""Stop timeout in seconds of a unit whose plan cannot be read."""


def survivors(journal: JournalFile | None, place: Place, host: Host | None = None) -> list[Process]:
    """Every living process of a deployment whose supervisor is dead; from the snapshot `host`, else from a new one.

    Without a readable journal, or with one from before a reboot or of another directory, processes are found only by
    their markers.
    """
    host = host or Host.now()
    places = _places(journal, place)
    found = {process.pid: process for it in places for process in marked(host, str(it.home), it.name)}
    for record in _trusted(journal, places).values():
        found |= {process.pid: process for process in tree_of(root_of(record), host)}
    return list((found | {process.pid: process for process in strays_of(journal, place, host)}).values())


def strays_of(journal: JournalFile | None, place: Place, host: Host) -> list[Process]:
    """Processes that had left their unit's tree, so that it is unknown whom they serve, and their descendants.

    Excludes processes with markers, which are found by these, and ancestors of this process.
    """
    if journal is None or not _is_believed(journal, _places(journal, place)):
        return []
    left = [host.processes[pid] for pid, _ in journal.strays if pid in host.processes]
    trees = (
        with_descendants([process.pid], host.children)
        for process in left
        if process.identity in journal.strays and _may_be_stray(process, host)
    )
    pids = {pid for tree in trees if os.getpid() not in tree for pid in tree}
    return [host.processes[pid] for pid in sorted(pids) if host.processes[pid].is_alive]


def _places(journal: JournalFile | None, place: Place) -> tuple[Place, ...]:
    """The deployments whose processes are meant: that of the directory, and the previous one if it was moved since.

    A copy's journal describes the original, which still exists or has a supervisor.
    """
    if journal is None or journal.written_for is None or is_same(journal.written_for, place.directory):
        return (place,)
    before = Place(journal.written_for.parent, journal.written_for.name)
    is_copy = os.path.lexists(before.directory) or supervisor_of(before) is not None
    return (place,) if is_copy else (place, before)


def adoptable(journal: JournalFile, plan: Plan, place: Place) -> dict[str, ChildRecord]:
    """Children of a dead supervisor, by unit, that still run as `plan` would start them, or that may continue until
    they are restarted like that.

    One that restarts with another unit is included only if that one is.

    Each is identified by pid, start time and, if /proc shows it, marker; its unit's digest says how it was started.
    """
    units, places = {unit.name: unit for unit in plan.units}, _places(journal, place)
    before = changed_units(journal, plan)
    records = {name: record for name, record in _trusted(journal, places).items() if name in units}
    known = {name: {units[name].digest(), *([before[name].digest()] if name in before else [])} for name in records}
    planned = {name: record for name, record in records.items() if record.digest in known[name]}
    kept = {name: record for name, record in planned.items() if _is_ours(record, places)}
    return {name: record for name, record in kept.items() if kept.keys() >= {*units[name].restart_with}}


def changed_units(journal: JournalFile, plan: Plan) -> dict[str, Unit]:
    """Changed units as they were planned before; none if digests of another version may mean something else."""
    if not journal.is_understood:
        return {}
    return kept_as_they_were({unit.name: unit for unit in journal.units}, plan.units)


def registrations_left(journal: JournalFile, adopted: Collection[str], place: Place) -> Registrations:
    """What workers that are not taken over had registered at the sidecar, if it is known."""
    if not any(name in adopted and _role(name) is Role.LMCACHE for name in journal.children):
        return frozenset()
    ended = {name: record for name, record in journal.children.items() if name not in adopted and _role(name).is_worker}
    return frozenset[str]().union(*(registrations_of(name, record, place) for name, record in ended.items()))


def registrations_of(unit: str, record: ChildRecord, place: Place) -> Registrations:
    """The ids under which a worker has registered itself at the sidecar: from the journal, else from its log."""
    if record.registrations:
        return frozenset(record.registrations)
    since = seconds_of(record.started_at)
    return registrations_in(place.logs / f"{unit}.log", record.log_start_byte, since)


def _may_be_stray(process: Process, host: Host) -> bool:
    """Whether it may be a stray: not pid 1, not a kernel thread (group 0), and not working for another deployment."""
    if process.pid <= 1 or process.pgid == 0 or not host.is_own(process.pid) or is_supervisor(process.pid):
        return False
    return MARK_INCARNATION not in (host.environment(process.pid) or {})


async def end_all_but(kept: Collection[ChildRecord], journal: JournalFile | None, place: Place) -> int:
    """Kill every other process that the dead supervisor left with SIGKILL; returns how many there were."""

    def others() -> list[Process]:
        host = Host.now()
        spared = spared_for(kept, journal, place, host)
        return [process for process in survivors(journal, place, host) if process.pid not in spared]

    killed, _ = await kill_tree(others)
    return killed


def spared_for(kept: Collection[ChildRecord], journal: JournalFile | None, place: Place, host: Host) -> set[int]:
    """Pids to spare: the trees of adopted children, and strays, which may belong to them."""
    strays = {process.pid for process in strays_of(journal, place, host)} if kept else set()
    return strays | {process.pid for record in kept for process in tree_of(root_of(record), host)}


async def end_survivors(journal: JournalFile | None, place: Place) -> int:
    """End all: SIGTERM in the order of a stop, each unit's deadline, SIGKILL; then remove socket and discovery. Returns
    how many there were.

    Without a journal neither the order nor the main processes are known: SIGKILL at once.
    """
    count = len(survivors(journal, place))
    if journal is not None and count > 0:
        units, places = {unit.name: unit for unit in journal.units}, _places(journal, place)
        for stage in [*stop_stages(journal.units), sorted(journal.children.keys() - units)]:
            records = _trusted(journal, places)
            async with anyio.create_task_group() as stops:
                for name in (name for name in stage if name in records):
                    deadline_s = units[name].stop_timeout_s if name in units else _STOP_TIMEOUT_S
                    stops.start_soon(_end, records[name], deadline_s)
    await kill_tree(partial(survivors, journal, place))
    clear_files(place)
    return count


def clear_files(place: Place, kept: Collection[str] = ()) -> None:
    """Remove what only a running deployment needs: its socket, discovery entries and temporary files.

    If units that are `kept` run, their temporary files, the short path to them and discovery stay.
    """
    with suppress(OSError):  # a directory, which only a person can have made
        place.socket.unlink()
    scratch = place.scratch_root
    is_own = is_own_directory(scratch.parent) and is_own_directory(scratch)
    if kept:
        spared = {place.scratch(unit) for unit in kept}
        gone = [path for path in scratch.glob("*") if path not in spared] if is_own else []
    else:
        gone = [*([scratch] if is_own else []), place.discovery]
        remove_shortcut(place.directory)
    for path in gone:
        _remove(path)


def _remove(path: Path) -> None:
    """Remove the path; of a link, not its target."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):
        path.unlink()


def orphaned_status(
    journal: JournalFile,
    place: Place,
    why: str = "its supervisor is dead; nothing is watched or restarted: "
    "`dynkv up` with the same profile takes over what runs, `dynkv down` ends it",
) -> DeploymentStatus:
    """The status of a deployment without its supervisor: what runs serves, but nothing would be restarted."""
    plan = journal.plan
    units = {unit.name: unit for unit in journal.units}
    return DeploymentStatus(
        name=place.name,
        profile=plan.profile if plan else "",
        state=DeploymentState.DEGRADED,
        endpoint=plan.endpoint if plan else "",
        model=plan.model if plan else "",
        started_at=journal.started_at,
        supervisor=None,
        units=tuple(
            _orphaned_unit(name, units.get(name), journal, place) for name in dict.fromkeys([*units, *journal.children])
        ),
        detail=why,
        model_aliases=plan.model_aliases if plan else (),
    )


def _orphaned_unit(name: str, unit: Unit | None, journal: JournalFile, place: Place) -> UnitStatus:
    record = journal.children.get(name)
    lives = record is not None and _is_alive(record)
    gone = State.COMPLETED if name in journal.completed else State.STOPPED
    return UnitStatus(
        name=name,
        role=unit.role if unit else _role(name),
        state=State.UNREADY if lives else gone,
        pid=record.pid if record and lives else None,
        gpus=unit.gpus if unit else (),
        ports=unit.ports if unit else record.ports if record else {},
        log=str(place.logs / f"{name}.log"),
    )


def _role(unit: str) -> Role:
    """The role by the planner's names; anything else is a custom unit."""
    kind = unit.partition("-")[0]
    return Role(kind) if kind in {*Role} else Role.UNIT


async def _end(record: ChildRecord, deadline_s: float) -> None:
    held = hold((record.pid, record.start_ticks))
    if held is not None:
        with closing(held), anyio.move_on_after(deadline_s if held.send(signal.SIGTERM) else 0):
            await held.ended()
    root = root_of(record)
    await kill_tree(lambda: tree_of(root, Host.now()))


def _trusted(journal: JournalFile | None, places: Collection[Place]) -> dict[str, ChildRecord]:
    """Records without those whose process exists but provably belongs to something else; none from a journal from
    before a reboot, or of other places."""
    if journal is None or not _is_believed(journal, places):
        return {}
    records = journal.children.items()
    return {name: record for name, record in records if not _is_alive(record) or _is_ours(record, places)}


def _is_believed(journal: JournalFile, places: Collection[Place]) -> bool:
    written = journal.written_for
    is_of_them = written is None or any(is_same(written, place.directory) for place in places)
    return is_of_them and journal.is_of_this_boot


def _is_ours(record: ChildRecord, places: Collection[Place]) -> bool:
    """Whether the process is ours by its markers; if these were wiped, as by setproctitle, by what every child has."""
    if not _is_alive(record):
        return False
    marks = environment_of(record.pid)
    if marks is None:
        process = read_process(record.pid)
        return process is not None and process.sid == process.pid and is_own(process.pid)
    is_of_place = any(is_of(marks, place.home, place.name) for place in places)
    return is_of_place and marks[MARK_INCARNATION] == record.incarnation


def _is_alive(record: ChildRecord) -> bool:
    process = read_process(record.pid)
    return process is not None and process.start_ticks == record.start_ticks and process.is_alive


def root_of(record: ChildRecord) -> Root:
    return Root(record.pid, record.start_ticks, record.incarnation)
