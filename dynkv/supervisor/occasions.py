"""When there is something to tell a person about a deployment, and what they already know. Pure."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from msgspec import Struct

from dynkv.supervisor.status import DeploymentState

_ENDS = (DeploymentState.STOPPING, DeploymentState.STOPPED)


class Occasion(StrEnum):
    DEGRADED = "degraded"
    """It has answered requests, and a unit is not ready."""
    FAILED = "failed"
    """A unit stays down."""
    RECOVERED = "recovered"
    """All is well again after one of these."""


class Told(Struct, frozen=True):
    """What was told last. It is in the journal, so that a supervisor that takes over repeats nothing."""

    degraded: bool = False
    failed: tuple[str, ...] = ()
    """Units that were reported as failed."""

    @property
    def is_well(self) -> bool:
        return not self.degraded and not self.failed


NOTHING = Told()


def occasions(told: Told, state: DeploymentState, failed: Collection[str]) -> tuple[tuple[Occasion, ...], Told]:
    """What to tell now, and what will then have been told. A start, or an end on request, is not reported."""
    if state in _ENDS:
        return (), told
    if state is DeploymentState.READY:
        return () if told.is_well else (Occasion.RECOVERED,), NOTHING
    is_degraded = state is DeploymentState.DEGRADED
    found = [Occasion.DEGRADED] if is_degraded and not told.degraded else []
    found += [Occasion.FAILED] if {*failed} - {*told.failed} else []
    # until it answers, a failed unit may still be failing: a takeover starts it again
    known = {*failed} if is_degraded else {*failed, *told.failed}
    return tuple(found), Told(told.degraded or is_degraded, tuple(sorted(known)))
