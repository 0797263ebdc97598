"""What a node tells the others of itself, in etcd, and what it must have in common with them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dynkv.cluster.entry import Entry
from dynkv.documents import decoded, encoded
from dynkv.plan.model import Plan, Role
from dynkv.plan.ports import REQUEST_PORT
from dynkv.plan.serving import Node

_ROOT = "dynkv/v1/nodes"
TTL_S = 8
"""How long a node counts as there that says nothing."""


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """As the others read it."""

    advertise: str
    deployment: str
    agreement: dict[str, str]
    """What all nodes must have in common, by its name for a person."""
    units: dict[str, int] = field(default_factory=dict)
    """How many there are of each role."""
    requests: tuple[int, ...] = ()
    """The ports at which its workers take requests."""
    endpoint: str = ""
    """Of its frontend, as a client on that machine asks it; empty without one."""
    state: str = "starting"
    """Of the deployment there."""
    detail: str = ""
    is_whole: bool | None = None
    """Whether its frontend can route requests, as it says itself; None without one."""


def prefix(namespace: str) -> str:
    """Of the keys of all nodes in a namespace."""
    return f"{_ROOT}/{namespace}/"


def key(node: Node) -> str:
    return prefix(node.namespace) + node.name


def record_of(plan: Plan, node: Node) -> NodeRecord:
    """Before anything has started."""
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
    """By key; what cannot be read as one is left out: another version of dynkv may have written it."""
    found: dict[str, tuple[Entry, NodeRecord]] = {}
    for entry in entries:
        try:
            found[entry.key] = (entry, decoded(entry.value, NodeRecord))
        except ValueError:
            continue
    return found


def tended(records: Iterable[NodeRecord]) -> set[tuple[str, int]]:
    """Where workers take requests whose own node is there, which removes by itself what a dead one has left."""
    return {(record.advertise, port) for record in records for port in record.requests}


def differences(own: dict[str, str], other: dict[str, str]) -> list[str]:
    """What two nodes do not have in common, in words; what only one of them names is no difference."""
    return [
        f"{name} is {own[name]} here, and {other[name]} there"
        for name in own
        if name in other and own[name] != other[name]
    ]
