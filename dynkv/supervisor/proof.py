"""The proof that a deployment serves: a real request, and workers that the sidecar knows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import anyio
from msgspec.structs import replace

from dynkv.cluster.status import ClusterStatus
from dynkv.plan.model import Plan, Role
from dynkv.plan.serving import Frontend, Task, local_host
from dynkv.probes.inference import infer, warm_up_prompt
from dynkv.reclaim.sidecar import Sidecar, registered
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.inbox import Ask, Request
from dynkv.supervisor.life import Shared
from dynkv.supervisor.runner import Runner
from dynkv.supervisor.states import State, is_well

_RETRY_S = 0.5
_REGISTRATION_DEADLINE_S = 30.0
Incarnations = tuple[int | None, ...]


class Proof:
    def __init__(self, plan: Plan, shared: Shared, runners: Mapping[str, Runner]) -> None:
        self.answered = False
        """Whether the deployment has ever answered a real request."""
        self.detail = ""
        """What it is waiting for, in words."""
        self.task = plan.frontend.task if plan.frontend else Task.AUTO
        """What the model turned out to be used for."""
        self._plan = plan
        self._shared = shared
        self._runners = runners

    async def run(self) -> None:
        """Whenever all units are ready and an incarnation is new, prove that they serve."""
        board, tended = self._shared.board, Incarnations()
        while True:
            await board.until(partial(self._is_settled_unlike, tended))
            current = board.incarnations
            if not self.answered or await self._are_known_to_sidecars():
                if self._plan.frontend is not None and self._can_serve():
                    await self._warm_up(self._plan.frontend)
                elif self._plan.frontend is None:
                    await self._until_whole()
                self.answered = True
            tended = current

    def _is_settled_unlike(self, tended: Incarnations) -> bool:
        """Whether all are ready or completed, except for units stopped on request, with an incarnation not in
        `tended`."""
        board = self._shared.board
        is_settled = all(is_well(unit.state) or unit.state is State.STOPPED for unit in board.missed)
        return is_settled and board.incarnations != tended

    def _can_serve(self) -> bool:
        """Whether each role has a ready unit: if a whole role is stopped, there is nothing to prove."""
        ready = {unit.role for unit in self._shared.board.units if unit.state is State.READY}
        return ready >= {unit.role for unit in self._plan.units if unit.role.is_worker or unit.role is Role.FRONTEND}

    async def _warm_up(self, frontend: Frontend) -> None:
        """Send a real request through every worker: it proves that they serve, and starts their heartbeats."""
        began, seen, number = anyio.current_time(), set[str](), 0
        wanted = sum(self._shared.board[unit.name].state is State.READY for unit in self._plan.workers)
        tries = 4 * wanted
        host = local_host(frontend.host)
        while True:
            number += 1
            self.detail = "waiting for a first answer"
            answer = await infer(
                replace(frontend, task=self.task), host, warm_up_prompt(number, self._plan.warm_up_tokens)
            )
            seen |= answer.workers
            if answer.ok and (len(seen) >= wanted or number >= tries):
                break
            if not answer.ok:
                self.detail = f"a request failed: {answer.detail}"
                await anyio.sleep(_RETRY_S)
        self.task = answer.task
        took = anyio.current_time() - began
        what = "answers requests again" if self.answered else "answers requests"
        cause = "one request" if number == 1 else f"{number} requests"
        if answer.workers and len(seen) < wanted:
            cause += f", of which {wanted - len(seen)} of {wanted} workers answered none"
        self._shared.events.record(EventKind.DEPLOYMENT, f"{self._plan.name} {what}", cause=cause, duration_s=took)

    async def _until_whole(self) -> None:
        """Wait until a frontend on another node reports that it can route requests, and routes to all workers of this
        one; returns at once outside of a cluster."""
        cluster = self._shared.cluster
        if cluster is None or self.answered:
            return
        began = anyio.current_time()
        while lacks := self._lacks(cluster.status):
            before = cluster.status
            self.detail = f"waiting for other nodes: {lacks}"
            await cluster.until(lambda now: now != before)  # noqa: B023 (awaited at once)
        took = anyio.current_time() - began
        message = f"{self._plan.name} is part of a deployment that answers requests"
        self._shared.events.record(EventKind.DEPLOYMENT, message, cause="as another node says", duration_s=took)

    def _lacks(self, cluster: ClusterStatus) -> str:
        """What keeps requests from reaching every worker of this node, in words."""
        if not cluster.whole:
            return cluster.problem or cluster.detail or "none has a frontend yet"
        is_found = sum(cluster.instances.values()) >= len(self._plan.workers)
        return cluster.rejections or ("" if is_found else "the workers of this one are not in discovery yet")

    async def _are_known_to_sidecars(self) -> bool:
        """Whether each sidecar has registrations of all its workers, as should be soon after a restart of either.

        A worker that its sidecar does not know would hang at its next request (lmcache 0.5.6), so it is restarted. One
        that is outdated will be anyway, when another serves: with another version of lmcache it never registers.
        """
        with anyio.move_on_after(_REGISTRATION_DEADLINE_S):
            while await self._unknown():  # noqa: ASYNC110 (another process's state)
                await anyio.sleep(_RETRY_S)  # workers register by themselves, and notify nobody
        unknown = await self._unknown()
        for name in unknown:
            why = "the sidecar does not know it, so its next request would hang"
            self._runners[name].ask(Request(Ask.RESTART, why, by_itself=True))
        return not unknown

    async def _unknown(self) -> list[str]:
        return [name for sidecar in self._shared.sidecars for name in await self._unknown_to(sidecar)]

    async def _unknown_to(self, sidecar: Sidecar) -> list[str]:
        held = await registered(sidecar)
        if held is None:
            return []
        own = [it for it in self._runners.items() if self._shared.sidecar_of(it[1].unit) is sidecar]
        own = [it for it in own if not self._shared.board[it[0]].outdated]
        return [name for name, runner in own if runner.registrations - held]
