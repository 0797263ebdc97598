"""Import what programs need ahead, and become such programs on request: `PYTHON standby.py FD MODULE|FILE ...`.

The start of a worker, or of the sidecar, is mostly imports, the same each time. This process does them once and waits
("parked"). For each order it forks a process that becomes the program, as if it had been started as `python -m
PROGRAM`, `python -c CODE` or `python SCRIPT`, with -P or without it: the same arguments, environment, log, session of
its own, and what /proc shows of them. With --spawns, processes that the program starts by multiprocessing's spawn
method, as vLLM starts its engine, are forked from the same imports, with the environment of their parent at that
moment, as spawn gives it to them. With --cuda the programs use GPUs, so it fails where the imports alone have begun
with CUDA.

FD is a SOCK_SEQPACKET socket; each message is one JSON object. First this sends {"parked": true, "paths": where modules
come from} or {"failed": why} and ends. Then for each {"argv", "env", "log", "cwd"} it answers {"pid"} or {"failed":
why}. What an order says, secrets too, is read by the forked process alone: nothing of it is here when the next comes. A
forked process is given to the nearest subreaper; it is no child of this process. When the other end closes, this
process ends; what it forked goes on.

Linux only. It runs in the stack's interpreter, imports nothing of dynkv, and by itself only the standard library and
what lies beside it: standby_identity (what a forked process goes by) and standby_spawns (for --spawns).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import json
import os
import runpy
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, cast

if sys.flags.safe_path:  # otherwise its directory stands there already
    sys.path.insert(0, str(Path(__file__).parent))

# mypy knows them as parts of dynkv, as which they cannot be found here
from standby_identity import set_environment, show  # type: ignore[import-not-found]
from standby_spawns import serve_spawns  # type: ignore[import-not-found]

MAX_MESSAGE_BYTES = 256 * 1024
SAFE_PATH = "-P"
CUDA_ERROR_NOT_INITIALIZED = 3


def main(arguments: Sequence[str]) -> None:
    options = parse(arguments)
    channel = socket.socket(fileno=options.fd)
    del sys.path[0]  # this script's own directory, which holds what is no module of the stack
    if not sys.flags.safe_path:
        sys.path.insert(0, str(Path.cwd()))  # as for `python -m`
    why = import_all(options.modules) or (has_begun_with_cuda() if options.cuda else None)
    reply(channel, {"failed": why} if why else {"parked": True, "paths": [*filter(os.path.isdir, sys.path)]})
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
    """Why it failed, if it did. A module's name may be the path of a script that imports others."""
    for module in modules:
        try:
            if module.endswith(".py"):
                runpy.run_path(module)
            else:
                importlib.import_module(module)
        except BaseException as error:  # noqa: BLE001 (whatever a module raises, SystemExit too, is the answer)
            return f"{module} cannot be imported: {type(error).__name__}: {error}"
    return None


def has_begun_with_cuda() -> str | None:
    """Ask in a fork: what only looks for GPUs does no harm (measured), but with CUDA in use both refuse there.

    torch knows what it has begun itself; the driver knows of everybody, as an extension module that begins with it.
    """
    pid = os.fork()
    if pid == 0:
        torch = sys.modules.get("torch")
        os._exit(int((torch is not None and bool(torch.cuda._is_in_bad_fork())) or not can_begin_with_driver()))
    if os.waitpid(pid, 0)[1]:
        return "the imports have begun with CUDA, which what is forked could not use any more"
    return None


def can_begin_with_driver() -> bool:
    """False in a process whose parent has begun with CUDA before the fork; true where there is no driver."""
    try:
        return bool(ctypes.CDLL("libcuda.so.1").cuInit(0) != CUDA_ERROR_NOT_INITIALIZED)
    except OSError:
        return True


def orders(channel: socket.socket) -> dict[str, Any] | None:
    """Fork for each order that comes; returns the order in the forked process, and None when the other end closes."""
    while channel.recv(1, socket.MSG_PEEK):
        read, write = os.pipe()
        first = os.fork()
        if first == 0:
            if os.fork():
                os._exit(0)  # so that its child is no child of the standby
            os.close(read)
            order = cast(dict[str, Any], json.loads(channel.recv(MAX_MESSAGE_BYTES)))
            channel.close()
            return wired_up(order, write)
        os.close(write)
        os.waitpid(first, 0)
        with os.fdopen(read) as news:
            told = news.read()
        drop_unread(channel)
        reply(channel, json.loads(told) if told else {"failed": "the forked process died at once"})
    return None


def drop_unread(channel: socket.socket) -> None:
    """An order whose process died before it had read it; the next is sent when this one is answered."""
    with suppress(BlockingIOError):
        channel.recv(1, socket.MSG_DONTWAIT)


def wired_up(order: dict[str, Any], news: int) -> dict[str, Any]:
    """Session, priority and CPUs, log, environment; then tell the pid. The order, for what is left to do."""
    try:
        os.setsid()
        schedule(order["nice"], order["cpus"])
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        if order["cwd"]:
            os.chdir(order["cwd"])
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


def become(argv: Sequence[str], *, spawns: bool) -> None:
    """Run the program as the interpreter would have: `argv` is `python -m MODULE ...`, `-c CODE ...` or `FILE ...`.

    With -P after `python` nothing is imported from where it runs.
    """
    if spawns:
        serve_spawns()
    sys.orig_argv = list(argv)
    is_safe = argv[1] == SAFE_PATH
    words = argv[2:] if is_safe else argv[1:]
    if not sys.flags.safe_path:
        del sys.path[0]
    match words[0]:
        case "-m":
            first, sys.argv = str(Path.cwd()), ["-m", *words[2:]]
        case "-c":
            first, sys.argv = "", ["-c", *words[2:]]
        case file:
            first, sys.argv = str(Path(file).parent), list(words)
    if not is_safe:
        sys.path.insert(0, first)
    if words[0] == "-m":
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        main_module = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(words[1], "<string>", "exec"), main_module.__dict__)
    else:
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
