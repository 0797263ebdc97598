"""Metrics of a deployment's current state, and what a new supervisor knows of its predecessor."""

from __future__ import annotations

import subprocess
from pathlib import Path

import anyio
import pytest
from prometheus import promtool

from dynkv import documents
from dynkv.host.gpus import GpuLoad
from dynkv.metrics.families import as_text, own_family
from dynkv.metrics.history import history_of, keep_ledger
from dynkv.metrics.ledger import Ledger
from dynkv.metrics.present import PRESENT_FAMILIES, Beside, present
from dynkv.probes.text import Sample
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import Event, EventLog
from dynkv.supervisor.moments import utc_now
from dynkv.supervisor.states import State
from dynkv.supervisor.status import (
    DeploymentState,
    DeploymentStatus,
    StandbyState,
    StandbyStatus,
    SupervisorStatus,
    UnitStatus,
)

UNITS = (
    UnitStatus("frontend", "frontend", State.READY, restarts_left=5),
    UnitStatus("worker-0", "worker", State.READY, gpus=("0", "1"), restarts_left=2),
    UnitStatus("worker-1", "worker", State.READY, gpus=("1",)),
)
STATUS = DeploymentStatus(
    "agg",
    "agg",
    DeploymentState.DEGRADED,
    "",
    "",
    "2026-01-01T00:00:00.000+00:00",
    SupervisorStatus(7, "1", 60.0),
    UNITS,
    kv={"l1_used_bytes": 5, "l1_usage_ratio": None},
    standbys=(StandbyStatus("standby", ("worker",), StandbyState.PARKED, launched=3, rss_bytes=9),),
)
GPUS = {
    "0": GpuLoad(60, 80, 0.5, ((100, 40), (999, 10)), power_w=350.5, temperature_c=61.0),
    "1": GpuLoad(50, 80, None, ((101, 30), (200, 20))),
}
PIDS = {"worker-0": frozenset({100, 101}), "worker-1": frozenset({200})}


def found(beside: Beside | None = None) -> dict[str, dict[str, float]]:
    """Values by family, and by what distinguishes a sample."""
    samples: dict[str, dict[str, float]] = {}
    for it in present(STATUS, beside or Beside()):
        key = " ".join(text for name, text in it.labels.items() if name not in ("deployment", "role"))
        samples.setdefault(it.name, {})[key] = it.value
    return samples


def test_a_unit_holds_of_a_gpu_what_its_own_processes_hold() -> None:
    told = found(Beside(gpus=GPUS, pids=PIDS))
    assert told["dynkv_unit_gpu_memory_bytes"] == {"worker-0 0": 40, "worker-0 1": 30, "worker-1 1": 20}
    assert told["dynkv_gpu_memory_used_bytes"] == {"0": 60, "1": 50}


def test_what_nvml_does_not_say_of_a_gpu_has_no_sample() -> None:
    told = found(Beside(gpus=GPUS))
    assert told["dynkv_gpu_utilization_ratio"] == {"0": 0.5}
    assert told["dynkv_gpu_power_watts"] == {"0": 350.5}
    assert told["dynkv_gpu_temperature_celsius"] == {"0": 61.0}


def test_of_a_gpu_that_does_not_tell_who_holds_it_nothing_is_a_units() -> None:
    assert "dynkv_unit_gpu_memory_bytes" not in found(Beside(gpus={"0": GpuLoad(60, 80, None)}, pids=PIDS))


def test_caches_standbys_and_what_is_left() -> None:
    told = found(Beside(hang_checks={"worker-0": 4}, disks={"/kv": (10, 100)}))
    assert told["dynkv_l1_used_bytes"] == {"": 5}
    assert "dynkv_l1_usage_ratio" not in told, "nobody knows it"
    assert (told["dynkv_l2_disk_free_bytes"], told["dynkv_l2_disk_size_bytes"]) == ({"/kv": 10}, {"/kv": 100})
    assert told["dynkv_standby_state"]["standby parked"] == 1
    assert sum(told["dynkv_standby_state"].values()) == 1
    assert told["dynkv_standby_launches_total"] == {"standby": 3}
    assert told["dynkv_unit_restarts_left"] == {"frontend": 5, "worker-0": 2}
    assert told["dynkv_unit_hang_checks_total"] == {"frontend": 0, "worker-0": 4, "worker-1": 0}
    assert [state for state, value in told["dynkv_deployment_state"].items() if value] == ["degraded"]


def test_only_known_families_are_told() -> None:
    assert {*found(Beside(gpus=GPUS, pids=PIDS, disks={"/kv": (1, 2)}))} <= {*PRESENT_FAMILIES}


def test_promtool_finds_nothing_to_say_of_what_a_host_with_gpus_tells() -> None:
    families: dict[str, list[Sample]] = {}
    for sample in present(STATUS, Beside(gpus=GPUS, pids=PIDS, disks={"/kv": (1, 2)})):
        families.setdefault(sample.name, []).append(sample)
    text = as_text({name: own_family(*PRESENT_FAMILIES[name], samples) for name, samples in families.items()})
    done = subprocess.run([promtool(), "check", "metrics"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(("older", "counted"), [(0, 2), (100, 2), (101, 1)])
def test_a_history_is_read_backwards_as_far_as_it_may_belong_to_the_deployment(
    tmp_path: Path, older: int, counted: int
) -> None:
    """A clock may have been set back in between, so a few older events do not end it."""
    path = tmp_path / "events.jsonl"
    ages = ["2026-01-01", "2027-01-02", *["2026-12-31"] * older, "2027-01-03"]
    lines = [documents.encoded(Event(seq, at, EventKind.FAULT, None, "")) for seq, at in enumerate(ages)]
    path.write_bytes(b"\n".join(lines))
    assert [event.at for event in history_of(path, "2027-01-01")] == ["2027-01-02", "2027-01-03"][-counted:]


@pytest.mark.anyio
async def test_what_a_supervisor_before_has_told_of_counts_but_no_deployment_before(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventLog(path).record(EventKind.FAULT, "of a deployment before")
    await anyio.sleep(0.002)  # times are in milliseconds
    since = utc_now()
    EventLog(path).record(EventKind.FAULT, "of the supervisor before")
    with path.open("a") as file:
        file.write('{"cut off\n')
    ledger, events = Ledger(), EventLog(path)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(keep_ledger, ledger, events, since)
        with anyio.fail_after(20):
            while ledger.seq < 2:  # noqa: ASYNC110 (no event announces it)
                await anyio.sleep(0.01)
            events.record(EventKind.FAULT, "of this one")
            while ledger.seq < 3:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert next(ledger.samples("agg", {}, 0.0)).value == 2
