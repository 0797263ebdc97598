"""Let multiprocessing's spawn mean fork, in a process that standby.py has forked. Part of it.

Source of what is replaced: CPython 3.11 to 3.13, context.py, forkserver.py, spawn.py.
"""

from __future__ import annotations

import importlib
import multiprocessing.context
import os
import re
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import forkserver, resource_tracker, spawn, util
from pathlib import Path
from typing import Any

from standby_identity import set_environment, set_title, show  # type: ignore[import-not-found]


def serve_spawns() -> None:
    """Let spawn mean fork from here on: through a forkserver that is forked now, while this process has no threads."""
    contexts = multiprocessing.context._concrete_contexts  # type: ignore[attr-defined]
    contexts["spawn"] = contexts["forkserver"]
    prepare = spawn.get_preparation_data

    def prepare_with_environment(name: str) -> dict[str, Any]:
        return {**prepare(name), "environment": Environment()}

    spawn.get_preparation_data = prepare_with_environment
    with suppress(ImportError):
        importlib.import_module("setproctitle").setproctitle = set_title  # type: ignore[attr-defined]
    resource_tracker.ensure_running()
    run_program = util.spawnv_passfds
    util.spawnv_passfds = partial(fork_forkserver, open_descriptors())
    try:
        forkserver.set_forkserver_preload([])
        forkserver.ensure_running()
    finally:
        util.spawnv_passfds = run_program


class Environment:
    """Pickled, this is the process's environment at that moment; unpickling applies it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return take_over, (dict(os.environ),)


def take_over(environment: dict[str, str]) -> None:
    """Apply the environment as in a new process: OpenMP reads its threads and CPUs when it is loaded, which was before
    the fork.

    vLLM gives each worker on a CPU its own cores in this way. Source: vllm 0.31.0, utils/ompmultiprocessing.py.
    """
    set_environment(environment)
    if cpus := bound_cpus(environment):
        os.sched_setaffinity(0, cpus)
    if (torch := sys.modules.get("torch")) and environment.get("OMP_NUM_THREADS", "").isdigit():
        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))


def bound_cpus(environment: dict[str, str]) -> set[int]:
    """The CPUs that are named and exist."""
    named = re.search(r"proclist=\[([\d,]*)\]", environment.get("KMP_AFFINITY", ""))
    texts = [
        named.group(1) if named else "",
        environment.get("GOMP_CPU_AFFINITY", ""),
        environment.get("OMP_PLACES", ""),
    ]
    text = next((text for text in texts if text), "")
    cpus = {int(number) for number in re.findall(r"\d+", text)} if re.fullmatch(r"[\d\s,{}]+", text) else set()
    return cpus & os.sched_getaffinity(0)


def fork_forkserver(kept: set[int], _path: bytes, words: Sequence[str], passed: Sequence[int]) -> int:
    """Replace running `python -c CODE`: run the code in a fork, without descriptors that were opened for its parent
    alone.

    Descriptors that libraries opened before must stay open: NVML's cannot be recovered.
    """
    pid = os.fork()
    if pid == 0:
        for fd in open_descriptors() - kept - {*passed}:
            os.close(fd)
        show(words)
        share(passed[0])
        try:
            exec(words[-1], {"__name__": "__main__"})
        finally:
            os._exit(0)
    return pid


def open_descriptors() -> set[int]:
    """All open descriptors except the one used for listing them."""
    listed = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    return {fd for fd in listed if Path(f"/proc/self/fd/{fd}").is_symlink()}


def share(listener: int) -> None:
    """Let the processes of this forkserver start theirs through it too: otherwise each would start one without the
    imports.

    An engine of vLLM starts its workers like this.
    """
    server: Any = forkserver._forkserver
    with socket.socket(fileno=os.dup(listener)) as copy:
        server._forkserver_address = copy.getsockname()
    server.ensure_running = resource_tracker.ensure_running
