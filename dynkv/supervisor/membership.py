"""This node's part in a cluster: it announces itself, follows the others, and removes what its own dead have left."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

import anyio
from msgspec.structs import replace

from dynkv.cluster.cards import rejections
from dynkv.cluster.entry import Entry
from dynkv.cluster.etcd import Access, Etcd, EtcdError
from dynkv.cluster.instances import Instance, instances, prefixes
from dynkv.cluster.nodes import TTL_S, NodeRecord, as_bytes, key, prefix, read, record_of, tended
from dynkv.cluster.status import ClusterStatus, PeerStatus
from dynkv.cluster.upkeep import OwnInstances
from dynkv.cluster.view import ClusterView
from dynkv.plan.model import Plan, Role
from dynkv.plan.ports import REQUEST_PORT, RESPONSE_PORT
from dynkv.plan.serving import Node
from dynkv.supervisor.departed import Departed
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.inbox import Ask
from dynkv.supervisor.life import Shared
from dynkv.supervisor.states import State
from dynkv.supervisor.status import DeploymentState

_PERIOD_S = 2.0
_LEAVING_S = 3.0
_UNROUTED_S = 60.0
"""How long a ready worker may be missing from discovery; normally it is there within a second."""


class Deployment(Protocol):
    """What a node needs to know of its deployment, and may request of it."""

    def summary(self) -> tuple[DeploymentState, str]:
        """The state, and what it is about in words."""

    def ask(self, unit: str, ask: Ask, cause: str) -> bool:
        """Request something of a unit; whether there is such a unit, and the deployment is not going down."""


def member(plan: Plan, shared: Shared, deployment: Deployment) -> Membership | None:
    """The membership; None outside of a cluster."""
    return Membership(plan, plan.node, shared, shared.cluster, deployment) if plan.node and shared.cluster else None


class Membership:
    def __init__(self, plan: Plan, node: Node, shared: Shared, view: ClusterView, deployment: Deployment) -> None:
        self._plan = plan
        self._node = node
        self._shared = shared
        self._view = view
        self._deployment = deployment
        self._etcd = Etcd(node.etcd, Access.of(node.tls, os.environ))
        self._own = OwnInstances(
            node.advertise, {u.ports[REQUEST_PORT]: u.name for u in plan.workers if REQUEST_PORT in u.ports}
        )
        self._lease = 0
        self._told = b""
        self._was_away = False
        """Whether the others have taken the node for dead, and may have removed its workers' entries."""
        self._unrouted_since: dict[str, float] = {}
        """Ready workers that are not in discovery, with the time since when."""
        answers = [unit.ports[RESPONSE_PORT] for unit in plan.units if RESPONSE_PORT in unit.ports]
        self._departed = Departed(self._etcd, shared.events, answers)

    async def run(self) -> None:
        """Take part in the cluster; never returns. While etcd is away everything stays as it was last seen."""
        while True:
            try:
                await self._look()
                self._note_problem("")
            except EtcdError as error:
                self._note_problem(str(error))
            seen = self._lives()
            with anyio.move_on_after(_PERIOD_S):
                await self._shared.board.until(lambda: self._lives() != seen)  # noqa: B023 (awaited at once)

    def _lives(self) -> list[tuple[int | None, State]]:
        return [(unit.pid, unit.state) for unit in self._shared.board.units]

    async def leave(self) -> None:
        """Leave with the whole deployment, so that the others need not wait for the entries to expire."""
        with anyio.move_on_after(_LEAVING_S):
            try:
                found = await self._entries()
                own = {it.lease for it in instances(found, self._node.namespace) if self._own.is_own(it)}
                there = {entry.lease for entry in found} & (own | self._own.leases)
                for lease in (*sorted(there), self._lease):
                    await self._etcd.revoke(lease)
            except EtcdError as error:
                self._shared.events.record(EventKind.CLUSTER, "left without telling the others", cause=str(error))

    async def _look(self) -> None:
        await self._tell()
        records = read(await self._etcd.entries(prefix(self._node.namespace)))
        entries = await self._entries()
        found = instances(entries, self._node.namespace)
        await self._remove_own_dead(entries, found)
        await self._restore(entries)
        self._restart_unrouted(found)
        known = tended(record for _, record in records.values())
        await self._departed.remove([it for it in found if (it.host, it.port) not in known], found)
        self._view.put(self._seen({name: record for name, (_, record) in records.items()}, found, entries))

    async def _entries(self) -> list[Entry]:
        return [entry for begin in prefixes(self._node.namespace) for entry in await self._etcd.entries(begin)]

    async def _tell(self) -> None:
        record = as_bytes(self._record())
        if self._lease and not await self._etcd.renew(self._lease):
            self._lease, self._was_away = 0, True
        if not self._lease:
            self._lease, self._told = await self._etcd.grant(TTL_S), b""
        if record != self._told:
            await self._etcd.put(key(self._node), record, self._lease)
            self._told = record

    def _record(self) -> NodeRecord:
        state, detail = self._deployment.summary()
        record = replace(record_of(self._plan, self._node), state=state.value, detail=detail)
        frontend = next((u for u in self._shared.board.units if u.role == Role.FRONTEND), None)
        if frontend is None:
            return record
        is_whole = frontend.state is State.READY
        why = frontend.probe.detail if frontend.probe and not frontend.probe.ok else ""
        return replace(record, is_whole=is_whole, detail=detail or ("" if is_whole else why))

    async def _remove_own_dead(self, entries: list[Entry], found: list[Instance]) -> None:
        pids = {unit.name: unit.pid for unit in self._shared.board.units}
        for lease in self._own.dead_leases(entries, found, pids):
            began = anyio.current_time()
            await self._etcd.revoke(lease)
            took = anyio.current_time() - began
            self._shared.events.record(EventKind.DISCOVERY, "removed a dead worker's entries in etcd", duration_s=took)

    async def _restore(self, entries: list[Entry]) -> None:
        """Write again what others removed while they could not reach this node."""
        if not self._was_away:
            return
        ready = [unit.name for unit in self._shared.board.units if unit.state is State.READY]
        again = self._own.missing(entries, ready)
        for entry in again:
            await self._etcd.put(entry.key, entry.value, entry.lease)
        self._was_away = False
        if again:
            cause = "others had removed them, as this node was out of reach"
            names = sorted(entry.key for entry in again)
            message = f"wrote {len(again)} entries again"
            self._shared.events.record(EventKind.DISCOVERY, message, cause=cause, entries=names)

    def _restart_unrouted(self, found: list[Instance]) -> None:
        """Restart workers that are missing from discovery: a Dynamo process writes its entries only once."""
        ready = {unit.name for unit in self._shared.board.units if unit.state is State.READY}
        lost = ready & self._own.unseen(found)
        now = anyio.current_time()
        self._unrouted_since = {unit: self._unrouted_since.get(unit, now) for unit in lost}
        for unit, since in self._unrouted_since.items():
            if now > since + _UNROUTED_S:
                self._deployment.ask(unit, Ask.RESTART, "it is not in discovery, so that nothing is routed to it")

    def _rejected(self, entries: list[Entry], found: list[Instance]) -> dict[str, str]:
        odd = rejections(entries, found)
        rejected = {self._own.unit_of(it): odd[it.lease] for it in found if it.lease in odd and self._own.is_own(it)}
        for unit in rejected.keys() - self._view.status.rejected.keys():
            self._shared.events.record(EventKind.CLUSTER, "no frontend routes to it", unit=unit, cause=rejected[unit])
        return rejected

    def _seen(self, records: dict[str, NodeRecord], found: list[Instance], entries: list[Entry]) -> ClusterStatus:
        here = key(self._node)
        peers = {name: record for name, record in records.items() if name != here}
        wholes = [record for record in records.values() if record.is_whole is not None]
        whole = any(record.is_whole for record in wholes)
        away = "no node has a frontend" if not wholes else next((it.detail for it in wholes if it.detail), "")
        return ClusterStatus(
            self._node.namespace,
            self._node.advertise,
            self._view.status.problem,
            whole=whole,
            detail="" if whole else away,
            instances=_counted(it for it in found if self._own.is_own(it)),
            rejected=self._rejected(entries, found),
            peers=tuple(self._peer(record, found) for _, record in sorted(peers.items())),
        )

    def _peer(self, record: NodeRecord, found: list[Instance]) -> PeerStatus:
        its = (it for it in found if it.host == record.advertise and not self._own.is_own(it))
        return PeerStatus(
            record.advertise,
            record.deployment,
            record.state,
            record.detail,
            record.endpoint,
            record.units,
            _counted(its),
        )

    def _note_problem(self, problem: str) -> None:
        before = self._view.status.problem
        if bool(problem) != bool(before):
            message = "etcd cannot be asked" if problem else "etcd answers again"
            self._shared.events.record(EventKind.CLUSTER, message, cause=problem)
        if problem != before:
            self._view.put(replace(self._view.status, problem=problem))


def _counted(found: Iterable[Instance]) -> dict[str, int]:
    return dict(sorted(Counter(it.component for it in found).items()))
