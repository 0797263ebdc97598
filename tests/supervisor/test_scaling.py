"""Which units of a role stay, and which are added."""

from __future__ import annotations

import pytest

from dynkv.supervisor.scaling import kept
from dynkv.supervisor.states import State
from dynkv.supervisor.status import UnitStatus


@pytest.mark.parametrize(
    ("states", "replicas", "expected"),
    [
        ("ready ready ready", 2, "0 1"),
        ("failed ready", 1, "1"),
        ("failed ready", 2, "0 1"),
        ("stopped ready ready", 1, "1"),
        ("stopped ready ready", 2, "1 2"),
        ("unready ready", 1, "1"),
        ("starting ready backoff", 2, "0 1"),
        ("backoff starting", 1, "1"),
        ("stopped stopping failed", 1, "1"),
        ("stopped stopped", 1, "0"),
        ("recycling pending ready", 2, "1 2"),
    ],
)
def test_what_is_healthy_stays_and_of_equals_the_first(states: str, replicas: int, expected: str) -> None:
    units = [UnitStatus(f"worker-{n}", "worker", State(state)) for n, state in enumerate(states.split())]
    assert kept(units, replicas) == {f"worker-{n}" for n in expected.split()}


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_rank(state: State) -> None:
    assert kept([UnitStatus("worker-0", "worker", state)], 1) == {"worker-0"}
