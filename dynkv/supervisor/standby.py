"""Keeping a standby parked: a process that has done a worker's imports, and from which workers are started.

It is never in the way: it parks when nothing else is starting, except during the deployment's own start, and a unit
whose standby is missing or fails starts without it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
from msgspec import Struct

from dynkv.children.child import Child
from dynkv.children.marks import marked_environment
from dynkv.children.scheduling import FREE, Schedule
from dynkv.children.standby import StandbyFailed, StandbyProcess
from dynkv.children.stop import kill_tree
from dynkv.home import Place
from dynkv.host.memory import memory_available_bytes
from dynkv.host.processes import read_process, resident_bytes
from dynkv.park.lot import Installation
from dynkv.plan.model import Role, Standby
from dynkv.supervisor.board import Board
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import EventLog
from dynkv.supervisor.importing import check, until_parked
from dynkv.supervisor.states import State, has_ended
from dynkv.supervisor.status import StandbyState, StandbyStatus

_PERIOD_S = 5.0
_ORDER_DEADLINE_S = 10.0
"""Most seconds for an order: forking a process of 1 GB takes 0.4 s."""
_GROWN = 1.5
"""Growth that means a leak: a parked process does nothing."""
_FAILURES_MAX = 2
_FIRST_PAUSE_S, _LAST_PAUSE_S = 5.0, 300.0


class Handed(Struct, frozen=True):
    """A process that was parked for the host before, and stays parked for the next deployment."""

    process: StandbyProcess
    log: Path
    since: str
    found: Installation | None
    """What it has imported."""


class StandbyRunner:
    def __init__(
        self,
        standby: Standby,
        python: str,
        place: Place,
        board: Board,
        events: EventLog,
        *,
        at_once: bool,
        handed: Handed | None = None,
    ) -> None:
        """`at_once`: units are about to start from it; otherwise it parks when nothing is starting."""
        self.planned = standby
        self._handed = handed
        self.handed_pid = handed.process.child.pid if handed else 0
        self.spared = handed.process if handed else None
        """The process that was handed over, as long as it is fit for another deployment."""
        self._at_once = at_once
        self._python = python
        self._place = place
        self._board = board
        self._events = events
        self._process: StandbyProcess | None = None
        self._found = handed.found if handed else None
        self._settled = anyio.Event()
        self._given_up = anyio.Event()
        self._gone = anyio.Event()
        self._state = StandbyState.WAITING
        self._detail = ""
        self._parked_after_s: float | None = None
        self.launched = 0
        """How many processes were started from it for this supervisor."""
        self._failures = 0
        if not at_once:
            self._settled.set()

    @property
    def log(self) -> Path:
        """Its log; that of a handed-over process is outside of the deployment."""
        return self._handed.log if self._handed else self._place.logs / f"{self.planned.name}.log"

    def status(self) -> StandbyStatus:
        child = self._process.child if self._process else None
        return StandbyStatus(
            name=self.planned.name,
            roles=self.planned.roles,
            state=self._state,
            pid=child.pid if child else None,
            parked_after_s=self._parked_after_s if child else None,
            launched=self.launched,
            rss_bytes=self._resident(child) if child else None,
            log=str(self.log),
            detail=self._detail,
            is_of_host=child is not None and self._handed is not None,
        )

    @property
    def starts_at_once(self) -> bool:
        """Whether units start from what was parked for the host before."""
        return self._handed is not None and self._state is StandbyState.PARKED

    async def settled(self) -> None:
        """Return when it is parked, or will not be soon."""
        await self._settled.wait()

    async def launch(
        self, what: str, argv: Sequence[str], env: Mapping[str, str], log: Path, schedule: Schedule = FREE
    ) -> Child | None:
        """Start a program from it; None if that is impossible, and it has to start without the standby."""
        standby = self._process
        if standby is None or self._state is not StandbyState.PARKED or self._given_up.is_set():
            return None
        began = anyio.current_time()
        try:
            await check(standby, self._found)
            child = await standby.launch(argv, env, log, schedule=schedule, deadline_s=_ORDER_DEADLINE_S)
        except StandbyFailed as error:
            self._tell(f"{what} starts without the standby", cause=str(error))
            self._given_up.set()
            with anyio.move_on_after(_ORDER_DEADLINE_S):
                await self._gone.wait()  # including what it may have forked nevertheless
            return None
        self.launched += 1
        self._tell(f"{what} starts from it", duration_s=anyio.current_time() - began)
        return child

    def praise(self) -> None:
        """Note that a unit started from it is ready."""
        self._failures = 0

    def blame(self) -> None:
        """Note that a unit started from it died before it was ready. After two in a row, it is given up for good."""
        self._failures += 1
        if self._failures == _FAILURES_MAX:
            self._fail(f"what started from it died before it was ready, {_FAILURES_MAX} times in a row")
            self._given_up.set()

    async def run(self) -> None:
        """Run until cancelled, or until it is no longer needed."""
        try:
            await self._live()
        except Exception as error:  # noqa: BLE001 (a fault in what only saves time must not end the rest)
            self._fail(f"a fault in dynkv: {type(error).__name__}: {error}")
        self._state = StandbyState.ENDED
        self._settled.set()

    async def _live(self) -> None:
        pause_s = _FIRST_PAUSE_S
        if self._at_once:
            await self._one_life()
        while self.planned.keep and self._failures < _FAILURES_MAX:
            await self._board.until(self._nothing_starts)
            if self._has_memory():
                began = anyio.current_time()
                await self._one_life()
                pause_s = _FIRST_PAUSE_S if anyio.current_time() - began > _LAST_PAUSE_S else pause_s * 2
            await anyio.sleep(min(pause_s, _LAST_PAUSE_S))

    # --- one process ---

    async def _one_life(self) -> None:
        """Follow one process until it dies, leaks, fails or is no longer needed."""
        self._state, self._detail = StandbyState.PARKING, ""
        self._settled, self._given_up, self._gone = anyio.Event(), anyio.Event(), anyio.Event()
        try:
            standby = self._process = self._handed.process if self._handed else self._spawned()
        except OSError as error:
            self._fail(f"cannot run {self._python}: {error.strerror or error}")
            return
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(standby.child.watch)
                await self._attend(standby)
                tasks.cancel_scope.cancel()
        finally:
            self._process = None
            goes_on = self.planned.keep and self._failures < _FAILURES_MAX
            self._state = StandbyState.WAITING if goes_on else StandbyState.ENDED
            self._settled.set()
            self._handed = None
            if standby is not self.spared or not standby.is_fit:
                await self._end(standby)
            self._gone.set()

    def _spawned(self) -> StandbyProcess:
        """Start the process. Raises OSError."""
        env = {**self.planned.env, **self._place.own_tmpdir(self.planned.name)}
        env = marked_environment(self._place.home, self._place.name, self.planned.name, env)
        return StandbyProcess.spawn(self._python, self.planned, env, self.log)

    async def _end(self, standby: StandbyProcess) -> None:
        with anyio.CancelScope(shield=True):
            await standby.close()
            await kill_tree(standby.remains)
        standby.child.reap()
        self._place.clear_tmpdir(self.planned.name)
        self.spared = None

    async def _attend(self, standby: StandbyProcess) -> None:
        began = anyio.current_time()
        try:
            if self._handed is None:
                self._found = await until_parked(standby, self._python)
        except StandbyFailed as error:
            self._fail(str(error))
            return
        self._parked_after_s = round(anyio.current_time() - began, 3)
        self._state = StandbyState.PARKED
        self._settled.set()
        if self._handed is None:
            self._tell("parked", duration_s=self._parked_after_s)
        else:
            self._tell("was parked for the host before", cause=f"since {self._handed.since}")
        why = await self._until_unfit(standby)
        if why:
            self.spared = None
            self._tell(f"ended: {why}")

    async def _until_unfit(self, standby: StandbyProcess) -> str:
        """Why it must go; empty if it has simply done its work."""
        baseline = self._resident(standby.child)
        async with anyio.create_task_group() as tasks:
            why = ""

            async def end(reason: str) -> None:
                nonlocal why
                why = reason
                tasks.cancel_scope.cancel()

            async def on_exit() -> None:
                await standby.child.exited.wait()
                await end(str(standby.child.exit))

            async def on_failure() -> None:
                await self._given_up.wait()
                await end("it failed")

            async def on_all_ready() -> None:
                await self._board.until(self._all_served)
                await end("")

            async def on_growth() -> None:
                while self._resident(standby.child) <= baseline * _GROWN and not standby.child.is_stopped:  # noqa: ASYNC110
                    await anyio.sleep(_PERIOD_S)  # watching another process's state
                await end("it was stopped" if standby.child.is_stopped else "it has grown, and should not")

            stays = self.planned.keep or self._handed is not None
            for task in (on_exit, on_failure, on_growth, *([] if stays else [on_all_ready])):
                tasks.start_soon(task)
        return why

    # --- small parts ---

    def _nothing_starts(self) -> bool:
        """Whether nothing is starting. Custom units may come and go, and what waits for an ended unit may wait
        forever."""
        units = [unit for unit in self._board.units if not Role(unit.role).is_own]
        calm = [State.READY, State.UNREADY, State.STOPPED, State.FAILED]
        if any(has_ended(unit.state) for unit in units):
            calm.append(State.PENDING)
        return all(unit.state in calm for unit in units)

    def _all_served(self) -> bool:
        """Whether no unit will start from it soon; an outdated one is ready, and yet will."""
        served = (State.READY, State.STOPPED, State.FAILED)
        units = [unit for unit in self._board.units if unit.role in self.planned.roles]
        return all(unit.state in served and not unit.outdated for unit in units)

    def _has_memory(self) -> bool:
        available = memory_available_bytes()
        if available >= self.planned.memory_bytes:
            return True
        short = f"it takes {self.planned.memory_bytes / 1e9:.1f} GB, but {available / 1e9:.1f} GB of memory are free"
        if not self._detail:
            self._tell("waits for memory", cause=short)
        self._detail = short
        return False

    def _resident(self, child: Child) -> int:
        """Memory of its own process: a process just forked from it belongs to its tree only for a moment."""
        return resident_bytes(filter(None, [read_process(child.pid)]))

    def _fail(self, why: str) -> None:
        self._detail = why
        self._settled.set()
        self._tell("not available: units start without the standby", cause=why)

    def _tell(self, message: str, *, cause: str = "", duration_s: float | None = None) -> None:
        self._events.record(EventKind.STANDBY, message, unit=self.planned.name, cause=cause, duration_s=duration_s)
