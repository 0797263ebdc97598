"""Starting a supervisor by turning the host's parker into it, if the parker has what the plan needs."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dynkv.home import Place
    from dynkv.host.processes import Process
    from dynkv.park.files import LotPlace
    from dynkv.park.handover import Becoming, Descriptors
    from dynkv.plan.model import Plan

_PATIENCE_S, _MOMENT_S, _PAUSE_S = 10.0, 1.0, 0.05


class Started(Protocol):
    """The part of subprocess.Popen that is needed to start a supervisor."""

    def kill(self) -> None: ...

    def wait(self) -> int | None: ...


class Taken:
    """The parker process that becomes this deployment's supervisor."""

    def __init__(self, process: Process, where: LotPlace, deployment: str) -> None:
        from dynkv.children.held import Held

        self._held, self._where = Held(process.identity, os.pidfd_open(process.pid)), where
        self._deployment = deployment

    @property
    def _is_it(self) -> bool:
        """Whether it is the supervisor, or about to become it."""
        lot = self._where.read()
        return self._held.is_running and lot is not None and lot.deployment == self._deployment

    def kill(self) -> None:
        """End the supervisor, which makes it the parker again. The signal waits until it can be heeded."""
        self._held.send(signal.SIGTERM)

    def undo(self) -> None:
        """End the supervisor that nobody would know of, if the parker had taken its order already: the lot says so a
        moment later."""
        end = time.monotonic() + _MOMENT_S
        while time.monotonic() < end:
            if self._is_it:
                self.kill()
                return self.wait()
            time.sleep(_PAUSE_S)

    def wait(self) -> None:
        """Return when it is the parker again, or has ended. One that hangs is killed, with what is parked."""
        end = time.monotonic() + _PATIENCE_S
        while self._is_it:
            if time.monotonic() > end:
                self._held.send(signal.SIGKILL)
            time.sleep(_PAUSE_S)


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
        taken = Taken(process, where, place.name)
        try:
            why = hand_over(where.socket, becoming, descriptors, process.pid)
        except KeyboardInterrupt:
            taken.undo()
            raise
        if not why:
            where.accept()
            return taken, ""
    where.refuse(place.name, why)
    return None, why
