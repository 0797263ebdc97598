"""The newest snapshot of the cluster, for tasks that wait for a change."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from dynkv.cluster.status import ClusterStatus
from dynkv.plan.model import Plan


class ClusterView:
    def __init__(self, first: ClusterStatus) -> None:
        self.status = first
        self._changed = anyio.Event()

    def put(self, status: ClusterStatus) -> None:
        if status != self.status:
            self.status = status
            self._changed.set()
            self._changed = anyio.Event()

    async def until(self, condition: Callable[[ClusterStatus], bool]) -> None:
        """Return as soon as the condition holds."""
        while not condition(self.status):
            await self._changed.wait()


def view_of(plan: Plan) -> ClusterView | None:
    """The view before anyone was asked; None outside of a cluster."""
    return ClusterView(ClusterStatus(plan.node.namespace, plan.node.advertise)) if plan.node else None
