"""This user's supervisors on this host, found by their command line, and where their deployments are.

Anyone can start a process with such a name, so processes of other users are ignored, for root too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from dynkv.home import Place, is_same
from dynkv.host.processes import Process, command_line, is_own, pids, read_process, working_directory

_MODULE = b"dynkv.daemon"
_LOOKED_AT_BYTES = 16 * 1024


class Supervisor(Struct, frozen=True):
    """A living supervisor."""

    process: Process
    home: Path
    directory: Path | None
    """Its working directory, which is its deployment's, even if that was removed or moved; None if unknown."""

    def is_of(self, place: Place) -> bool:
        return self.directory is not None and is_same(self.directory, place.directory)


def supervisors() -> list[Supervisor]:
    """All living supervisors, whether or not their lock still exists."""
    found = ((pid, home) for pid in pids() if (home := _home_of(pid)) is not None and pid != os.getpid())
    return [
        Supervisor(process, home, None if (where := working_directory(pid)) is None else Path(where))
        for pid, home in found
        if (process := read_process(pid)) is not None and process.is_alive
    ]


def homes(among: Iterable[Supervisor] | None = None) -> frozenset[Path]:
    """Every DYNKV_HOME that a living supervisor works in. `among`: the living supervisors, if already known."""
    return frozenset(supervisor.home for supervisor in (supervisors() if among is None else among))


def supervisor_of(place: Place, among: Iterable[Supervisor] | None = None) -> Process | None:
    """The living supervisor of a deployment, which may have lost its lock or its journal; None if there is none.

    `among`: the living supervisors, if already known.
    """
    living = supervisors() if among is None else among
    return next((supervisor.process for supervisor in living if supervisor.is_of(place)), None)


def has_supervisor(place: Place, among: Iterable[Supervisor] | None = None) -> bool:
    """Whether a supervisor lives: a free lock may have been removed a moment ago, and be about to be made again."""
    return place.has_supervisor() or supervisor_of(place, among) is not None


def is_supervisor(pid: int) -> bool:
    """Whether this process supervises a deployment, in any DYNKV_HOME."""
    return _home_of(pid) is not None


def _home_of(pid: int) -> Path | None:
    command = command_line(pid, _LOOKED_AT_BYTES)
    words = command.split(b"\0") if _MODULE in command else []
    if _MODULE not in words or b"--home" not in words[:-1]:
        return None
    home = Path(os.fsdecode(words[words.index(b"--home") + 1]))
    return home if home.is_absolute() and is_own(pid) else None
