"""Import what programs need in advance, and become such programs on request: `PYTHON standby.py FD MODULE|FILE ...`.

The start of a worker or of the sidecar is mostly imports, the same each time. This process does them once and waits
("parked"). For each order it forks a process that becomes the program, as if it had been started as `python -m
PROGRAM`, `python -c CODE` or `python SCRIPT`, with or without -P: with the given arguments, environment and log, its
own session, and the same appearance in /proc. With --spawns, processes that the program starts with multiprocessing's
spawn method, as vLLM starts its engine, are forked from the same imports, with their parent's environment at that
moment, as with spawn. With --cuda the programs use GPUs, so it fails if the imports alone initialise CUDA.

What a program imports only after its own imports is named with --late MODULE, and what it works out once for its
process with --late MODULE:FUNCTION. That is done ahead too, but is not required: what raises is left to the program,
and if something initialises CUDA, this starts once more without any of it.

FD is a SOCK_SEQPACKET socket; each message is one JSON object. First this sends {"parked": true, "paths": where modules
are looked for} with a descriptor of a file that lists the modules' files, or {"failed": why} and ends. Then it answers
each {"argv", "env", "log", "cwd"} with {"pid"} or {"failed": why}. Only the forked process reads an order, including
secrets: nothing of it is left here when the next one comes. A forked process is inherited by the nearest subreaper; it
is no child of this process. When the other end closes, this process ends; forked processes continue.

Linux only. It runs in the stack's interpreter, imports nothing of dynkv, and by itself only the standard library and
its neighbours: standby_identity (a forked process's environment and appearance), standby_effects (what imports
do) and standby_spawns (for --spawns).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, cast

if sys.flags.safe_path:  # otherwise its directory is already there
    sys.path.insert(0, str(Path(__file__).parent))

# mypy knows them as parts of dynkv, which cannot be imported here
from standby_effects import changes, draw_anew, list_files, repeat  # type: ignore[import-not-found]
from standby_identity import set_environment, show  # type: ignore[import-not-found]
from standby_spawns import serve_spawns  # type: ignore[import-not-found]

MAX_MESSAGE_BYTES = 256 * 1024
SAFE_PATH, LATE = "-P", "--late"
CUDA_ERROR_NOT_INITIALIZED = 3
PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str]) -> None:
    options = parse(arguments)
    channel = socket.socket(fileno=options.fd)
    end_with_parent(channel)
    del sys.path[0]  # this script's own directory, which has no module of the stack
    if not sys.flags.safe_path:
        sys.path.insert(0, str(Path.cwd()))  # as for `python -m`
    given = dict(os.environ)
    if not (why := import_all(options.modules)):
        for name in options.late:
            do_ahead(name)
        why = has_begun_with_cuda() if options.cuda else None
        if why and options.late:
            start_without(options.late, given, why)
    if why:
        reply(channel, {"failed": why})
        sys.exit(1)
    tell_parked(channel)
    made = changes(given, os.environ)
    # imports stay shared with every forked process, as long as nothing writes to them
    gc.collect()
    gc.freeze()
    order = orders(channel)
    if order is not None:
        repeat(made, given)
        draw_anew()
        become(order["argv"], spawns=options.spawns)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Import modules ahead, and fork programs that need them on request.")
    parser.add_argument("--cuda", action="store_true")
    parser.add_argument("--spawns", action="store_true")
    parser.add_argument(LATE, action="append", default=[])
    parser.add_argument("fd", type=int)
    parser.add_argument("modules", nargs="+")
    return parser.parse_args(arguments)


def end_with_parent(channel: socket.socket) -> None:
    """Have the kernel kill this process when its parent ends, since in the middle of an import it would not notice.

    What is forked from this process is not affected. Source: PR_SET_PDEATHSIG(2const).
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with suppress(BlockingIOError):
        if not channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT):
            sys.exit(1)  # it has ended already


def tell_parked(channel: socket.socket) -> None:
    """Tell where the modules come from. The files, thousands for vLLM, are listed in an unnamed file; they are left out
    if there can be none."""
    content = json.dumps({"parked": True, "paths": [*filter(os.path.isdir, sys.path)]}).encode()
    try:
        with tempfile.TemporaryFile() as file:
            list_files(file)
            socket.send_fds(channel, [content], [file.fileno()])
    except OSError:
        channel.send(content)


def reply(channel: socket.socket, content: dict[str, Any]) -> None:
    channel.send(json.dumps(content).encode())


def import_all(modules: Sequence[str]) -> str | None:
    """Import the modules; returns why it failed, if it did. A name may be the path of a script that imports others."""
    for module in modules:
        try:
            if module.endswith(".py"):
                runpy.run_path(module)
            else:
                importlib.import_module(module)
        except BaseException as error:  # noqa: BLE001 (whatever a module raises, SystemExit too, is the answer)
            return f"{module} cannot be imported: {type(error).__name__}: {error}"
    return None


def do_ahead(name: str) -> None:
    """Import a module, or call a function of it that remembers its result: `MODULE` or `MODULE:FUNCTION`."""
    module, _, function = name.partition(":")
    try:
        found = importlib.import_module(module)
        if function:
            getattr(found, function)()
    except BaseException as error:  # noqa: BLE001 (the program will see to it)
        print(f"{name} is left to the programs: {type(error).__name__}: {error}", file=sys.stderr)


def start_without(late: Sequence[str], environment: dict[str, str], why: str) -> NoReturn:
    """Start this script anew in this process, as it was started, but with nothing that need not be done ahead."""
    print(f"started anew without {', '.join(late)}: {why}", file=sys.stderr, flush=True)
    before = sys.orig_argv.index(LATE)
    os.execve(sys.executable, [*sys.orig_argv[:before], *sys.orig_argv[before + 2 * len(late) :]], environment)


def has_begun_with_cuda() -> str | None:
    """Check in a fork whether CUDA is in use: merely looking for GPUs does no harm (measured), but with CUDA in use
    both refuse there.

    torch knows what it has initialised itself; the driver also knows of others, such as an extension module.
    """
    pid = os.fork()
    if pid == 0:
        torch = sys.modules.get("torch")
        os._exit(int((torch is not None and bool(torch.cuda._is_in_bad_fork())) or not can_begin_with_driver()))
    if os.waitpid(pid, 0)[1]:
        return "the imports have begun with CUDA, which what is forked could not use any more"
    return None


def can_begin_with_driver() -> bool:
    """False in a process whose parent has initialised CUDA before the fork; true without a driver."""
    try:
        return bool(ctypes.CDLL("libcuda.so.1").cuInit(0) != CUDA_ERROR_NOT_INITIALIZED)
    except OSError:
        return True


def orders(channel: socket.socket) -> dict[str, Any] | None:
    """Fork for each order; returns the order in the forked process, and None when the other end closes."""
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
    """Drop an order whose process died before reading it; the next one is sent after this one is answered."""
    with suppress(BlockingIOError):
        channel.recv(1, socket.MSG_DONTWAIT)


def wired_up(order: dict[str, Any], news: int) -> dict[str, Any]:
    """Set session, priority and CPUs, log and environment; then report the pid. Returns the order for the remaining
    steps."""
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
    """Set what is asked for, which this process's forks inherit; failing to is not worth losing a start."""
    with suppress(OSError):
        if nice:
            os.setpriority(os.PRIO_PROCESS, 0, nice)
    with suppress(OSError):
        if cpus:
            os.sched_setaffinity(0, cpus)


def become(argv: Sequence[str], *, spawns: bool) -> None:
    """Run the program as the interpreter would: `argv` is `python -m MODULE ...`, `-c CODE ...` or `FILE ...`.

    With -P after `python` nothing is imported from the working directory.
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
