"""Starting a supervisor: the plan goes in on a descriptor, and one line comes back when its socket is open."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import msgspec

from dynkv.children.output import open_log, tail
from dynkv.control.deadline import Deadline
from dynkv.control.handshake import READY, TAKEN
from dynkv.errors import AlreadyRunning, DynkvError, TimedOut
from dynkv.home import Place
from dynkv.plan.model import Plan

_LINE_BYTES = max(len(READY), len(TAKEN))


def launch(plan: Plan, place: Place, secrets: dict[str, str], deadline: Deadline) -> None:
    """Leave a supervisor in the background.

    Raises AlreadyRunning, DynkvError if it does not come up, TimedOut.
    """
    plan_fd = _in_memory(plan)
    notify_read, notify_write = os.pipe()
    log = open_log(place.supervisor_log)
    try:
        process = subprocess.Popen(
            _command(place, plan_fd, notify_write),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **secrets},
            pass_fds=(plan_fd, notify_write),
            start_new_session=True,
        )
    finally:
        for fd in (plan_fd, notify_write, log):
            os.close(fd)
    try:
        line = _report(notify_read, deadline)
    except (KeyboardInterrupt, TimedOut):
        process.kill()  # it starts nothing before it has reported
        process.wait()
        raise
    finally:
        os.close(notify_read)
    _check(line, place)


def _report(fd: int, deadline: Deadline) -> bytes:
    """The one line that a supervisor has to say; empty if it has ended without. Raises TimedOut."""
    readable, _, _ = select.select([fd], [], [], deadline.timeout_s)
    if not readable:
        raise TimedOut(
            f"the supervisor had not come up after {deadline.given_s:g} s", hint="give it longer with --timeout"
        )
    return os.read(fd, _LINE_BYTES)


def become_supervisor(plan: Plan, place: Place, secrets: dict[str, str]) -> None:
    """Turn this process into the supervisor; returns only by raising OSError."""
    plan_fd, nobody = _in_memory(plan), os.open(os.devnull, os.O_WRONLY)
    for fd in (plan_fd, nobody):
        os.set_inheritable(fd, True)
    command = [*_command(place, plan_fd, nobody), "--foreground"]
    os.execve(command[0], command, {**os.environ, **secrets})


def _command(place: Place, plan_fd: int, notify_fd: int) -> list[str]:
    options = ["--home", str(place.home), "--plan-fd", str(plan_fd), "--notify-fd", str(notify_fd)]
    return [sys.executable, "-m", "dynkv.daemon", *options]


def _in_memory(plan: Plan) -> int:
    fd = os.memfd_create("dynkv-plan")
    os.write(fd, msgspec.json.encode(plan))
    return fd


def _check(line: bytes, place: Place) -> None:
    if line == TAKEN:
        raise AlreadyRunning(place.name)
    if line != READY:
        raise DynkvError(
            "the supervisor did not come up",
            where=str(place.supervisor_log),
            hint="its log says why",
            detail="\n".join(tail(Path(place.supervisor_log), 20)),
        )
