"""Starting a standby for no deployment in particular, and learning whether it has parked. Without anyio."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime

from msgspec.structs import replace

from dynkv.children.marks import MARK_INCARNATION, marked_environment, new_incarnation
from dynkv.children.output import open_log
from dynkv.children.signals import ALL_BY_DEFAULT
from dynkv.children.standby_parked import Origin, origin_in, receive
from dynkv.children.standby_words import ROOM, words
from dynkv.children.umask import umask_of_children
from dynkv.home import LOT
from dynkv.host.processes import read_process
from dynkv.park.files import LotPlace
from dynkv.park.lot import Parked, Stage
from dynkv.park.stamp import installation, newer

_CHANNEL_FD = 3
_LASTED_S, _IMPORTS_MAX_S = 300.0, 600.0
FAILURES_MAX = 2


def start(it: Parked, where: LotPlace) -> Parked:
    """Start a standby: it is importing now, or has failed."""
    began, incarnation, standby = time.time(), new_incarnation(), it.standby
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    env = {**standby.env, **where.place.own_tmpdir(standby.name)}
    env = marked_environment(where.place.home, LOT, standby.name, env) | ROOM | {MARK_INCARNATION: incarnation}
    argv = words(it.python, standby, _CHANNEL_FD)
    log = open_log(where.standby_log(standby.name))
    streams = [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    no_input = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    try:
        with umask_of_children():
            pid = os.posix_spawn(
                it.python,
                argv,
                env,
                file_actions=[no_input, *streams, (os.POSIX_SPAWN_DUP2, theirs.fileno(), _CHANNEL_FD)],
                setsid=True,
                setsigmask=(),
                setsigdef=ALL_BY_DEFAULT,
            )
    except OSError as error:
        ours.close()
        return failed(it, f"cannot run {it.python}: {error.strerror}")
    finally:
        theirs.close()
        os.close(log)
    process = read_process(pid)
    ticks = process.start_ticks if process else 0
    ours.setblocking(False)
    return replace(
        it,
        stage=Stage.IMPORTING,
        pid=pid,
        start_ticks=ticks,
        incarnation=incarnation,
        channel=ours.detach(),
        began=began,
    )


def heard(it: Parked) -> Parked:
    """The standby after a message on its channel: it has parked, or has ended."""
    with socket.socket(fileno=os.dup(it.channel)) as channel:
        try:
            message, files = receive(channel)
        except BlockingIOError:
            return it
        except OSError:
            message, files = b"", ()
    try:
        content = json.loads(message) if message else {"failed": "it has ended"}
        origin = origin_in(content, files)
        why = str(content["failed"]) if "failed" in content else ""
    except (ValueError, AttributeError, TypeError):
        origin, why = Origin(), "it gave a meaningless answer"
    if not why and (what := newer(origin, it.began)):
        why = f"the installation changed while it imported: {what}"
    if why:
        has_lasted = it.stage is Stage.PARKED and time.time() > it.began + _LASTED_S
        return failed(ended(replace(it, failures=0) if has_lasted else it), why)
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return replace(it, stage=Stage.PARKED, since=since, detail="", found=installation(it.python, origin))


def in_time(it: Parked) -> Parked:
    """The standby, or its failure if it has been importing for so long that it hangs."""
    if it.stage is not Stage.IMPORTING or time.time() < it.began + _IMPORTS_MAX_S:
        return it
    return failed(ended(it), f"it was still importing after {_IMPORTS_MAX_S:g} s")


def ended(it: Parked) -> Parked:
    """Kill the standby, a child of ours, with its group, and release it."""
    if it.channel >= 0:
        os.close(it.channel)
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, it.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # whether it is our child
        for kill in (os.killpg, os.kill):
            with suppress(OSError):
                kill(it.pid, signal.SIGKILL)
        os.waitpid(it.pid, 0)
    return it.gone()


def failed(it: Parked, why: str) -> Parked:
    failures = it.failures + 1
    return replace(it, stage=Stage.FAILED if failures >= FAILURES_MAX else Stage.MISSING, failures=failures, detail=why)
