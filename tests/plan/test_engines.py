"""The table of engines is complete, and says what their workers consist of."""

from __future__ import annotations

from typing import get_args

import pytest
from hosts import LOCAL_TINY, host, plan

from dynkv.plan.build import MAKERS
from dynkv.plan.worker import program_of
from dynkv.profile.engines import ENGINES, EngineName
from dynkv.profile.model import Profile

NAMES = get_args(EngineName)
TINY = {"model.path": "tiny", "lmcache.enabled": False}


def test_every_engine_of_a_profile_has_its_row_and_its_maker() -> None:
    assert get_args(Profile.model_fields["engine"].annotation) == NAMES
    assert set(ENGINES) == set(NAMES), "each name of EngineName has a row in ENGINES (profile/engines.py)"
    assert set(MAKERS) == set(NAMES), "each name of EngineName has a maker of its workers in MAKERS (plan/build.py)"


@pytest.mark.parametrize("name", ENGINES)
def test_a_worker_is_what_its_row_says(name: str) -> None:
    engine = ENGINES[name]
    made = plan("agg", host(1, model=LOCAL_TINY), {**TINY, "engine": name})
    worker = made.unit("worker-0")
    assert bool(worker.gpus) == engine.computes
    program = " ".join(program_of(worker)[1:])
    for module in engine.imports.dynamo:
        assert program.endswith(f"-m {module.removesuffix('.main')}"), "the standby imports what the worker runs"
    assert bool(made.standbys) == bool(engine.imports.dynamo or engine.imports.beside)
    assert engine.imports.memory_bytes > 0 or not made.standbys


@pytest.mark.parametrize("name", ENGINES)
def test_what_it_cannot_do_is_said(name: str) -> None:
    engine = ENGINES[name]
    asked = {"model.served_name": ["a", "b"], "model.loras": [{"name": "sql", "path": "/loras/sql"}]}
    notes = " ".join(plan("agg", host(1, model=LOCAL_TINY), {**TINY, **asked, "engine": name}).notes)
    assert (f"{engine.called} supports only one name" in notes) != engine.has_aliases
    assert (f"{engine.called} loads none" in notes) != engine.loads_loras
