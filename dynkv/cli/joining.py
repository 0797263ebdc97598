"""Whether a node may join the others of its cluster, checked before it starts anything.

What asks etcd is imported for a cluster alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dynkv.errors import PreflightRefused
from dynkv.plan.cluster import TLS_VARIABLES
from dynkv.plan.model import Plan
from dynkv.plan.serving import Node

if TYPE_CHECKING:
    from dynkv.cluster.etcd import EtcdError

_HELD_S = 60
"""How long a node's place is kept until its supervisor has come up."""


class CannotMeet(PreflightRefused):
    """Etcd, through which the nodes of a cluster meet, cannot be reached."""

    def __init__(self, error: EtcdError) -> None:
        super().__init__(
            str(error), hint="check cluster.etcd; `dynkv up infra` runs one etcd and one NATS to try things out"
        )


class Disagrees(PreflightRefused):
    """Another node of the cluster has a conflicting plan, so that requests would fail."""

    def __init__(self, node: str, namespace: str, found: list[str]) -> None:
        super().__init__(
            f"this node does not match {node}, which is already in namespace {namespace}",
            hint="use the same on both, or another cluster.namespace here; to change it for all, take down the others",
            detail="\n".join(f"  {line}" for line in found),
        )


def join(plan: Plan) -> None:
    """Take a place among the nodes, if the plan belongs to a cluster. Raises CannotMeet, Disagrees."""
    if plan.node is None:
        return
    import anyio

    from dynkv.cluster.etcd import EtcdError

    try:
        anyio.run(_join, plan, plan.node)
    except EtcdError as error:
        raise CannotMeet(error) from None


def certificates(plan: Plan) -> dict[str, str]:
    """The contents of the files for TLS to etcd, by the variables from which Dynamo reads them.

    Raises PreflightRefused for a file that cannot be read.
    """
    files = plan.node.tls if plan.node else (None, None, None)
    found = {}
    for name, path in zip(TLS_VARIABLES, files, strict=True):
        if path is None:
            continue
        try:
            found[name] = Path(path).read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            hint = "check cluster.etcd_ca, cluster.etcd_cert and cluster.etcd_key"
            raise PreflightRefused(f"{path} cannot be read: {error}", hint=hint) from None
    return found


async def _join(plan: Plan, node: Node) -> None:
    """Join; of two nodes at once the later one is refused, since each writes its plan before it reads the others."""
    from dynkv.cluster.etcd import Access, Etcd
    from dynkv.cluster.nodes import as_bytes, differences, key, prefix, read, record_of

    etcd, own, lease = Etcd(node.etcd, Access.of(node.tls, os.environ)), key(node), 0
    found = read(await etcd.entries(prefix(node.namespace)))
    if own not in found:
        lease = await etcd.grant(_HELD_S)
        await etcd.put(own, as_bytes(record_of(plan, node)), lease)
        found = read(await etcd.entries(prefix(node.namespace)))
    came = found[own][0].created if lease and own in found else None
    for entry, record in found.values():
        is_earlier = came is None or entry.created < came
        if entry.key == own or not is_earlier or not (odd := differences(node.agreement, record.agreement)):
            continue
        if lease:
            await etcd.revoke(lease)
        raise Disagrees(f"{record.deployment} at {record.advertise}", node.namespace, odd)
