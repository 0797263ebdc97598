"""Taking a deployment down, with its supervisor or without."""

from __future__ import annotations

import os
import signal
import time

from dynkv.children.signals import open_process, send
from dynkv.cli.deployments import Deployment, find
from dynkv.cli.progress import progress
from dynkv.cli.report import say
from dynkv.control.client import SupervisorGone
from dynkv.errors import TimedOut
from dynkv.locks import take_lock
from dynkv.supervisor.journal import JournalFile
from dynkv.supervisor.neighbours import supervisor_of

_POLL_S = 0.1
_STUCK_S = 60.0
"""A supervisor that answers nothing for so long will not: on a host under full load it took 10 s."""


def bring_down(name: str | None = None, timeout_s: float | None = None) -> None:
    """What `dynkv down` does and says."""
    deployment = find(name)
    if take_down(deployment, timeout_s):
        say(f"{deployment.place.name} is down")
    else:
        say(f"{deployment.place.name} was already down")


def take_down(deployment: Deployment, timeout_s: float | None = None) -> bool:
    """Return when nothing of it runs any more; whether anything did. Raises TimedOut."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    ran = False
    while (lock := take_lock(deployment.place.lock)) is None:
        ran = True
        _ask_supervisor(deployment, deadline)
    try:  # with the lock, so that no new supervisor takes over what is being ended
        return _end_rest(deployment, deployment.fresh_journal()) or ran
    finally:
        os.close(lock)


def _ask_supervisor(deployment: Deployment, deadline: float | None) -> None:
    """Until its lock is free: it keeps that to the end, and a dead one cannot keep it."""
    client = deployment.client()
    with progress() as shown:
        asked, answered_at = False, time.monotonic()
        while deployment.is_supervised:
            _rouse(deployment, time.monotonic() - answered_at)
            try:
                if not asked:
                    client.down()
                    asked = True
                shown.update(client.status())
                answered_at = time.monotonic()
            except SupervisorGone:
                pass  # on its way out, or killed: the lock tells
            if deadline is not None and time.monotonic() > deadline:
                raise TimedOut(
                    f"{deployment.place.name} is still going down", hint="`dynkv status` shows what takes long"
                )
            time.sleep(_POLL_S)


def _rouse(deployment: Deployment, silent_s: float) -> None:
    """Let a supervisor that is stopped go on, and kill one that is stuck: what it leaves is ended without it."""
    journal = deployment.fresh_journal()
    process = None if journal is None else supervisor_of(journal, deployment.place.home)
    if process is None or not (process.is_stopped or silent_s > _STUCK_S):
        return
    fd = open_process(process.identity)
    if fd is not None:
        send(fd, signal.SIGCONT if process.is_stopped else signal.SIGKILL)
        os.close(fd)


def _end_rest(deployment: Deployment, journal: JournalFile | None) -> bool:
    """What a dead supervisor left; whether there was anything."""
    if journal is not None and journal.stopped:
        return False
    import anyio

    from dynkv.supervisor.salvage import end_survivors

    count = anyio.run(end_survivors, journal, deployment.place)
    if journal is not None:
        deployment.close_journal(journal)
    return count > 0
