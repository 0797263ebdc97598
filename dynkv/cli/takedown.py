"""Taking a deployment down, with or without its supervisor."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from dynkv.cli.deployments import Deployment, find
from dynkv.cli.inherited import let_signals_come
from dynkv.cli.poll import SILENT, NotYet, poll
from dynkv.cli.progress import progress
from dynkv.cli.report import say
from dynkv.cli.streams import persevere
from dynkv.control.client import Client, SupervisorGone
from dynkv.control.deadline import Deadline
from dynkv.errors import TimedOut
from dynkv.locks import take_lock
from dynkv.supervisor.journal import JournalFile
from dynkv.supervisor.neighbours import supervisor_of

if TYPE_CHECKING:
    from dynkv.cli.progress import Show

_STUCK_S = 60.0
"""A supervisor silent for this long will stay so: on a host under full load an answer took 10 s."""


def bring_down(name: str | None = None, timeout_s: float | None = None) -> None:
    """Carry out `dynkv down` and report."""
    let_signals_come()
    persevere()
    deployment = find(name)
    if take_down(deployment, Deadline(timeout_s)):
        say(f"{deployment.place.name} is down")
    else:
        say(f"{deployment.place.name} was already down")


def take_down(deployment: Deployment, deadline: Deadline | None = None) -> bool:
    """Return when nothing of the deployment runs any more; whether anything did. Raises TimedOut."""
    deadline = deadline or Deadline()
    ran = False
    while (lock := _lock_of_nobody(deployment)) is None:
        ran = True
        see_off(deployment, deadline, Client.down, goal=f"{deployment.place.name} was not down")
    try:  # with the lock, so that no new supervisor takes over what is being ended
        return _end_rest(deployment, deployment.fresh_journal(), deadline) or ran
    finally:
        os.close(lock)


def _lock_of_nobody(deployment: Deployment) -> int | None:
    """The lock of a deployment without a supervisor; None if there is one, also one whose lock file was removed and
    replaced by ours."""
    if deployment.is_supervised:
        return None
    lock = take_lock(deployment.place.lock)
    if lock is not None and supervisor_of(deployment.place) is not None:  # it has just come up
        os.close(lock)
        return None
    return lock


def see_off(deployment: Deployment, deadline: Deadline, ask: Callable[[Client], None], *, goal: str) -> None:
    """Return when the supervisor, which `ask` tells to go, is gone. Raises TimedOut, and whatever `ask` raises."""
    with progress() as show:
        farewell = _Farewell(deployment, deadline, show, ask)
        poll(farewell, deadline, deployment, goal=goal, hint="`dynkv status` shows what takes long")


class _Farewell:
    """Check whether a supervisor that was told to go is gone: it keeps its lock to the end."""

    def __init__(self, deployment: Deployment, deadline: Deadline, show: Show, ask: Callable[[Client], None]) -> None:
        self._deployment = deployment
        self._client = deployment.client(deadline)
        self._show = show
        self._ask = ask
        self._is_asked = False
        self._answered_at = time.monotonic()

    def __call__(self) -> bool | NotYet:
        if not self._deployment.is_supervised:
            return True
        _rouse(self._deployment, time.monotonic() - self._answered_at)
        try:
            if not self._is_asked:
                self._ask(self._client)
                self._is_asked = True
            status = self._client.status()
        except SupervisorGone:  # exiting, or killed
            return NotYet(SILENT)
        self._answered_at = time.monotonic()
        self._show(status)
        return NotYet(f"it is {status.state}")


def _rouse(deployment: Deployment, silent_s: float) -> None:
    """Resume a suspended supervisor, and kill a stuck one: its processes are ended without it."""
    process = supervisor_of(deployment.place)
    if process is None or not (process.is_stopped or silent_s > _STUCK_S):
        return
    from dynkv.children.held import send_to

    send_to(process.identity, signal.SIGCONT if process.is_stopped else signal.SIGKILL)


def _end_rest(deployment: Deployment, journal: JournalFile | None, deadline: Deadline) -> bool:
    """End what a dead supervisor left; whether there was anything."""
    import anyio

    count = anyio.run(_ended_in_time, deployment, journal, deadline)
    if journal is not None and not journal.stopped:
        deployment.close_journal(journal)
    return count > 0


async def _ended_in_time(deployment: Deployment, journal: JournalFile | None, deadline: Deadline) -> int:
    import anyio

    from dynkv.supervisor.salvage import end_survivors

    with anyio.move_on_after(deadline.timeout_s):
        return await end_survivors(journal, deployment.place)
    raise TimedOut(
        f"{deployment.place.name} was not down after {deadline.given_s:g} s: what still runs has no supervisor",
        hint="run `dynkv down` again to continue",
    )
