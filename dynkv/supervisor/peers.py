"""What a unit's runner needs of the other units; the stack gives it."""

from __future__ import annotations

from typing import Protocol


class Peers(Protocol):
    def restart_sidecar(self, cause: str) -> None:
        """When a registration cannot be released otherwise."""

    def restart_followers(self, leader: str) -> None:
        """Told of each restart that is not itself one of a follower."""

    async def restart_mappers(self, owner: str) -> None:
        """For GPU memory of `owner` that is still used, and by no process on that GPU."""


class Nobody:
    """For a unit on its own."""

    def restart_sidecar(self, cause: str) -> None:
        pass

    def restart_followers(self, leader: str) -> None:
        pass

    async def restart_mappers(self, owner: str) -> None:
        pass
