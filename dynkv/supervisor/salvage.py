"""What a dead supervisor left: what of it goes on, told, and ended, from outside."""

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
from dynkv.supervisor.events import seconds_of
from dynkv.supervisor.journal import ChildRecord, JournalFile
from dynkv.supervisor.renewal import kept_as_they_were
from dynkv.supervisor.states import State
from dynkv.supervisor.status import DeploymentState, DeploymentStatus, UnitStatus
from dynkv.supervisor.survivors import is_alive, is_ours, places_of, root_of, spared_for, survivors, trusted

_STOP_TIMEOUT_S = 30.0
"""Of a unit whose plan cannot be read."""


def adoptable(journal: JournalFile, plan: Plan, place: Place) -> dict[str, ChildRecord]:
    """The children of a dead supervisor that still run as `plan` would start them, or may go on until they are
    restarted as it would, by unit.

    One that is to be restarted with another goes when that one has to.

    Each is known for certain by pid, start time and, where /proc shows it, marker; and its unit's digest tells as what
    it was started.
    """
    units, places = {unit.name: unit for unit in plan.units}, places_of(journal, place)
    before = changed_units(journal, plan)
    records = {name: record for name, record in trusted(journal, places).items() if name in units}
    known = {name: {units[name].digest(), *([before[name].digest()] if name in before else [])} for name in records}
    planned = {name: record for name, record in records.items() if record.digest in known[name]}
    kept = {name: record for name, record in planned.items() if is_ours(record, places)}
    return {name: record for name, record in kept.items() if kept.keys() >= {*units[name].restart_with}}


def changed_units(journal: JournalFile, plan: Plan) -> dict[str, Unit]:
    """As they were planned before; none where the digests of another version may mean something else."""
    if not journal.is_understood:
        return {}
    return kept_as_they_were({unit.name: unit for unit in journal.units}, plan.units)


def registrations_left(journal: JournalFile, adopted: Collection[str], place: Place) -> Registrations:
    """What workers that are not taken over had registered at the sidecar, where that is."""
    if not any(name in adopted and _role(name) is Role.LMCACHE for name in journal.children):
        return frozenset()
    ended = {name: record for name, record in journal.children.items() if name not in adopted and _role(name).is_worker}
    return frozenset[str]().union(*(registrations_of(name, record, place) for name, record in ended.items()))


def registrations_of(unit: str, record: ChildRecord, place: Place) -> Registrations:
    """The ids under which a worker has registered itself at the sidecar: as journalled, else as its log names them."""
    if record.registrations:
        return frozenset(record.registrations)
    since = seconds_of(record.started_at)
    return registrations_in(place.logs / f"{unit}.log", record.log_start_byte, since)


async def end_all_but(kept: Collection[ChildRecord], journal: JournalFile | None, place: Place) -> int:
    """SIGKILL every other process that the dead supervisor left; how many there were."""

    def others() -> list[Process]:
        host = Host.now()
        spared = spared_for(kept, journal, place, host)
        return [process for process in survivors(journal, place, host) if process.pid not in spared]

    killed, _ = await kill_tree(others)
    return killed


async def end_survivors(journal: JournalFile | None, place: Place) -> int:
    """SIGTERM in the order of a stop, each unit's deadline, SIGKILL; then socket and discovery. How many there were.

    Without a journal nothing tells the order, nor whom to ask: SIGKILL at once.
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
    """What only a running deployment needs: its socket, discovery entries and temporary files.

    With units that are `kept` running, their temporary files and the short path to them stay, and so does discovery.
    """
    with suppress(OSError):  # a directory, which nobody but a person can have made
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
    """A link, and not what it leads to."""
    if path.is_dir() and not path.is_symlink():
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
    """The deployment as seen without its supervisor: what runs serves, but nothing would be restarted."""
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
    """By the names that the planner gives; what is named otherwise is a custom unit."""
    kind = unit.partition("-")[0]
    return Role(kind) if kind in {*Role} else Role.UNIT


async def _end(record: ChildRecord, deadline_s: float) -> None:
    held = hold((record.pid, record.start_ticks))
    if held is not None:
        with closing(held), anyio.move_on_after(deadline_s if held.send(signal.SIGTERM) else 0):
            await held.ended()
    root = root_of(record)
    await kill_tree(lambda: tree_of(root, Host.now()))
