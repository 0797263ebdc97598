"""Deployments that start in the same second, each in its own DYNKV_HOME, and others that take their ports."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from dynkv.supervisor.journal import read_journal

from .harness import COMMAND, MOCKER, Dynkv, fresh_dynkv

pytestmark = pytest.mark.stack
HOMES = int(os.environ.get("DYNKV_TEST_HOMES", "4"))
"""Each takes about 400 MB."""
ALONE = (*MOCKER, "--no-lmcache", "--set", "workers.replicas=1")


@pytest.fixture
def homes() -> Iterator[list[Dynkv]]:
    with ExitStack() as held:
        yield [held.enter_context(fresh_dynkv()) for _ in range(HOMES)]


def ports(home: Dynkv) -> list[int]:
    return [port for unit in home.status()["units"] for port in unit["ports"].values()]


def test_in_the_same_second(homes: list[Dynkv]) -> None:
    assert len({home.port for home in homes}) == HOMES
    starts = [
        subprocess.Popen(
            [COMMAND, *home.up_words("agg", *ALONE, "--timeout", "240")],
            env=home.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for home in homes
    ]
    ends = [(start.communicate(timeout=300)[0], start.returncode) for start in starts]
    assert [said for said, code in ends if code != 0] == []
    taken = Counter(port for home in homes for port in ports(home))
    assert len(taken) == 2 * HOMES
    assert max(taken.values()) == 1
    # a unit that is down keeps its port: nobody else plans it
    worker = homes[0].status()["units"][1]["name"]
    homes[0].do("stop", "--wait", worker)
    plan = json.loads(
        homes[1].do("plan", "agg", *ALONE, "--name", "other", "--set", "frontend.port=24999", "--json").stdout
    )
    assert not {port for unit in plan["units"] for port in unit["ports"].values()} & taken.keys()


def test_a_port_that_another_program_takes_meanwhile_is_planned_again(dynkv: Dynkv) -> None:
    journal = dynkv.home / "agg" / "journal.json"
    with dynkv.started(*dynkv.up_words("agg", *ALONE, "--timeout", "120")) as up:
        port = worker_port(journal)
        with socket.create_server(("127.0.0.1", port)):
            assert up.wait(150) == 0, dynkv.background_output()
    assert f"port {port} of worker-0 was taken by" in dynkv.background_output()
    status = dynkv.status()
    assert status["state"] == "ready"
    assert port not in ports(dynkv)
    dynkv.do("down")
    assert dynkv.left_behind() == []


def worker_port(journal: Path) -> int:
    """Its port, once it is planned; a worker needs seconds until it listens there."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := read_journal(journal):
            return next(unit.ports["system"] for unit in found.units if unit.role.is_worker)
        time.sleep(0.005)
    pytest.fail("nothing was planned")
