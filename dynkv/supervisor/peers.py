"""What a unit's runner needs of the other units; the stack gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Peers(Protocol):
    def restart_sidecar(self, name: str, cause: str) -> None:
        """When a registration cannot be released otherwise."""

    def restart_followers(self, leader: str) -> None:
        """Told of each restart that is not itself one of a follower."""

    def beyond_share(self, owner: str, used: Mapping[int, int], total_bytes: int) -> int:
        """Bytes that those which may map GPU memory of `owner` use of a GPU beyond their own shares of it.

        NVML counts what a process maps as its own where the memory is that of the GPU on which it computes itself.
        `used`: what each process uses of that GPU, by pid.
        """

    async def restart_mappers(self, owner: str) -> None:
        """For GPU memory of `owner` that its dead incarnation is kept from giving back."""


class Nobody:
    """For a unit on its own."""

    def restart_sidecar(self, name: str, cause: str) -> None:
        pass

    def restart_followers(self, leader: str) -> None:
        pass

    def beyond_share(self, owner: str, used: Mapping[int, int], total_bytes: int) -> int:
        return 0

    async def restart_mappers(self, owner: str) -> None:
        pass
