"""The host's GPUs through NVML. Source: NVML API reference, nvidia-ml-py 13."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dynkv.plan.facts import Gpu


def gpus() -> tuple[Gpu, ...]:
    """GPUs and MIG slices that may be used; none where there is no driver. Respects CUDA_VISIBLE_DEVICES."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        found = [gpu for index in range(pynvml.nvmlDeviceGetCount()) for gpu in _of_device(index)]
    finally:
        pynvml.nvmlShutdown()
    return tuple(gpu for gpu in found if _is_visible(gpu))


@dataclass(frozen=True, slots=True)
class GpuMemory:
    total_bytes: int
    free_bytes: int
    holders: tuple[str, ...]
    """Processes that hold some of it, in words."""
    unexplained_bytes: int = 0
    """Used, and by no process that NVML shows: by the driver, or mapped through CUDA IPC into a process on another
    GPU. 0 where NVML does not tell how much each process uses."""

    def needed(self, fraction: float) -> int:
        return int(self.total_bytes * fraction)


def gpu_memory(gpu: str) -> GpuMemory:
    """Of a GPU by index, UUID or MIG id, as it is now; raises pynvml.NVMLError if there is no such GPU."""
    import pynvml

    pynvml.nvmlInit()
    try:
        handle = _handle(gpu)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        users = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
        used = [user.usedGpuMemory for user in users]
        unexplained = 0 if None in used else int(memory.used) - sum(used)
        return GpuMemory(
            int(memory.total),
            int(memory.free),
            tuple(_user(user.pid, user.usedGpuMemory) for user in users),
            max(0, unexplained),
        )
    finally:
        pynvml.nvmlShutdown()


@dataclass(frozen=True, slots=True)
class GpuLoad:
    used_bytes: int
    total_bytes: int
    utilisation: float | None
    """0 to 1; None where NVML does not tell."""


def gpu_loads(wanted: Iterable[str]) -> dict[str, GpuLoad]:
    """By the GPUs' own names: index, UUID or MIG id. What NVML does not know, or does not tell, is left out."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {}
    try:
        return {gpu: load for gpu in wanted if (load := _load(gpu)) is not None}
    finally:
        pynvml.nvmlShutdown()


def _load(gpu: str) -> GpuLoad | None:
    import pynvml

    try:
        handle = _handle(gpu)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    except pynvml.NVMLError:
        return None
    try:
        utilisation = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    except pynvml.NVMLError:  # a MIG slice has none
        utilisation = None
    return GpuLoad(int(memory.used), int(memory.total), utilisation)


def _handle(gpu: str) -> object:
    import pynvml

    return pynvml.nvmlDeviceGetHandleByIndex(int(gpu)) if gpu.isdigit() else pynvml.nvmlDeviceGetHandleByUUID(gpu)


def _user(pid: int, used_bytes: int | None) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        command = "a process of another container or user"
    used = f", {used_bytes // 1024**2} MiB" if used_bytes else ""
    return f"pid {pid} ({command[:60]}{used})"


def _of_device(index: int) -> list[Gpu]:
    import pynvml

    device = pynvml.nvmlDeviceGetHandleByIndex(index)
    slices = []
    try:
        if pynvml.nvmlDeviceGetMigMode(device)[0] == pynvml.NVML_DEVICE_MIG_ENABLE:
            for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(device)):
                slices += _mig_slice(device, index, number)
    except pynvml.NVMLError:  # a GPU that knows no MIG
        slices = []
    return slices or [_describe(device, index, is_mig=False)]


def _mig_slice(device: object, index: int, number: int) -> list[Gpu]:
    import pynvml

    try:
        return [_describe(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(device, number), index, is_mig=True)]
    except pynvml.NVMLError:  # slots of the device that hold no slice
        return []


def _describe(handle: object, index: int, *, is_mig: bool) -> Gpu:
    import pynvml

    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(
        index=index,
        uuid=_text(pynvml.nvmlDeviceGetUUID(handle)),
        name=_text(pynvml.nvmlDeviceGetName(handle)),
        memory_total_bytes=int(memory.total),
        memory_free_bytes=int(memory.free),
        is_mig=is_mig,
    )


def _is_visible(gpu: Gpu) -> bool:
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return True
    return any(part.strip() in (str(gpu.index), gpu.uuid) for part in given.split(","))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
