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

DIRECTORY = Path("/dev/shm")
_TORCH = re.compile(r"torch_(\d+)_")
_CUDA = re.compile(r"cuda\.shm\.[0-9a-f]+\.([0-9a-f]+)\.")


def remove_of(dead: Collection[int], directory: Path = DIRECTORY) -> list[str]:
    """Remove what processes with these pids left, none of which lives; the names."""
    removed = []
    for name in _names(directory):
        owner = _owner(name)
        if owner is not None and owner in dead and not _is_alive(owner):
            with suppress(OSError):  # another user's, or gone already
                (directory / name).unlink()
                removed.append(name)
    return removed


def _is_alive(pid: int) -> bool:
    """Another process may have the number by now; one that nobody has reaped yet is dead."""
    process = read_process(pid)
    return process is not None and process.is_alive


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)  # noqa: PTH208 (names alone)
    except OSError:
        return []


def _owner(name: str) -> int | None:
    if found := _TORCH.match(name):
        return int(found.group(1))
    if found := _CUDA.match(name):
        return int(found.group(1), 16)
    return None
