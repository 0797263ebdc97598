"""What a container of Dynamo's images cannot run is refused in words, whatever the engine."""

from __future__ import annotations

import pytest
from exported import TARGETS, compose, k8s
from msgspec.structs import replace

import dynkv.plan.build
from dynkv.errors import UsageError
from dynkv.plan.context import Context
from dynkv.plan.mocker import mocker_unit
from dynkv.plan.model import Dependency, Unit
from dynkv.plan.seats import Seat
from dynkv.profile.engines import ENGINES


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("profile", ["agg", "disagg"])
def test_every_engine_goes_everywhere_or_is_refused_in_words(engine: str, target: str, profile: str) -> None:
    try:
        files = TARGETS[target](profile, {"engine": engine})
    except UsageError as error:
        assert error.hint
        return
    assert all(files.values())


def by_script(ctx: Context, seat: Seat, depends_on: tuple[Dependency, ...]) -> Unit:
    unit = mocker_unit(ctx, seat, depends_on)
    return replace(unit, argv=(*ctx.interpreter, f"{ctx.facts.scripts_directory}/mine.py", "--port", "1"))


def by_program(ctx: Context, seat: Seat, depends_on: tuple[Dependency, ...]) -> Unit:
    return replace(mocker_unit(ctx, seat, depends_on), argv=("/usr/local/bin/worker", "-m", "model"))


@pytest.mark.parametrize("export", [k8s, compose])
@pytest.mark.parametrize(
    ("maker", "says"),
    [
        (by_script, "worker-0 is run by a script of dynkv's, mine.py, and no image has it"),
        (by_program, "worker-0 is no module of the stack"),
    ],
)
def test_a_worker_of_another_kind_is_refused(
    export: object, maker: object, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(dynkv.plan.build.MAKERS, "mocker", maker)
    assert callable(export)
    with pytest.raises(UsageError, match=says) as refused:
        export("agg", {"engine": "mocker"})
    assert "dynkv export shell" in refused.value.hint
