"""The life of a unit, as one table. An illegal step raises and changes nothing."""

from __future__ import annotations

from enum import StrEnum

from dynkv.errors import IllegalTransition


class State(StrEnum):
    PENDING = "pending"
    """Waiting for what it depends on, or for its turn on a GPU."""
    STARTING = "starting"
    """Its process runs; it has not been ready yet."""
    READY = "ready"
    """Its readiness probe passes."""
    UNREADY = "unready"
    """It was ready; its process runs, and its readiness probe fails."""
    RECYCLING = "recycling"
    """It died or is to be restarted, and what is left of its tree is being ended."""
    RECLAIMING = "reclaiming"
    """Its tree is gone; what it held is being given back."""
    BACKOFF = "backoff"
    """Waiting until it may start again."""
    FAILED = "failed"
    """It died too often; it starts again only on request."""
    STOPPING = "stopping"
    """It was asked to end, and has not ended yet."""
    STOPPED = "stopped"
    """It was asked to end, and starts again only on request."""
    COMPLETED = "completed"
    """A job that has ended well; it runs again only on request."""


_ENDED = frozenset({State.FAILED, State.STOPPED, State.COMPLETED})
_WELL = frozenset({State.READY, State.COMPLETED})
_RUNNING = frozenset({State.STARTING, State.READY, State.UNREADY})

TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.STARTING, State.STOPPING, State.BACKOFF}),
    State.STARTING: frozenset({State.READY, State.RECYCLING, State.STOPPING}),
    State.READY: frozenset({State.UNREADY, State.RECYCLING, State.STOPPING}),
    State.UNREADY: frozenset({State.READY, State.RECYCLING, State.STOPPING}),
    State.RECYCLING: frozenset({State.RECLAIMING, State.STOPPING}),
    State.RECLAIMING: frozenset({State.BACKOFF, State.STOPPING, State.COMPLETED}),
    State.BACKOFF: frozenset({State.PENDING, State.FAILED, State.STOPPING}),
    State.STOPPING: frozenset({State.STOPPED}),
    State.FAILED: frozenset({State.PENDING, State.STOPPING}),
    State.STOPPED: frozenset({State.PENDING}),
    State.COMPLETED: frozenset({State.PENDING}),
}


def advance(unit: str, old: State, new: State) -> State:
    """`new`, if the table allows it after `old`; raises IllegalTransition."""
    if new not in TRANSITIONS[old]:
        raise IllegalTransition(unit, old, new)
    return new


def has_ended(state: State) -> bool:
    """Nothing of the unit runs, and nothing will unless someone asks."""
    return state in _ENDED


def is_well(state: State) -> bool:
    """The unit does what it is there for, or has done it."""
    return state in _WELL


def is_running(state: State) -> bool:
    """The unit's process is up."""
    return state in _RUNNING


_RESTART = (State.RECYCLING, State.RECLAIMING, State.BACKOFF)
_WAY_ON: dict[State, tuple[State, ...]] = {
    State.PENDING: (State.BACKOFF,),
    State.STARTING: _RESTART,
    State.READY: _RESTART,
    State.UNREADY: _RESTART,
    State.RECYCLING: _RESTART[1:],
    State.RECLAIMING: _RESTART[2:],
    State.STOPPING: (State.STOPPED,),
}


def way_on(state: State) -> tuple[State, ...]:
    """The states to go through, when the care of a unit broke off in this one, to one from which it can go on."""
    return _WAY_ON.get(state, ())
