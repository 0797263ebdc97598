"""All units of one deployment: start in the plan's order, the proof that it serves, stop in reverse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import anyio

from dynkv import __version__
from dynkv.children.output import rotate, size_of
from dynkv.children.tree import Host, resident_bytes
from dynkv.plan.model import Frontend, Plan, Role, local_host
from dynkv.plan.order import stop_stages
from dynkv.probes.completion import complete, warm_up_prompt
from dynkv.reclaim.sidecar import Outcome, Registrations, Sidecar, registered, release
from dynkv.supervisor.journal import ChildRecord
from dynkv.supervisor.runner import Ask, Runner, Shared
from dynkv.supervisor.states import State, has_ended
from dynkv.supervisor.status import (
    DeploymentState,
    DeploymentStatus,
    SupervisorStatus,
    UnitStatus,
    deployment_state,
)

_CENSUS_PERIOD_S, _LATER_CENSUS_PERIOD_S = 5.0, 20.0
_YOUNG_S = 120.0
"""Processes are started by one that starts; later ones are rare, and a look at all of /proc takes some 10 ms."""
_ROTATE_PERIOD_S = 2.0
_RETRY_S = 0.5
_REGISTRATION_DEADLINE_S = 30.0
Incarnations = tuple[int | None, ...]


class Stack:
    def __init__(
        self,
        plan: Plan,
        shared: Shared,
        supervisor_pid: int,
        adopted: Mapping[str, ChildRecord] | None = None,
        registrations_left: Registrations = frozenset(),
    ) -> None:
        """`adopted`: children that a dead supervisor of the same deployment left, by unit.

        `registrations_left`: of workers that were ended, at a sidecar that is taken over.
        """
        adopted = adopted or {}
        self._registrations_left = registrations_left
        self.plan = plan
        self._shared = shared
        self._heirs = frozenset(adopted)
        self._pid = supervisor_pid
        self._began = anyio.current_time()
        self._runners = {
            unit.name: Runner(
                unit,
                shared,
                adopted.get(unit.name),
                self._restart_sidecar,
                self._restart_followers,
                self._restart_mappers,
            )
            for unit in plan.units
        }
        self._down = anyio.Event()
        self._answered = False
        self._detail = ""
        self._kv: dict[str, float | int | None] = {}

    async def run(self) -> None:
        """Until `take_down` was called and nothing runs any more."""
        began = anyio.current_time()
        self._shared.events.record("deployment", f"starting {self.plan.name}", cause=f"profile {self.plan.profile}")
        async with anyio.create_task_group() as tasks:
            for runner in self._runners.values():
                tasks.start_soon(runner.run)
            tasks.start_soon(self._tend)
            tasks.start_soon(self._take_census)
            tasks.start_soon(self._release_what_is_left)
            tasks.start_soon(self._rotate_logs)
            for standby in self._shared.standbys:
                tasks.start_soon(standby.run)
            await self._down.wait()
            await self._stop_in_order()
            tasks.cancel_scope.cancel()
        self._shared.events.record("deployment", f"{self.plan.name} is down", duration_s=anyio.current_time() - began)

    def take_down(self, cause: str) -> None:
        """Ask for the end; asking twice is asking once."""
        if not self._down.is_set():
            self._shared.events.record("deployment", f"taking {self.plan.name} down", cause=cause)
            self._down.set()

    def ask(self, unit: str, ask: Ask, cause: str) -> bool:
        """Whether there is such a unit, and the deployment is not on its way down."""
        if unit not in self._runners or self._down.is_set():
            return False
        self._runners[unit].ask(ask, cause)
        return True

    def scale(self, role: str, replicas: int) -> None:
        """Keep this many units of a role running, the first ones of the plan. Raises ValueError, in words."""
        if self._down.is_set():
            raise ValueError("the deployment is on its way down")
        units = [unit for unit in self.plan.workers if unit.role == role]
        if not units:
            roles = ", ".join(dict.fromkeys(unit.role.value for unit in self.plan.workers))
            raise ValueError(f"no workers of role {role!r}; there is {roles or 'no worker at all'}")
        if not 1 <= replicas <= len(units):
            raise ValueError(f"{role} can be 1 to {len(units)}: the plan has no more")
        for number, unit in enumerate(units):
            is_wanted = number < replicas
            cause = f"{role} was scaled to {replicas}"
            self._runners[unit.name].ask(Ask.START if is_wanted else Ask.STOP, cause, is_scaling=not is_wanted)

    def note_kv(self, figures: Mapping[str, float | int | None]) -> None:
        """Figures of the KV caches, for the status to show."""
        self._kv = dict(figures)

    def status(self) -> DeploymentStatus:
        board = self._shared.board
        host = Host.now()
        content = self._shared.journal.content
        return DeploymentStatus(
            name=self.plan.name,
            profile=self.plan.profile,
            state=self.state,
            endpoint=self.plan.endpoint,
            model=self.plan.model,
            started_at=content.started_at,
            supervisor=SupervisorStatus(self._pid, __version__, round(anyio.current_time() - self._began, 1)),
            units=tuple(self._with_live_figures(board[unit.name], host) for unit in self.plan.units),
            kv=self._kv,
            detail=self._detail_of_state(),
            spares=tuple(standby.status() for standby in self._shared.standbys),
        )

    @property
    def state(self) -> DeploymentState:
        return deployment_state(self._shared.board.units, answered=self._answered, stopping=self._down.is_set())

    # --- parts ---

    async def _release_what_is_left(self) -> None:
        sidecar, left = self._shared.sidecar, self._registrations_left
        if sidecar is None or not left:
            return
        began = anyio.current_time()
        holds_gpu = any(unit.gpu_memory_fraction is not None for unit in self.plan.workers)
        try:
            outcome = await release(sidecar, left, holds_gpu=holds_gpu)
        except OSError as error:  # the helper cannot be started; the sidecar's own reaper is left
            self._shared.events.record("sidecar", f"still registered: {error}", cause="their workers were ended")
            return
        self._shared.events.record(
            "sidecar", str(outcome), cause="their workers were ended", duration_s=anyio.current_time() - began
        )
        if outcome is Outcome.KEPT and holds_gpu:
            self._restart_sidecar("it does not let go of the GPU memory of workers that were ended")

    def _restart_sidecar(self, cause: str) -> None:
        for unit in self.plan.units:
            if unit.role is Role.LMCACHE:
                self.ask(unit.name, Ask.RESTART, cause)

    def _restart_followers(self, leader: str) -> None:
        for unit in self.plan.units:
            if leader in unit.restart_with and not self._down.is_set():
                self._runners[unit.name].ask(Ask.RESTART, f"it is restarted with {leader}", follows=True)

    async def _restart_mappers(self, owner: str) -> None:
        """Those that may still map GPU memory of `owner`'s dead incarnation, which is freed only when they end.

        One after the other where another unit does the owner's work meanwhile; or else at once, as nothing is
        served anyway.
        """
        board, runner = self._shared.board, self._runners[owner]
        role = runner.unit.role
        is_served = any(u.role is role and u.name != owner and u.state is State.READY for u in board.units)
        for name in runner.unit.mapped_by:
            mapper, before = self._runners[name], board[name].pid
            if self._down.is_set() or not (runner.has_been_ready or name in self._heirs):
                continue
            mapper.ask(Ask.RESTART, f"it maps GPU memory of {owner}, which died, through CUDA IPC", follows=True)
            if is_served:
                await board.until(partial(self._is_over, name, before))

    def _is_over(self, name: str, before: int | None) -> bool:
        unit = self._shared.board[name]
        return has_ended(unit.state) or (unit.state is State.READY and unit.pid != before)

    def _with_live_figures(self, status: UnitStatus, host: Host) -> UnitStatus:
        child = self._runners[status.name].child
        if child is None or status.started_at is None:
            return status
        age = datetime.now(UTC) - datetime.fromisoformat(status.started_at)
        return replace(status, uptime_s=round(age.total_seconds(), 1), rss_bytes=resident_bytes(child.tree(host)))

    def _detail_of_state(self) -> str:
        unwritable = self._shared.events.write_error or self._shared.journal.write_error
        if unwritable:
            return f"cannot write to {self._shared.place.directory}: {unwritable}"
        if self.state is DeploymentState.STARTING:
            return self._detail
        if self.state is DeploymentState.DEGRADED:
            return ", ".join(f"{u.name} is {u.state}" for u in self._missed_units if u.state is not State.READY)
        return ""

    @property
    def _missed_units(self) -> list[UnitStatus]:
        return [unit for unit in self._shared.board.units if unit.is_missed]

    async def _tend(self) -> None:
        """Whenever all units are ready with an incarnation that was not before: see to it that they serve."""
        board, tended = self._shared.board, Incarnations()
        while True:
            await board.until(partial(self._is_ready_unlike, tended))
            current = self._incarnations()
            if not self._answered or await self._is_known_to_sidecar():
                if self.plan.frontend is not None:
                    await self._warm_up(self.plan.frontend)
                self._answered = True
            tended = current

    async def _warm_up(self, frontend: Frontend) -> None:
        """A real completion through every worker: the proof that it serves, and the start of their heartbeats."""
        began, seen, number = anyio.current_time(), set[str](), 0
        missed = {unit.name for unit in self._missed_units}
        wanted = sum(unit.name in missed for unit in self.plan.workers)
        tries = 4 * wanted
        host = local_host(frontend.host)
        while True:
            number += 1
            self._detail = "waiting for a first completion"
            answer = await complete(frontend, host, warm_up_prompt(number, self.plan.warm_up_tokens))
            seen |= answer.workers
            if answer.ok and (len(seen) >= wanted or number >= tries):
                break
            if not answer.ok:
                self._detail = f"a completion failed: {answer.detail}"
                await anyio.sleep(_RETRY_S)
        took = anyio.current_time() - began
        what = "answers requests again" if self._answered else "answers requests"
        cause = f"{number} completions"
        self._shared.events.record("deployment", f"{self.plan.name} {what}", cause=cause, duration_s=took)

    async def _is_known_to_sidecar(self) -> bool:
        """Whether it holds a registration of every worker, as it should soon after its own restart or theirs.

        A worker that it does not know would hang at its next request (lmcache 0.5.6), so that one is restarted.
        """
        sidecar = self._shared.sidecar
        if sidecar is None:
            return True
        with anyio.move_on_after(_REGISTRATION_DEADLINE_S):
            while await self._unknown_to(sidecar):  # noqa: ASYNC110 (another process's state)
                await anyio.sleep(_RETRY_S)  # the workers register by themselves, and tell nobody
        unknown = await self._unknown_to(sidecar)
        for name in unknown:
            self.ask(name, Ask.RESTART, "the sidecar does not know it, so its next request would hang")
        return not unknown

    async def _unknown_to(self, sidecar: Sidecar) -> list[str]:
        held = await registered(sidecar)
        if held is None:
            return []
        return [name for name, runner in self._runners.items() if runner.registrations - held]

    def _is_ready_unlike(self, tended: Incarnations) -> bool:
        is_ready = all(unit.state is State.READY for unit in self._missed_units)
        return is_ready and self._incarnations() != tended

    def _incarnations(self) -> Incarnations:
        return tuple(unit.pid for unit in self._shared.board.units)

    async def _take_census(self) -> None:
        """Learn who belongs to each child while descent still shows it; a later orphan is then recognised."""
        known, since = Incarnations(), anyio.current_time()
        while True:
            host = Host.now()
            for runner in self._runners.values():
                if runner.child is not None:
                    runner.child.tree(host)
            if (current := self._incarnations()) != known:
                known, since = current, anyio.current_time()
            is_young = anyio.current_time() < since + _YOUNG_S
            await anyio.sleep(_CENSUS_PERIOD_S if is_young else _LATER_CENSUS_PERIOD_S)

    async def _rotate_logs(self) -> None:
        policy, logs = self.plan.logs, self._shared.place.logs
        while True:
            for unit in self.plan.units:
                path = logs / f"{unit.name}.log"
                if size_of(path) <= policy.max_bytes:
                    continue
                try:
                    rotated = await anyio.to_thread.run_sync(rotate, path, policy.max_bytes, policy.keep)
                except OSError as error:
                    self._shared.events.record(
                        "log", f"{path.name} was emptied without a copy: {error}", unit=unit.name
                    )
                    continue
                if rotated:
                    self._shared.events.record("log", f"{path.name} was rotated", unit=unit.name)
            await anyio.sleep(_ROTATE_PERIOD_S)

    async def _stop_in_order(self) -> None:
        board = self._shared.board
        for stage in stop_stages(self.plan.units):
            for name in stage:
                self._runners[name].ask(Ask.STOP, "the deployment is taken down", final=True)
            await board.until(partial(self._have_ended, stage))

    def _have_ended(self, units: list[str]) -> bool:
        return all(has_ended(self._shared.board[name].state) for name in units)
