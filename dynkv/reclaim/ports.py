"""A unit's ports: free again after its death, or named with their holder; its own once it runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import anyio

from dynkv.host.sockets import holders, is_free, ports_of

DEADLINE_S = 10.0
_PERIOD_S = 0.05
_LOOKS = 3
"""/proc's table of sockets is read in pieces and can miss one."""


async def wait_for_ports(ports: Mapping[str, int], deadline_s: float = DEADLINE_S) -> dict[int, str]:
    """Return when all are free, or at the deadline: the ports still held, each with its holder in words."""
    held = _held(ports)
    with anyio.move_on_after(deadline_s):
        while held:
            await anyio.sleep(_PERIOD_S)  # nothing tells when a port becomes free
            held = _held(ports)
    if not held:
        return {}
    known = holders()
    return {port: known.get(port, "a process that cannot be seen") for port in held}


async def held_by_others(ports: Collection[int], pids: Callable[[], Collection[int]]) -> str | None:
    """Who listens on one of `ports` instead of the processes `pids`, in words; None if that is nobody."""
    for _ in range(_LOOKS):
        missing = set(ports) - ports_of(pids())
        if not missing:
            return None
        await anyio.sleep(_PERIOD_S)
    others = holders(ignore_pids=frozenset(pids()))
    return next((f"port {port} is held by {others[port]}" for port in sorted(missing & others.keys())), None)


def _held(ports: Mapping[str, int]) -> list[int]:
    return [port for port in ports.values() if not is_free(port)]
