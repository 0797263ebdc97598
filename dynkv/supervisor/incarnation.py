"""Everything that lives as long as one process of a unit: a new object for each, so that nothing needs a reset."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import TypeVar

import anyio

from dynkv.children.child import Child, Exit
from dynkv.children.marks import marked_environment
from dynkv.children.output import tail
from dynkv.children.scheduling import Schedule, bring_back
from dynkv.home import Place
from dynkv.host.limits import descriptors_left
from dynkv.host.oom import oom_kills
from dynkv.plan.model import Role, Unit
from dynkv.probes import streak
from dynkv.probes.worker import News, Phase, probing
from dynkv.reclaim.sidecar import Registrations, registrations_in
from dynkv.supervisor.background import goes_on_without
from dynkv.supervisor.boundary import outliving
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.inbox import Ask, Request
from dynkv.supervisor.journal import ChildRecord
from dynkv.supervisor.life import Life, secrets_of
from dynkv.supervisor.liveness import until_hung, until_idle
from dynkv.supervisor.loras import with_loras
from dynkv.supervisor.moments import seconds_of, utc_now
from dynkv.supervisor.slot import Slot
from dynkv.supervisor.standby import StandbyRunner
from dynkv.supervisor.states import State, is_running
from dynkv.supervisor.status import ProbeStatus
from dynkv.supervisor.strangers import who_answers_instead
from dynkv.supervisor.survivors import root_of
from dynkv.supervisor.turns import Turn
from dynkv.supervisor.upkeep import until_unrouted
from dynkv.supervisor.verdict import IDLE_AFTER_FORK, Ending, Reason, Verdict, verdict

_LOOKED_AT_LINES = 1000
_CPUS_LOOK_S = 0.5
_SPARE_DESCRIPTORS = 24
"""Descriptors kept free to supervise running units and answer clients when nothing more can be started."""
T = TypeVar("T")


class Incarnation:
    def __init__(
        self,
        life: Life,
        child: Child,
        turn: Turn,
        *,
        started_at: str,
        began: float | None,
        standby: StandbyRunner | None,
    ) -> None:
        """`began`: when this supervisor spawned the process, if it did; `standby`: what it was forked from, if
        anything.

        Does nothing that could fail: until the caller has the object, nobody could end the process.
        """
        self.child = child
        self.turn = turn
        """The turn on its GPUs, held until its startup probe has passed."""
        self.started_at = started_at
        self.registrations: Registrations = frozenset()
        """The ids under which it has registered itself at the sidecar."""
        self.first_ready = anyio.Event()
        self._life = life
        self._began = began
        self._standby = standby
        self._oom_kills_before: int | None = None
        self._goes_on_without = False

    @property
    def is_from_standby(self) -> bool:
        """Whether it was forked from the standby."""
        return self._standby is not None

    @property
    def exit(self) -> Exit:
        return self.child.exit or Exit()

    def introduce(self) -> None:
        """Make it known: first to a later supervisor, through the journal."""
        child, life = self.child, self._life
        self._remember()
        life.publish(pid=child.pid, started_at=self.started_at, log_start_byte=child.log_start_byte)
        self._oom_kills_before = oom_kills()

    def _remember(self) -> None:
        child, life = self.child, self._life
        record = ChildRecord(
            pid=child.pid,
            start_ticks=child.root.start_ticks,
            incarnation=child.root.incarnation,
            digest=life.unit.digest(),
            ports=life.unit.ports,
            started_at=self.started_at,
            log_start_byte=child.log_start_byte,
            registrations=tuple(sorted(self.registrations)),
        )
        life.shared.journal.remember(life.unit.name, record)

    def last_lines(self) -> tuple[str, ...]:
        """The last lines of its log, unchanged."""
        return tuple(tail(self._life.log, _LOOKED_AT_LINES, self.child.log_start_byte))

    def verdict(self, ending: Ending) -> Verdict:
        """What its end means."""
        return verdict(
            self._life.unit.role,
            ending,
            self.exit,
            self.last_lines(),
            utc_now(),
            oom_killed=self._oom_kills_before is not None and oom_kills() > self._oom_kills_before,
            goes_on_without=self._goes_on_without,
        )

    def has_completed(self, ending: Ending) -> bool:
        """Whether it was a job that completed: nobody requested its end, and its parent knows that it exited with 0."""
        return self._life.unit.role is Role.JOB and ending.request is None and self.exit.code == 0

    def learn_registrations(self) -> None:
        """Find its registrations in its log and keep them, since the log may be rotated, in the journal too."""
        life = self._life
        if self.registrations or life.shared.sidecar_of(life.unit) is None:
            return
        self.registrations = registrations_in(life.log, self.child.log_start_byte, seconds_of(self.started_at))
        if self.registrations:
            self._remember()

    async def serve(self, slot: Slot) -> Ending:
        """Follow the probes until it dies, is asked to end, or fails to become ready; returns why it ends.

        The first reason counts, and the state shows it at once: later requests are about what comes next.
        """
        ending: Ending | None = None

        def end(new: Ending) -> None:
            nonlocal ending
            ending = new
            self._life.go(State.STOPPING if new.is_stop else State.RECYCLING, new.cause, reason=new.reason)
            serving.cancel_scope.cancel()

        async def on(what: str, why: Callable[[], Awaitable[str]], reason: Reason) -> None:
            cause = await self._outliving(what, why)
            if ending is None:
                end(Ending(cause, unasked=reason))

        async def on_request() -> None:
            while ending is None:
                await slot.asked()
                if ending is None and (request := slot.take()) is not None:
                    end(Ending(request.cause, request))

        async with anyio.create_task_group() as serving:
            serving.start_soon(on_request)
            for what, why, reason in (
                ("the end", self._exit, Reason.DIED),
                ("probes", self._probes, Reason.NOT_READY),
                ("the hang check", self._hang, Reason.HUNG),
                ("the start", self._idle, Reason.NOT_READY),
            ):
                serving.start_soon(on, what, why, reason)
            serving.start_soon(self._outliving, "discovery entries", partial(self._stay_routed, slot))
            serving.start_soon(self._outliving, "CPUs", self._keep_cpus)
        assert ending is not None, "nothing else ends the tasks"
        lived_s = None if self._began is None else anyio.current_time() - self._began
        self._goes_on_without = await goes_on_without(self.child, self._life.unit.role, lived_s)
        return ending

    async def _outliving(self, what: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do `work` again after a fault: observing the unit must not end it."""
        return await outliving(f"{what} of {self._life.unit.name}", work, self._life.shared.events)

    # --- why it may end ---

    async def _exit(self) -> str:
        await self.child.exited.wait()
        return str(self.child.exit)

    async def _hang(self) -> str:
        liveness = self._life.unit.probes.liveness
        if liveness is None:
            await anyio.sleep_forever()
            raise AssertionError("never comes back")
        figures, note = self._life.shared.figures, self._life.note_hang_check
        return await until_hung(self.child, liveness, self.first_ready, self._passes, figures=figures, note=note)

    async def _idle(self) -> str:
        if not self.is_from_standby:
            await anyio.sleep_forever()
        await until_idle(self.child, self.first_ready)
        return IDLE_AFTER_FORK

    async def _probes(self) -> str:
        """Turn probe results into states; returns why it will never be ready."""
        detail = ""
        async with aclosing(probing(self._life.unit.probes, figures=self._life.shared.figures)) as results:
            async for news in results:
                detail = news.attempt.detail
                if news.phase is Phase.STARTUP:
                    if news.attempt.is_heard and (other := await who_answers_instead(self._life.unit, self.child)):
                        self._life.publish(probe=_status_of(news))
                        return other
                    self._on_startup(news)
                else:
                    self._on_readiness(await with_loras(self._life, news))
        return f"its startup probe never passed: {detail}"

    def _on_startup(self, news: News) -> None:
        if not is_running(self._life.state):
            return  # it is ending, and this is a late answer
        has_started = news.verdict is streak.Verdict.PASSED
        if has_started:
            self.turn.release()
        self._life.publish(probe=_status_of(news), started=has_started or self._life.status.started)

    def _on_readiness(self, news: News) -> None:
        if not is_running(self._life.state) or self._life.unit.role is Role.JOB:
            return  # for a job only its exit shows whether it is well
        self._life.publish(probe=_status_of(news))
        if news.verdict is streak.Verdict.PASSED and self._life.state is not State.READY:
            self._get_ready()
        elif news.verdict is streak.Verdict.FAILED and self._life.state is State.READY:
            self._life.go(State.UNREADY, news.attempt.detail)

    def _get_ready(self) -> None:
        took = None
        if not self.first_ready.is_set() and self._began is not None:
            took = round(anyio.current_time() - self._began, 3)
            self._life.publish(ready_after_s=took)
        self.first_ready.set()
        if self._standby is not None:
            self._standby.praise()
        self.learn_registrations()
        self._life.go(State.READY, "readiness probe passed", duration_s=took)

    def _passes(self) -> bool:
        """Whether readiness passes, by its streak, so that one slow answer counts once however often this is called."""
        return self._life.state is not State.UNREADY

    # --- what is maintained meanwhile ---

    async def _stay_routed(self, slot: Slot) -> None:
        cause = await until_unrouted(self._life, self.child, self.first_ready)
        slot.put(Request(Ask.RESTART, cause, by_itself=True))

    async def _keep_cpus(self) -> None:
        """Restore the CPUs: during its start, vLLM's NixlConnector binds each worker to the host's last core, all to
        the same one (vllm 0.31.0); if another worker polls there without pause, the rest of the start takes four
        times as long."""
        cpus = self._life.unit.cpus
        if not cpus:
            return
        while True:
            bring_back(self.child.tree(), cpus)
            if self.first_ready.is_set():
                return
            with anyio.move_on_after(_CPUS_LOOK_S):
                await self.first_ready.wait()


async def start(life: Life, turn: Turn, standby: StandbyRunner | None) -> Incarnation:
    """Start a new process, from the standby if possible. Raises OSError or ValueError if that fails."""
    if descriptors_left() < _SPARE_DESCRIPTORS:
        raise OSError(errno.EMFILE, "this process may not open more files")
    unit, env = life.unit, _environment(life.unit, life.shared.place)
    schedule = Schedule(unit.nice, unit.cpus)
    child = None if standby is None else await standby.launch(unit.name, unit.argv, env, life.log, schedule)
    forked_from = standby if child is not None else None
    child = child or Child.spawn(unit.argv, env, life.log, schedule=schedule)
    return Incarnation(life, child, turn, started_at=utc_now(), began=anyio.current_time(), standby=forked_from)


def take_over(life: Life, record: ChildRecord, turn: Turn) -> Incarnation | None:
    """Take over the process that another supervisor left; None if it has just ended."""
    child = Child.adopt(root_of(record), record.log_start_byte)
    if child is None:
        return None
    life.event(EventKind.ADOPT, f"took over pid {child.pid}", cause="from an earlier supervisor")
    taken = Incarnation(life, child, turn, started_at=record.started_at, began=None, standby=None)
    taken.registrations = frozenset(record.registrations)
    return taken


def _status_of(news: News) -> ProbeStatus:
    return ProbeStatus(news.attempt.ok, round(news.attempt.latency_s, 4), news.attempt.detail)


def _environment(unit: Unit, place: Place) -> dict[str, str]:
    env = {**unit.env, **secrets_of(unit), **place.own_tmpdir(unit.name)}
    return marked_environment(place.home, place.name, unit.name, env)
