"""The deployment as a whole, as a snapshot: what `dynkv status` shows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import anyio

from dynkv import __version__
from dynkv.children.tree import Host
from dynkv.host.processes import resident_bytes
from dynkv.plan.model import Plan
from dynkv.supervisor.cuts import Cuts
from dynkv.supervisor.events import seconds_of
from dynkv.supervisor.life import Shared
from dynkv.supervisor.proof import Proof
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
        return deployment_state(self._shared.board.units, answered=self._proof.answered, stopping=self.is_stopping)

    def note_kv(self, figures: Mapping[str, float | int | None]) -> None:
        """Figures of the KV caches, for the status to show."""
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
            detail=self._detail(),
            standbys=standbys,
            spares=standbys,
            task=self._proof.task if plan.frontend else "",
            model_aliases=plan.model_aliases,
        )

    def _with_live_figures(self, status: UnitStatus, host: Host) -> UnitStatus:
        status = replace(status, requests_cut=self._cuts.requests.get(status.name, 0))
        child = self._runners[status.name].child
        if child is None or status.started_at is None:
            return status
        since = seconds_of(status.started_at)
        uptime_s = None if since is None else round(time.time() - since, 1)
        return replace(status, uptime_s=uptime_s, rss_bytes=resident_bytes(child.tree(host)))

    def _detail(self) -> str:
        unwritable = self._shared.events.write_error or self._shared.journal.write_error
        if unwritable:
            return f"cannot write to {self._shared.place.directory}: {unwritable}"
        if self.state is DeploymentState.STARTING:
            return self._proof.detail
        if self.state is DeploymentState.DEGRADED:
            missed = self._shared.board.missed
            return ", ".join(f"{unit.name} is {unit.state}" for unit in missed if not is_well(unit.state))
        return ""
