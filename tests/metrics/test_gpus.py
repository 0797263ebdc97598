"""GPU metrics of the units, with a fake NVML: the tests' host has no GPU."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from dynkv.host.gpus import GpuLoad, gpu_loads
from dynkv.metrics import gpus
from dynkv.metrics.gpus import GpuFigures
from dynkv.supervisor.states import State
from dynkv.supervisor.status import GpuStatus, UnitStatus

UNITS = (
    UnitStatus("frontend", "frontend", State.READY),
    UnitStatus("worker-0", "worker", State.READY, gpus=("1", "MIG-a")),
    UnitStatus("worker-1", "worker", State.READY, gpus=("1",)),
)


class NvmlError(Exception):
    pass


class FakeNvml(SimpleNamespace):
    """One whole GPU and one MIG slice, whose utilization NVML does not know."""

    NVMLError = NvmlError
    NVML_TEMPERATURE_GPU = 0
    opened = 0

    def nvmlInit(self) -> None:
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.opened -= 1

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        if index != 1:
            raise NvmlError
        return "whole"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        return "slice"

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> SimpleNamespace:
        return SimpleNamespace(used=60, total=80) if handle == "whole" else SimpleNamespace(used=5, total=10)

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> SimpleNamespace:
        if handle == "slice":
            raise NvmlError
        return SimpleNamespace(gpu=43)

    def nvmlDeviceGetComputeRunningProcesses(self, handle: str) -> list[SimpleNamespace]:
        if handle == "slice":
            raise NvmlError
        return [SimpleNamespace(pid=7, usedGpuMemory=50), SimpleNamespace(pid=8, usedGpuMemory=10)]

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        if handle == "slice":
            raise NvmlError
        return 350_500

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:
        if handle == "slice":
            raise NvmlError
        return 61


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    fake = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


def test_by_the_names_that_were_asked_for(nvml: FakeNvml) -> None:
    assert gpu_loads(["1", "MIG-a", "7"]) == {
        "1": GpuLoad(60, 80, 0.43, ((7, 50), (8, 10)), power_w=350.5, temperature_c=61.0),
        "MIG-a": GpuLoad(5, 10, None),
    }
    assert nvml.opened == 0


def test_without_a_driver_there_are_none(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise NvmlError

    monkeypatch.setattr(nvml, "nvmlInit", fail)
    assert gpu_loads(["1"]) == {}


@pytest.mark.anyio
async def test_each_gpu_of_the_units_once(nvml: FakeNvml) -> None:
    assert await GpuFigures().of(UNITS) == (GpuStatus("1", 60, 80, 0.43, 350.5, 61.0), GpuStatus("MIG-a", 5, 10, None))


@pytest.mark.anyio
async def test_where_no_unit_uses_one_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)  # importing it would raise
    assert await GpuFigures().of(UNITS[:1]) == ()


@pytest.mark.anyio
async def test_one_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, asked = threading.Event(), []

    def slow(wanted: tuple[str, ...]) -> dict[str, GpuLoad]:
        asked.append(wanted)
        answer.wait(20)
        return {}

    monkeypatch.setattr(gpus, "gpu_loads", slow)
    monkeypatch.setattr(gpus, "_FRESH_S", 0.0)
    figures, unit = GpuFigures(), replace(UNITS[1], gpus=("1",))
    try:
        assert await figures.of([unit]) == ()
        assert await figures.of([unit]) == ()
        assert asked == [("1",)], "while a look lasts, there is no second one"
    finally:
        answer.set()


@pytest.mark.anyio
async def test_what_is_old_is_not_shown(nvml: FakeNvml, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = GpuFigures()
    assert len(await figures.of(UNITS)) == 2
    monkeypatch.setattr(gpus, "_STALE_S", 0.0)
    assert await figures.of(UNITS) == ()
