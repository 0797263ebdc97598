"""The handle of instack/standby.py: a process that has imported what programs need, and forks them on request."""

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
from dynkv.children.standby_parked import MESSAGE_MAX_BYTES, Origin, origin_in, receive
from dynkv.children.standby_words import ROOM, words
from dynkv.children.tree import Host
from dynkv.host.processes import Process
from dynkv.plan.model import Standby

_SHOWN_BYTES = 60


class StandbyFailed(Exception):
    """It could not import or fork; the message says why."""


class StandbyProcess:
    """A standby. `child` is the process itself: one task must watch it, as any child, and its owner ends it.

    Processes that it launches outlive it.
    """

    def __init__(self, child: Child, channel: socket.socket) -> None:
        self.child = child
        self._channel = channel
        self._turn = anyio.Lock()
        self._has_failed = False
        self._lost: set[str] = set()

    @classmethod
    def spawn(cls, python: str, planned: Standby, env: Mapping[str, str], log: Path) -> Self:
        """Start a standby as planned, but with this environment. Raises OSError if that fails."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        argv = words(python, planned, CHANNEL_FD)
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
        """A standby that was parked before this process executed this program; it owns the descriptor from now on."""
        return cls(child, socket.socket(fileno=channel))

    def let_go(self) -> None:
        """Leave it as it is, with the descriptor, for the program that this process executes next."""
        self._channel.detach()

    async def parked(self) -> Origin:
        """Return when everything is imported. Raises StandbyFailed if that fails."""
        await anyio.wait_readable(self._channel)
        try:
            message, files = receive(self._channel)
            return origin_in(_content(message), files)
        except (OSError, TypeError) as error:
            raise StandbyFailed(str(error)) from None

    async def launch(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        *,
        schedule: Schedule = FREE,
        deadline_s: float = 10.0,
    ) -> Child:
        """Start `python -P -m MODULE …` or `python FILE …` like Child.spawn. Raises StandbyFailed.

        It uses its own interpreter, whatever `argv` names. After a failure it takes no more orders, and `remains` finds
        anything that it may have forked nevertheless.
        """
        incarnation, (log_start, takes) = new_incarnation(), _made(log)
        order = {
            "argv": list(argv),
            "env": {**env, MARK_INCARNATION: incarnation},
            "log": takes,
            "cwd": _here(),  # a parked one was started in another directory
            "nice": schedule.nice,  # set by the standby before it forks: from here it would come too late
            "cpus": schedule.cpus,
        }
        async with self._turn:
            if self._has_failed:
                raise StandbyFailed("it has failed before")
            try:
                with anyio.fail_after(deadline_s, shield=True):  # a forked process must not get lost
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
        """Its own living processes, and forked ones that nobody was told of."""
        host = Host.now()
        lost = [process for incarnation in self._lost for process in host.marked.get(incarnation, [])]
        return [*self.child.tree(host), *(process for process in lost if process.is_alive)]

    async def close(self) -> None:
        """Close the channel. The standby then ends by itself, unless it is suspended or still importing."""
        self._has_failed = True
        with suppress(OSError):  # it has already ended
            self._channel.shutdown(socket.SHUT_RDWR)  # a task that waits for an answer is woken
        async with self._turn:  # a descriptor in use must not be closed
            self._channel.close()

    async def _receive(self) -> dict[str, Any]:
        await anyio.wait_readable(self._channel)
        try:
            return _content(self._channel.recv(MESSAGE_MAX_BYTES))
        except OSError as error:
            raise StandbyFailed(str(error)) from None


def _here() -> str:
    """The working directory; empty if it was removed."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def _content(message: bytes) -> dict[str, Any]:
    if not message:
        raise StandbyFailed("it has ended")
    content = _decoded(message)
    if "failed" in content:
        raise StandbyFailed(str(content["failed"]))
    return content


def _decoded(message: bytes) -> dict[str, Any]:
    try:
        content = json.loads(message)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise StandbyFailed(f"it gave the meaningless answer {message[:_SHOWN_BYTES]!r}")
    return content


def _pid_in(answer: dict[str, Any]) -> int:
    pid = answer.get("pid")
    if not isinstance(pid, int) or pid <= 1:
        raise StandbyFailed(f"it answered with {answer} instead of a pid")
    return pid


def _made(log: Path) -> tuple[int, str]:
    """The log's initial size, and what takes the output: /dev/null if there can be no file.

    The file is made here, so that the forked process need not make directories or check what is there.
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
