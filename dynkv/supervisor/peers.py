"""What a unit's runner needs of the other units; implemented by the stack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Peers(Protocol):
    def restart_sidecar(self, name: str, cause: str) -> None:
        """Restart a sidecar, when a registration cannot be released otherwise."""

    def restart_followers(self, leader: str) -> None:
        """Restart the units that follow `leader`; called for each restart except that of a follower."""

    def beyond_share(self, owner: str, used: Mapping[int, int], total_bytes: int) -> int:
        """Bytes of a GPU that processes which may map GPU memory of `owner` use beyond their own shares.

        NVML counts mapped memory as the process's own if it is on the GPU on which the process computes. `used`: memory
        of that GPU by pid.
        """

    async def restart_mappers(self, owner: str) -> None:
        """Restart units that keep GPU memory of `owner`'s dead incarnation from being freed."""


class Nobody:
    """Peers for a unit on its own."""

    def restart_sidecar(self, name: str, cause: str) -> None:
        pass

    def restart_followers(self, leader: str) -> None:
        pass

    def beyond_share(self, owner: str, used: Mapping[int, int], total_bytes: int) -> int:
        return 0

    async def restart_mappers(self, owner: str) -> None:
        pass
