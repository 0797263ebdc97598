"""Which workers are restarted because their sidecar does not know them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from lab import Lab
from msgspec.structs import replace

from dynkv.plan.model import Condition, Dependency, Role, Unit
from dynkv.reclaim.sidecar import Registrations, Sidecar
from dynkv.supervisor import proof
from dynkv.supervisor.inbox import Request
from dynkv.supervisor.runner import Runner
from dynkv.supervisor.states import State
from dynkv.supervisor.status import UnitStatus

pytestmark = pytest.mark.anyio


@dataclass
class Registered:
    """A runner whose worker registered its id at the previous sidecar."""

    unit: Unit
    asked: list[Request] = field(default_factory=list)

    @property
    def registrations(self) -> Registrations:
        return frozenset({self.unit.name})

    def ask(self, request: Request) -> None:
        self.asked.append(request)


@pytest.mark.parametrize(("is_outdated", "restarted"), [(False, ["worker-1"]), (True, [])])
async def test_one_that_will_change_anyway_waits_for_its_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_outdated: bool, restarted: list[str]
) -> None:
    """If it restarted at once, it would be down at the same time as the one whose turn it is."""

    async def known(sidecar: Sidecar) -> Registrations:
        return frozenset({"worker-0"})

    monkeypatch.setattr(proof, "registered", known)
    monkeypatch.setattr(proof, "_REGISTRATION_DEADLINE_S", 0.05)
    lab = Lab(tmp_path)
    workers = [lab.unit(f"worker-{n}", depends_on=(Dependency("lmcache", Condition.READY),)) for n in range(2)]
    plan = lab.plan(*workers)
    sidecar = Sidecar("lmcache", "python", {}, 1, 1, 0.0, tmp_path / "log")
    shared = replace(lab.shared(plan), sidecars=(sidecar,))
    runners = {unit.name: Registered(unit) for unit in workers}
    for unit in workers:
        shared.board.put(UnitStatus(unit.name, Role.WORKER, State.READY, outdated=is_outdated))
    proven = proof.Proof(plan, shared, cast("dict[str, Runner]", runners))
    assert await proven._are_known_to_sidecars() is not bool(restarted)
    assert [name for name, it in runners.items() if it.asked] == restarted
