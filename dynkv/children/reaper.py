"""The supervisor as a subreaper: orphans of its children become its own, must not stay zombies, nor outlive it."""

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
    """From now on orphaned descendants are given to this process; raises OSError.

    What is its child already was started before it became a supervisor, as by the shell whose place it took.
    """
    global _inherited
    set_subreaper()
    host = Host.now()
    _inherited = frozenset(host.processes[pid].identity for pid in own_children() if pid in host.processes)
    expect_orphans()


def reap_orphans() -> int:
    """Reap the zombies that were spawned by others and came to this process; how many there were."""
    own = unreaped()
    return sum(_reap(pid) for pid in own_children() if pid not in own)


def strays() -> frozenset[Identity]:
    """Those living that came to this process when their parent ended, as what daemonises does: once it is dead too,
    nothing but this tells whose they are."""
    own = unreaped()
    found = (read_process(pid) for pid in own_children() if pid not in own)
    return frozenset(process.identity for process in found if process is not None and process.is_alive) - _inherited


def sweep(deadline_s: float = _SWEEP_DEADLINE_S) -> list[str]:
    """For a supervisor's own end: kill and reap every process that still descends from it; never raises.

    Returns all that there were, in words, which say so of one that may not be signalled or is stuck in the kernel.
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
    """All that live, without those that were there before it became a supervisor, and without theirs."""
    host, own = Host.now(), os.getpid()
    inherited = [pid for pid, _ in _inherited if pid in host.processes and host.processes[pid].identity in _inherited]
    pids = with_descendants([own], host.children) - with_descendants(inherited, host.children) - {own}
    return [host.processes[pid] for pid in sorted(pids) if host.processes[pid].is_alive]


def _reap(pid: int) -> bool:
    with suppress(ChildProcessError):  # somebody else was faster
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    return False
