"""What a node knows of the others, as a snapshot: what `dynkv status` shows of the cluster. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """Another node of the namespace."""

    advertise: str
    """Its address."""
    deployment: str
    """Its name there."""
    state: str
    """Of the deployment there, as it tells itself."""
    detail: str
    endpoint: str
    """Of its frontend, as a client on that machine asks it; empty without one."""
    units: dict[str, int]
    """How many workers of each role are planned there."""
    instances: dict[str, int]
    """How many of each of Dynamo's components take requests there: `backend` is agg's and decode's workers."""


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """The cluster as this node sees it."""

    namespace: str
    advertise: str
    """This node's address for the others."""
    problem: str = ""
    """Why etcd cannot be asked; what else is said here is then from before."""
    whole: bool = False
    """Whether a frontend of any node can route requests to every role."""
    detail: str = ""
    """What is missing for that, in words."""
    instances: dict[str, int] = field(default_factory=dict)
    """This node's own that take requests."""
    rejected: dict[str, str] = field(default_factory=dict)
    """Workers of this node to which no frontend routes anything, by unit, with the reason."""
    peers: tuple[PeerStatus, ...] = ()

    @property
    def rejections(self) -> str:
        """In words; empty where there are none."""
        return "; ".join(f"no frontend routes to {unit}: {why}" for unit, why in self.rejected.items())
