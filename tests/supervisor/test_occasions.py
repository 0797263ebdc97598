"""When there is something to report: histories of a deployment's states and of the units that stay down."""

from __future__ import annotations

import pytest

from dynkv.supervisor.occasions import NOTHING, Told, occasions
from dynkv.supervisor.status import DeploymentState as State

Step = tuple[State, tuple[str, ...]]


def told(*steps: Step, before: Told = NOTHING) -> list[list[str]]:
    found = []
    for state, failed in steps:
        new, before = occasions(before, state, failed)
        found.append([*map(str, new)])
    return found


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(State.STARTING, ()), (State.READY, ())], [[], []]),
        ([(State.READY, ()), (State.DEGRADED, ()), (State.READY, ())], [[], ["degraded"], ["recovered"]]),
        ([(State.DEGRADED, ()), (State.DEGRADED, ())], [["degraded"], []]),
        ([(State.DEGRADED, ()), (State.DEGRADED, ("a",)), (State.DEGRADED, ("a",))], [["degraded"], ["failed"], []]),
        ([(State.DEGRADED, ("a",)), (State.DEGRADED, ("a", "b"))], [["degraded", "failed"], ["failed"]]),
        # started again on request, and down again
        ([(State.DEGRADED, ("a",)), (State.DEGRADED, ()), (State.DEGRADED, ("a",))][1:], [["degraded"], ["failed"]]),
        ([(State.FAILED, ("a",)), (State.STARTING, ()), (State.READY, ())], [["failed"], [], ["recovered"]]),
        ([(State.DEGRADED, ()), (State.STOPPING, ()), (State.STOPPED, ())], [["degraded"], [], []]),
    ],
)
def test_each_change_is_told_once(steps: list[Step], expected: list[list[str]]) -> None:
    assert told(*steps) == expected


def test_a_supervisor_that_takes_over_tells_only_what_is_new() -> None:
    before = Told(degraded=True, failed=("a",))
    assert told((State.STARTING, ()), (State.FAILED, ("a",)), before=before) == [[], []]
    assert told((State.STARTING, ()), (State.DEGRADED, ("a",)), before=before) == [[], []]
    assert told((State.STARTING, ()), (State.READY, ()), before=before) == [[], ["recovered"]]
    assert told((State.STARTING, ()), (State.DEGRADED, ("a", "b")), before=before) == [[], ["failed"]]
