"""The deployment as a whole, as the snapshot that `dynkv status` shows."""

from __future__ import annotations

import time
from collections.abc import Mapping

import anyio
from msgspec.structs import replace

from dynkv import __version__
from dynkv.children.tree import Host
from dynkv.host.processes import resident_bytes
from dynkv.plan.model import Plan
from dynkv.supervisor.cuts import Cuts
from dynkv.supervisor.life import Shared
from dynkv.supervisor.moments import seconds_of
from dynkv.supervisor.proof import Proof
from dynkv.supervisor.restart import restarts_left
from dynkv.supervisor.runner import Runner
from dynkv.supervisor.states import is_well
from dynkv.supervisor.status import (
    DeploymentState,
    DeploymentStatus,
    SupervisorStatus,
    UnitStatus,
    deployment_state,
)


class Overview:
    def __init__(
        self, plan: Plan, shared: Shared, runners: Mapping[str, Runner], proof: Proof, cuts: Cuts, pid: int
    ) -> None:
        """`pid` is the supervisor's."""
        self.is_stopping = False
        self._plan = plan
        self._shared = shared
        self._runners = runners
        self._proof = proof
        self._cuts = cuts
        self._pid = pid
        self._began = anyio.current_time()
        self._kv: dict[str, float | int | None] = {}

    @property
    def state(self) -> DeploymentState:
        state = deployment_state(self._shared.board.units, answered=self._proof.answered, stopping=self.is_stopping)
        return DeploymentState.DEGRADED if state is DeploymentState.READY and self._lacks else state

    @property
    def _lacks(self) -> str:
        """What keeps this node from answering its share of requests, though its own units are well."""
        cluster = self._shared.cluster
        if cluster is None:
            return ""
        if cluster.status.rejected or self._plan.frontend is not None or cluster.status.whole:
            return cluster.status.rejections
        return cluster.status.detail or "no frontend on another node can route requests"

    def note_kv(self, figures: Mapping[str, float | int | None]) -> None:
        """Store figures of the KV caches for the status."""
        self._kv = dict(figures)

    def status(self) -> DeploymentStatus:
        board, plan, host = self._shared.board, self._plan, Host.now()
        standbys = tuple(standby.status() for standby in self._shared.standbys)
        return DeploymentStatus(
            name=plan.name,
            profile=plan.profile,
            state=self.state,
            endpoint=plan.endpoint,
            model=plan.model,
            started_at=self._shared.journal.content.started_at,
            supervisor=SupervisorStatus(self._pid, __version__, round(anyio.current_time() - self._began, 1)),
            units=tuple(self._with_live_figures(board[unit.name], host) for unit in plan.units),
            kv=self._kv,
            detail=self.detail,
            standbys=standbys,
            spares=standbys,
            task=self._proof.task if plan.frontend else "",
            model_aliases=plan.model_aliases,
            metrics_url=plan.metrics_url,
            cluster=self._shared.cluster.status if self._shared.cluster else None,
        )

    def pids(self) -> dict[str, frozenset[int]]:
        """Pids of each unit's current tree."""
        host = Host.now()
        children = ((name, runner.child) for name, runner in self._runners.items())
        return {name: frozenset(it.pid for it in child.tree(host)) for name, child in children if child is not None}

    def _with_live_figures(self, status: UnitStatus, host: Host) -> UnitStatus:
        runner = self._runners[status.name]
        child, left = runner.child, restarts_left(runner.unit.restart, runner.deaths, anyio.current_time())
        status = replace(status, restarts_left=left, requests_cut=self._cuts.requests.get(status.name, 0))
        if child is None or status.started_at is None:
            return status
        since = seconds_of(status.started_at)
        uptime_s = None if since is None else round(time.time() - since, 1)
        return replace(status, uptime_s=uptime_s, rss_bytes=resident_bytes(child.tree(host)))

    @property
    def detail(self) -> str:
        """What the state is about, in words."""
        unwritable = self._shared.events.write_error or self._shared.journal.write_error
        if unwritable:
            return f"cannot write to {self._shared.place.directory}: {unwritable}"
        if self.state is DeploymentState.STARTING:
            return self._proof.detail
        if self.state is DeploymentState.DEGRADED:
            missed = self._shared.board.missed
            return ", ".join(f"{u.name} is {u.state}" for u in missed if not is_well(u.state)) or self._lacks
        return ""
