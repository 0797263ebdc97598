"""The effects of a unit's death on others."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from lab import Lab, free_port, living
from msgspec.structs import replace

from dynkv.plan.model import Role
from dynkv.supervisor.states import State

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("role", [Role.WORKER, Role.UNIT])
async def test_no_entry_leads_to_a_dead_one_that_may_be_a_part_of_dynamo(tmp_path: Path, role: Role) -> None:
    lab = Lab(tmp_path)
    unit = lab.unit(role=role)
    shared = replace(lab.shared(lab.plan(unit)), discovery_dir=lab.place.discovery)
    entries = lab.place.discovery / "v1" / "instances"
    async with living(shared, unit) as life:
        ready = await life.reaches(State.READY)
        entries.mkdir(parents=True)
        for name, port in (("a%2Fb%2Fc%2F1", unit.ports["system"]), ("a%2Fb%2Fc%2F2", free_port())):
            (entries / name).write_text(f'{{"transport": {{"tcp": "127.0.0.1:{port}/1"}}}}')
        os.kill(ready.pid or 0, signal.SIGKILL)
        await life.until(lambda status: status.restarts == 1)
        assert list(entries.iterdir()) == []
