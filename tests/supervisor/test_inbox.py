"""Which request wins in which state: the newest, in every state."""

from __future__ import annotations

from itertools import product

import pytest

from dynkv.supervisor.inbox import Ask, Request, accept
from dynkv.supervisor.states import State

START, STOP, RESTART = (Request(ask, f"{ask} was asked for") for ask in (Ask.START, Ask.STOP, Ask.RESTART))
FINAL = Request(Ask.STOP, "down", final=True)
FOLLOW = Request(Ask.RESTART, "its leader restarts", follows=True)
OWN = Request(Ask.RESTART, "dynkv sees a reason", by_itself=True)
SCALED_DOWN = Request(Ask.STOP, "fewer are wanted", is_scaling=True)
RUNNING = {State.STARTING, State.READY, State.UNREADY}
RESTING = {State.STOPPED, State.FAILED, State.COMPLETED}
COMES_OR_RUNS = {State.PENDING, *RUNNING}


@pytest.mark.parametrize(("state", "pending"), [*product(State, (None, START, STOP, RESTART, SCALED_DOWN))])
def test_a_stop_always_wins(state: State, pending: Request | None) -> None:
    assert accept(state, pending, STOP) == STOP
    assert accept(state, pending, SCALED_DOWN) == SCALED_DOWN


@pytest.mark.parametrize(
    ("state", "pending"), [*product(sorted({*State} - COMES_OR_RUNS), (None, START, STOP, RESTART))]
)
def test_a_start_is_kept_for_what_comes_after(state: State, pending: Request | None) -> None:
    """While it stops, too: it stops completely, and then starts again."""
    assert accept(state, pending, START) == START


@pytest.mark.parametrize("state", sorted(COMES_OR_RUNS))
def test_a_start_of_what_runs_takes_back_a_stop_that_has_not_begun(state: State) -> None:
    assert accept(state, None, START) is None
    assert accept(state, STOP, START) is None
    assert accept(state, SCALED_DOWN, START) is None
    assert accept(state, RESTART, START) == RESTART, "with which it runs as well"


@pytest.mark.parametrize(
    ("state", "pending"), [*product(sorted({*State} - {State.PENDING}), (None, START, STOP, RESTART))]
)
def test_a_restart_wins(state: State, pending: Request | None) -> None:
    assert accept(state, pending, RESTART) == RESTART


def test_one_that_has_not_begun_needs_no_restart() -> None:
    assert accept(State.PENDING, None, RESTART) is None
    assert accept(State.PENDING, STOP, RESTART) is None


@pytest.mark.parametrize(("state", "new"), [*product(State, (START, STOP, RESTART, FOLLOW, FINAL))])
def test_nothing_counts_any_more_once_all_goes_down(state: State, new: Request) -> None:
    assert accept(state, FINAL, new) == FINAL
    assert accept(state, new, FINAL) == FINAL


@pytest.mark.parametrize(("state", "pending"), [*product(State, (None, START, STOP, RESTART))])
def test_what_dynkv_asks_by_itself_counts_only_if_it_runs_and_nothing_else_is_asked(
    state: State, pending: Request | None
) -> None:
    for own in (FOLLOW, OWN):
        expected = own if pending is None and state in RUNNING else pending
        assert accept(state, pending, own) == expected


# --- what became of it: a unit that answers what is pending, one step at a time ---

ON_ITS_WAY = {
    State.RECYCLING: State.RECLAIMING,
    State.RECLAIMING: State.BACKOFF,
    State.STOPPING: State.STOPPED,
    State.STARTING: State.READY,
    State.UNREADY: State.READY,
    State.PENDING: State.STARTING,
    State.BACKOFF: State.PENDING,
}


def settled(state: State, pending: Request | None) -> State:
    """The final state without further requests."""
    for _ in range(20):
        takes = state in {State.PENDING, State.BACKOFF, *RESTING, *RUNNING}
        if pending is not None and takes:
            if state in RESTING:
                state = state if pending.is_stop else State.PENDING
            elif pending.is_stop:
                state = State.STOPPING
            else:
                state = State.RECYCLING if state in RUNNING else State.PENDING
            pending = None
        elif state in ON_ITS_WAY:
            state = ON_ITS_WAY[state]
    return state


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("wishes", list(product((START, STOP, RESTART, SCALED_DOWN), repeat=3)))
def test_whatever_the_state_what_was_asked_last_comes_true(state: State, wishes: tuple[Request, ...]) -> None:
    pending: Request | None = None
    for wish in wishes:
        pending = accept(state, pending, wish)
    rests = settled(state, pending) in RESTING
    assert rests == wishes[-1].is_stop
