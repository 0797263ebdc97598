"""Ending a child: SIGTERM, a deadline, then SIGKILL for all of its tree."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import anyio

from dynkv.children.child import Child
from dynkv.children.signals import open_process, send
from dynkv.children.tree import Host
from dynkv.host.processes import Identity, Process, command_line

KILL_DEADLINE_S = 10.0
"""How long a process may take to vanish after SIGKILL; one stuck in the kernel takes longer, or for ever."""


CLEAN_UP_S = 5.0
"""How long a process that removes what the dead left may take; measured: 2 s."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """What ending a child took."""

    in_time: bool
    """Whether its first process ended by itself before the deadline."""
    killed: int
    """Processes that had to be killed."""
    left: tuple[int, ...]
    """Pids that did not even vanish after SIGKILL."""


async def stop(child: Child, deadline_s: float) -> Stopped:
    """End a child whose `watch` is running. Afterwards nothing of its tree runs, but for what is `left`."""
    if not child.exited.is_set():
        child.remember(Host.lately())  # before its first process goes
        child.signal(signal.SIGTERM)
        with anyio.move_on_after(deadline_s):
            await child.exited.wait()
    in_time = child.exited.is_set()
    if in_time and not child.may_have_left_others:
        return Stopped(True, 0, ())
    killed, left = await kill_tree(child.tree)
    return Stopped(in_time, killed, left)


async def kill_tree(find: Callable[[], list[Process]]) -> tuple[int, tuple[int, ...]]:
    """SIGKILL what `find` finds until it finds nothing; how many were killed, and the pids of what stays."""
    killed: set[Identity] = set()
    if not (found := find()):
        return 0, ()
    with anyio.move_on_after(KILL_DEADLINE_S):
        while members := [process for process in found if not _cleans_up(process)]:
            killed |= {process.identity for process in members}
            await _signal_and_wait(members, signal.SIGKILL)
            found = find()
        with anyio.move_on_after(CLEAN_UP_S):
            await _signal_and_wait(find(), None)
        while members := find():
            killed |= {process.identity for process in members}
            await _signal_and_wait(members, signal.SIGKILL)
    return len(killed), tuple(process.pid for process in find())


def _cleans_up(process: Process) -> bool:
    """multiprocessing's resource tracker removes the shared memory of the dead, and then ends by itself."""
    return b"multiprocessing.resource_tracker" in command_line(process.pid)


async def _signal_and_wait(members: Iterable[Process], number: signal.Signals | None) -> None:
    opened = [fd for process in members if (fd := open_process(process.identity)) is not None]
    try:
        for fd in opened:
            if number is not None:
                send(fd, number)
        async with anyio.create_task_group() as waits:
            for fd in opened:
                waits.start_soon(_gone, fd)
    finally:
        for fd in opened:
            os.close(fd)


async def _gone(pidfd: int) -> None:
    await anyio.wait_readable(pidfd)
