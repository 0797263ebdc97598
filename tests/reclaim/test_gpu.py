"""Waiting for GPU memory, with a fake NVML: the tests' host has no GPU."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import anyio
import pytest

from dynkv.host.gpus import GpuMemory, gpu_memory, look
from dynkv.reclaim import gpu
from dynkv.reclaim.gpu import Shortage, Unknown, wait_for_memory

pytestmark = pytest.mark.anyio
FREE, HELD = GpuMemory(100, 90, ()), GpuMemory(100, 20, ("pid 7 (python, alice)",))
Answer = GpuMemory | Exception
LOST = RuntimeError("GPU is lost")


class Waiting(list[str]):
    def __call__(self, what: str) -> None:
        self.append(what)


def answers(monkeypatch: pytest.MonkeyPatch, *given: Answer) -> list[str]:
    """Make NVML give these answers in turn, repeating the last one; returns the GPUs that it was asked for."""
    rest, asked = iter(given), list[str]()
    last: list[Answer] = []

    def memory(name: str) -> GpuMemory:
        asked.append(name)
        last[:] = [next(rest, *last)]
        if isinstance(last[0], Exception):
            raise last[0]
        return last[0]

    monkeypatch.setattr(gpu, "gpu_memory", memory)
    monkeypatch.setattr(gpu, "_PERIOD_S", 0.001)
    return asked


async def test_free_memory_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, waiting = answers(monkeypatch, FREE), Waiting()
    assert await wait_for_memory(["0", "1"], 0.85, waiting, 60) == []
    assert (asked, waiting) == (["0", "1"], [])


async def test_a_kv_cache_of_a_size_of_its_own_has_to_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, FREE)
    assert await wait_for_memory(["0"], 0.01, Waiting(), 0.0, kv_cache_bytes=90) == []
    assert await wait_for_memory(["0"], 0.01, Waiting(), 0.0, kv_cache_bytes=91) == [Shortage("0", 91, FREE)]


async def test_what_is_waited_for_is_told_whenever_it_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, HELD, HELD, HELD, GpuMemory(100, 50, ()), FREE)
    waiting = Waiting()
    with anyio.fail_after(30):
        assert await wait_for_memory(["0"], 0.85, waiting, 60) == []
    assert waiting == [str(Shortage("0", 85, HELD)), str(Shortage("0", 85, GpuMemory(100, 50, ())))]


async def test_at_the_deadline_it_says_what_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, HELD)
    assert await wait_for_memory(["0"], 0.85, Waiting(), 0.05) == [Shortage("0", 85, HELD)]


async def test_an_error_is_told_once_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, waiting = answers(monkeypatch, LOST), Waiting()
    [short] = await wait_for_memory(["0"], 0.85, waiting, 0.2)
    assert short == Unknown("0", "NVML says GPU is lost")
    assert waiting == ["the free memory of GPU 0 is unknown: NVML says GPU is lost"]
    assert len(asked) > 2


async def test_what_nobody_can_say_is_not_waited_for_as_long_as_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise each start without a driver would take a minute longer; a single error does not end the wait for
    memory."""
    monkeypatch.setattr(gpu, "_UNKNOWN_S", 0.05)
    answers(monkeypatch, LOST)
    with anyio.fail_after(30):
        assert await wait_for_memory(["0"], 0.85, Waiting(), 60) == [Unknown("0", "NVML says GPU is lost")]
    answers(monkeypatch, *[HELD] * 200, LOST, HELD, FREE)
    assert await wait_for_memory(["0"], 0.85, Waiting(), 60) == []


async def test_an_error_that_passes_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, LOST, ValueError(), FREE)
    waiting = Waiting()
    with anyio.fail_after(30):
        assert await wait_for_memory(["0"], 0.85, waiting, 60) == []
    assert len(waiting) == 2
    assert waiting[1].endswith("NVML says ValueError")


async def test_one_lost_gpu_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, LOST, HELD, LOST, HELD)
    found = await wait_for_memory(["0", "1"], 0.85, Waiting(), 0.0)
    assert found == [Unknown("0", "NVML says GPU is lost"), Shortage("1", 85, HELD)]


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """An event; NVML answers once it is set."""
    answer = threading.Event()

    def memory(name: str) -> GpuMemory:
        answer.wait(60)
        return FREE

    monkeypatch.setattr(gpu, "gpu_memory", memory)
    monkeypatch.setattr(gpu, "_PATIENCE_S", 0.05)
    yield answer
    answer.set()


async def test_silence_keeps_nobody_waiting_beyond_the_deadline_nor_the_others_at_all(silence: threading.Event) -> None:
    waiting, ticks = Waiting(), 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await anyio.sleep(0.01)
            ticks += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        with anyio.fail_after(30):
            assert await wait_for_memory(["0"], 0.85, waiting, 0.3) == [Unknown("0", "NVML does not answer")]
        tasks.cancel_scope.cancel()
    assert ticks > 2
    assert waiting == ["the free memory of GPU 0 is unknown: NVML does not answer"]


async def test_it_goes_on_when_nvml_answers_again(silence: threading.Event) -> None:
    class Heard(Waiting):
        def __call__(self, what: str) -> None:
            super().__call__(what)
            silence.set()

    with anyio.fail_after(30):
        assert await wait_for_memory(["0"], 0.85, Heard(), 60) == []


class Nvml(SimpleNamespace):
    """Two GPUs of 100 bytes; the driver has lost the second one."""

    class NVMLError(Exception):
        pass

    NVML_DEVICE_MIG_ENABLE = 1
    NVML_COMPUTEMODE_PROHIBITED, NVML_COMPUTEMODE_EXCLUSIVE_PROCESS, NVML_COMPUTEMODE_EXCLUSIVE_THREAD = 2, 3, 1
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED = NVML_VOLATILE_ECC = 0

    def __getattr__(self, name: str) -> Callable[..., object]:
        """Everything else."""
        if not name.startswith("nvml"):
            raise AttributeError(name)
        return self.fail

    def fail(self, *_: object) -> None:
        raise self.NVMLError("GPU is lost")

    def nvmlInit(self) -> None: ...

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if index:
            self.fail()
        return index

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        return SimpleNamespace(total=100, free=30, used=70)

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return "GPU-0"

    def nvmlDeviceGetName(self, handle: int) -> str:
        return "H100"


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    fake = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return fake


async def test_who_uses_a_gpu_may_be_kept_from_us(nvml: Nvml) -> None:
    assert gpu_memory("0") == GpuMemory(100, 30, (), unexplained_bytes=0)
    with pytest.raises(Nvml.NVMLError):
        gpu_memory("1")


async def test_a_lost_gpu_takes_no_other_with_it(nvml: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    found, driver = look()
    assert [it.uuid for it in found] == ["GPU-0"]
    assert driver.problem == ""
    monkeypatch.setattr(nvml, "nvmlDeviceGetCount", nvml.fail)
    assert look()[0] == ()
    assert look()[1].problem == "GPU is lost"
