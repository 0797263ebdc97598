"""A unit's ports: waiting for them after its death, and finding who else holds them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import anyio

from dynkv.host.sockets import holders, is_free, ports_of

DEADLINE_S = 10.0
_PERIOD_S = 0.05
_LOOKS = 3
"""Reads of /proc's table of sockets, which comes in pieces and can miss one."""


async def wait_for_ports(ports: Mapping[str, int], deadline_s: float = DEADLINE_S) -> dict[int, str]:
    """Return when all are free, or at the deadline with the ports still held, each with its holder in words."""
    held = _held(ports)
    with anyio.move_on_after(deadline_s):
        while held:
            await anyio.sleep(_PERIOD_S)  # nothing notifies when a port becomes free
            held = _held(ports)
    if not held:
        return {}
    known = holders()
    return {port: known.get(port, "a process that cannot be seen") for port in held}


async def held_by_others(ports: Collection[int], pids: Callable[[], Collection[int]]) -> str | None:
    """A process that listens on one of `ports` instead of the processes `pids`, in words; None if there is none."""
    for _ in range(_LOOKS):
        missing = set(ports) - ports_of(pids())
        if not missing:
            return None
        await anyio.sleep(_PERIOD_S)
    others = holders(ignore_pids=frozenset(pids()))
    return next((f"port {port} is held by {others[port]}" for port in sorted(missing & others.keys())), None)


def _held(ports: Mapping[str, int]) -> list[int]:
    return [port for port in ports.values() if not is_free(port)]
