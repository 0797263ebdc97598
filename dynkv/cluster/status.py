"""What a node knows of the others, as the snapshot that `dynkv status` shows. Pure."""

from __future__ import annotations

from msgspec import Struct, field


class PeerStatus(Struct, frozen=True):
    """Another node of the namespace."""

    advertise: str
    """The node's address."""
    deployment: str
    """Its deployment's name."""
    state: str
    """The state of the deployment there, as it reports it."""
    detail: str
    """What that state is about, in words."""
    endpoint: str
    """The frontend's address for clients on that machine; empty without one."""
    units: dict[str, int]
    """Number of planned workers of each role."""
    instances: dict[str, int]
    """Number of instances of each Dynamo component that accept requests there: `backend` is workers of agg and
    decode."""


class ClusterStatus(Struct, frozen=True):
    """The cluster as this node sees it."""

    namespace: str
    """The name under which the nodes find each other."""
    advertise: str
    """This node's address for the others."""
    problem: str = ""
    """Why etcd cannot be reached; everything else here is then from before."""
    whole: bool = False
    """Whether a frontend of any node can route requests to every role."""
    detail: str = ""
    """What is missing for that, in words."""
    instances: dict[str, int] = field(default_factory=dict)
    """This node's own instances that accept requests."""
    rejected: dict[str, str] = field(default_factory=dict)
    """Workers of this node to which no frontend routes anything, by unit, with the reason."""
    peers: tuple[PeerStatus, ...] = ()
    """The other nodes."""

    @property
    def rejections(self) -> str:
        """In words; empty where there are none."""
        return "; ".join(f"no frontend routes to {unit}: {why}" for unit, why in self.rejected.items())
