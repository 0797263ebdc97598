"""What a node of a cluster exposes to the network. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.doctor.findings import Case, Finding, finding
from dynkv.plan.model import Unit
from dynkv.plan.ports import RESPONSE_PORT
from dynkv.plan.sidecars import P2P_PORT

_FOR_NODES = (RESPONSE_PORT, P2P_PORT)
_STAYS_LOCAL = ("kv_events",)
"""Ports that are bound on all interfaces but not needed by other nodes; they have their own finding."""


def checks(case: Case) -> Iterator[Finding]:
    """For a firewall: the ports that the other nodes must reach, and nobody else may."""
    advertise = case.profile.cluster.advertise
    if advertise is None:
        return
    opened = {unit.name: _open_ports(unit, advertise) for unit in case.plan.units}
    listed = "; ".join(f"{unit}: {', '.join(ports)}" for unit, ports in opened.items() if ports)
    if listed:
        yield finding(
            "cluster-open",
            f"other machines can reach these ports on {advertise}: {listed}",
            "anyone who can connect there can send requests and read prompts: etcd, NATS and Dynamo ask for no "
            "password unless they are set up to",
            f"let only the other nodes through a firewall to these ports{_more(case)}",
            case.loaded.where("cluster", "advertise"),
        )


def _open_ports(unit: Unit, advertise: str) -> list[str]:
    """Open ports of a worker, and of a custom unit as far as its arguments show."""
    if unit.host == advertise:
        return [f"{name} {port}" for name, port in unit.ports.items() if name not in _STAYS_LOCAL]
    nodes = (*_FOR_NODES, *(("zmq",) if P2P_PORT in unit.ports else ()))
    is_open = advertise in unit.argv and unit.role.is_own
    words = " ".join(unit.argv)
    return [
        f"{name} {port}"
        for name, port in unit.ports.items()
        if is_open or name in nodes or f"{advertise}:{port}" in words
    ]


def _more(case: Case) -> str:
    """Ports that cannot be named in advance."""
    node, more = case.plan.node, []
    if node is not None and node.nats is None and case.plan.workers:
        more.append("those for events, which change with each start unless cluster.nats is set")
    if any("nixl" in unit.ports for unit in case.plan.workers):
        more.append("those that UCX takes for NIXL, which change with each start")
    return f", and to {' and '.join(more)}" if more else ""
