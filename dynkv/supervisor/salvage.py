"""What a dead supervisor left: what of it continues, is reported, and is ended, from outside."""

from __future__ import annotations

import signal
from collections.abc import Collection
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import anyio

from dynkv.children.held import hold
from dynkv.children.stop import kill_tree
from dynkv.children.tree import Host, tree_of
from dynkv.home import Place, is_own_directory
from dynkv.host.processes import Process
from dynkv.plan.model import Plan, Role, Unit
from dynkv.plan.order import stop_stages
from dynkv.reclaim.sidecar import Registrations, registrations_in
from dynkv.short_paths import remove_shortcut
from dynkv.supervisor.journal import ChildRecord, JournalFile
from dynkv.supervisor.moments import seconds_of
from dynkv.supervisor.renewal import kept_as_they_were
from dynkv.supervisor.states import State
from dynkv.supervisor.status import DeploymentState, DeploymentStatus, UnitStatus
from dynkv.supervisor.survivors import is_alive, is_ours, places_of, root_of, spared_for, survivors, trusted

_STOP_TIMEOUT_S = 30.0
"""Stop timeout in seconds of a unit whose plan cannot be read."""


def adoptable(journal: JournalFile, plan: Plan, place: Place) -> dict[str, ChildRecord]:
    """Children of a dead supervisor, by unit, that still run as `plan` would start them, or that may continue until
    they are restarted like that.

    One that restarts with another unit is included only if that one is.

    Each is identified by pid, start time and, if /proc shows it, marker; its unit's digest says how it was started.
    """
    units, places = {unit.name: unit for unit in plan.units}, places_of(journal, place)
    before = changed_units(journal, plan)
    records = {name: record for name, record in trusted(journal, places).items() if name in units}
    known = {name: {units[name].digest(), *([before[name].digest()] if name in before else [])} for name in records}
    planned = {name: record for name, record in records.items() if record.digest in known[name]}
    kept = {name: record for name, record in planned.items() if is_ours(record, places)}
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


async def end_all_but(kept: Collection[ChildRecord], journal: JournalFile | None, place: Place) -> int:
    """Kill every other process that the dead supervisor left with SIGKILL; returns how many there were."""

    def others() -> list[Process]:
        host = Host.now()
        spared = spared_for(kept, journal, place, host)
        return [process for process in survivors(journal, place, host) if process.pid not in spared]

    killed, _ = await kill_tree(others)
    return killed


async def end_survivors(journal: JournalFile | None, place: Place) -> int:
    """End all: SIGTERM in the order of a stop, each unit's deadline, SIGKILL; then remove socket and discovery. Returns
    how many there were.

    Without a journal neither the order nor the main processes are known: SIGKILL at once.
    """
    count = len(survivors(journal, place))
    if journal is not None and count > 0:
        units, places = {unit.name: unit for unit in journal.units}, places_of(journal, place)
        for stage in [*stop_stages(journal.units), sorted(journal.children.keys() - units)]:
            records = trusted(journal, places)
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
        with suppress(OSError):  # something is in it
            return path.rmdir()
        import shutil

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
    lives = record is not None and is_alive(record)
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
