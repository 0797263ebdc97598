"""The life of a unit as one table. An illegal step raises and changes nothing."""

from __future__ import annotations

from enum import StrEnum

from dynkv.errors import IllegalTransition


class State(StrEnum):
    PENDING = "pending"
    """It waits for its dependencies, or for its turn on a GPU."""
    STARTING = "starting"
    """Its process runs; it has not been ready yet."""
    READY = "ready"
    """Its readiness probe passes."""
    UNREADY = "unready"
    """It was ready; its process runs, but its readiness probe fails."""
    RECYCLING = "recycling"
    """It died or will be restarted, and what is left of its tree is being ended."""
    RECLAIMING = "reclaiming"
    """Its tree is gone; what it held is being given back."""
    BACKOFF = "backoff"
    """It waits until it may start again."""
    FAILED = "failed"
    """It died too often; it starts again only on request."""
    STOPPING = "stopping"
    """It was told to end, and has not ended yet."""
    STOPPED = "stopped"
    """It has ended on request, and starts again only on request."""
    COMPLETED = "completed"
    """A job that has exited with 0; it runs again only on request."""


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
    """`new`, if the table allows it after `old`. Raises IllegalTransition."""
    if new not in TRANSITIONS[old]:
        raise IllegalTransition(unit, old, new)
    return new


def has_ended(state: State) -> bool:
    """Whether nothing of the unit runs, and nothing will unless requested."""
    return state in _ENDED


def is_well(state: State) -> bool:
    """Whether the unit does what it is for, or has done it."""
    return state in _WELL


def is_running(state: State) -> bool:
    """Whether the unit's process is up."""
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
    """The states to go through, if supervision of a unit broke off in this one, to a state from which it can
    continue."""
    return _WAY_ON.get(state, ())
