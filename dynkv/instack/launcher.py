"""Import what programs need ahead, and become such programs on request: `PYTHON launcher.py FD MODULE ...`.

A worker's start is mostly imports, and they are the same for every worker. This process does them once and waits
("parked"). For each order it forks a process that becomes the program, as if it had been started as
`python -m PROGRAM` or `python SCRIPT`: the same arguments, environment, log, session of its own, and what /proc shows
of them. With --spawns, processes that the program starts by multiprocessing's spawn method, as vLLM starts its engine,
are forked from the same imports, with the environment of their parent at that moment, as spawn gives it to them.
With --cuda the programs use GPUs, so it fails where the imports alone have begun with CUDA.

FD is a SOCK_SEQPACKET socket; each message is one JSON object. First this sends {"parked": true} or {"failed": why} and
ends. Then for each {"argv", "env", "log"} it answers {"pid"} or {"failed": why}. A forked process is given to the
nearest subreaper; it is no child of this process. When the other end closes, this process ends; what it forked goes on.

Linux only. It runs in the stack's interpreter, imports nothing of dynkv, and only the standard library by itself.
Source for what is replaced of multiprocessing: CPython 3.11 to 3.13, context.py, forkserver.py, spawn.py.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import json
import multiprocessing.context
import os
import re
import runpy
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from multiprocessing import forkserver, resource_tracker, spawn, util
from pathlib import Path
from typing import Any, cast

MAX_MESSAGE_BYTES = 256 * 1024


def main(arguments: Sequence[str]) -> None:
    options = parse(arguments)
    channel = socket.socket(fileno=options.fd)
    sys.path[0] = str(Path.cwd())  # as for `python -m`; what stands there now is this script's own directory
    why = import_all(options.modules) or (has_begun_with_cuda() if options.cuda else None)
    reply(channel, {"failed": why} if why else {"parked": True})
    if why:
        sys.exit(1)
    # what is imported stays shared with every process that is forked, as long as nobody touches it
    gc.collect()
    gc.freeze()
    order = orders(channel)
    if order is not None:
        become(order["argv"], spawns=options.spawns)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Import modules ahead, and fork programs that need them on request.")
    parser.add_argument("--cuda", action="store_true")
    parser.add_argument("--spawns", action="store_true")
    parser.add_argument("fd", type=int)
    parser.add_argument("modules", nargs="+")
    return parser.parse_args(arguments)


def reply(channel: socket.socket, content: dict[str, Any]) -> None:
    channel.send(json.dumps(content).encode())


def import_all(modules: Sequence[str]) -> str | None:
    """Why it failed, if it did."""
    for module in modules:
        try:
            importlib.import_module(module)
        except BaseException as error:  # noqa: BLE001 (whatever a module raises, SystemExit too, is the answer)
            return f"{module} cannot be imported: {type(error).__name__}: {error}"
    return None


def has_begun_with_cuda() -> str | None:
    """Ask torch in a fork: what only looks for GPUs does no harm (measured), but with CUDA in use it refuses there."""
    pid = os.fork()
    if pid == 0:
        torch = sys.modules.get("torch")
        os._exit(int(torch is not None and bool(torch.cuda._is_in_bad_fork())))
    if os.waitpid(pid, 0)[1]:
        return "the imports have begun with CUDA, which what is forked could not use any more"
    return None


def orders(channel: socket.socket) -> dict[str, Any] | None:
    """Fork for each order that comes; returns the order in the forked process, and None when the other end closes."""
    while message := channel.recv(MAX_MESSAGE_BYTES):
        order = cast(dict[str, Any], json.loads(message))
        read, write = os.pipe()
        first = os.fork()
        if first == 0:
            if os.fork():
                os._exit(0)  # so that its child is no child of the launcher
            os.close(read)
            channel.close()
            return wired_up(order, write)
        os.close(write)
        os.waitpid(first, 0)
        with os.fdopen(read) as news:
            told = news.read()
        reply(channel, json.loads(told) if told else {"failed": "the forked process died at once"})
    return None


def wired_up(order: dict[str, Any], news: int) -> dict[str, Any]:
    """Session, priority and CPUs, log, environment; then tell the pid. The order, for what is left to do."""
    try:
        os.setsid()
        schedule(order["nice"], order["cpus"])
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        set_environment(order["env"])
        show(order["argv"])
    except Exception as error:  # noqa: BLE001 (whatever it was is the answer)
        os.write(news, json.dumps({"failed": f"{type(error).__name__}: {error}"}).encode())
        os._exit(1)
    os.write(news, json.dumps({"pid": os.getpid()}).encode())
    os.close(news)
    return order


def schedule(nice: int, cpus: Sequence[int]) -> None:
    """What this process forks inherits both; neither is worth a start."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    with suppress(OSError):
        if cpus:
            os.sched_setaffinity(0, cpus)


def set_environment(environment: dict[str, str]) -> None:
    """Exactly this, and nothing that was derived from an earlier one."""
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None


def become(argv: Sequence[str], *, spawns: bool) -> None:
    """Run the program as the interpreter would have: `argv` is that of `python -m MODULE ...` or `python FILE ...`."""
    if spawns:
        serve_spawns()
    sys.orig_argv = list(argv)
    if argv[1] == "-m":
        sys.argv = ["-m", *argv[3:]]
        runpy.run_module(argv[2], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(argv[1:])
        sys.path[0] = str(Path(argv[1]).parent)
        runpy.run_path(argv[1], run_name="__main__")


def serve_spawns() -> None:
    """Let spawn mean fork from here: by a forkserver that is forked off now, while this process has no threads."""
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
    """Pickled, that of this process at that moment; unpickling it takes it over."""

    def __reduce__(self) -> tuple[Any, ...]:
        return take_over, (dict(os.environ),)


def take_over(environment: dict[str, str]) -> None:
    """As a new process would: OpenMP reads its threads and CPUs when it is loaded, which was before the fork.

    vLLM gives each worker on a CPU cores of its own in this way. Source: vllm 0.31.0, utils/ompmultiprocessing.py.
    """
    set_environment(environment)
    if cpus := bound_cpus(environment):
        os.sched_setaffinity(0, cpus)
    if (torch := sys.modules.get("torch")) and environment.get("OMP_NUM_THREADS", "").isdigit():
        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))


def bound_cpus(environment: dict[str, str]) -> set[int]:
    """The CPUs that are named, of those that there are."""
    named = re.search(r"proclist=\[([\d,]*)\]", environment.get("KMP_AFFINITY", ""))
    texts = [
        named.group(1) if named else "",
        environment.get("GOMP_CPU_AFFINITY", ""),
        environment.get("OMP_PLACES", ""),
    ]
    text = next((text for text in texts if text), "")
    cpus = {int(number) for number in re.findall(r"\d+", text)} if re.fullmatch(r"[\d\s,{}]+", text) else set()
    return cpus & os.sched_getaffinity(0)


take_over.__module__ = "dynkv_launcher"
sys.modules["dynkv_launcher"] = sys.modules[__name__]
"""By this name it is found in every process that is forked from here, whatever `__main__` is there."""


def fork_forkserver(kept: set[int], _path: bytes, words: Sequence[str], passed: Sequence[int]) -> int:
    """In place of running `python -c CODE`: run the code in a fork, without what was opened for its parent alone.

    What libraries had open before has to stay so: NVML's is lost for good without it.
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
    """Without the one through which they are listed."""
    listed = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    return {fd for fd in listed if Path(f"/proc/self/fd/{fd}").is_symlink()}


def share(listener: int) -> None:
    """Let the processes of this forkserver start theirs through it, too: they would each begin one without the imports.

    An engine of vLLM starts its workers so.
    """
    server: Any = forkserver._forkserver
    with socket.socket(fileno=os.dup(listener)) as copy:
        server._forkserver_address = copy.getsockname()
    server.ensure_running = resource_tracker.ensure_running


def set_title(title: str) -> None:
    """What setproctitle does; that itself looks for its room where `show` has moved things, and does not find it."""
    show([title])
    name = ctypes.create_string_buffer(os.fsencode(title)[:15])
    ctypes.CDLL(None).prctl(PR_SET_NAME, name, ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))


def memory_layout() -> dict[int, int]:
    """Where the parts of this process's memory are, by the number of the field. Source: proc_pid_stat(5)."""
    numbers = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return {number: int(text) for number, text in enumerate(numbers, 3) if number > 22}


LAYOUT = memory_layout()
"""As the kernel made it when this process was started; it holds for every process that is forked from it."""
PR_SET_NAME, PR_SET_MM, PR_SET_MM_MAP = 15, 35, 14
NO_FILE = 2**32 - 1


class MemoryMap(ctypes.Structure):
    """Source: linux/prctl.h, struct prctl_mm_map."""

    _fields_ = [
        *((name, ctypes.c_uint64) for name in "start_code end_code start_data end_data start_brk brk".split()),
        *((name, ctypes.c_uint64) for name in "start_stack arg_start arg_end env_start env_end auxv".split()),
        ("auxv_size", ctypes.c_uint32),
        ("exe_fd", ctypes.c_uint32),
    ]


def show(argv: Sequence[str | bytes]) -> None:
    """Let /proc show these arguments and the present environment, in place of what this process was started with.

    Where the kernel does not let the two be moved in their memory, the arguments stay as they were; what does not fit
    is cut off. Source: proc_pid_cmdline(5), PR_SET_MM(2const).
    """
    start, border, end = LAYOUT[48], LAYOUT[49], LAYOUT[51]
    args = b"".join(os.fsencode(word) + b"\0" for word in argv)
    variables = b"".join(name + b"=" + value + b"\0" for name, value in os.environb.items())
    if len(args) + len(variables) <= end - start and lay_out(start + len(args), len(variables)):
        ctypes.memmove(start, args + variables, len(args) + len(variables))
    else:
        ctypes.memmove(border, variables[: end - border - 1].ljust(end - border, b"\0"), end - border)


def lay_out(border: int, env_bytes: int) -> bool:
    """Whether the kernel now takes what lies before `border` for arguments, and what follows for environment."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.sbrk.restype = ctypes.c_void_p
    wanted = MemoryMap(
        start_code=LAYOUT[26],
        end_code=LAYOUT[27],
        start_data=LAYOUT[45],
        end_data=LAYOUT[46],
        start_brk=LAYOUT[47],
        brk=libc.sbrk(0),
        start_stack=LAYOUT[28],
        arg_start=LAYOUT[48],
        arg_end=border,
        env_start=border,
        env_end=border + env_bytes,
        exe_fd=NO_FILE,
    )
    size = ctypes.c_ulong(ctypes.sizeof(wanted))
    return bool(libc.prctl(PR_SET_MM, PR_SET_MM_MAP, ctypes.byref(wanted), size, ctypes.c_ulong(0)) == 0)


if __name__ == "__main__":
    main(sys.argv[1:])
