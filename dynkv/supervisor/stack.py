"""All units of one deployment: started in the plan's order, stopped in reverse, and addressed by name or role
meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

import anyio

from dynkv.children.tree import Host
from dynkv.plan.model import Plan, Unit
from dynkv.plan.order import stop_stages
from dynkv.reclaim.sidecar import Registrations
from dynkv.supervisor.boundary import outliving
from dynkv.supervisor.cuts import Cuts
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.housekeeping import release_what_is_left, rotate_logs, take_census
from dynkv.supervisor.inbox import Ask, Request
from dynkv.supervisor.journal import ChildRecord
from dynkv.supervisor.life import Life, Shared
from dynkv.supervisor.liveness import is_idle
from dynkv.supervisor.overview import Overview
from dynkv.supervisor.proof import Proof
from dynkv.supervisor.renewal import renew
from dynkv.supervisor.runner import Runner
from dynkv.supervisor.scaling import kept
from dynkv.supervisor.states import State, has_ended
from dynkv.supervisor.status import DeploymentState, DeploymentStatus

if TYPE_CHECKING:
    from dynkv.supervisor.membership import Membership

_MAPPER_DEADLINE_S = 300.0
"""Most seconds to wait for one mapper: a restarted one may wait for something that never happens."""


_FIGURES_DEADLINE_S = 1.0


class Stack:
    """Runs the units, and implements what runners need of each other (`Peers`)."""

    def __init__(
        self,
        plan: Plan,
        shared: Shared,
        supervisor_pid: int,
        adopted: Mapping[str, ChildRecord] | None = None,
        registrations_left: Registrations = frozenset(),
        resting: Mapping[str, bool] | None = None,
        before: Mapping[str, Unit] | None = None,
    ) -> None:
        """`adopted`: children that a dead supervisor of the same deployment left, by unit; `before`: those of their
        units that are planned differently now, as they were.

        `registrations_left`: registrations of ended workers at an adopted sidecar. `resting`: units that were stopped
        on request, and whether because fewer of their role are wanted.
        """
        adopted = adopted or {}
        self.plan = plan
        self._before = before or {}
        self._registrations_left = registrations_left
        self._shared = shared
        self._heirs = frozenset(adopted)
        self._runners = {
            unit.name: Runner(Life(unit, shared, self._before.get(unit.name)), adopted.get(unit.name), self)
            for unit in plan.units
        }
        self._proof = Proof(plan, shared, self._runners)
        self._cuts = Cuts(plan, shared)
        self._overview = Overview(plan, shared, self._runners, self._proof, self._cuts, supervisor_pid)
        self._node = _member(plan, shared, self)
        self._down = anyio.Event()
        self.is_foreground = False
        """Whether its supervisor is a child of a program that may end what it leaves."""
        self.released = anyio.Event()
        """Set when only the supervisor should end, and no unit."""
        for name, is_scaling in (resting or {}).items():
            if name in self._runners:
                self._ask(name, Ask.STOP, "it was stopped under an earlier supervisor", is_scaling=is_scaling)

    async def run(self) -> None:
        """Run until `take_down` was called and nothing runs any more."""
        began = anyio.current_time()
        self._shared.events.record(
            EventKind.DEPLOYMENT, f"starting {self.plan.name}", cause=f"profile {self.plan.profile}"
        )
        async with anyio.create_task_group() as tasks:
            for runner in self._runners.values():
                tasks.start_soon(runner.run)
            for what, work in self._beside().items():
                tasks.start_soon(outliving, what, work, self._shared.events)
            for standby in self._shared.standbys:
                tasks.start_soon(standby.run)
            await self._down.wait()
            await self._stop_in_order()
            if self._node is not None:
                await self._node.leave()
            tasks.cancel_scope.cancel()
        self._shared.events.record(
            EventKind.DEPLOYMENT, f"{self.plan.name} is down", duration_s=anyio.current_time() - began
        )

    # --- what can be asked ---

    def take_down(self, cause: str) -> None:
        """Request the end; a repeated request has no effect."""
        if not self._down.is_set():
            self._shared.events.record(EventKind.DEPLOYMENT, f"taking {self.plan.name} down", cause=cause)
            self._overview.is_stopping = True
            self._down.set()

    def release(self, cause: str) -> bool:
        """Release everything that runs, for another supervisor; False if the deployment is going down."""
        if self._down.is_set():
            return False
        if not self.released.is_set():
            self._shared.events.record(EventKind.DEPLOYMENT, f"releasing {self.plan.name}", cause=cause)
            self._shared.journal.note_release()
            self.released.set()
        return True

    def ask(self, unit: str, ask: Ask, cause: str) -> bool:
        """Request something of a unit; whether there is such a unit, and the deployment is not going down."""
        if unit not in self._runners or self._down.is_set():
            return False
        self._ask(unit, ask, cause)
        return True

    def scale(self, role: str, replicas: int) -> None:
        """Keep this many units of a role running, healthy ones first. Raises ValueError, in words."""
        if self._down.is_set():
            raise ValueError("the deployment is being taken down")
        units = [unit for unit in self.plan.workers if unit.role == role]
        if not units:
            roles = ", ".join(dict.fromkeys(unit.role.value for unit in self.plan.workers))
            raise ValueError(f"no workers of role {role!r}; available: {roles or 'none'}")
        if not 1 <= replicas <= len(units):
            raise ValueError(f"{role} can be 1 to {len(units)}: the plan has no more")
        wanted = kept([self._shared.board[unit.name] for unit in units], replicas)
        cause = f"{role} was scaled to {replicas}"
        for unit in units:
            is_wanted = unit.name in wanted
            self._ask(unit.name, Ask.START if is_wanted else Ask.STOP, cause, is_scaling=not is_wanted)

    def note_kv(self, figures: Mapping[str, float | int | None]) -> None:
        """Store figures of the KV caches for the status."""
        self._overview.note_kv(figures)

    def status(self) -> DeploymentStatus:
        return self._overview.status()

    def pids(self) -> dict[str, frozenset[int]]:
        """Pids of each unit's current tree."""
        return self._overview.pids()

    def hang_checks(self) -> dict[str, int]:
        """How many times this supervisor has checked each unit for a hang."""
        return self._shared.hang_checks

    @property
    def state(self) -> DeploymentState:
        return self._overview.state

    def summary(self) -> tuple[DeploymentState, str]:
        """The state, and what it is about in words."""
        return self._overview.state, self._overview.detail

    # --- what runners need of other units ---

    def restart_sidecar(self, name: str, cause: str) -> None:
        self._runners[name].ask(Request(Ask.RESTART, cause, by_itself=True))

    def restart_followers(self, leader: str) -> None:
        for unit in self.plan.units:
            if leader in unit.restart_with and not self._down.is_set():
                self._runners[unit.name].ask(Request(Ask.RESTART, f"it is restarted with {leader}", follows=True))

    def beyond_share(self, owner: str, used: Mapping[int, int], total_bytes: int) -> int:
        host, found = Host.now(), 0
        for mapper in (self._runners[name] for name in self._runners[owner].unit.mapped_by):
            own = sum(used.get(process.pid, 0) for process in mapper.child.tree(host)) if mapper.child else 0
            found += max(0, own - (mapper.unit.gpu_share_bytes(total_bytes) or total_bytes))
        return found

    async def restart_mappers(self, owner: str) -> None:
        """Restart units that may still map GPU memory of `owner`'s dead incarnation, which is freed only when they end.

        They go one after the other if another unit does the owner's work meanwhile; otherwise all at once, as nothing
        is served anyway.
        """
        board, runner = self._shared.board, self._runners[owner]
        role = runner.unit.role
        is_served = any(u.role is role and u.name != owner and u.state is State.READY for u in board.units)
        for name in runner.unit.mapped_by:
            mapper, before = self._runners[name], board[name].pid
            if self._down.is_set() or not (runner.has_been_ready or name in self._heirs):
                continue
            why = f"it maps GPU memory of {owner}, which died, through CUDA IPC"
            ended = {name} if is_served else set(runner.unit.mapped_by)
            mapper.ask(Request(Ask.RESTART, why, follows=True, drained=await self._is_drained(mapper.unit, ended)))
            if is_served:
                with anyio.move_on_after(_MAPPER_DEADLINE_S):
                    await board.until(partial(self._is_over, name, before))

    async def _is_drained(self, worker: Unit, ended: Collection[str]) -> bool:
        """Whether a worker has no request, or its requests can continue on another one of its role that does not end
        too."""
        frontend, board = self.plan.frontend, self._shared.board
        others = [u for u in board.units if u.role is worker.role and u.name not in ended]
        if frontend is not None and frontend.migration_limit and any(u.state is State.READY for u in others):
            return True
        return await is_idle(worker.name, self._shared.figures, _FIGURES_DEADLINE_S)

    def _is_over(self, name: str, before: int | None) -> bool:
        unit = self._shared.board[name]
        return has_ended(unit.state) or (unit.state is State.READY and unit.pid != before)

    # --- parts ---

    def _ask(self, unit: str, ask: Ask, cause: str, *, is_scaling: bool = False) -> None:
        self._shared.journal.note_wish(unit, stops=ask is Ask.STOP, is_scaling=is_scaling)
        self._runners[unit].ask(Request(ask, cause, is_scaling=is_scaling))

    def _beside(self) -> dict[str, Callable[[], Awaitable[object]]]:
        """Tasks next to the units, which may fail without affecting them."""
        return {
            "the proof that it serves": self._proof.run,
            "the census": partial(take_census, self._shared, self._runners),
            "releasing ended workers": self._release_what_is_left,
            "counting cut requests": self._cuts.run,
            "bringing units up to date": self._renew,
            "rotating logs": partial(rotate_logs, self.plan, self._shared),
            **({"the other nodes": self._node.run} if self._node else {}),
        }

    async def _renew(self) -> None:
        def restart(unit: str, cause: str) -> None:
            self._runners[unit].ask(Request(Ask.RESTART, cause))

        await renew(self.plan.units, self._shared.board, restart, self._before)

    async def _release_what_is_left(self) -> None:
        for name in await release_what_is_left(self.plan, self._shared, self._registrations_left):
            self.restart_sidecar(name, "it does not release the GPU memory of ended workers")

    async def _stop_in_order(self) -> None:
        board = self._shared.board
        for stage in stop_stages(self.plan.units):
            for name in stage:
                self._runners[name].ask(Request(Ask.STOP, "the deployment is taken down", final=True))
            await board.until(partial(self._have_ended, stage))

    def _have_ended(self, units: list[str]) -> bool:
        return all(has_ended(self._shared.board[name].state) for name in units)


def _member(plan: Plan, shared: Shared, stack: Stack) -> Membership | None:
    """None on a machine of its own, whose supervisor does without all that asks etcd."""
    if plan.node is None:
        return None
    from dynkv.supervisor.membership import member

    return member(plan, shared, stack)
