"""Starting a supervisor: the plan goes in through a descriptor, and one line comes back when its socket is open."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from msgspec.structs import replace

from dynkv.children.output import open_log, tail
from dynkv.cli.ahead import ahead, program
from dynkv.cli.by_parker import Started, by_parker
from dynkv.cli.inherited import finding_dynkv
from dynkv.control.deadline import Deadline
from dynkv.control.handshake import READY, TAKEN, UNCLEAR
from dynkv.documents import encoded
from dynkv.errors import AlreadyRunning, DynkvError, NotUnderstood, PreflightRefused, TimedOut
from dynkv.home import Place
from dynkv.host.descriptors import unnamed_file
from dynkv.park.handover import Becoming, Descriptors
from dynkv.plan.model import Plan
from dynkv.surroundings import of_supervisor

_LINE_BYTES = max(map(len, (READY, TAKEN, UNCLEAR)))
_REPORT_S = 5.0
"""Time left for the report of a supervisor that is spared."""


class _NoSupervisor(PreflightRefused):
    """This host cannot run another process of dynkv."""

    def __init__(self, error: OSError) -> None:
        hint = "check the interpreter's permissions, and the limits of this user: `ulimit -a`"
        super().__init__(f"no supervisor can be started: {sys.executable}: {error.strerror}", hint=hint)


class NeverCameUp(DynkvError):
    """The supervisor ended before it started anything."""

    def __init__(self, log: Path) -> None:
        super().__init__(
            "the supervisor did not come up", where=str(log), hint="its log says why", detail="\n".join(tail(log, 20))
        )


@dataclass(frozen=True, slots=True)
class Order:
    """What a supervisor is to run, and how."""

    plan: Plan
    place: Place
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    replaces: bool = False
    """Whether it may end processes that the journal does not explain."""
    claims: tuple[int, ...] = ()
    """Descriptors that claim the ports for as long as the supervisor lives."""


def launch(order: Order, deadline: Deadline, *, spare: bool) -> None:
    """Leave a supervisor in the background. On a timeout or Ctrl-C, `spare` it for the sake of what it has taken over.

    Raises AlreadyRunning, NotUnderstood, NeverCameUp, TimedOut.
    """
    notify_read, process = _start(order, deadline)
    try:
        line = _report(notify_read, deadline)
    except (KeyboardInterrupt, TimedOut):
        if spare:
            with suppress(TimedOut):  # what it has taken over is known only once it has reported
                _report(notify_read, Deadline(_REPORT_S))
        else:
            process.kill()  # it starts nothing before it reports, or ends it again
            process.wait()
        raise
    finally:
        os.close(notify_read)
    _check(line, order.place)


def _start(order: Order, deadline: Deadline) -> tuple[int, Started]:
    """The process, and the descriptor on which it reports."""
    plan_fd = _handed_over(order)
    notify_read, notify_write = os.pipe()
    log = open_log(order.place.supervisor_log)
    try:
        process = _process(order, Descriptors(plan_fd, notify_write, log, order.claims), deadline)
    except OSError as error:
        os.close(notify_read)
        raise _NoSupervisor(error) from None
    finally:
        for fd in (plan_fd, notify_write, log):
            os.close(fd)
    return notify_read, process


def _process(order: Order, given: Descriptors, deadline: Deadline) -> Started:
    """The parker, or the one that was begun ahead, or a new one."""
    becoming = _becoming(order)
    taken, plainly = by_parker(order.plan, order.place, becoming, given)
    if taken is not None:
        return taken
    if plainly:
        becoming = replace(becoming, argv=(*becoming.argv, "--plainly", plainly))
    begun, why_not = ahead.become(becoming, given, deadline.timeout_s)
    if begun is not None:
        return begun
    if why_not:
        os.write(given.log, f"started anew: {why_not}\n".encode(errors="backslashreplace"))
    return subprocess.Popen(
        becoming.command(given.plan, given.notify, given.claims),
        stdin=subprocess.DEVNULL,
        stdout=given.log,
        stderr=given.log,
        env=becoming.env,
        cwd=becoming.cwd,
        pass_fds=(given.plan, given.notify, *given.claims),
        start_new_session=True,
    )


def _report(fd: int, deadline: Deadline) -> bytes:
    """The one line that a supervisor reports; empty if it ends without one. Raises TimedOut."""
    readable, _, _ = select.select([fd], [], [], deadline.timeout_s)
    if not readable:
        raise TimedOut(f"the supervisor had not come up after {deadline.given_s:g} s", hint="increase --timeout")
    return os.read(fd, _LINE_BYTES)


def become_supervisor(order: Order) -> NoReturn:
    """Turn this process into the supervisor. Raises PreflightRefused if that fails."""
    plan_fd, nobody = _handed_over(order), os.open(os.devnull, os.O_WRONLY)
    for fd in (plan_fd, nobody, *order.claims):
        os.set_inheritable(fd, True)
    becoming = _becoming(order)
    command = [*becoming.command(plan_fd, nobody, order.claims), "--foreground"]
    os.chdir(order.place.directory)
    try:
        os.execve(command[0], command, becoming.env)
    except OSError as error:
        raise _NoSupervisor(error) from None


def _becoming(order: Order) -> Becoming:
    """The order, with the supervisor's environment: without the command's own variables, with dynkv's path where it
    needs it."""
    environ = {**finding_dynkv(of_supervisor(os.environ)), **order.secrets}
    argv = (*program(order.place.home), *(["--replace"] if order.replaces else []))
    return Becoming(argv, environ, str(order.place.directory), order.place.name)


def _handed_over(order: Order) -> int:
    """A descriptor of an unnamed file with the plan. Raises PreflightRefused."""
    try:
        return unnamed_file(encoded(order.plan), order.place.directory)
    except OSError as error:
        hint = "raise this user's limits, as `ulimit -a` shows them"
        raise PreflightRefused(f"the plan cannot be written: {error.strerror}", hint=hint) from None


def _check(line: bytes, place: Place) -> None:
    if line == TAKEN:
        raise AlreadyRunning(place.name)
    if line == UNCLEAR:
        raise NotUnderstood(place.name, ())
    if line != READY:
        raise NeverCameUp(place.supervisor_log)
