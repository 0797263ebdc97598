"""Shared memory that a dead process leaves in /dev/shm.

Seen after SIGKILL of an engine on a GPU (driver 580, torch 2.11, vllm 0.23.0): `torch_PID_RANDOM_N`, and the driver's
`cuda.shm.UID.PID.N` with the pid in hexadecimal. Seen after every end of several ranks on a CPU (vllm 0.31.0), 4 MB
each: `vllm_dist_RANDOM-GROUP-cpushm_RANK`, which does not name its owner but is mapped by its whole group. What
multiprocessing made is removed by its resource tracker.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from dynkv.host.files import names_in
from dynkv.host.processes import mapped_files, pids, read_process

_CLOCK_SLACK_S = 1.0
DIRECTORY = Path("/dev/shm")
_TORCH = re.compile(r"torch_(\d+)_")
_RANK = re.compile(r"vllm_dist_[0-9a-f]+-.*-cpushm_\d+")
_CUDA = re.compile(r"cuda\.shm\.[0-9a-f]+\.([0-9a-f]+)\.")


def remove_of(dead: Collection[int], since: float, directory: Path = DIRECTORY) -> list[str]:
    """Remove what our processes with these pids have left since then (seconds since 1970); returns the names.

    Files of ranks are removed if nothing maps them any more.

    Does nothing in a container, where /dev/shm may be shared with processes whose pids have another meaning.
    """
    if not _is_whole_host():
        return []
    names = [name for name in names_in(str(directory)) if _is_ours(directory / name, since)]
    left = [name for name in names if (owner := _owner(name)) in dead and not _is_alive(owner)]
    if of_ranks := [name for name in names if _RANK.fullmatch(name)]:
        mapped = _mapped(directory)
        left += [name for name in of_ranks if name not in mapped]
    removed = []
    for name in left:
        with suppress(OSError):  # another user's, or already gone
            (directory / name).unlink()
            removed.append(name)
    return removed


def _is_whole_host() -> bool:
    """Whether this is the first pid namespace. Source: linux/proc_ns.h, PROC_PID_INIT_INO."""
    try:
        return Path("/proc/self/ns/pid").stat().st_ino == 0xEFFFFFFC
    except OSError:
        return False


def _is_ours(path: Path, since: float) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and found.st_ctime >= since - _CLOCK_SLACK_S


def _is_alive(pid: int) -> bool:
    """Whether a process has this pid, possibly another one by now; a zombie counts as dead."""
    process = read_process(pid)
    return process is not None and process.is_alive


def _mapped(directory: Path) -> set[str]:
    """Names of files in `directory` that living processes map."""
    prefix = f"{directory}/"
    return {path.removeprefix(prefix) for pid in pids() for path in mapped_files(pid) if path.startswith(prefix)}


def _owner(name: str) -> int:
    """The pid in the name; 0 if there is none."""
    if found := _TORCH.match(name):
        return int(found.group(1))
    if found := _CUDA.match(name):
        return int(found.group(1), 16)
    return 0
