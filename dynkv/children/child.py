"""The handle of one running incarnation of a unit: it can spawn, wait and signal, and has no policy."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import anyio
from msgspec import Struct

from dynkv.children.at_once import end_at_once
from dynkv.children.held import Held, hold
from dynkv.children.marks import MARK_INCARNATION, new_incarnation
from dynkv.children.output import open_log
from dynkv.children.scheduling import FREE, Schedule
from dynkv.children.signals import ALL_BY_DEFAULT
from dynkv.children.tree import Host, Root, tree_of
from dynkv.children.umask import umask_of_children
from dynkv.host.processes import Identity, Process, own_children, read_process

CHANNEL_FD = 3
_NO_INPUT = (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)
_HIDDEN = 0
"""Stands for the start time of a child that /proc hides, such as a setuid program where it hides processes of
others. It is known while it is held, like any child, but no later supervisor can take it over."""
_END_DEADLINE_S = 2.0


class Exit(Struct, frozen=True):
    """How a child ended; both are None for an adopted one: only its own parent is told."""

    code: int | None = None
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is not None:
            return f"killed by {_name(self.signal)}"
        return "ended (exit status unknown)" if self.code is None else f"exited with code {self.code}"


def _name(number: int) -> str:
    """The signal's name, if any: most real-time signals have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


_unreaped: set[int] = set()


def unreaped() -> frozenset[int]:
    """Pids of all children that this process has spawned and not released: their handles reap them."""
    return frozenset(_unreaped)


_orphans_come_to_us = False


def expect_orphans() -> None:
    """Note that this process is a subreaper from now on."""
    global _orphans_come_to_us
    _orphans_come_to_us = True


class Child:
    """A process in its own session, with its tree.

    `exited` is set by `watch`, which one task must run. The process stays a zombie until `reap`, so that its pid, and
    with it its process group, cannot be reused while its tree is being ended.
    """

    def __init__(self, root: Root, held: Held, log_start_byte: int, *, adopted: bool = False) -> None:
        self.root = root
        self.exited = anyio.Event()
        self.exit: Exit | None = None
        self.log_start_byte = log_start_byte
        """Where in its log file this incarnation begins."""
        self._held = held
        self._is_reaped = False
        self._adopted = adopted
        self._known: frozenset[Identity] = frozenset()
        self.pids = {root.pid}
        """Pids of all processes ever seen in its tree, alive or dead."""

    @classmethod
    def spawn(
        cls,
        argv: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        *,
        schedule: Schedule = FREE,
        channel: int | None = None,
        stdin: int | None = None,
    ) -> Self:
        """Start a process with exactly this environment plus its marker. Raises OSError if that fails.

        A program without a path is looked for on the PATH of that environment. If this raises, nothing of it runs. The
        process finds the descriptor `channel` as its CHANNEL_FD, and reads `stdin`, or nothing.
        """
        incarnation = new_incarnation()
        program = _program(argv[0], env)
        more = [] if channel is None else [(os.POSIX_SPAWN_DUP2, channel, CHANNEL_FD)]
        out = open_log(log)
        try:
            log_start = os.fstat(out).st_size
            with umask_of_children():
                pid = os.posix_spawn(
                    program,
                    list(argv),
                    {**env, MARK_INCARNATION: incarnation},
                    file_actions=[
                        _NO_INPUT if stdin is None else (os.POSIX_SPAWN_DUP2, stdin, 0),
                        (os.POSIX_SPAWN_DUP2, out, 1),
                        (os.POSIX_SPAWN_DUP2, out, 2),
                        *more,
                    ],
                    setsid=True,
                    setsigmask=(),
                    setsigdef=ALL_BY_DEFAULT,
                )
        finally:
            with suppress(OSError):  # a delayed failure to write to a full disk is reported here
                os.close(out)
        return cls.born(pid, incarnation, log_start, schedule)

    @classmethod
    def born(cls, pid: int, incarnation: str, log_start_byte: int, schedule: Schedule = FREE) -> Self:
        """The handle of a new child of ours in its own session. Raises ProcessLookupError if it is gone.

        Whatever is raised, nothing of the child runs any more: otherwise nobody would know of it.
        """
        process = read_process(pid)
        root = Root(pid, process.start_ticks if process else _HIDDEN, incarnation)
        try:
            schedule.apply(pid)
            held = Held((pid, root.start_ticks), os.pidfd_open(pid))
        except BaseException:
            _end(root)
            raise
        _unreaped.add(pid)
        return cls(root, held, log_start_byte)

    @classmethod
    def of_before(cls, root: Root) -> Self | None:
        """The handle of a child that this process had before it executed this program; None if it is gone."""
        held = hold((root.pid, root.start_ticks))
        if held is None:
            return None
        _unreaped.add(root.pid)
        return cls(root, held, 0)

    @classmethod
    def adopt(cls, root: Root, log_start_byte: int = 0) -> Self | None:
        """Take over a child of another supervisor; None if it is gone."""
        held = hold((root.pid, root.start_ticks))
        return None if held is None else cls(root, held, log_start_byte, adopted=True)

    @property
    def pid(self) -> int:
        return self.root.pid

    @property
    def is_stopped(self) -> bool:
        """Whether it is suspended by SIGSTOP or a similar signal."""
        process = read_process(self.pid)
        return process is not None and process.is_stopped

    async def watch(self) -> None:
        """Return when the process has ended; sets `exit`, then `exited`."""
        await self._held.ended()
        self.exit = self._exit_status()
        self.exited.set()

    def signal(self, number: signal.Signals) -> bool:
        """Signal the first process alone; whether it existed and may be signalled."""
        return self._held.send(number)

    @property
    def is_running(self) -> bool:
        """Whether its first process has not ended, whatever /proc shows."""
        return self._held.is_running

    def tree(self, host: Host | None = None) -> list[Process]:
        """All living processes of this child; those found once are remembered for as long as they live."""
        members = tree_of(self.root, host or Host.now(), self._known)
        self._known = frozenset(process.identity for process in members)
        self.pids.update(process.pid for process in members)
        return members

    def members(self) -> list[Process]:
        """Living processes found in its tree before, in their current state; does not look at all others."""
        known = self._known | {(self.root.pid, self.root.start_ticks)}
        found = (read_process(pid) for pid, _ in known)
        return [it for it in found if it is not None and it.is_alive and it.identity in known]

    def remember(self, host: Host) -> None:
        """Remember which processes belong to it, and forget none known before: `host` may be older."""
        known = self._known
        self.tree(host)
        self._known |= known

    @property
    def may_have_left_others(self) -> bool:
        """Whether anything of its tree can be alive after it has ended.

        We, the subreaper, inherit what it leaves before we learn of its end; so if we have no child except those we
        started, there is nothing. What an adopted child leaves goes elsewhere.
        """
        own = own_children()  # includes it until it is reaped, unless the kernel does not say
        is_told = _orphans_come_to_us and self.pid in own
        return self._adopted or not is_told or not _unreaped.issuperset(own)

    def reap(self) -> None:
        """Let go of the process; call this once its tree is gone. Safe to call twice."""
        if self._is_reaped:
            return
        self._is_reaped = True
        self._held.close()
        if not self._adopted:
            _reap(self.pid)
            _unreaped.discard(self.pid)

    def _exit_status(self) -> Exit:
        try:
            result = None if self._adopted else os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:  # reaped elsewhere, or by the kernel if SIGCHLD is ignored
            result = None
        if result is None:
            return Exit()
        if result.si_code == os.CLD_EXITED:
            return Exit(code=result.si_status)
        return Exit(signal=result.si_status)


def _program(name: str, env: Mapping[str, str]) -> str:
    """The path of a program as the process itself would find it. Raises FileNotFoundError."""
    if "/" in name:
        return name
    directories = env.get("PATH", os.environ.get("PATH", os.defpath))
    for directory in directories.split(os.pathsep) if directories else ():  # shutil.which takes half a megabyte
        path = f"{directory or '.'}/{name}"
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def _end(root: Root) -> None:
    """End a child that nobody holds, with its tree. Its pid and its process group cannot be reused before it is
    reaped."""
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, root.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # whether it is our child
        for kill in (os.killpg, os.kill):
            with suppress(OSError):
                kill(root.pid, signal.SIGKILL)
    end_at_once(lambda: tree_of(root, Host.now()), _END_DEADLINE_S)
    _reap(root.pid)


def _reap(pid: int) -> None:
    """Reap it if it has ended; otherwise it is left to the reaper of orphans."""
    with suppress(ChildProcessError):  # reaped elsewhere meanwhile
        os.waitpid(pid, os.WNOHANG)
