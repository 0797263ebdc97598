"""The assignment of ports. Pure; ports in use come in as HostFacts."""

from __future__ import annotations

from itertools import chain

from msgspec import Struct, field

from dynkv.errors import PortTaken, PreflightRefused

SYSTEM_PORT_MAX = 32767
"""The highest system port: Dynamo reads DYN_SYSTEM_PORT as a signed 16-bit number (ai-dynamo 1.6.1)."""
PORT_MAX = 65535
METRICS = "metrics"
"""The name of the supervisor's own port."""
METRICS_FROM = 9810
REQUEST_PORT, RESPONSE_PORT = "requests", "responses"
"""Names of ports of a worker and of the frontend, for other nodes of a cluster."""


def rank_port(name: str, rank: int) -> str:
    """The name of a rank's port; rank 0 has the one that its unit is told."""
    return f"{name}-{rank}"


class PortPlanner(Struct):
    """Assigns each port once. `taken` maps ports in use on the host to their holders in words."""

    taken: dict[int, str]
    kept: dict[str, int] = field(default_factory=dict)
    """Ports that running children of this deployment already have, by `unit.name`."""
    given: set[int] = field(default_factory=set)

    def fixed(self, port: int, key: str, where: str = "") -> int:
        """Exactly this port, for one that clients rely on. Raises PortTaken."""
        if port in self.taken:
            raise PortTaken(port, self.taken[port], key=key, where=where)
        self.given.add(port)
        return port

    def free_from(self, first: int, name: str, count: int = 1, highest: int = PORT_MAX) -> int:
        """The first of `count` free neighbours at or above `first`, or what `name` already has.

        Raises PreflightRefused if there are none.
        """
        own = self.kept.get(name)
        ranks = {rank_port(name, rank) for rank in range(1, count)}
        others = {port for other, port in self.kept.items() if other != name and other not in ranks}
        for port in chain([] if own is None else [own], range(first, highest - count + 2)):
            block = range(port, port + count)
            if not any(p in self.taken or p in self.given or p in others for p in block):
                self.given.update(block)
                return port
        raise PreflightRefused(
            f"no free port from {first} to {highest}", hint="stop the processes that use them, or start lower"
        )
