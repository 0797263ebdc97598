"""What /proc says of processes. Linux only, like everything that is compared here."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil

from dynkv.children.tree import Host

RUN_MARK = "DYNKV_BENCH_RUN"
"""A variable in the environment of everything that one trial starts."""


def pss_bytes(pids: Iterable[int]) -> int:
    """Their total proportional set size: each shared page is divided among its users."""
    return sum(_pss(pid) for pid in pids)


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def cpu_s(pids: Iterable[int]) -> float:
    """CPU time of all their living threads, to the nanosecond if the kernel has schedstats."""
    return sum(_cpu_s(pid) for pid in pids)


def _cpu_s(pid: int) -> float:
    try:
        tasks = [int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()]
        return sum(tasks) / 1e9
    except OSError:
        pass
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def supervisor_processes(pid: int, children: Iterable[int]) -> list[int]:
    """The supervisor and its descendants, without the children's own trees."""
    found, skip, todo = [pid], set(children), [pid]
    below: dict[int, list[int]] = {}
    for process in Host.now().processes.values():
        below.setdefault(process.ppid, []).append(process.pid)
    while todo:
        new = [child for child in below.get(todo.pop(), []) if child not in skip]
        found += new
        todo += new
    return found


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def alive(pids: Iterable[int]) -> list[int]:
    return [pid for pid in pids if is_alive(pid)]


def wait_until_gone(pids: Iterable[int], timeout_s: float) -> list[int]:
    """Those that are still alive after `timeout_s`. Waits on pidfds, so that waiting costs nothing."""
    deadline = time.monotonic() + timeout_s
    with ExitStack() as stack:
        descriptors = {}
        for pid in pids:
            with suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                stack.callback(os.close, descriptor)
                descriptors[descriptor] = pid
        poll = select.poll()
        for descriptor in descriptors:
            poll.register(descriptor, select.POLLIN)
        while descriptors and (left_s := deadline - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left_s * 1000):
                poll.unregister(descriptor)
                del descriptors[descriptor]
        return list(descriptors.values())


def marked(token: str) -> list[int]:
    """All processes that were started with this mark in their environment."""
    needle = f"{RUN_MARK}={token}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                if needle in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def sweep(token: str) -> int:
    """Kill all processes with the mark until none is left. Returns how many there were at first."""
    first = left = marked(token)
    for _ in range(50):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until_gone(left, 2.0)
        if not (left := alive(marked(token))):
            break
    return len(first)
