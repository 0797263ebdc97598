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
    follows: bool = False
    """Another unit's restart is the reason."""
    is_scaling: bool = False
    """It is stopped because fewer of its role are wanted."""

    @property
    def is_stop(self) -> bool:
        return self.ask is Ask.STOP


_STARTABLE = (State.STOPPED, State.FAILED, State.BACKOFF)


def accept(state: State, pending: Request | None, new: Request) -> Request | None:
    """The request that is to be answered next, of a unit in `state` that has yet to answer `pending`."""
    if new.ask is Ask.START and state not in _STARTABLE:
        return pending
    if new.follows and (pending is not None or not is_running(state)):
        return pending  # it ends for a reason of its own, or does not run
    return new
