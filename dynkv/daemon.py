"""One deployment's supervisor: put together here, and run until the deployment is down.

Run as `python -m dynkv.daemon`, with the plan on one descriptor and a pipe to report on in another.
It imports nothing of the stack, and nothing that only the command line needs.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio
import msgspec

from dynkv.children.child import Child
from dynkv.children.reaper import become_subreaper, reap_orphans
from dynkv.control.handshake import READY, TAKEN
from dynkv.control.http import serve
from dynkv.control.server import ControlApi, control_socket
from dynkv.home import Place
from dynkv.host.processes import read_process
from dynkv.locks import take_lock
from dynkv.metrics.gather import gather_forever
from dynkv.plan.model import SIDECAR_HELPER, Plan, Role
from dynkv.reclaim.discovery import purge
from dynkv.reclaim.sidecar import Registrations, Sidecar
from dynkv.supervisor.board import Board
from dynkv.supervisor.events import Event, EventLog, utc_now
from dynkv.supervisor.journal import VERSION, ChildRecord, Journal, JournalFile, boot_id, read_journal, set_aside
from dynkv.supervisor.life import Shared
from dynkv.supervisor.salvage import adoptable, clear_files, end_all_but, registrations_left
from dynkv.supervisor.stack import Stack
from dynkv.supervisor.standby import Standby
from dynkv.supervisor.turns import Turns

_LOCK_TRIES, _LOCK_PAUSE_S = 5, 0.02


def main() -> int:
    options = _options()
    _keep_descriptors()
    plan = _read_plan(options.plan_fd)
    place = Place(options.home, plan.name)
    if _take_lock(place) is None:
        os.write(options.notify_fd, TAKEN)
        return 4
    os.chdir(place.directory)
    become_subreaper()
    anyio.run(_run, plan, place, options.notify_fd, options.foreground)
    return 0


def _take_lock(place: Place) -> int | None:
    """The descriptor stays open to the end. A verb that looks whether there is a supervisor holds it for a moment."""
    for _ in range(_LOCK_TRIES):
        if (lock := take_lock(place.lock)) is not None:
            return lock
        time.sleep(_LOCK_PAUSE_S)
    return None


async def _run(plan: Plan, place: Place, notify_fd: int, foreground: bool) -> None:
    events = EventLog(place.events)
    adopted, registrations_left, started_at = await _take_stock(plan, place, events)
    journal = Journal(place.journal, _first_journal(plan, place, started_at, adopted))
    discovery = Path(plan.discovery_dir) if plan.discovery_dir else None
    board = Board()
    standbys = _standbys(plan, place, board, events, adopted)
    shared = Shared(place, board, events, journal, Turns(), discovery, _sidecar(plan, place, standbys), standbys)
    stack = Stack(plan, shared, os.getpid(), adopted, registrations_left)
    with control_socket(place.socket) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_on_signals, stack)
            tasks.start_soon(gather_forever, plan, stack.note_kv)
            tasks.start_soon(serve, ControlApi(stack, events).answer, listener)
            if foreground:
                tasks.start_soon(_print_events, events)
            os.write(notify_fd, READY)
            os.close(notify_fd)
            await stack.run()
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    clear_files(place)
    journal.close()


async def _take_stock(plan: Plan, place: Place, events: EventLog) -> tuple[dict[str, ChildRecord], Registrations, str]:
    """What an earlier supervisor left: children to take over, the rest ended; and since when it has been up.

    Between the two: what those that were ended had registered at a sidecar that is taken over.
    """
    damaged = set_aside(place.journal)
    if damaged is not None:
        events.record("journal", f"the journal could not be read and was kept as {damaged.name}")
    left = read_journal(place.journal)
    if left is not None and left.stopped:
        clear_files(place)
        return {}, frozenset(), utc_now()
    adopted = {} if left is None else adoptable(left, plan)
    registrations = frozenset[str]() if left is None else registrations_left(left, adopted, place)
    ended = await end_all_but(adopted.values(), left, place)
    if adopted or ended:
        found = f"{len(adopted)} children to take over, {ended} processes ended"
        events.record("deployment", f"a supervisor of {plan.name} died: {found}", ended=ended, adopted=sorted(adopted))
    # a discovery entry of an earlier run would make the frontend route to the dead
    clear_files(place, adopted)
    if plan.discovery_dir is not None:
        purge(Path(plan.discovery_dir))
    return adopted, registrations, left.started_at if left and adopted else utc_now()


async def _on_signals(stack: Stack) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD) as received:
        async for number in received:
            if number == signal.SIGCHLD:
                reap_orphans()
            elif number != signal.SIGHUP:  # closing a terminal ends no deployment
                stack.take_down(f"the supervisor received {signal.Signals(number).name}")


async def _print_events(events: EventLog) -> None:
    async for event in events.follow():
        print(_as_line(event), flush=True)  # noqa: T201 (in the foreground, stdout is the log)


def _as_line(event: Event) -> str:
    took = f" in {event.duration_s:g} s" if event.duration_s is not None else ""
    cause = f" ({event.cause})" if event.cause else ""
    return f"{event.at} {event.unit or 'deployment'}: {event.message}{took}{cause}"


def _standbys(
    plan: Plan, place: Place, board: Board, events: EventLog, adopted: dict[str, ChildRecord]
) -> tuple[Standby, ...]:
    to_start = {unit.role for unit in plan.units if unit.name not in adopted}
    return tuple(
        Standby(spare, plan.python, place, board, events, at_once=bool(to_start & {*spare.roles}))
        for spare in plan.spares
    )


def _sidecar(plan: Plan, place: Place, standbys: tuple[Standby, ...]) -> Sidecar | None:
    helper = next((standby for standby in standbys if standby.spare.name == SIDECAR_HELPER), None)
    for unit in plan.units:
        if unit.role is Role.LMCACHE:
            log = place.logs / "reclaim.log"
            start = None if helper is None else partial(_start_from, helper, unit.env, log)
            return Sidecar(
                plan.python, unit.env, unit.ports["zmq"], unit.ports["http"], plan.reap_timeout_s, log, start
            )
    return None


async def _start_from(helper: Standby, env: Mapping[str, str], log: Path, argv: Sequence[str]) -> Child | None:
    return await helper.launch("what tells the sidecar", argv, env, log)


def _first_journal(plan: Plan, place: Place, started_at: str, adopted: dict[str, ChildRecord]) -> JournalFile:
    own = read_process(os.getpid())
    return JournalFile(
        version=VERSION,
        boot_id=boot_id(),
        supervisor_pid=os.getpid(),
        supervisor_start_ticks=own.start_ticks if own else 0,
        started_at=started_at,
        socket=str(place.socket),
        plan=plan,
        children=adopted,
    )


def _read_plan(fd: int) -> Plan:
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        return msgspec.json.decode(file.read(), type=Plan)


def _keep_descriptors() -> None:
    """What was inherited, from a shell say, is no child's business; a child gets its three streams."""
    for entry in list(Path("/proc/self/fd").iterdir()):
        fd = int(entry.name)
        with suppress(OSError):  # the one that listed them is closed by now
            if fd > 2:
                os.set_inheritable(fd, False)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dynkv.daemon", description="Started by `dynkv up`.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--plan-fd", type=int, required=True)
    parser.add_argument("--notify-fd", type=int, required=True)
    parser.add_argument("--foreground", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
