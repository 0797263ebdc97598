"""The life of a unit, as one table."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynkv.errors import IllegalTransition
from dynkv.supervisor.states import TRANSITIONS, State, advance, has_ended, is_running

# written out again
ALLOWED = {
    ("pending", "starting"),
    ("pending", "backoff"),
    ("failed", "stopping"),
    ("starting", "ready"),
    ("ready", "unready"),
    ("unready", "ready"),
    ("starting", "recycling"),
    ("ready", "recycling"),
    ("unready", "recycling"),
    ("recycling", "reclaiming"),
    ("reclaiming", "backoff"),
    ("backoff", "pending"),
    ("backoff", "failed"),
    ("stopping", "stopped"),
    ("failed", "pending"),
    ("stopped", "pending"),
    ("reclaiming", "completed"),
    ("completed", "pending"),
} | {(state, "stopping") for state in ("pending", "starting", "ready", "unready", "recycling", "reclaiming", "backoff")}


@pytest.mark.parametrize(("old", "new"), list(product(State, State)))
def test_every_pair(old: State, new: State) -> None:
    if (str(old), str(new)) in ALLOWED:
        assert advance("worker-0", old, new) is new
    else:
        with pytest.raises(IllegalTransition, match=f"worker-0 cannot go from {old} to {new}"):
            advance("worker-0", old, new)


def ways_out(state: State) -> set[State]:
    found, todo = {state}, [state]
    while todo:
        new = TRANSITIONS[todo.pop()] - found
        found |= new
        todo += new
    return found


@given(st.lists(st.sampled_from(State), max_size=60))
def test_wherever_a_life_leads_there_is_a_way_to_stopped_and_to_pending(wishes: list[State]) -> None:
    state = State.PENDING
    for wish in wishes:
        try:
            state = advance("unit", state, wish)
        except IllegalTransition:
            assert wish not in TRANSITIONS[state]
        assert {State.STOPPED, State.PENDING} <= ways_out(state)
        assert not (has_ended(state) and is_running(state))


def test_from_every_state_in_which_something_runs_it_may_be_stopped() -> None:
    for state in State:
        assert has_ended(state) or state is State.STOPPING or State.STOPPING in TRANSITIONS[state]
