"""Telling hooks that the deployment is not well, or is well again. Whatever they do cannot affect anything else."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import anyio
from msgspec import Struct
from msgspec.structs import replace

from dynkv import documents
from dynkv.home import Place
from dynkv.plan.hook import Hook
from dynkv.plan.model import Plan
from dynkv.supervisor.board import Board
from dynkv.supervisor.boundary import outliving
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import EventLog
from dynkv.supervisor.hooks import Failure, HookRunner
from dynkv.supervisor.journal import Journal
from dynkv.supervisor.moments import utc_now
from dynkv.supervisor.occasions import Occasion, occasions
from dynkv.supervisor.states import State, is_well
from dynkv.supervisor.status import DeploymentState, UnitStatus

_PERIOD_S = 0.5
_FIRST_PAUSE_S = 1.0
_KEPT_MAX = 20
"""Most notices that wait behind another one."""


class NotWell(Struct, frozen=True):
    """One unit that is not well."""

    name: str
    role: str
    state: str
    reason: str = ""
    hint: str = ""


class Notice(Struct, frozen=True):
    """What has happened; hooks get it as JSON."""

    event: Occasion
    deployment: str
    state: DeploymentState
    at: str
    text: str
    """In words; chat programs display the member with this name."""
    units: tuple[NotWell, ...] = ()
    """Units that are not well."""
    endpoint: str = ""
    host: str = ""
    earlier: tuple[Notice, ...] = ()
    """Notices that had to wait for this one, the oldest first."""


def notice(event: Occasion, plan: Plan, state: DeploymentState, missed: Iterable[UnitStatus]) -> Notice:
    found = [unit for unit in missed if not is_well(unit.state)]
    units = tuple(
        NotWell(it.name, it.role, it.state, *((it.last_exit.reason, it.last_exit.hint) if it.last_exit else ()))
        for it in found
    )
    failed = [it.name for it in found if it.state is State.FAILED]
    text = {
        Occasion.RECOVERED: f"{plan.name} is well again",
        Occasion.DEGRADED: f"{plan.name} is degraded: {', '.join(f'{it.name} is {it.state}' for it in found)}",
        Occasion.FAILED: f"{plan.name}: {', '.join(failed)} stays down",
    }[event]
    return Notice(event, plan.name, state, utc_now(), text, units, plan.endpoint, socket.gethostname())


async def keep_notified(
    plan: Plan, place: Place, state: Callable[[], DeploymentState], board: Board, journal: Journal, events: EventLog
) -> None:
    """Notify until cancelled; does nothing without hooks."""
    if not plan.hooks:
        return
    outboxes = [Outbox(hook, place, events) for hook in plan.hooks]
    async with anyio.create_task_group() as tasks:
        for outbox in outboxes:
            tasks.start_soon(outliving, f"telling {outbox.hook.name}", outbox.run, events)
        while True:
            now, missed = state(), board.missed
            failed = [unit.name for unit in missed if unit.state is State.FAILED]
            new, told = occasions(journal.content.told, now, failed)
            journal.note_told(told)  # first: better not told at all than told twice
            for occasion in new:
                for outbox in outboxes:
                    outbox.put(notice(occasion, plan, now, missed))
            await anyio.sleep(_PERIOD_S)


class Outbox:
    """What one hook is still to be told, and when."""

    def __init__(self, hook: Hook, place: Place, events: EventLog) -> None:
        self.hook = hook
        self._events = events
        self._tell = HookRunner(hook, place).tell
        self._waiting: deque[Notice] = deque(maxlen=_KEPT_MAX)
        self._has_some = anyio.Event()
        self._not_before = -1e9

    def put(self, new: Notice) -> None:
        if new.event in self.hook.on:
            self._waiting.append(new)
            self._has_some.set()

    async def run(self) -> None:
        while True:
            await self._has_some.wait()
            await anyio.sleep_until(self._not_before)
            *earlier, newest = self._waiting
            self._waiting.clear()
            self._has_some = anyio.Event()
            await self._deliver(newest, earlier)
            self._not_before = anyio.current_time() + self.hook.interval_s

    async def _deliver(self, newest: Notice, earlier: Sequence[Notice]) -> None:
        content = documents.encoded(replace(newest, earlier=tuple(earlier)))
        tell = partial(self._tell, content + b"\n", _variables(newest))
        for attempt in range(1, self.hook.retries + 2):
            began = anyio.current_time()
            failure = await tell()
            is_last = failure is None or failure.is_final or attempt > self.hook.retries
            self._record(newest, attempt, failure, is_last, anyio.current_time() - began)
            if is_last:
                return
            await anyio.sleep(_FIRST_PAUSE_S * 2 ** (attempt - 1))

    def _record(self, what: Notice, attempt: int, failure: Failure | None, is_last: bool, took_s: float) -> None:
        name = self.hook.name
        message, cause = f"{name} was told: {what.text}", ""
        if failure is not None:
            again = "it is not tried again" if is_last else "it will be tried again"
            message = f"{name} could not be told that {what.text}: {failure.what}; {again}"
            cause = failure.last_line
        self._events.record(
            EventKind.NOTIFY,
            message,
            cause=cause,
            duration_s=took_s,
            event=what.event,
            ok=failure is None,
            attempt=attempt,
        )


def _variables(what: Notice) -> dict[str, str]:
    units = " ".join(unit.name for unit in what.units)
    return {
        "DYNKV_EVENT": what.event,
        "DYNKV_STATE": what.state,
        "DYNKV_MESSAGE": what.text,
        "DYNKV_UNITS": units,
    }
