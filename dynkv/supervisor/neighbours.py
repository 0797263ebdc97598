"""Supervisors on this host, found by their command line, and where they keep their deployments."""

from __future__ import annotations

import os
from pathlib import Path

from dynkv.host.processes import Process, command_line, pids, read_process
from dynkv.supervisor.journal import JournalFile

_MODULE = b"dynkv.daemon"


def homes() -> frozenset[Path]:
    """Every DYNKV_HOME that a living supervisor works in, whoever runs it."""
    return frozenset(home for pid in pids() if (home := _home_of(pid)) is not None)


def supervisor_of(journal: JournalFile, home: Path) -> Process | None:
    """The living supervisor that wrote the journal; None if its pid is that of any other process."""
    process = read_process(journal.supervisor_pid)
    if process is None or process.start_ticks != journal.supervisor_start_ticks:
        return None
    return process if _home_of(process.pid) == home else None


def is_supervisor(pid: int) -> bool:
    """Whether this process supervises a deployment, in whatever DYNKV_HOME."""
    return _home_of(pid) is not None


def _home_of(pid: int) -> Path | None:
    words = command_line(pid).split(b"\0")
    if _MODULE not in words or b"--home" not in words[:-1]:
        return None
    return Path(os.fsdecode(words[words.index(b"--home") + 1]))
