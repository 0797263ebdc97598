"""What was parked for the host before this supervisor began: used for the deployment, and given back at its end."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from msgspec.structs import replace

from dynkv.children.child import Child
from dynkv.children.standby import StandbyProcess
from dynkv.children.tree import Root
from dynkv.home import Place
from dynkv.locks import is_at
from dynkv.park.files import LotPlace, from_memory, in_memory
from dynkv.park.lot import Lot, Parked
from dynkv.plan.model import Plan
from dynkv.supervisor.board import Board
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import EventLog
from dynkv.supervisor.journal import ChildRecord
from dynkv.supervisor.standby import Handed, StandbyRunner


def standbys_of(
    plan: Plan, place: Place, board: Board, events: EventLog, adopted: dict[str, ChildRecord], lot: Lot | None
) -> tuple[StandbyRunner, ...]:
    current = {name for name, record in adopted.items() if record.digest == plan.unit(name).digest()}
    to_start = {unit.role for unit in plan.units if unit.name not in current}
    runners = []
    for standby in plan.standbys:
        handed = None if lot is None else _handed(lot, lot.serving(standby, plan.python), place.home)
        at_once = handed is not None or bool(to_start & {*standby.roles})
        runners.append(StandbyRunner(standby, plan.python, place, board, events, at_once=at_once, handed=handed))
        if lot is not None and handed is None:
            why = next((it.other(standby, plan.python) for it in lot.parked if it.standby.name == standby.name), "")
            cause = why or "nothing of the kind is parked"
            events.record(EventKind.STANDBY, "does not use what is parked", unit=standby.name, cause=cause)
    return tuple(runners)


def _handed(lot: Lot, it: Parked | None, home: Path) -> Handed | None:
    if it is None:
        return None
    child = Child.of_before(Root(it.pid, it.start_ticks, it.incarnation))
    log = LotPlace(Path(lot.home)).standby_log(it.standby.name)
    if child is None:
        return None
    return Handed(StandbyProcess.of_before(child, it.channel), log, it.since, it.found)


def given(fd: int | None) -> Lot | None:
    """The lot that came with the order to supervise; None if it did not come from a parker."""
    return None if fd is None else from_memory(fd)


def give_back(lot: Lot, standbys: Iterable[StandbyRunner]) -> None:
    """Become the parker again, with the standbys that are still fit; returns only if that fails, and nothing is parked
    any more.

    Of this process's resources, only descriptors of the lot are kept: Python closes all others when it executes another
    program.
    """
    spared = {it.spared.child.pid for it in standbys if it.spared is not None}
    used = {it.handed_pid for it in standbys}
    parked = tuple(it.gone() if it.pid in used - spared else it for it in lot.parked)
    lot = replace(lot, parked=parked, deployment="")
    where, command = LotPlace(Path(lot.home)), [sys.executable, "-P", "-m", "dynkv.park.parker", "--home", lot.home]
    try:
        if not is_at(where.lock, lot.lock):
            return  # the lot was removed, and there may be another one
        with suppress(OSError):  # a disk may be full for a while
            where.write(lot)
        for fd in (state := in_memory(lot), lot.lock, *lot.channels()):
            os.set_inheritable(fd, True)
        command = [*command, "--lot-fd", str(state)]
        os.execve(command[0], command, lot.environ)
    except OSError as error:
        why = f"the supervisor cannot become the parker again: {error.filename or command[0]}: {error.strerror}"
        sys.stderr.write(f"{why}\n")
        where.end(why)
