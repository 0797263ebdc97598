"""What a service manager is told about a supervisor in its foreground: that it is ready, how it is, and that it ends.

Source: sd_notify(3) and sd_watchdog_enabled(3) of systemd 252: lines of `KEY=value` in a datagram to the socket named
by NOTIFY_SOCKET, which is a path or, with @ before it, an abstract name.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, MutableMapping

import anyio
from msgspec import Struct

from dynkv.supervisor.board import Board
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import EventLog
from dynkv.supervisor.states import is_well
from dynkv.supervisor.status import DeploymentState, UnitStatus

_PERIOD_S = 0.5
_STATUS_MAX = 200
"""Most characters of the status, which is shown on one line."""
_ENDS = (DeploymentState.STOPPING, DeploymentState.STOPPED)
_SERVES = (DeploymentState.READY, DeploymentState.DEGRADED)


class Manager(Struct, frozen=True):
    address: str
    watchdog_s: float | None = None
    """Seconds without a message after which it takes the supervisor for hung; None if it has no watchdog."""


def manager_of(environ: MutableMapping[str, str], pid: int) -> Manager | None:
    """The manager that the process `pid` reports to; its variables are removed from the environment, for nothing
    else needs them."""
    address = environ.pop("NOTIFY_SOCKET", "")
    usec, watched = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", str(pid))
    if not address.startswith(("/", "@")):
        return None
    is_watched = watched == str(pid) and usec.isascii() and usec.isdecimal() and len(usec) < 20 and int(usec) > 0
    return Manager(address, int(usec) / 1e6 if is_watched else None)


async def keep_told(
    manager: Manager | None, state: Callable[[], DeploymentState], board: Board, events: EventLog
) -> None:
    """Keep the manager informed until cancelled, which is the supervisor's end; does nothing without one."""
    if manager is None:
        return
    line = _Line(manager, events)
    period_s = _PERIOD_S if manager.watchdog_s is None else min(_PERIOD_S, manager.watchdog_s / 4)
    try:
        while True:
            line.tell(news(state(), board.missed))
            await anyio.sleep(period_s)
    except anyio.get_cancelled_exc_class():
        line.tell(news(DeploymentState.STOPPED, ()))
        raise


def news(state: DeploymentState, missed: Iterable[UnitStatus]) -> dict[str, str]:
    """The current message, by key. A start is complete when a real request was answered."""
    waited_for = [f"{unit.name} is {unit.state}" for unit in missed if not is_well(unit.state)]
    words = ": ".join([str(state), *([", ".join(waited_for)] if waited_for else [])])
    if len(words) > _STATUS_MAX:
        words = f"{words[: _STATUS_MAX - 1]}…"
    return {
        **({"READY": "1"} if state in _SERVES else {}),
        **({"STOPPING": "1"} if state in _ENDS else {}),
        "STATUS": words,
    }


class _Line:
    """Sends what is new. A failure is recorded as an event, and the message is sent later."""

    def __init__(self, manager: Manager, events: EventLog) -> None:
        self._manager = manager
        self._events = events
        self._said: dict[str, str] = {}
        self._trouble = ""
        self._sent_at = -1e9

    def tell(self, what: dict[str, str]) -> None:
        new = {key: value for key, value in what.items() if self._said.get(key) != value}
        if not new and not self._is_awaited():
            return
        lines = [f"{key}={value}" for key, value in new.items()]
        lines += [] if self._manager.watchdog_s is None else ["WATCHDOG=1"]
        try:
            send(self._manager.address, "\n".join(lines))
        except OSError as error:
            self._note(str(error))
            return
        self._said |= new
        self._trouble, self._sent_at = "", anyio.current_time()

    def _is_awaited(self) -> bool:
        watchdog_s = self._manager.watchdog_s
        return watchdog_s is not None and anyio.current_time() - self._sent_at >= watchdog_s / 4

    def _note(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self._events.record(EventKind.DEPLOYMENT, "the service manager cannot be told how it is", cause=trouble)


def send(address: str, text: str) -> None:
    """Send without waiting. Raises OSError if nobody receives it."""
    name = os.fsencode(address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.setblocking(False)
        line.connect(b"\0" + name[1:] if name.startswith(b"@") else name)
        line.send(text.encode())
