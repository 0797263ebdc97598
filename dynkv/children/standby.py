"""A process that has imported what programs need, and forks such programs on request: instack/standby.py's handle."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import anyio

from dynkv.children.child import CHANNEL_FD, Child
from dynkv.children.marks import MARK_INCARNATION, new_incarnation
from dynkv.children.output import open_log
from dynkv.children.scheduling import FREE, Schedule
from dynkv.children.standby_words import ROOM, words
from dynkv.children.tree import Host
from dynkv.host.processes import Process

_MESSAGE_MAX_BYTES = 64 * 1024
_SHOWN_BYTES = 60


class StandbyFailed(Exception):
    """It could not import, or could not fork; in words."""


class StandbyProcess:
    """`child` is the process itself: one task has to watch it, as any child, and its owner ends it.

    What it launches goes on without it.
    """

    def __init__(self, child: Child, channel: socket.socket) -> None:
        self.child = child
        self._channel = channel
        self._turn = anyio.Lock()
        self._has_failed = False
        self._lost: set[str] = set()

    @classmethod
    def spawn(
        cls,
        python: Sequence[str],
        modules: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        *,
        cuda: bool,
        spawns: bool,
    ) -> Self:
        """Start it; raises OSError if it cannot be.

        `python`: the interpreter with its options; `cuda`: what it launches uses GPUs; `spawns`: it starts processes
        that need the same imports.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        argv = words(python, modules, CHANNEL_FD, cuda=cuda, spawns=spawns)
        try:
            child = Child.spawn(argv, {**env, **ROOM}, log, channel=theirs.fileno())
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(child, ours)

    @classmethod
    def of_before(cls, child: Child, channel: int) -> Self:
        """One that has parked before this process became this program; the descriptor is its own from now on."""
        return cls(child, socket.socket(fileno=channel))

    def let_go(self) -> None:
        """Leave it as it is, for whatever this process becomes, with the descriptor."""
        self._channel.detach()

    async def parked(self) -> None:
        """Return when it has imported all; raises StandbyFailed when it cannot."""
        await self._receive()

    async def launch(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        *,
        schedule: Schedule = FREE,
        deadline_s: float = 10.0,
    ) -> Child:
        """Start `python -P -m MODULE …` or `python FILE …` as Child.spawn would; raises StandbyFailed.

        The interpreter is its own, whatever `argv` names. After a failure it takes no more orders, and what
        it may have forked all the same is among what `remains` finds.
        """
        incarnation, (log_start, takes) = new_incarnation(), _made(log)
        order = {
            "argv": list(argv),
            "env": {**env, MARK_INCARNATION: incarnation},
            "log": takes,
            "cwd": _here(),  # a parked one was started elsewhere
            "nice": schedule.nice,  # by itself, before it forks: ours would come too late
            "cpus": schedule.cpus,
        }
        async with self._turn:
            if self._has_failed:
                raise StandbyFailed("it has failed before")
            try:
                with anyio.fail_after(deadline_s, shield=True):  # what has been forked must not get lost
                    self._channel.send(json.dumps(order).encode())
                    pid = _pid_in(await self._receive())
                return Child.born(pid, incarnation, log_start, schedule)
            except (OSError, StandbyFailed) as error:  # a TimeoutError is an OSError
                self._has_failed = True
                self._lost.add(incarnation)
                raise StandbyFailed(str(error) or f"it has not answered within {deadline_s:g} s") from None

    @property
    def is_fit(self) -> bool:
        """Whether it could take an order."""
        return self.child.is_running and not self.child.is_stopped and not self._has_failed

    def remains(self) -> list[Process]:
        """Its own living processes, and of what it has forked those that nobody was told of."""
        host = Host.now()
        lost = [process for incarnation in self._lost for process in host.marked.get(incarnation, [])]
        return [*self.child.tree(host), *(process for process in lost if process.is_alive)]

    async def close(self) -> None:
        """It ends by itself after this, unless it is stopped or still importing."""
        self._has_failed = True
        with suppress(OSError):  # it has ended already
            self._channel.shutdown(socket.SHUT_RDWR)  # whoever waits for an answer is told
        async with self._turn:  # a descriptor that someone waits for must not be closed
            self._channel.close()

    async def _receive(self) -> dict[str, Any]:
        await anyio.wait_readable(self._channel)
        try:
            message = self._channel.recv(_MESSAGE_MAX_BYTES)
        except OSError as error:
            raise StandbyFailed(str(error)) from None
        if not message:
            raise StandbyFailed("it has ended")
        content = _decoded(message)
        if "failed" in content:
            raise StandbyFailed(str(content["failed"]))
        return content


def _here() -> str:
    """Empty where it was removed."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def _decoded(message: bytes) -> dict[str, Any]:
    try:
        content = json.loads(message)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise StandbyFailed(f"it answers {message[:_SHOWN_BYTES]!r}, which says nothing")
    return content


def _pid_in(answer: dict[str, Any]) -> int:
    pid = answer.get("pid")
    if not isinstance(pid, int) or pid <= 1:
        raise StandbyFailed(f"it answers with {answer}, and not with a pid")
    return pid


def _made(log: Path) -> tuple[int, str]:
    """The log's size as it will be found, and what takes the output: nothing does where there can be no file.

    The file is made here, so that the forked process does not have to make directories, nor to look what lies there.
    """
    try:
        fd = open_log(log)
    except OSError as error:
        raise StandbyFailed(str(error)) from None
    try:
        found = os.fstat(fd)
        return found.st_size, str(log) if stat.S_ISREG(found.st_mode) else os.devnull
    finally:
        os.close(fd)
