"""The supervisor of one deployment: assembles its parts and runs until the deployment is down.

Run as `python -m dynkv.daemon`, with the plan on one descriptor and a pipe for its report on another. Imports nothing
of the stack, and nothing that only the command line needs.
"""

from __future__ import annotations

import dynkv.without_openssl  # noqa: F401  # isort: skip  (before anything imports it)

import gc
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import anyio
from msgspec import ValidationError

from dynkv.children.reaper import become_subreaper, reap_orphans, strays, sweep
from dynkv.children.signals import is_there
from dynkv.children.stop import kill_tree
from dynkv.children.tree import Host
from dynkv.children.umask import let_children_have
from dynkv.cluster.view import view_of
from dynkv.control.handshake import READY, TAKEN, UNCLEAR
from dynkv.control.listening import control_socket, keep_serving
from dynkv.control.options import Options, read_options
from dynkv.control.reading import watching
from dynkv.control.server import ControlApi
from dynkv.documents import decoded
from dynkv.errors import AlreadyRunning, NotUnderstood, PreflightRefused
from dynkv.home import Place
from dynkv.host.described import described
from dynkv.host.descriptors import part_with_descriptors
from dynkv.host.limits import raise_open_files
from dynkv.host.pidfd import pidfd_problem
from dynkv.host.processes import Identity, read_process
from dynkv.host.subreaper import subreaper_problem
from dynkv.locks import take_lock
from dynkv.metrics.gather import gather_forever
from dynkv.park.handover import awaited
from dynkv.park.lot import Lot
from dynkv.plan.model import Plan
from dynkv.probes.scrape import Figures, sources
from dynkv.supervisor.board import Board
from dynkv.supervisor.boundary import outliving
from dynkv.supervisor.claim import until_lost
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import EventLog
from dynkv.supervisor.journal import VERSION, Journal, JournalFile, boot_id, read_journal
from dynkv.supervisor.life import Shared
from dynkv.supervisor.notify import keep_notified
from dynkv.supervisor.parked import give_back, given, standbys_of
from dynkv.supervisor.printing import print_events
from dynkv.supervisor.reach import keep_reachable, plain_socket
from dynkv.supervisor.salvage import clear_files
from dynkv.supervisor.service import keep_told, manager_of
from dynkv.supervisor.sidecars import sidecars_of
from dynkv.supervisor.stack import Stack
from dynkv.supervisor.standby import StandbyRunner
from dynkv.supervisor.succession import Inheritance, take_stock, unclear
from dynkv.supervisor.survivors import strays_of
from dynkv.supervisor.turns import Turns

_MODULE = "dynkv.daemon"
_LOCK_TRIES, _LOCK_PAUSE_S = 5, 0.02
_END = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
_HEEDED = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
_DEAF = {
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGIO,
    signal.SIGPWR,
    signal.SIGXCPU,
    signal.SIGXFSZ,
} | {number for number in signal.valid_signals() if number >= signal.SIGRTMIN}
"""Signals that nobody sends on purpose, and each of which would end a process."""
_NOT_ASKED = {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ}
"""Two that the kernel handles itself, and two that Python ignores for good reason: a failed write reports the error."""
_REAP_PERIOD_S = 1.0
_FOR_ITS_OWNER_ALONE = 0o077


def main() -> int:
    options = read_options(sys.argv[1:])
    if options.ahead_fd is not None:
        _get_ready()
        command = awaited(options.ahead_fd)
        if command is None:
            return 0
        options = read_options(command[command.index(_MODULE) + 1 :])
    _settle_signals()
    let_children_have(os.umask(_FOR_ITS_OWNER_ALONE))
    raise_open_files()
    part_with_descriptors(options.descriptors())
    plan, lot = _read_plan(options.plan_fd), given(options.parked_fd)
    place = Place(options.home, plan.name)
    lock = _take_lock(place)
    if lock is None:
        return _over(_refuse(options, TAKEN, AlreadyRunning(place.name)), lot)
    if not options.replace and (found := unclear(read_journal(place.journal), plan, place)):
        why = NotUnderstood(place.name, [described(it.pid) for it in found])
        return _over(_refuse(options, UNCLEAR, why), lot)
    os.chdir(place.directory)
    if problem := pidfd_problem() or subreaper_problem():
        sys.stderr.write(f"{problem}\n")
        return 4
    become_subreaper()
    code, standbys = anyio.run(_run, plan, place, lock, lot, options)
    if code == 0 and (left := sweep()):
        sys.stderr.write(f"ended processes that were still running: {', '.join(left)}\n")
    return _over(code, lot, standbys)


def _over(code: int, lot: Lot | None, standbys: tuple[StandbyRunner, ...] = ()) -> int:
    """The exit code. A process that was the host's parker becomes it again instead, whatever became of the deployment:
    what is parked has nothing of it, and another supervisor may want it, even one of the same deployment."""
    if lot is not None:
        give_back(lot, standbys)
    return code


def _get_ready() -> None:
    """Do ahead what is the same for every plan."""
    os.chdir("/")
    anyio.run(anyio.sleep, 0)  # imports what runs it
    with suppress(ValidationError):  # how to read a plan, which msgspec works out from the types
        decoded(b"{}", Plan)


def _settle_signals() -> None:
    """Set the signals as this program needs them, whatever its parent had blocked or ignored."""
    for number in signal.valid_signals() - _NOT_ASKED:
        signal.signal(number, signal.SIG_DFL)
    # until something handles them, and after nothing does any more
    signal.pthread_sigmask(signal.SIG_SETMASK, {*_END, *_HEEDED, *_DEAF})
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # printing from the background of a terminal stops nothing


def _refuse(options: Options, line: bytes, why: PreflightRefused) -> int:
    """Report the refusal to the process that started this one; in the foreground, to the person too."""
    _report(options.notify_fd, line)
    if options.foreground:
        sys.stderr.write("\n".join(filter(None, (f"error: {why.what}", why.detail, f"  hint: {why.hint}"))) + "\n")
    return why.exit_code


def _report(notify_fd: int, line: bytes) -> None:
    with suppress(BrokenPipeError):  # the process that started this one is gone
        os.write(notify_fd, line)
    os.close(notify_fd)


def _take_lock(place: Place) -> int | None:
    """Lock the deployment, or return None. The descriptor stays open until the process ends.

    Tries several times, because a verb that checks for a supervisor holds the lock for a moment.
    """
    for _ in range(_LOCK_TRIES):
        if (lock := take_lock(place.lock)) is not None:
            return lock
        time.sleep(_LOCK_PAUSE_S)
    return None


async def _run(
    plan: Plan, place: Place, lock: int, lot: Lot | None, options: Options
) -> tuple[int, tuple[StandbyRunner, ...]]:
    events = EventLog(place.events)
    if options.plainly:
        events.record(EventKind.STANDBY, "no parked process is used", cause=options.plainly)
    left = await take_stock(plan, place, events)
    journal = Journal(place.journal, _first_journal(plan, place, left))
    discovery, board = Path(plan.discovery_dir) if plan.discovery_dir else None, Board()
    standbys = standbys_of(plan, place, board, events, left.adopted, lot)
    sidecars, figures = sidecars_of(plan, place, standbys), Figures(sources(plan))
    shared = Shared(place, board, events, journal, Turns(), discovery, sidecars, standbys, view_of(plan), figures)
    stack = Stack(plan, shared, os.getpid(), left.adopted, left.registrations, left.resting, left.before)
    stack.is_foreground = options.foreground
    api = ControlApi(stack, events, figures)
    with control_socket(place.socket) as made, _signals() as received:
        is_over = False
        async with anyio.create_task_group() as tasks:
            beside: dict[str, Callable[[], Awaitable[object]]] = {
                "signals": partial(_heed, received, stack),
                "orphans": partial(_reap, journal, left.strays),
                "the figures of the KV caches": partial(gather_forever, plan, stack.note_kv, figures),
                "short paths": partial(keep_reachable, place, journal, events),
                "the control API": partial(keep_serving, api.answer, made),
                **watching(plan, figures, api.own, events, since=left.started_at),
                "notifications": partial(keep_notified, plan, place, lambda: stack.state, board, journal, events),
                **(_foreground(events, board, stack) if options.foreground else {}),
            }
            for what, work in beside.items():
                tasks.start_soon(outliving, what, work, events)
            tasks.start_soon(_let_go_when_lost, place, lock, journal, events, tasks.cancel_scope)
            tasks.start_soon(_let_go_when_released, stack, tasks.cancel_scope)
            _report(options.notify_fd, READY)
            await stack.run()
            await anyio.lowlevel.checkpoint()
            is_over = True
            tasks.cancel_scope.cancel()
    if not is_over:
        return 4, standbys
    await kill_tree(lambda: strays_of(journal.content, place, Host.now()))
    clear_files(place)
    journal.close()
    return 0, standbys


def _foreground(events: EventLog, board: Board, stack: Stack) -> dict[str, Callable[[], Awaitable[object]]]:
    tell = partial(keep_told, manager_of(os.environ, os.getpid()), lambda: stack.state, board, events)
    return {"printing events": partial(print_events, events), "telling the service manager": tell}


async def _let_go_when_lost(
    place: Place, lock: int, journal: Journal, events: EventLog, everything: anyio.CancelScope
) -> None:
    """Stop when another supervisor has the deployment: that one looks after the processes, and this one ends none."""
    await until_lost(place, lock, journal, events)
    everything.cancel()


async def _let_go_when_released(stack: Stack, everything: anyio.CancelScope) -> None:
    await stack.released.wait()
    everything.cancel()


@contextmanager
def _signals() -> Iterator[AsyncIterator[signal.Signals]]:
    """Receive the signals inside the block and hold them back outside: an interrupted start or end would leave
    orphans."""
    with anyio.open_signal_receiver(*_END, *_HEEDED) as received:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_END, *_HEEDED})
        try:
            yield received
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, {*_END, *_HEEDED})


async def _reap(journal: Journal, inherited: Collection[Identity]) -> None:
    """Reap orphans periodically, not at each SIGCHLD: a thousand at once would drown the signals that matter.

    Processes that became children of this one, or of an earlier supervisor (`inherited`), are recorded for the next.
    """
    while True:
        reap_orphans()
        journal.note_strays(strays() | {identity for identity in inherited if is_there(identity)})
        await anyio.sleep(_REAP_PERIOD_S)


async def _heed(received: AsyncIterator[signal.Signals], stack: Stack) -> None:
    async for number in received:
        if number in _END:  # other signals that would end a process, such as SIGHUP, end no deployment
            stack.take_down(f"the supervisor received {signal.Signals(number).name}")


def _first_journal(plan: Plan, place: Place, left: Inheritance) -> JournalFile:
    own = read_process(os.getpid())
    return JournalFile(
        version=VERSION,
        boot_id=boot_id(),
        supervisor_pid=os.getpid(),
        supervisor_start_ticks=own.start_ticks if own else 0,
        started_at=left.started_at,
        socket=str(plain_socket(place)),
        plan=plan,
        children=left.adopted,
        resting=left.resting,
        completed=left.completed,
        strays=left.strays,
        directory=str(place.directory),
        told=left.told,
    )


def _read_plan(fd: int) -> Plan:
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        return decoded(file.read(), Plan)


if __name__ == "__main__":
    result = main()
    gc.freeze()  # all of it goes with the process: `dynkv down` waits until Python has looked through it for garbage
    sys.exit(result)
