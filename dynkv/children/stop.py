"""Ending a child: SIGTERM, a deadline, then SIGKILL for its whole tree."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import closing

import anyio
from msgspec import Struct

from dynkv.children.child import Child
from dynkv.children.held import hold, send_to
from dynkv.children.tree import Host
from dynkv.host.processes import Identity, Process, command_line

KILL_DEADLINE_S = 10.0
"""How long a process may take to vanish after SIGKILL; one stuck in the kernel takes longer, or forever."""
CLEAN_UP_S = 5.0
"""How long a process that cleans up after dead ones may take; measured: 2 s."""
_LOOKED_AT_BYTES = 4096


class Stopped(Struct, frozen=True):
    """The result of ending a child."""

    in_time: bool
    """Whether its first process ended by itself before the deadline."""
    killed: int
    """Number of processes that had to be killed."""
    left: tuple[int, ...]
    """Pids that did not vanish even after SIGKILL, or that may not be signalled, such as a setuid program's."""


async def stop(child: Child, deadline_s: float) -> Stopped:
    """End a child whose `watch` is running. Afterwards nothing of its tree runs, except for what is `left`."""
    if not child.exited.is_set():
        child.remember(Host.lately())  # before its first process is gone
        if child.signal(signal.SIGTERM) or not child.is_running:
            with anyio.move_on_after(deadline_s):
                await child.exited.wait()
    in_time = child.exited.is_set()
    if in_time and not child.may_have_left_others:
        return Stopped(True, 0, ())
    killed, left = await kill_tree(child.tree)
    if child.pid not in left and child.is_running:  # /proc hides it
        left += await _kill_hidden(child)
    return Stopped(in_time, killed, left)


async def _kill_hidden(child: Child) -> tuple[int, ...]:
    """Kill a process that /proc hides; returns its pid if it cannot be ended."""
    if child.signal(signal.SIGKILL):
        with anyio.move_on_after(KILL_DEADLINE_S):
            await child.exited.wait()
            return ()
    return (child.pid,)


async def kill_tree(find: Callable[[], list[Process]]) -> tuple[int, tuple[int, ...]]:
    """Kill what `find` finds with SIGKILL until it finds nothing; returns how many were killed, and the pids of those
    that stay.

    Works with few descriptors left, or none. A process that may not be signalled is tried once, and does not keep the
    others from being ended.
    """
    if not find():
        return 0, ()
    killing = _Killing()
    with anyio.move_on_after(KILL_DEADLINE_S):
        await killing.run(lambda: [process for process in find() if not _cleans_up(process)])
        with anyio.move_on_after(CLEAN_UP_S):
            await killing.wait_for(find())
        await killing.run(find)
    return len(killing.killed), tuple(process.pid for process in find())


class _Killing:
    def __init__(self) -> None:
        self.killed: set[Identity] = set()
        self._refused: set[Identity] = set()

    async def run(self, find: Callable[[], list[Process]]) -> None:
        while members := [process for process in find() if process.identity not in self._refused]:
            for process in members:  # all of them before waiting for the first, so that none starts another
                was_sent = send_to(process.identity, signal.SIGKILL)
                (self.killed if was_sent else self._refused).add(process.identity)
            await self.wait_for(members)

    async def wait_for(self, members: list[Process]) -> None:
        """Wait for one after the other, as all have to go: a host may have more processes than descriptors."""
        for process in members:
            await anyio.lowlevel.checkpoint()
            held = None if process.identity in self._refused else hold(process.identity)
            if held is not None:
                with closing(held):
                    await held.ended()


def _cleans_up(process: Process) -> bool:
    """Whether it is multiprocessing's resource tracker, which removes shared memory of dead processes and then ends
    by itself."""
    return b"multiprocessing.resource_tracker" in command_line(process.pid, _LOOKED_AT_BYTES)
