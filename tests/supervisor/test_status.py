"""The deployment's state, from the states of its units."""

from __future__ import annotations

import msgspec
import pytest

from dynkv.supervisor.states import State
from dynkv.supervisor.status import DeploymentState, UnitStatus, deployment_state

READY, DEAD, STOPPED, UNREADY, PENDING = State.READY, State.FAILED, State.STOPPED, State.UNREADY, State.PENDING


def state_of(*states: State, answered: bool = True, stopping: bool = False) -> DeploymentState:
    units = [UnitStatus(f"unit-{n}", "worker", state) for n, state in enumerate(states)]
    return deployment_state(units, answered=answered, stopping=stopping)


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ((READY, PENDING), "starting"),
        ((READY, READY), "starting"),  # nothing has been answered yet
        ((READY, State.BACKOFF), "starting"),
        ((READY, DEAD), "failed"),
    ],
)
def test_before_it_has_answered(states: tuple[State, ...], state: str) -> None:
    assert state_of(*states, answered=False) == state


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ((READY, READY), "ready"),
        ((READY, UNREADY), "degraded"),
        ((READY, DEAD), "degraded"),
        ((READY, STOPPED), "degraded"),
        ((PENDING, State.STARTING), "degraded"),
    ],
)
def test_after_it_has_answered(states: tuple[State, ...], state: str) -> None:
    assert state_of(*states) == state


@pytest.mark.parametrize("answered", [True, False])
def test_on_its_way_down(answered: bool) -> None:
    assert state_of(READY, STOPPED, answered=answered, stopping=True) == "stopping"
    assert state_of(State.STOPPING, answered=answered, stopping=True) == "stopping"
    assert state_of(DEAD, STOPPED, answered=answered, stopping=True) == "stopped"


def test_a_snapshot_survives_the_wire() -> None:
    unit = UnitStatus("worker-0", "worker", READY, 12, ("0",), {"system": 9000})
    assert msgspec.json.decode(msgspec.json.encode(unit), type=UnitStatus) == unit
