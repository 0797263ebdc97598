"""What a node announces of itself in etcd, and what it must have in common with others. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from dynkv.cluster.entry import Entry
from dynkv.documents import decoded, encoded
from dynkv.plan.model import Plan, Role
from dynkv.plan.ports import REQUEST_PORT
from dynkv.plan.serving import Node

_ROOT = "dynkv/v1/nodes"
TTL_S = 8
"""Seconds without an update after which a node counts as gone."""


class NodeRecord(Struct, frozen=True):
    """A node as the others see it."""

    advertise: str
    deployment: str
    agreement: dict[str, str]
    """What all nodes must agree on, by a readable name."""
    units: dict[str, int] = field(default_factory=dict)
    """The number of units of each role."""
    requests: tuple[int, ...] = ()
    """The ports on which its workers accept requests."""
    endpoint: str = ""
    """The frontend's address for clients on that machine; empty without one."""
    state: str = "starting"
    """The state of the deployment there."""
    detail: str = ""
    is_whole: bool | None = None
    """Whether its frontend can route requests, as it reports; None without one."""


def prefix(namespace: str) -> str:
    """The prefix of all nodes' keys in a namespace."""
    return f"{_ROOT}/{namespace}/"


def key(node: Node) -> str:
    return prefix(node.namespace) + node.name


def record_of(plan: Plan, node: Node) -> NodeRecord:
    """The record before anything has started."""
    roles = [unit.role for unit in plan.units]
    counts = {role.value: roles.count(role) for role in Role if role.is_worker and role in roles}
    return NodeRecord(
        node.advertise,
        node.deployment,
        node.agreement,
        counts,
        tuple(sorted(unit.ports[REQUEST_PORT] for unit in plan.workers if REQUEST_PORT in unit.ports)),
        plan.endpoint,
        is_whole=None if plan.frontend is None else False,
    )


def as_bytes(record: NodeRecord) -> bytes:
    return encoded(record)


def read(entries: Iterable[Entry]) -> dict[str, tuple[Entry, NodeRecord]]:
    """Records by key; unreadable ones are left out: another version of dynkv may have written them."""
    found: dict[str, tuple[Entry, NodeRecord]] = {}
    for entry in entries:
        try:
            found[entry.key] = (entry, decoded(entry.value, NodeRecord))
        except ValueError:
            continue
    return found


def tended(records: Iterable[NodeRecord]) -> set[tuple[str, int]]:
    """Addresses at which workers accept requests and whose node is alive: it removes by itself what a dead worker
    has left."""
    return {(record.advertise, port) for record in records for port in record.requests}


def differences(own: dict[str, str], other: dict[str, str]) -> list[str]:
    """Differences between two nodes, in words; an item that only one of them has is not one."""
    return [
        f"{name} is {own[name]} here but {other[name]} there"
        for name in own
        if name in other and own[name] != other[name]
    ]
