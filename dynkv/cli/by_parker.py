"""Starting a supervisor by turning the host's parker into it, if the parker has what the plan needs."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dynkv.home import Place
    from dynkv.host.processes import Process
    from dynkv.park.handover import Becoming, Descriptors
    from dynkv.plan.model import Plan


class Started(Protocol):
    """The part of subprocess.Popen that is needed to start a supervisor."""

    def kill(self) -> None: ...

    def wait(self) -> int | None: ...


class Taken:
    """The parker process that becomes the supervisor."""

    def __init__(self, process: Process) -> None:
        from dynkv.children.held import Held

        self._held = Held(process.identity, os.pidfd_open(process.pid))

    def kill(self) -> None:
        self._held.send(signal.SIGKILL)

    def wait(self) -> int | None:
        import anyio

        anyio.run(self._held.ended)
        return None


def by_parker(plan: Plan, place: Place, becoming: Becoming, descriptors: Descriptors) -> tuple[Taken | None, str]:
    """The process; or None and the reason, which is empty if nothing is parked or the plan needs none of it."""
    if not plan.standbys:
        return None, ""
    from dynkv.park.files import LotPlace, process_of

    where = LotPlace(place.home)
    if (lot := where.read()) is None or (process := process_of(lot)) is None:
        return None, ""
    from dynkv.park.around import around
    from dynkv.park.handover import hand_over
    from dynkv.park.lot import unusable
    from dynkv.park.stamp import code

    why = unusable(lot, plan, code(), around())
    if not why:
        taken = Taken(process)
        try:
            why = hand_over(where.socket, becoming, descriptors, process.pid)
        except KeyboardInterrupt:
            taken.kill()  # it may have begun to become the supervisor, of which nobody would know
            raise
        if not why:
            where.accept()
            return taken, ""
    where.refuse(place.name, why)
    return None, why
