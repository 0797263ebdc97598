"""The plan of each shipped profile on each host, as text. `UPDATE_GOLDEN=1 pytest tests/plan` writes it again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import LOCAL_TINY, host, plan

from dynkv.errors import DynkvError
from dynkv.plan.facts import HostFacts
from dynkv.plan.model import Plan, Role, Unit
from dynkv.plan.steps import in_words
from dynkv.profile.engines import ENGINES
from dynkv.profile.load import shipped
from dynkv.profile.model import Profile

GOLDEN = Path(__file__).parent / "golden"
TINY = {"model.path": "tiny"}
OTHERS = [name for name in ENGINES if name != Profile.model_fields["engine"].default]
CASES: dict[str, tuple[HostFacts, dict[str, Any]]] = {
    **{f"{count} GPUs": (host(count), {}) for count in (0, 1, 2, 4, 8)},
    "2 GPUs without lmcache": (host(2), {"lmcache.enabled": False}),
    "cpu": (host(0, model=LOCAL_TINY), {**TINY, "device": "cpu"}),
    **{name: (host(2 if ENGINES[name].computes else 0, model=LOCAL_TINY), {**TINY, "engine": name}) for name in OTHERS},
}


def check(name: str, text: str) -> None:
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), "if this is meant: UPDATE_GOLDEN=1 pytest tests/plan"


@pytest.mark.parametrize("name", shipped())
def test_profile_on_every_host(name: str) -> None:
    check(name, "\n".join(f"== {case}\n{_planned(name, *given)}" for case, given in CASES.items()))


def test_environment() -> None:
    """The whole environment of one deployment on a GPU, and the differences on a CPU and with other engines."""
    parts = [f"== {case}\n{_environments(*CASES[case])}" for case in ("2 GPUs", "cpu", *OTHERS)]
    check("environment", "\n".join(parts) + "\n")


def _environments(facts: HostFacts, settings: dict[str, Any]) -> str:
    try:
        made = plan("disagg", facts, settings)
    except DynkvError as error:
        return f"refused ({error.exit_code}): {error.what}"
    common = "all: " + " ".join(f"{k}={v}" for k, v in sorted(_common(made).items()))
    return "\n".join([common, *(f"{unit.name}: {_own_environment(unit, made)}" for unit in made.units)])


def test_no_golden_file_is_left_over() -> None:
    assert {file.stem for file in GOLDEN.glob("*.txt")} == {*shipped(), "environment", "launch_scripts"}


def _planned(name: str, facts: HostFacts, settings: dict[str, Any]) -> str:
    try:
        made = plan(name, facts, settings)
    except DynkvError as error:
        return f"refused ({error.exit_code}): {error.what}\n"
    return "\n".join(plan_lines(made)) + "\n"


def plan_lines(made: Plan) -> Iterator[str]:
    yield f"{made.endpoint} serves {made.model}, first prompt {made.warm_up_tokens} tokens"
    yield from (f"note: {note}" for note in made.notes)
    yield from (f"prepare: {in_words(step)}" for step in made.prepare)
    for unit in made.units:
        ports = " ".join(f"{name}={port}" for name, port in unit.ports.items())
        after = " ".join(f"{needed.unit}:{needed.condition}" for needed in unit.depends_on) or "nothing"
        gpus = f" on {','.join(unit.gpus)}" if unit.gpus else ""
        yield f"{unit.name} ({unit.role}{gpus}) {ports}; after {after}"
        first = next(other for other in made.units if other.role is unit.role)
        yield from _whole(unit, made) if unit is first or unit.role is Role.UNIT else _differences(unit, first)


def _whole(unit: Unit, made: Plan) -> Iterator[str]:
    is_own = unit.role is Role.UNIT
    assert is_own or unit.argv[0] == made.python
    yield f"  {shlex.join(unit.argv if is_own else unit.argv[1:])}"
    yield f"  {_own_environment(unit, made)}"


def _differences(unit: Unit, first: Unit) -> Iterator[str]:
    words = [word for word, same in zip(unit.argv, first.argv, strict=True) if word != same]
    assert unit.env.keys() == first.env.keys()
    settings = [f"{name}={value}" for name, value in sorted(unit.env.items()) if first.env[name] != value]
    yield f"  like {first.name}, but {shlex.join([*words, *settings])}"


def _common(made: Plan) -> dict[str, str]:
    return {k: v for k, v in made.units[0].env.items() if all(unit.env.get(k) == v for unit in made.units)}


def _own_environment(unit: Unit, made: Plan) -> str:
    common = _common(made)
    return " ".join(f"{k}={v}" for k, v in sorted(unit.env.items()) if k not in common) or "-"
