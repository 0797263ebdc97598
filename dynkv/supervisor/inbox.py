"""Which request to a unit wins in which state. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dynkv.supervisor.states import State, is_running


class Ask(StrEnum):
    """What can be asked of a unit."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Request:
    ask: Ask
    cause: str
    final: bool = False
    """The whole deployment is on its way down."""
    by_itself: bool = False
    """dynkv sees a reason; it gives way to what a person asks."""
    follows: bool = False
    """Another unit's restart is the reason."""
    drained: bool = False
    """Nothing runs in it that a grace period could save: it is killed at once."""
    is_scaling: bool = False
    """It is stopped because fewer of its role are wanted."""

    @property
    def is_stop(self) -> bool:
        return self.ask is Ask.STOP


def accept(state: State, pending: Request | None, new: Request) -> Request | None:
    """The request that is to be answered next, of a unit in `state` that has yet to answer `pending`.

    The newest wish wins, whatever the state; None where it holds already, once `pending` is forgotten.
    """
    if pending is not None and pending.final:
        return pending
    if (new.by_itself or new.follows) and (pending is not None or not is_running(state)):
        return pending  # it ends for a reason of its own, or does not run
    if _holds_already(state, new.ask):
        return None if pending is not None and pending.is_stop else pending
    return new


def _holds_already(state: State, ask: Ask) -> bool:
    """Of one on its way down it does not: that goes to its end, and the wish is for what comes after."""
    if ask is Ask.START:
        return state is State.PENDING or is_running(state)
    return ask is Ask.RESTART and state is State.PENDING
