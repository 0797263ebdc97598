"""The parker: keeps standbys for a host while no deployment runs, and becomes the supervisor of the next one.

Run as `python -m dynkv.park.parker`. It becomes a supervisor by exec, so that the standbys are that one's own children,
and it inherits what they fork; when the deployment is down, the supervisor becomes the parker again in the same way.
Memory, environment and descriptors of the previous program are gone then, except for what the lot lists.
"""

from __future__ import annotations

import dynkv.own_digests  # noqa: F401  # isort: skip  (before anything imports it)

import argparse
import os
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from msgspec.structs import replace

from dynkv.children.output import open_log
from dynkv.children.umask import let_children_have
from dynkv.host.descriptors import part_with_descriptors
from dynkv.host.limits import raise_open_files
from dynkv.host.memory import memory_available_bytes
from dynkv.host.processes import own_children, read_process
from dynkv.host.subreaper import set_subreaper
from dynkv.locks import is_at, take_lock
from dynkv.park.files import LotPlace, from_memory, in_memory
from dynkv.park.handover import Becoming, Descriptors, answer, receive
from dynkv.park.lot import Lot, Parked, Stage
from dynkv.park.stamp import changed, changed_file
from dynkv.park.starting import ended, heard, in_time, start
from dynkv.short_paths import address

_LOOK_S, _LOOK_AT_ALL_S = 1.0, 60.0
_FOR_ITS_OWNER_ALONE = 0o077
_LOST = "its lock was removed"
"""Nobody would find what is parked any more, and another parker may have begun there."""


class Parker:
    def __init__(self, lot: Lot, where: LotPlace) -> None:
        self._lot = lot
        self._where = where
        self._told: Lot | None = None
        self._looks_at = 0.0
        """When to look at all files next, by the monotonic clock."""
        self._failed = ""

    def run(self) -> str:
        """Run until something ends the parker; returns the reason."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            self._where.socket.unlink(missing_ok=True)
            with address(self._where.socket) as short:
                listener.bind(short)
            self._where.socket.chmod(0o600)
            listener.listen()
            try:
                while not (why := self._why_over()):
                    self._fill()
                    self._tell()
                    self._turn(listener)
            finally:
                for it in self._lot.parked:
                    if it.pid:
                        ended(it)
        return why

    # --- one turn ---

    def _why_over(self) -> str:
        with suppress(OSError):  # a disk may be gone for a moment
            if not is_at(self._where.lock, self._lot.lock):
                return _LOST
        if self._where.is_to_stop:
            return "`dynkv park --stop` was requested"
        if self._failed:
            return self._failed
        if what := self._change():
            return f"the stack's installation has changed: {what}"
        if all(it.stage is Stage.FAILED for it in self._lot.parked):
            return f"nothing can be parked: {self._lot.parked[0].detail}"
        return ""

    def _change(self) -> str:
        """What has changed in the installation, in words. Looking at all files takes a while, and is rare."""
        found = [it.found for it in self._lot.parked if it.found is not None]
        if what := next(filter(None, map(changed, found)), ""):
            return what
        if time.monotonic() < self._looks_at:
            return ""
        what = next(filter(None, map(changed_file, found)), "")
        self._looks_at = 0.0 if what else time.monotonic() + _LOOK_AT_ALL_S
        return what

    def _fill(self) -> None:
        """Import what is missing, one standby after the other, if there is enough memory."""
        for it in self._lot.parked:
            self._put(it, in_time(it))
        if any(it.stage is Stage.IMPORTING for it in self._lot.parked):
            return
        for it in self._lot.parked:
            if it.stage in (Stage.MISSING, Stage.WAITING):
                self._put(it, self._started(it))
                return

    def _started(self, it: Parked) -> Parked:
        free = memory_available_bytes()
        if free >= it.standby.memory_bytes:
            return start(it, self._where)
        short = f"it takes {it.standby.memory_bytes / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free"
        return replace(it, stage=Stage.WAITING, detail=short)

    def _turn(self, listener: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            for it in self._lot.parked:
                if it.channel >= 0:
                    selector.register(it.channel, selectors.EVENT_READ, it)
            ready = [key for key, _ in selector.select(_LOOK_S)]
        for key in ready:
            if isinstance(key.data, Parked):
                self._put(key.data, heard(key.data))
        if any(key.fileobj is listener for key in ready):
            self._serve(listener)
        self._reap()

    def _serve(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        self._looks_at = 0.0
        with connection:
            order = receive(connection)
            why_not = "it is not an order" if order is None else self._why_over()
            if order is None or why_not:
                answer(connection, why_not)
            elif answer(connection):
                self._become_or_tell(connection, *order)

    def _become_or_tell(self, connection: socket.socket, becoming: Becoming, given: Descriptors) -> None:
        try:
            self._become(becoming, given)
        except OSError as error:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.umask(_FOR_ITS_OWNER_ALONE)
            _write_to(self._where)
            for fd in given.all():
                os.close(fd)
            where = error.filename or becoming.argv[0]
            self._failed = f"the parker cannot become a supervisor: {where}: {error.strerror}"
            answer(connection, self._failed)

    def _become(self, becoming: Becoming, given: Descriptors) -> NoReturn:
        """Become the supervisor; standbys that are still importing are ended, since they would belong to nobody. Raises
        OSError if that fails."""
        kept = tuple(ended(it) if it.stage is Stage.IMPORTING else it for it in self._lot.parked)
        # a SIGTERM for the supervisor waits until that can handle it, and then ends only the deployment
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        self._lot = replace(self._lot, parked=kept)
        lot = replace(self._lot, deployment=becoming.deployment)
        self._where.write(lot)
        self._where.socket.unlink(missing_ok=True)
        state = in_memory(lot)
        keep = [*given.claims, *lot.channels(), lot.lock]
        argv = [*becoming.command(given.plan, given.notify, keep), "--parked-fd", str(state)]
        for fd in (given.plan, given.notify, state, *keep):
            os.set_inheritable(fd, True)
        os.dup2(given.log, 1)
        os.dup2(given.log, 2)
        os.umask(lot.umask)
        os.chdir(becoming.cwd)
        os.execve(argv[0], argv, becoming.env)

    # --- small parts ---

    def _put(self, old: Parked, new: Parked) -> None:
        self._lot = replace(self._lot, parked=tuple(new if it is old else it for it in self._lot.parked))

    def _tell(self) -> None:
        if self._lot != self._told:
            with suppress(OSError):  # a disk may be full for a while
                self._where.write(self._lot)
                self._told = self._lot

    def _reap(self) -> None:
        """Reap what the imports have left behind; a standby itself is released when its channel has closed."""
        own = {it.pid for it in self._lot.parked}
        for pid in own_children():
            if pid not in own:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


def main() -> int:
    parser = argparse.ArgumentParser(prog="dynkv.park.parker", description="Started by `dynkv park`.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--lot-fd", type=int, required=True)
    options = parser.parse_args()
    _settle_signals()
    lot, where = from_memory(options.lot_fd), LotPlace(options.home)
    part_with_descriptors({*lot.channels(), lot.lock})
    given = os.umask(_FOR_ITS_OWNER_ALONE)
    os.chdir(where.directory)
    if lot.lock < 0:
        begun = _begun(lot, where, given)
        if begun is None:
            return 1
        lot = begun
    _write_to(where)
    let_children_have(lot.umask)
    raise_open_files()
    set_subreaper()
    why = Parker(replace(lot, deployment=""), where).run()
    if why is not _LOST:
        where.end(why)
    sys.stderr.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} ended: {why}\n")
    return 0


def _begun(lot: Lot, where: LotPlace, umask: int) -> Lot | None:
    """The lot at the first start; None if there is one already."""
    lock = take_lock(where.lock)
    if lock is None:
        return None
    where.begin()
    own = read_process(os.getpid())
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    ticks = own.start_ticks if own else 0
    return replace(lot, lock=lock, umask=umask, pid=os.getpid(), start_ticks=ticks, started_at=started_at)


def _write_to(where: LotPlace) -> None:
    """Write to the parker's own log, and no longer to that of the supervisor that this process was."""
    log = open_log(where.log)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)


def _settle_signals() -> None:
    """Undo the supervisor's blocking of signals; any ending signal ends the parker and its standbys."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGXFSZ}:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


if __name__ == "__main__":
    sys.exit(main())
