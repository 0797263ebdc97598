"""Shared memory that a killed process leaves in /dev/shm, when its name says whose it was.

Seen after SIGKILL of an engine on a GPU (driver 580, torch 2.11, vllm 0.23.0): `torch_PID_RANDOM_N`, and the driver's
`cuda.shm.UID.PID.N` with the pid in hexadecimal. What multiprocessing made is removed by its resource tracker.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from dynkv.children.tree import read_process

_CLOCK_SLACK_S = 1.0
DIRECTORY = Path("/dev/shm")
_TORCH = re.compile(r"torch_(\d+)_")
_CUDA = re.compile(r"cuda\.shm\.[0-9a-f]+\.([0-9a-f]+)\.")


def remove_of(dead: Collection[int], since: float, directory: Path = DIRECTORY) -> list[str]:
    """Remove what processes of ours with these pids have left since then (seconds since 1970); the names.

    Nothing is done in a container, where /dev/shm may be another's, and pids mean something else to it.
    """
    if not _is_whole_host():
        return []
    removed = []
    for name in _names(directory):
        owner = _owner(name)
        if owner in dead and not _is_alive(owner) and _is_ours(directory / name, since):
            with suppress(OSError):  # another user's, or gone already
                (directory / name).unlink()
                removed.append(name)
    return removed


def _is_whole_host() -> bool:
    """Whether this is the first pid namespace. Source: linux/proc_ns.h, PROC_PID_INIT_INO."""
    return Path("/proc/self/ns/pid").stat().st_ino == 0xEFFFFFFC


def _is_ours(path: Path, since: float) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and found.st_ctime >= since - _CLOCK_SLACK_S


def _is_alive(pid: int) -> bool:
    """Another process may have the number by now; one that nobody has reaped yet is dead."""
    process = read_process(pid)
    return process is not None and process.is_alive


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208 (names alone)
    except OSError:
        return []


def _owner(name: str) -> int:
    """0 where the name does not say."""
    if found := _TORCH.match(name):
        return int(found.group(1))
    if found := _CUDA.match(name):
        return int(found.group(1), 16)
    return 0
