"""A dead unit's ports: free again, or named with their holder."""

from __future__ import annotations

from collections.abc import Mapping

import anyio

from dynkv.doctor.sockets import holders, is_free

DEADLINE_S = 10.0
_PERIOD_S = 0.05


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


def _held(ports: Mapping[str, int]) -> list[int]:
    return [port for port in ports.values() if not is_free(port)]
