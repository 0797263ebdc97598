"""Which request to a unit wins in which state. Pure."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from dynkv.supervisor.states import State, is_running


class Ask(StrEnum):
    """What can be requested of a unit."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"


class Request(Struct, frozen=True):
    ask: Ask
    cause: str
    final: bool = False
    """Whether the whole deployment is going down."""
    by_itself: bool = False
    """Whether dynkv itself made the request; a person's request wins over it."""
    follows: bool = False
    """Whether another unit's restart is the reason."""
    drained: bool = False
    """Whether nothing in it would benefit from a grace period, so that it is killed at once."""
    is_scaling: bool = False
    """Whether it is stopped because fewer units of its role are wanted."""

    @property
    def is_stop(self) -> bool:
        return self.ask is Ask.STOP


def accept(state: State, pending: Request | None, new: Request) -> Request | None:
    """The request to handle next, for a unit in `state` that has yet to handle `pending`.

    The newest wish wins, whatever the state; None if it is already fulfilled once `pending` is dropped.
    """
    if pending is not None and pending.final:
        return pending
    if (new.by_itself or new.follows) and (pending is not None or not is_running(state)):
        return pending  # it is ending for another reason, or does not run
    if _holds_already(state, new.ask):
        return None if pending is not None and pending.is_stop else pending
    return new


def _holds_already(state: State, ask: Ask) -> bool:
    """Whether the wish is fulfilled. It is not while the unit is ending: that will be completed, and the wish is
    about what follows."""
    if ask is Ask.START:
        return state is State.PENDING or is_running(state)
    return ask is Ask.RESTART and state is State.PENDING
