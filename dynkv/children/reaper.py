"""The supervisor as a subreaper: it inherits orphans of its children, which must neither stay zombies nor outlive
it."""

from __future__ import annotations

import os
from contextlib import suppress

from dynkv.children.at_once import end_at_once
from dynkv.children.child import expect_orphans, unreaped
from dynkv.children.tree import Host, with_descendants
from dynkv.host.described import described
from dynkv.host.processes import Identity, Process, own_children, read_process
from dynkv.host.subreaper import set_subreaper

_SWEEP_DEADLINE_S = 10.0
_inherited: frozenset[Identity] = frozenset()


def become_subreaper() -> None:
    """Let this process inherit its orphaned descendants from now on. Raises OSError.

    Processes that are its children already were started before it became a supervisor, for example by the shell that
    executed it.
    """
    global _inherited
    set_subreaper()
    found = (read_process(pid) for pid in own_children())
    _inherited = frozenset(process.identity for process in found if process is not None)
    expect_orphans()


def reap_orphans() -> int:
    """Reap zombies that others spawned and this process inherited; returns how many."""
    own = unreaped()
    return sum(_reap(pid) for pid in own_children() if pid not in own)


def strays() -> frozenset[Identity]:
    """Living processes that this process inherited when their parent ended, such as daemons: once it is dead too,
    nothing else shows whose they are."""
    own = unreaped()
    found = (read_process(pid) for pid in own_children() if pid not in own)
    return frozenset(process.identity for process in found if process is not None and process.is_alive) - _inherited


def sweep(deadline_s: float = _SWEEP_DEADLINE_S) -> list[str]:
    """Kill and reap every process that still descends from this supervisor, at its own end; never raises.

    Returns all of them, in words that say so if one may not be signalled or is stuck in the kernel.
    """
    found: dict[Identity, str] = {}

    def find() -> list[Process]:
        for pid in own_children():
            _reap(pid)
        members = _descendants()
        for process in members:
            found.setdefault(process.identity, described(process.pid))
        return members

    end_at_once(find, deadline_s)
    left = {process.identity for process in _descendants()}
    return [words + (", still there" if identity in left else "") for identity, words in found.items()]


def _descendants() -> list[Process]:
    """All living descendants, without those that existed before this became a supervisor, and their descendants."""
    host, own = Host.now(), os.getpid()
    inherited = [pid for pid, _ in _inherited if pid in host.processes and host.processes[pid].identity in _inherited]
    pids = with_descendants([own], host.children) - with_descendants(inherited, host.children) - {own}
    return [host.processes[pid] for pid in sorted(pids) if host.processes[pid].is_alive]


def _reap(pid: int) -> bool:
    with suppress(ChildProcessError):  # reaped elsewhere meanwhile
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return False
