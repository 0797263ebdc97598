"""Ports that deployments have claimed on this host, whoever runs them and wherever their directories are.

A claim is an abstract Unix socket with the port in its name: like a port, it can be bound only once in a network
namespace, and it ends with the last process that holds it. It does not show who listens there. Claiming ports without
need makes others take the next ones. Source: unix(7), "Abstract sockets".
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterable
from typing import Self

from dynkv.host.files import read_file
from dynkv.host.limits import descriptors_left

_KEPT = 48
"""Descriptors that are left for other purposes."""
_NAME = "dynkv-port-{}"
_CLAIMED = re.compile(rb" @dynkv-port-(\d{1,5})$", re.MULTILINE)


class Claims:
    """Claims that last until closed, held by this process and by those that inherit its descriptors."""

    def __init__(self) -> None:
        self._held: dict[int, socket.socket] = {}

    def hold(self, ports: Iterable[int]) -> frozenset[int]:
        """Claim these ports and no others; returns those that somebody else has claimed.

        If a claim fails for another reason, such as a lack of descriptors, the port is used without one.
        """
        wanted = frozenset(ports)
        for port in self._held.keys() - wanted:
            self._held.pop(port).close()
        return frozenset(port for port in sorted(wanted - self._held.keys()) if not self._claim(port))

    def _claim(self, port: int) -> bool:
        """Claim a port; False if somebody else has it."""
        if descriptors_left() < _KEPT:
            return True
        try:
            claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        except OSError:
            return True
        try:
            claim.bind(f"\0{_NAME.format(port)}")
        except OSError as error:
            claim.close()
            return error.errno != errno.EADDRINUSE
        self._held[port] = claim
        return True

    @property
    def descriptors(self) -> tuple[int, ...]:
        return tuple(claim.fileno() for claim in self._held.values())

    def close(self) -> None:
        self.hold(())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def claimed_ports() -> frozenset[int]:
    """Claimed ports of all deployments on this host; none if the host does not say. Source: proc_net(5), unix."""
    try:
        return frozenset(map(int, _CLAIMED.findall(read_file("/proc/net/unix"))))
    except OSError:
        return frozenset()
