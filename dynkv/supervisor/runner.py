"""The life of one unit: the only writer of its state and of its snapshot.

Others ask it for things (`ask`) and read the board. It waits for what the unit depends on, starts it,
follows its probes, and when it ends clears up behind it before it may start again.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from traceback import format_exception

import anyio

from dynkv.children.child import Child, Exit
from dynkv.children.lines import telling
from dynkv.children.oom import oom_kills
from dynkv.children.output import tail
from dynkv.children.scheduling import Schedule, bring_back
from dynkv.children.stop import Stopped, kill_tree, stop
from dynkv.children.tree import Host, marked_environment, tree_of
from dynkv.doctor.sockets import ports_of
from dynkv.home import Place
from dynkv.plan.model import Role, Unit
from dynkv.probes.streak import Verdict
from dynkv.probes.worker import News, Phase, probing
from dynkv.reclaim.discovery import Entries, purge
from dynkv.reclaim.gpu import wait_for_memory
from dynkv.reclaim.ports import held_by_others, wait_for_ports
from dynkv.reclaim.shared_memory import remove_of
from dynkv.reclaim.sidecar import Outcome, Registrations, Sidecar, registrations_in, release
from dynkv.supervisor.board import Board
from dynkv.supervisor.diagnosis import Diagnosis, diagnose
from dynkv.supervisor.events import EventLog, utc_now
from dynkv.supervisor.journal import ChildRecord, Journal
from dynkv.supervisor.liveness import until_hung, until_idle
from dynkv.supervisor.restart import backoff_s
from dynkv.supervisor.salvage import root_of
from dynkv.supervisor.standby import Standby
from dynkv.supervisor.states import State, advance, has_ended
from dynkv.supervisor.status import LastExit, ProbeStatus, UnitStatus
from dynkv.supervisor.turns import Turn, Turns

_TAIL_LINES = 12
"""Of a dead child's log, in its status: with what stands around them, they fit on a screen."""
_LOOKED_AT_LINES, _DIAGNOSED_LINES = 1000, 200
_WORTH_TELLING_S = 0.5
_HUNG_STOP_S = 3.0
_DRAINED_STOP_S = 12.0
"""A worker without requests ends within 9 s of SIGTERM, 5 of them Dynamo's grace period (measured)."""
_KEEP_PERIOD_S = 2.0
_CPUS_LOOK_S = 0.5
_SOCKETS_AGE_S = 1.0
_UNROUTED_S = 60.0
"""A worker that is ready is in discovery within a second."""
_AFTER_FAULT_S = 1.0
_FREED_WITHIN_S = 2.0
"""Measured: 0.1 s after the last process that mapped it has let go (H100)."""
_WAY_ON: dict[State, tuple[State, ...]] = {
    State.PENDING: (),
    State.STARTING: (State.RECYCLING, State.RECLAIMING, State.BACKOFF),
    State.READY: (State.RECYCLING, State.RECLAIMING, State.BACKOFF),
    State.UNREADY: (State.RECYCLING, State.RECLAIMING, State.BACKOFF),
    State.RECYCLING: (State.RECLAIMING, State.BACKOFF),
    State.RECLAIMING: (State.BACKOFF,),
    State.BACKOFF: (),
    State.STOPPING: (State.STOPPED,),
    State.STOPPED: (),
    State.FAILED: (),
}
"""The states to go through after a fault, to one from which the unit can go on."""


_IMPORTS_DEADLINE_S = 120.0
"""Measured: 8 to 22 s, on a cold disk too."""
_IDLE_AFTER_FORK = "it did nothing for a while after it had started from the standby"
_SENT_BY_OTHERS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_FOLLOWING = (State.STARTING, State.READY, State.UNREADY)


class Ask(StrEnum):
    """What can be asked of a unit."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Request:
    ask: Ask
    cause: str
    final: bool = False
    """The whole deployment is on its way down."""
    follows: bool = False
    """Another unit's restart is the reason."""
    is_scaling: bool = False
    """It is stopped because fewer of its role are wanted."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the runners of one deployment have in common."""

    place: Place
    board: Board
    events: EventLog
    journal: Journal
    turns: Turns
    discovery_dir: Path | None = None
    sidecar: Sidecar | None = None
    standbys: tuple[Standby, ...] = ()

    def standby_of(self, unit: Unit) -> Standby | None:
        """The one that the unit may start from."""
        return next((standby for standby in self.standbys if unit.role in standby.spare.roles), None)


async def _nobody_maps(owner: str) -> None:
    """For a unit on its own."""


class Runner:
    def __init__(
        self,
        unit: Unit,
        shared: Shared,
        adopted: ChildRecord | None = None,
        restart_sidecar: Callable[[str], None] = lambda cause: None,
        restart_followers: Callable[[str], None] = lambda leader: None,
        restart_mappers: Callable[[str], Awaitable[None]] = _nobody_maps,
    ) -> None:
        """`restart_sidecar` asks for that, when a registration cannot be released otherwise.

        `restart_followers` is told of each restart that is not itself one of a follower. `restart_mappers` is for
        GPU memory that is still used, and by no process on that GPU.
        """
        self.unit = unit
        self.log = shared.place.logs / f"{unit.name}.log"
        self._scratch = shared.place.scratch(unit.name)
        self._restart_sidecar = restart_sidecar
        self._restart_followers = restart_followers
        self._restart_mappers = restart_mappers
        self._registrations: Registrations = frozenset()
        self.child: Child | None = None
        self._adopted = adopted
        self._shared = shared
        self._state = State.PENDING
        self._request: Request | None = None
        self._asked = anyio.Event()
        self._turn = Turn()
        self._deaths: list[float] = []
        self._restarts = 0
        self._spawned_at: float | None = None
        self._spawned_wall: str | None = None
        self._ready_after_s: float | None = None
        self._started = False
        self._probe: ProbeStatus | None = None
        self._last_exit: LastExit | None = None
        self._first_ready = anyio.Event()
        self.has_been_ready = adopted is not None
        """In this incarnation or an earlier one."""
        self._is_hopeless = False
        self._oom_kills_before = oom_kills()
        self._waiting_for: str | None = None
        self._is_wanted = True
        self._standby = shared.standby_of(unit)
        self._is_warm = False
        self._starts_plainly = False
        self._publish()

    @property
    def registrations(self) -> Registrations:
        """The ids under which the living incarnation has registered itself at the sidecar."""
        return self._registrations

    def ask(
        self, ask: Ask, cause: str, *, final: bool = False, follows: bool = False, is_scaling: bool = False
    ) -> None:
        """Ask for something; the newest request counts, and asking twice is asking once."""
        if ask is Ask.START and self._state not in (State.STOPPED, State.FAILED, State.BACKOFF):
            return
        if follows and (self._request is not None or self._state not in _FOLLOWING):
            return  # it ends for a reason of its own, or does not run
        self._request = Request(ask, cause, final, follows, is_scaling)
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled. Each step leaves the unit in the state of the next one."""
        steps: dict[State, Callable[[], Awaitable[None]]] = {
            State.PENDING: self._wait_for_dependencies,
            State.STARTING: self._live,
            State.BACKOFF: self._back_off,
            State.STOPPED: self._rest,
            State.FAILED: self._rest,
        }
        while True:
            try:
                await steps[self._state]()
            except Exception as error:  # noqa: BLE001 (a fault in one unit's care must not end the others')
                await self._outlive(error)

    # --- the steps, in the order of a life ---

    async def _wait_for_dependencies(self) -> None:
        if self._adopted is not None:
            self._go(State.STARTING, "a dead supervisor's child is taken over")
            return
        if not await self._unless_asked(self._dependencies_and_turn):
            self._answer_request_without_child()
            return
        self._go(State.STARTING, self._start_cause())

    async def _live(self) -> None:
        """From the start of the process until nothing of it is left."""
        record, self._adopted = self._adopted, None
        child = await self._spawn() if record is None else self._take_over(record)
        if child is None and record is not None:
            await self._clear_up_behind(record)
        if child is None:
            return
        self._publish()
        async with anyio.create_task_group() as watching:
            watching.start_soon(child.watch)
            cause = await self._serve(child)
            self._purge_discovery()
            self._turn.release()
            request = self._take_request() if self._request is not None else None
            stopping = request is not None and request.ask is Ask.STOP
            self._go(State.STOPPING if stopping else State.RECYCLING, request.cause if request else cause)
            if not stopping and not (request is not None and request.follows):
                self._restart_followers(self.unit.name)
            stopped = await stop(child, self._stop_deadline_s(child, request))
            self._purge_discovery()  # once more: on a busy host its sockets may close after it has ended
            watching.cancel_scope.cancel()
        self._learn_registrations()
        if request is None and self._blames_standby(child, cause):
            self._starts_plainly = True
            await self._make_room(child, cause, stopped, Request(Ask.RESTART, "it starts again the plain way"))
            return
        self._note_exit(child, request.cause if request else cause, planned=request is not None)
        if stopping:
            await self._reclaim(child, final=request is not None and request.final)
            self._go(State.STOPPED, _in_words(stopped), killed=stopped.killed, left=list(stopped.left))
        else:
            await self._make_room(child, cause, stopped, request)

    def _stop_deadline_s(self, child: Child, request: Request | None) -> float:
        if request is None and not child.exited.is_set():
            return _HUNG_STOP_S  # it takes no notice of SIGTERM, and holds up what waits for it
        if request is not None and request.final and self.unit.role.is_worker:
            # the frontend has drained before: what takes longer now hangs, as vLLM on a GPU does (0.23.0)
            return min(self.unit.stop_timeout_s, _DRAINED_STOP_S)
        return self.unit.stop_timeout_s

    async def _spawn(self) -> Child | None:
        """None if it could not be started; the unit is then on its way to a next try."""
        unit, env, schedule = self.unit, self._environment(), Schedule(self.unit.nice, self.unit.cpus)
        try:
            child = None
            if self._standby is not None and not self._starts_plainly:
                child = await self._standby.launch(unit.name, unit.argv, env, self.log, schedule)
            self._starts_plainly, self._is_warm = False, child is not None
            child = self.child = child or Child.spawn(unit.argv, env, self.log, schedule=schedule)
        except (OSError, ValueError) as error:
            self._turn.release()
            self._die_at_birth(error)
            return None
        self._spawned_at, self._spawned_wall = anyio.current_time(), utc_now()
        self._first_ready, self._oom_kills_before = anyio.Event(), oom_kills()
        self._record_child(child)
        return child

    def _take_over(self, record: ChildRecord) -> Child | None:
        """The child that another supervisor left; None if it has just gone."""
        child = Child.adopt(root_of(record), record.log_start_byte)
        if child is not None:
            self.child, self._spawned_wall = child, record.started_at
            self._shared.journal.remember(self.unit.name, record)
            self._event("adopt", f"took over pid {child.pid}", cause="its supervisor died")
        return child

    async def _clear_up_behind(self, record: ChildRecord) -> None:
        """A child that was to be taken over has died, and what it started may live."""
        cause = f"pid {record.pid} died before it could be taken over"
        self._go(State.RECYCLING, cause)
        self._purge_discovery()
        root = root_of(record)
        await kill_tree(lambda: tree_of(root, Host.now()))
        self._go(State.RECLAIMING, cause)
        if self._shared.sidecar is not None and self.unit.role.is_worker:
            self._registrations = registrations_in(self.log, record.log_start_byte)
        await self._give_back()
        self._deaths.append(anyio.current_time())
        self._go(State.BACKOFF, cause)

    async def _back_off(self) -> None:
        if self._is_hopeless:
            self._go(State.FAILED, "starting it again cannot help")
            return
        delay = backoff_s(self.unit.restart, self._deaths, anyio.current_time())
        if delay is None:
            spent = f"{self.unit.restart.max_restarts} restarts within {self.unit.restart.window_s:g} s are used up"
            self._go(State.FAILED, spent)
            return
        self._waiting_for = f"backoff of {delay:g} s"
        self._publish()
        if await self._unless_asked(lambda: anyio.sleep(delay)):
            self._restarts += 1
            self._go(State.PENDING, f"after {delay:g} s of backoff")
        else:
            self._answer_request_without_child()

    async def _rest(self) -> None:
        await self._asked.wait()
        request = self._take_request()
        if request.ask is not Ask.STOP:
            self._deaths.clear()
            self._is_hopeless = False
            self._go(State.PENDING, request.cause)

    # --- one incarnation ---

    async def _serve(self, child: Child) -> str:
        """Follow the probes until the child dies, is asked to end, or never gets ready; why it ended."""
        cause = ""

        async def give_up(reason: str) -> None:
            nonlocal cause
            cause = reason
            serving.cancel_scope.cancel()

        async def on_exit() -> None:
            await child.exited.wait()
            await give_up(str(child.exit))

        async def on_request() -> None:
            await self._asked.wait()
            await give_up("asked")

        async def on_probes() -> None:
            await give_up(await self._follow_probes(child))

        async def on_idle() -> None:
            if self._is_warm:
                await until_idle(child, self._first_ready)
                await give_up(_IDLE_AFTER_FORK)

        async def on_hang() -> None:
            liveness = self.unit.probes.liveness
            if liveness is not None:
                await give_up(await until_hung(child, liveness, self._first_ready, self._passes))

        async with anyio.create_task_group() as serving:
            for task in (on_exit, on_request, on_probes, on_hang, on_idle):
                serving.start_soon(task)
            serving.start_soon(self._keep_discovery, child)
            serving.start_soon(self._keep_cpus, child)
        return cause

    async def _follow_probes(self, child: Child) -> str:
        """Turn results into states; returns why, when the unit will never be ready."""
        async with aclosing(probing(self.unit.probes)) as results:
            async for news in results:
                self._probe = ProbeStatus(news.attempt.ok, round(news.attempt.latency_s, 4), news.attempt.detail)
                if news.phase is Phase.STARTUP:
                    if news.verdict is Verdict.PASSED and (other := await self._who_answers_instead(child)):
                        return other
                    self._on_startup(news)
                else:
                    self._on_readiness(news)
                self._publish()
        return f"its startup probe never passed: {self._probe.detail if self._probe else ''}"

    async def _who_answers_instead(self, child: Child) -> str | None:
        """What answers at the unit's ports may be a stranger that took them while it was starting."""
        ports = {check.port for check in self.unit.probes.startup.checks} & {*self.unit.ports.values()}
        if not ports:
            return None
        for age_s in (_SOCKETS_AGE_S, 0.0):
            if ports <= ports_of((process.pid for process in child.members()), age_s):
                return None  # as is the rule; looking at all processes of the host takes a hundred times longer
        return await held_by_others(ports, lambda: [process.pid for process in child.tree()])

    def _passes(self) -> bool:
        """By its streak, so that one slow answer counts once however often this is asked."""
        return self._state is not State.UNREADY

    def _on_startup(self, news: News) -> None:
        if news.verdict is Verdict.PASSED:
            self._started = True
            self._turn.release()

    def _on_readiness(self, news: News) -> None:
        if news.verdict is Verdict.PASSED and self._state is not State.READY:
            took = None
            if self._ready_after_s is None and self._spawned_at is not None:
                took = self._ready_after_s = round(anyio.current_time() - self._spawned_at, 3)
            self._first_ready.set()
            self.has_been_ready = True
            if self._is_warm and self._standby is not None:
                self._standby.praise()
            self._learn_registrations()
            self._go(State.READY, "readiness probe passed", duration_s=took)
        elif news.verdict is Verdict.FAILED and self._state is State.READY:
            self._go(State.UNREADY, news.attempt.detail)

    async def _make_room(self, child: Child, cause: str, stopped: Stopped, request: Request | None) -> None:
        """Clear up for the next incarnation; a restart that was asked for neither waits nor costs budget."""
        self._go(State.RECLAIMING, _in_words(stopped), killed=stopped.killed, left=list(stopped.left))
        await self._reclaim(child)
        if request is None:
            self._deaths.append(anyio.current_time())
            self._go(State.BACKOFF, cause)
        else:
            self._go(State.BACKOFF, request.cause)
            self._restarts += 1
            self._go(State.PENDING, request.cause)

    async def _reclaim(self, child: Child, *, final: bool = False) -> None:
        """Give back what the dead child held, so that its successor finds the host as the plan expects it."""
        child.reap()
        self.child = None
        if removed := remove_of(child.pids, since=self._spawned_at_wall()):
            self._event("shared-memory", f"removed {len(removed)} files that it left in /dev/shm", files=removed)
        self._spawned_at, self._started, self._ready_after_s, self._probe = None, False, None, None
        await self._give_back(final=final)

    async def _give_back(self, *, final: bool = False) -> None:
        shutil.rmtree(self._scratch, ignore_errors=True)
        if not final:  # otherwise the sidecar goes too
            await self._release_registrations()
        began = anyio.current_time()
        holders = await wait_for_ports(self.unit.ports)
        for port, holder in holders.items():
            self._event("port", f"port {port} is still held by {holder}", duration_s=anyio.current_time() - began)

    async def _outlive(self, fault: Exception) -> None:
        """After a fault of dynkv itself: tell, end what is left of the child, and go on as after a death."""
        self._event(
            "fault", f"{type(fault).__name__}: {fault}", cause="a fault in dynkv", trace=format_exception(fault)
        )
        self._turn.release()
        self._purge_discovery()
        if self.child is not None:
            await kill_tree(self.child.tree)
            self.child.reap()
            self.child = None
        self._deaths.append(anyio.current_time())
        for state in _WAY_ON[self._state]:
            self._go(state, "a fault in dynkv")
        await anyio.sleep(_AFTER_FAULT_S)

    def _blames_standby(self, child: Child, cause: str) -> bool:
        """Whether it may have died of having been forked; that counts against the standby, and not against the unit."""
        exit_ = child.exit or Exit()
        if self._standby is None or not self._is_warm or self._first_ready.is_set():
            return False
        by_itself = cause == str(exit_) and exit_.signal not in _SENT_BY_OTHERS
        found = diagnose(exit_, self._last_lines(child))
        if found.permanent or not (by_itself or cause == _IDLE_AFTER_FORK):
            return False
        reason = found.reason if by_itself else cause
        self._event("standby", "died before it was ready, after a start from the standby", cause=reason)
        if by_itself:
            self._standby.blame()
        return True

    # --- small parts ---

    async def _dependencies_and_turn(self) -> None:
        board, needs = self._shared.board, self.unit.depends_on
        while (unmet := board.unmet(needs)) is not None:
            self._wait_for(f"{unmet.unit} to be {unmet.condition}")
            await board.until(lambda: board.unmet(needs) != unmet)
        if self._standby is not None and not self._starts_plainly:
            self._wait_for("the imports that workers share")
            with anyio.move_on_after(_IMPORTS_DEADLINE_S) as waiting:
                await self._standby.settled()
            if waiting.cancelled_caught:
                self._event(
                    "standby", "starts the plain way", cause=f"the imports take more than {_IMPORTS_DEADLINE_S:g} s"
                )
                self._starts_plainly = True
        self._wait_for("its turn on the GPU" if self.unit.gpus else None)
        self._turn = await self._shared.turns.take(self.unit.gpus)
        await self._gpu_memory()
        self._wait_for(None)

    async def _gpu_memory(self) -> None:
        fraction = self.unit.gpu_memory_fraction
        if fraction is None:
            return
        began = anyio.current_time()
        short = await wait_for_memory(self.unit.gpus, fraction, self._wait_for, _FREED_WITHIN_S)
        if short:
            if all(shortage.is_mapped_elsewhere for shortage in short):
                await self._restart_mappers(self.unit.name)
            short = await wait_for_memory(self.unit.gpus, fraction, self._wait_for)
        took = anyio.current_time() - began
        for shortage in short:
            self._event("gpu-memory", str(shortage), cause="starting all the same", duration_s=took)
        if not short and took > _WORTH_TELLING_S:
            self._event("gpu-memory", "the memory that it needs is free", duration_s=took)

    async def _keep_cpus(self, child: Child) -> None:
        """While it starts, vLLM's NixlConnector binds each worker to the last core of the host, all to the same (vllm
        0.31.0); where another one polls without pause, the rest of the start then takes four times as long."""
        if not self.unit.cpus:
            return
        while True:
            bring_back(child.tree(), self.unit.cpus)
            if self._first_ready.is_set():
                return
            with anyio.move_on_after(_CPUS_LOOK_S):
                await self._first_ready.wait()

    def _learn_registrations(self) -> None:
        if self._shared.sidecar is not None and self.unit.role.is_worker and self.child is not None:
            found = registrations_in(self.log, self.child.log_start_byte)
            self._registrations = found or self._registrations

    async def _release_registrations(self) -> None:
        sidecar, dead = self._shared.sidecar, self._registrations
        if sidecar is None or not dead:
            return
        self._registrations = frozenset()
        began = anyio.current_time()
        outcome = await release(sidecar, dead, holds_gpu=self.unit.gpu_memory_fraction is not None)
        self._event("sidecar", str(outcome), cause="the worker died", duration_s=anyio.current_time() - began)
        if outcome is Outcome.KEPT and self.unit.gpu_memory_fraction is not None:
            self._restart_sidecar(f"it does not let go of {self.unit.name}'s GPU memory; what it held in L1 is lost")

    async def _keep_discovery(self, child: Child) -> None:
        directory = self._shared.discovery_dir
        if directory is None or not self.unit.role.is_worker:
            return
        await self._first_ready.wait()
        entries = Entries(directory, lambda: [process.pid for process in child.tree()])
        seen_at, error = anyio.current_time(), ""
        while True:
            if self._state is State.READY and not child.is_stopped:
                error = self._keep_entries(entries, error)
            if self._state is not State.READY or not entries.is_unknown:
                seen_at = anyio.current_time()
            elif anyio.current_time() > seen_at + _UNROUTED_S:
                self.ask(Ask.RESTART, "it is not in discovery, so that nothing is routed to it")
            await anyio.sleep(_KEEP_PERIOD_S)

    def _keep_entries(self, entries: Entries, told: str) -> str:
        """Put back what expired; what went wrong, of which `told` is known already."""
        try:
            back = entries.keep()
        except OSError as error:
            if str(error) != told:
                self._event("discovery", f"entries that expired could not be written again: {error}")
            return str(error)
        if back:
            cause = "they expired: the worker could not touch them in time"
            self._event("discovery", f"wrote {len(back)} entries again", cause=cause, entries=back)
        return ""

    def _purge_discovery(self) -> None:
        """Before anything else: as long as they are there, requests are routed to the dead."""
        directory = self._shared.discovery_dir
        if directory is not None and self.unit.role.is_worker:
            began, gone = anyio.current_time(), []
            try:
                gone = purge(directory)
            except OSError as error:
                self._event("discovery", f"its entries could not be removed: {error}")
            if gone:
                took = anyio.current_time() - began
                self._event("discovery", f"removed {len(gone)} stale entries", duration_s=took, entries=gone)

    async def _unless_asked(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do `work`, but drop it when a request comes in; whether it was done."""
        done = False

        async def do() -> None:
            nonlocal done
            await work()
            done = True
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(do)
            await self._asked.wait()
            tasks.cancel_scope.cancel()
        return done

    def _answer_request_without_child(self) -> None:
        self._turn.release()
        request = self._take_request()
        if request.ask is Ask.STOP:
            self._go(State.STOPPING, request.cause)
            self._go(State.STOPPED, "nothing of it was running")
        elif self._state is State.BACKOFF:
            self._go(State.PENDING, request.cause)

    def _take_request(self) -> Request:
        request = self._request
        assert request is not None, "only called after a request came in"
        self._request, self._asked = None, anyio.Event()
        self._is_wanted = not request.is_scaling
        return request

    def _die_at_birth(self, error: OSError | ValueError) -> None:
        reason = f"cannot run {self.unit.argv[0]}: {getattr(error, 'strerror', None) or error}"
        key = f"`argv` of {self.unit.name}" if self.unit.role is Role.UNIT else "`python`"
        self._last_exit = LastExit(None, None, reason, f"check {key} in the profile", utc_now())
        self._deaths.append(anyio.current_time())
        self._go(State.RECYCLING, reason)
        self._go(State.RECLAIMING, "nothing was started")
        self._go(State.BACKOFF, reason)

    def _environment(self) -> dict[str, str]:
        secrets = {name: os.environ[name] for name in self.unit.secret_env if name in os.environ}
        place = self._shared.place
        env = {**self.unit.env, **secrets, **place.own_tmpdir(self.unit.name)}
        return marked_environment(place.home, place.name, self.unit.name, env)

    def _record_child(self, child: Child) -> None:
        record = ChildRecord(
            pid=child.pid,
            start_ticks=child.root.start_ticks,
            incarnation=child.root.incarnation,
            digest=self.unit.digest(),
            ports=self.unit.ports,
            started_at=utc_now(),
            log_start_byte=child.log_start_byte,
        )
        self._shared.journal.remember(self.unit.name, record)

    def _note_exit(self, child: Child, cause: str, *, planned: bool) -> None:
        exit_ = child.exit or Exit()
        lines = self._last_lines(child)
        oom_killed = oom_kills() > self._oom_kills_before
        found = Diagnosis(cause, "", permanent=False) if planned else diagnose(exit_, lines, oom_killed=oom_killed)
        # one that had to be ended, because it hung say, died of that and not of its signal
        reason = found.reason if planned or cause == str(exit_) else f"{cause} ({exit_})"
        self._last_exit = LastExit(exit_.code, exit_.signal, reason, found.hint, utc_now(), lines[-_TAIL_LINES:])
        self._is_hopeless = found.permanent and not self._first_ready.is_set()
        self._event("exit", reason, cause=found.hint, code=exit_.code, signal=exit_.signal)

    def _last_lines(self, child: Child) -> tuple[str, ...]:
        """Of its log, without what nobody looks for."""
        return tuple(telling(tail(self.log, _LOOKED_AT_LINES, child.log_start_byte)))[-_DIAGNOSED_LINES:]

    def _start_cause(self) -> str:
        needs = ", ".join(f"{d.unit} is {d.condition}" for d in self.unit.depends_on)
        return needs or "depends on nothing"

    def _wait_for(self, what: str | None) -> None:
        if what != self._waiting_for:
            self._waiting_for = what
            self._publish()

    def _go(self, new: State, cause: str, *, duration_s: float | None = None, **data: object) -> None:
        old, self._state = self._state, advance(self.unit.name, self._state, new)
        if new is not State.BACKOFF and new is not State.PENDING:
            self._waiting_for = None
        if has_ended(new):  # until then, the record of its successor takes the place of its own
            self._shared.journal.forget(self.unit.name)
        self._publish()
        self._event("state", f"{old} → {new}", cause=cause, duration_s=duration_s, old=old, new=new, **data)

    def _event(
        self, kind: str, message: str, *, cause: str = "", duration_s: float | None = None, **data: object
    ) -> None:
        self._shared.events.record(kind, message, unit=self.unit.name, cause=cause, duration_s=duration_s, **data)

    def _spawned_at_wall(self) -> float:
        """Seconds since 1970; of an adopted child, when an earlier supervisor started it."""
        return datetime.fromisoformat(self._spawned_wall or utc_now()).timestamp()

    def _publish(self) -> None:
        child = self.child
        self._shared.board.put(
            UnitStatus(
                name=self.unit.name,
                role=self.unit.role,
                state=self._state,
                pid=child.pid if child else None,
                gpus=self.unit.gpus,
                ports=self.unit.ports,
                restarts=self._restarts,
                ready_after_s=self._ready_after_s,
                probe=self._probe,
                last_exit=self._last_exit,
                log=str(self.log),
                waiting_for=self._waiting_for,
                started=self._started,
                log_start_byte=child.log_start_byte if child else 0,
                started_at=self._spawned_wall if child else None,
                wanted=self._is_wanted,
            )
        )


def _in_words(stopped: Stopped) -> str:
    words = "ended in time" if stopped.in_time else "did not end before its deadline and was killed"
    if stopped.in_time and stopped.killed:
        words += f"; {stopped.killed} processes it left behind were killed"
    return words + (f"; still there: {', '.join(map(str, stopped.left))}" if stopped.left else "")
