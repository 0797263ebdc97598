"""What a new supervisor does with what a dead one left: what continues, what is ended, and what it must not touch."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from msgspec import Struct, field

from dynkv.children.marks import MARK_UNIT
from dynkv.children.tree import Host
from dynkv.home import Place
from dynkv.host.processes import Identity, Process
from dynkv.plan.hook import HOOKS
from dynkv.plan.model import SIDECARS_STANDBY, WORKERS_STANDBY, Plan, Role, Unit
from dynkv.reclaim.discovery import purge
from dynkv.reclaim.sidecar import Registrations
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import EventLog
from dynkv.supervisor.journal import ChildRecord, JournalFile, read_journal, set_aside
from dynkv.supervisor.moments import utc_now
from dynkv.supervisor.occasions import NOTHING, Told
from dynkv.supervisor.salvage import adoptable, changed_units, clear_files, end_all_but, registrations_left
from dynkv.supervisor.survivors import spared_for, strays_of, survivors


class Inheritance(Struct, frozen=True):
    """What the new supervisor continues with."""

    started_at: str
    adopted: dict[str, ChildRecord] = field(default_factory=dict)
    """Children by unit."""
    before: dict[str, Unit] = field(default_factory=dict)
    """Those of their units that are planned differently now, as they were."""
    registrations: Registrations = frozenset()
    """What ended workers had registered at an adopted sidecar."""
    strays: tuple[Identity, ...] = ()
    """Processes that had left the trees of the adopted children."""
    resting: dict[str, bool] = field(default_factory=dict)
    """Units that were stopped on request, and whether because fewer of their role are wanted."""
    completed: dict[str, str] = field(default_factory=dict)
    """Jobs of the current plan that have exited with 0 since the host was started, by their digest."""
    told: Told = NOTHING
    """What the hooks have been told."""


def unclear(journal: JournalFile | None, plan: Plan, place: Place) -> list[Process]:
    """Processes that a new supervisor would end without knowing whether it must: nobody may end them without consent.

    They live, but the journal that describes them is gone, damaged, written by a dynkv with another meaning, or cannot
    be true, because it says that nothing runs, or is from before a reboot.
    """
    if journal is not None and journal.is_understood and not journal.stopped:
        return []
    host = Host.now()
    kept = {} if journal is None or journal.stopped else adoptable(journal, plan, place)
    spared = spared_for(kept.values(), journal, place, host)
    left = [process for process in survivors(journal, place, host) if process.pid not in spared]
    return [process for process in left if not _only_waits(process, host)]


def _only_waits(process: Process, host: Host) -> bool:
    """Whether it is a standby or a hook: these serve nobody, and end with their supervisor, if perhaps a moment
    later."""
    return (host.environment(process.pid) or {}).get(MARK_UNIT) in (WORKERS_STANDBY, SIDECARS_STANDBY, HOOKS)


def _outdated(left: JournalFile, plan: Plan, adopted: dict[str, ChildRecord]) -> dict[str, Unit]:
    """Units whose children were started according to an earlier plan, which may differ from this one."""
    before = changed_units(left, plan)
    return {name: unit for name, unit in before.items() if name in adopted and adopted[name].digest == unit.digest()}


async def take_stock(plan: Plan, place: Place, events: EventLog) -> Inheritance:
    """End what cannot continue under `plan`, and clean up after it. The caller has asked about what is `unclear`."""
    damaged = set_aside(place.journal)
    if damaged is not None:
        events.record(EventKind.JOURNAL, f"the journal could not be read and was kept as {damaged.name}")
    left = read_journal(place.journal)
    if left is not None and left.stopped:
        await end_all_but((), left, place)
        clear_files(place)
        return Inheritance(utc_now())
    adopted = {} if left is None else adoptable(left, plan, place)
    registrations = frozenset[str]() if left is None else registrations_left(left, adopted, place)
    ended = await end_all_but(adopted.values(), left, place)
    if adopted or ended:
        found = f"{len(adopted)} children to take over, {ended} processes ended"
        what = "let go" if left is not None and left.released else "died"
        events.record(
            EventKind.DEPLOYMENT, f"a supervisor of {plan.name} {what}: {found}", ended=ended, adopted=sorted(adopted)
        )
    # a discovery entry of an earlier run would make the frontend route to the dead
    clear_files(place, adopted)
    if plan.discovery_dir is not None:
        purge(Path(plan.discovery_dir), partial(events.record, EventKind.DISCOVERY))
    if left is None:
        return Inheritance(utc_now())
    strays = tuple(process.identity for process in strays_of(left, place, Host.now()))
    planned = {unit.name for unit in plan.units}
    return Inheritance(
        (adopted and left.started_at) or utc_now(),
        adopted,
        _outdated(left, plan, adopted),
        registrations,
        strays,
        {name: is_scaling for name, is_scaling in left.resting.items() if name in planned},
        _completed(left, plan),
        left.told,
    )


def _completed(left: JournalFile, plan: Plan) -> dict[str, str]:
    if not left.is_of_this_boot:
        return {}
    now = {unit.name: unit.digest() for unit in plan.units if unit.role is Role.JOB}
    return {name: digest for name, digest in left.completed.items() if now.get(name) == digest}
