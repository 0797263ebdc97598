"""Whatever is killed, the deployment recovers by itself and leaves nothing behind.

DYNKV_CHAOS_KILLS and DYNKV_CHAOS_SEED make a longer run, or another one. The fixture takes a census of the host:
processes, ports, shared memory and files (stack/census.py).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from stack.census import home_of
from stack.harness import MOCKER, Dynkv, pids

from .conftest import Report
from .monkey import SUPERVISOR, Monkey
from .report import failed_during, table
from .traffic import Traffic

pytestmark = pytest.mark.stack

SEED = int(os.environ.get("DYNKV_CHAOS_SEED", "20"))
KILLS = int(os.environ.get("DYNKV_CHAOS_KILLS", "96"))
CRASH_WINDOW_S = 10.0
"""How long the frontend of ai-dynamo 1.6.1 may route to a killed worker whose entries stay."""
UNTIRING = (
    *("--set", "restart.max_restarts=100000", "--set", "restart.backoff_initial_s=0.1"),
    *("--set", "restart.backoff_max_s=0.5", "--set", "probes.worker.liveness.period_seconds=1"),
)


@pytest.mark.parametrize("standby", ["start", "always"])
def test_mockers_survive_anything(dynkv: Dynkv, report: Report, standby: str) -> None:
    """Two mocker workers, the real frontend and the real sidecar; half of the kills with each setting of `standby`."""
    up = (*dynkv.up_words("agg-router", *MOCKER, *UNTIRING, "--set", f"standby={standby}"), "--timeout", "120")
    dynkv.do(*up, timeout_s=180)
    before = _processes(dynkv)
    chance = random.Random(SEED)
    targets = ["worker-0"] * 5 + ["worker-1"] * 5 + ["frontend"] * 3 + [SUPERVISOR] * 3 + ["lmcache"]
    with Traffic(dynkv.port, "tiny").running() as traffic:
        monkey = Monkey(dynkv, "agg-router", up, traffic, chance)
        for number in range(10_000):
            if monkey.kills >= KILLS / 2:
                break
            if number % 25 == 24:
                monkey.strike([chance.choice(["worker-0", "worker-1"])], stop=True)
            else:
                some = sorted({chance.choice(targets) for _ in range(chance.choice([2, 3, 4]))})
                monkey.strike(some, flood=chance.choice([0, 0, 40]), wishes=chance.choice([0, 0, 2, 3]))
        monkey.all_run()
        _settle()
        assert _processes(dynkv) == before
    report(table(monkey.blows, traffic.requests))
    assert monkey.kills >= KILLS / 2
    _fail_only_while_down(monkey)


def test_the_real_stack_survives_too(dynkv: Dynkv, report: Report) -> None:
    """One vLLM worker on the CPU, which restarts from the standby."""
    words = ("--device", "cpu", "--model", "tiny", "--set", "standby=always", *UNTIRING)
    up = (*dynkv.up_words("agg", *words), "--timeout", "240")
    dynkv.do(*up, timeout_s=300)
    before = _processes(dynkv)
    rounds = [
        ["worker-0", SUPERVISOR],
        ["worker-0/VLLM::EngineCore", "lmcache"],
        ["worker-0/VLLM::Worker", "lmcache", "frontend", SUPERVISOR],
    ]
    with Traffic(dynkv.port, "tiny", clients=1).running() as traffic:
        monkey = Monkey(dynkv, "agg", up, traffic, random.Random(SEED))
        for targets in rounds:
            monkey.strike(targets)
        _settle()
        assert _processes(dynkv) == before
    report(table(monkey.blows, traffic.requests))
    _fail_only_while_down(monkey)


def _fail_only_while_down(monkey: Monkey) -> None:
    """Ready means ready; and if one of two workers is killed, requests fail for less time than the frontend needs to
    notice."""
    explained = [one for blow in monkey.blows for one in failed_during(blow, monkey.traffic.requests)]
    assert [one for one in monkey.traffic.failed() if one not in explained] == []
    for blow in monkey.blows:
        failed = failed_during(blow, monkey.traffic.requests)
        if set(blow.victims) <= {SUPERVISOR, "lmcache"} and not blow.wishes:
            assert failed == [], "neither is on a request's way"
        if monkey.name == "agg-router" and len(blow.victims) == 1 and not blow.wishes:
            assert all(one.began < blow.at + CRASH_WINDOW_S for one in failed), "the other worker serves"


def _processes(dynkv: Dynkv) -> Counter[str]:
    """The number of processes of the deployment, by name, once its standbys wait."""
    dynkv.wait_until(
        lambda s: all(standby["state"] in ("parked", "ended") for standby in s["standbys"]), dynkv.names()[0]
    )
    return Counter(p.info["name"] for p in psutil.process_iter(["name"]) if home_of(p.pid) == str(dynkv.home))


def _settle() -> None:
    """Return when processes that are about to exit are gone, such as a helper that reports a death to the sidecar."""
    time.sleep(2.0)


# --- the same crash without dynkv ---


def test_a_crash_costs_less_than_with_a_restart_loop(dynkv: Dynkv, report: Report) -> None:
    """The same programs, started from the same plan, each in a loop that restarts it when it dies."""
    without_migration = ("--set", "frontend.migration_limit=0")  # with migration, no request fails either way
    words = ("agg-router", *MOCKER, "--no-lmcache", "--set", f"frontend.port={dynkv.port}", *without_migration)
    dynkv.do("up", *words, "--set", "restart.backoff_initial_s=0.1", timeout_s=90)

    def kill(number: int) -> None:
        status = dynkv.wait_until(lambda status: status["state"] == "ready", "agg-router")
        os.kill(pids(status)[f"worker-{number % 2}"], 9)

    supervised = _crashes(dynkv.port, kill, rounds=1)
    dynkv.do("down")
    with _restart_loops(json.loads(dynkv.do("plan", *words, "--json").stdout)) as workers:
        by_hand = _crashes(dynkv.port, lambda number: workers[number % 2].kill(), rounds=1)
    report(f"{_in_words('restart loops', by_hand)}\n{_in_words('dynkv', supervised)}")
    assert supervised["window_s"] < by_hand["window_s"]
    assert supervised["failed"] <= by_hand["failed"]


def _crashes(port: int, kill: Any, rounds: int) -> dict[str, float]:
    """For how long after a kill requests still failed in the worst case, and how many of how many."""
    window = 0.0
    with Traffic(port, "tiny", clients=4).running() as traffic:
        for number in range(rounds):
            time.sleep(1.0)
            at = time.monotonic()
            kill(number)
            time.sleep(CRASH_WINDOW_S + 4.0)
            window = max([window, *(one.ended - at for one in traffic.failed() if one.ended > at)])
    return {"window_s": window, "failed": len(traffic.failed()), "requests": len(traffic.requests)}


def _in_words(name: str, figures: dict[str, float]) -> str:
    return (
        f"{name:14} requests failed for up to {figures['window_s']:.2f} s after a kill; "
        f"{figures['failed']:.0f} of {figures['requests']:.0f} failed"
    )


class _Loop:
    """One program in a restart loop."""

    def __init__(self, unit: dict[str, Any], log: Path) -> None:
        self._unit, self._log, self._over = unit, log, False
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def end(self) -> None:
        self._over = True
        self.kill()
        self._thread.join(30)

    def _run(self) -> None:
        with self._log.open("ab") as log:
            while not self._over:
                self._process = subprocess.Popen(self._unit["argv"], env=self._unit["env"], stdout=log, stderr=log)
                self._process.wait()


@contextmanager
def _restart_loops(planned: dict[str, Any]) -> Iterator[list[_Loop]]:
    """The plan's programs without a supervisor; yields the workers when two of them serve."""
    directory = Path(planned["discovery_dir"])
    directory.mkdir()
    loops = {unit["name"]: _Loop(unit, directory.parent / f"{unit['name']}.log") for unit in planned["units"]}
    try:
        deadline = time.monotonic() + 60
        while len(list(directory.glob("v1/instances/*generate*"))) < 2:
            assert time.monotonic() < deadline, "the workers did not come up by hand"
            time.sleep(0.2)
        time.sleep(3.0)  # until the frontend has found both
        yield [loop for name, loop in loops.items() if name.startswith("worker")]
    finally:
        for loop in loops.values():
            loop.end()
        shutil.rmtree(directory)
