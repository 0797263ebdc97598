"""One deployment's supervisor: put together here, and run until the deployment is down.

Run as `python -m dynkv.daemon`, with the plan on one descriptor and a pipe to report on in another.
It imports nothing of the stack, and nothing that only the command line needs.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

import anyio
import msgspec

from dynkv.children.reaper import become_subreaper, reap_orphans
from dynkv.children.tree import read_process
from dynkv.control.server import ControlApi, control_socket, serve
from dynkv.home import Place, take_lock
from dynkv.metrics.gather import gather_forever
from dynkv.plan.model import Plan
from dynkv.supervisor.board import Board
from dynkv.supervisor.events import Event, EventLog, utc_now
from dynkv.supervisor.journal import VERSION, Journal, JournalFile, boot_id
from dynkv.supervisor.runner import Shared
from dynkv.supervisor.salvage import clear_files
from dynkv.supervisor.stack import Stack
from dynkv.supervisor.turns import Turns

READY = b"ready\n"
"""What the daemon writes to its notify descriptor when its socket is open."""
TAKEN = b"taken\n"
"""Another supervisor has the deployment."""


def main() -> int:
    options = _options()
    plan = _read_plan(options.plan_fd)
    place = Place(options.home, plan.name)
    lock = take_lock(place.lock)
    if lock is None:
        os.write(options.notify_fd, TAKEN)
        return 4
    os.chdir(place.directory)
    become_subreaper()
    anyio.run(_run, plan, place, options.notify_fd, options.foreground)
    return 0


async def _run(plan: Plan, place: Place, notify_fd: int, foreground: bool) -> None:
    # a discovery entry of an earlier run would make the frontend route to the dead
    clear_files(plan, place)
    events = EventLog(place.events)
    journal = Journal(place.journal, _first_journal(plan, place))
    shared = Shared(place, Board(), events, journal, Turns())
    stack = Stack(plan, shared, os.getpid())
    with control_socket(place.socket) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_on_signals, stack)
            tasks.start_soon(gather_forever, plan, stack.note_kv)
            tasks.start_soon(serve, ControlApi(stack, events), listener)
            if foreground:
                tasks.start_soon(_print_events, events)
            os.write(notify_fd, READY)
            os.close(notify_fd)
            await stack.run()
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    clear_files(plan, place)
    journal.close()


async def _on_signals(stack: Stack) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD) as received:
        async for number in received:
            if number == signal.SIGCHLD:
                reap_orphans(stack.child_pids)
            elif number != signal.SIGHUP:  # closing a terminal ends no deployment
                stack.take_down(f"the supervisor received {signal.Signals(number).name}")


async def _print_events(events: EventLog) -> None:
    async for event in events.follow():
        print(_as_line(event), flush=True)  # noqa: T201 (in the foreground, stdout is the log)


def _as_line(event: Event) -> str:
    took = f" in {event.duration_s:g} s" if event.duration_s is not None else ""
    cause = f" ({event.cause})" if event.cause else ""
    return f"{event.at} {event.unit or 'deployment'}: {event.message}{took}{cause}"


def _first_journal(plan: Plan, place: Place) -> JournalFile:
    own = read_process(os.getpid())
    return JournalFile(
        version=VERSION,
        boot_id=boot_id(),
        supervisor_pid=os.getpid(),
        supervisor_start_ticks=own.start_ticks if own else 0,
        started_at=utc_now(),
        socket=str(place.socket),
        plan=plan,
    )


def _read_plan(fd: int) -> Plan:
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        return msgspec.json.decode(file.read(), type=Plan)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dynkv.daemon", description="Started by `dynkv up`.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--plan-fd", type=int, required=True)
    parser.add_argument("--notify-fd", type=int, required=True)
    parser.add_argument("--foreground", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
