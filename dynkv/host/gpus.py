"""The host's GPUs through NVML. Source: NVML API reference, nvidia-ml-py 13."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from dynkv.host.described import described
from dynkv.plan.gpus import ComputeMode, Driver, Gpu

_INDEX = re.compile(r"[0-9]{1,9}")
_PCI_DEVICES = Path("/sys/bus/pci/devices")
_NVIDIA = "0x10de"
_DISPLAYS = "0x03"
"""The PCI class of a display or compute device. Source: pci.ids, class 03."""


def gpus() -> tuple[Gpu, ...]:
    """Usable GPUs and MIG slices; none without a driver. Respects CUDA_VISIBLE_DEVICES."""
    return look()[0]


def look() -> tuple[tuple[Gpu, ...], Driver]:
    """The GPUs and the driver: a host without a driver has no GPUs, unlike one whose driver is broken.

    A GPU that the driver has lost is not included.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return (), Driver(problem=str(error), devices=pci_devices())
    try:
        found = [gpu for index in range(pynvml.nvmlDeviceGetCount()) for gpu in _asked(_of_device, index) or ()]
        cuda = _asked(pynvml.nvmlSystemGetCudaDriverVersion_v2)
    except pynvml.NVMLError as error:
        return (), Driver(problem=str(error), devices=pci_devices())
    finally:
        _asked(pynvml.nvmlShutdown)
    hidden = tuple(gpu.visible_as for gpu in found if not _is_visible(gpu))
    major = int(cuda) // 1000 if cuda else None  # as 1000 * major + 10 * minor
    return tuple(gpu for gpu in found if _is_visible(gpu)), Driver(cuda_major=major, devices=len(found), hidden=hidden)


def pci_devices(directory: Path = _PCI_DEVICES) -> int:
    """NVIDIA GPUs on the PCI bus, with or without a driver. Source: Linux, sysfs-bus-pci."""
    found = 0
    for device in directory.glob("*"):
        with suppress(OSError):  # gone meanwhile
            is_nvidia = (device / "vendor").read_text().strip() == _NVIDIA
            found += is_nvidia and (device / "class").read_text().startswith(_DISPLAYS)
    return found


class GpuMemory(Struct, frozen=True):
    total_bytes: int
    free_bytes: int
    holders: tuple[str, ...]
    """Processes that use some of it, in words."""
    used_by: tuple[tuple[int, int], ...] = ()
    """Pids and what each uses, including mapped memory of others, as far as NVML reports it."""
    unexplained_bytes: int = 0
    """Used memory of no process that NVML shows: the driver's, or mapped through CUDA IPC into a process on another
    GPU. 0 if NVML does not report each process's use."""

    def needed(self, fraction: float, kv_cache_bytes: int = 0) -> int:
        return max(int(self.total_bytes * fraction), kv_cache_bytes)


def gpu_memory(gpu: str) -> GpuMemory:
    """The memory of a GPU, by index, UUID or MIG id. Raises pynvml.NVMLError if there is no such GPU."""
    import pynvml

    pynvml.nvmlInit()
    try:
        handle = _handle(gpu)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        users = _asked(pynvml.nvmlDeviceGetComputeRunningProcesses, handle)
        is_told = users is not None and all(user.usedGpuMemory is not None for user in users)
        unexplained = int(memory.used) - sum(user.usedGpuMemory for user in users) if is_told else 0
        return GpuMemory(
            int(memory.total),
            int(memory.free),
            tuple(_user(user.pid, user.usedGpuMemory) for user in users or ()),
            tuple((user.pid, user.usedGpuMemory) for user in users or () if user.usedGpuMemory is not None),
            max(0, unexplained),
        )
    finally:
        _asked(pynvml.nvmlShutdown)


class GpuLoad(Struct, frozen=True):
    used_bytes: int
    total_bytes: int
    utilisation: float | None
    """0 to 1; None if NVML does not say."""
    used_by: tuple[tuple[int, int], ...] | None = None
    """Pids and what each uses; None if NVML does not report all."""
    power_w: float | None = None
    temperature_c: float | None = None


def gpu_loads(wanted: Iterable[str]) -> dict[str, GpuLoad]:
    """Loads by the GPUs' given names: index, UUID or MIG id. Unknown GPUs are left out."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return {}
    try:
        return {gpu: load for gpu in wanted if (load := _load(gpu)) is not None}
    finally:
        _asked(pynvml.nvmlShutdown)


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
    users = _asked(pynvml.nvmlDeviceGetComputeRunningProcesses, handle)
    is_told = users is not None and all(user.usedGpuMemory is not None for user in users)
    used_by = tuple((user.pid, user.usedGpuMemory) for user in users) if is_told else None
    milliwatts = _asked(pynvml.nvmlDeviceGetPowerUsage, handle)
    celsius = _asked(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)
    return GpuLoad(
        int(memory.used),
        int(memory.total),
        utilisation,
        used_by,
        power_w=None if milliwatts is None else milliwatts / 1000,
        temperature_c=None if celsius is None else float(celsius),
    )


def _handle(gpu: str) -> object:
    import pynvml

    return (
        pynvml.nvmlDeviceGetHandleByIndex(int(gpu)) if _INDEX.fullmatch(gpu) else pynvml.nvmlDeviceGetHandleByUUID(gpu)
    )


def _user(pid: int, used_bytes: int | None) -> str:
    return described(pid) + (f" with {used_bytes // 1024**2} MiB" if used_bytes else "")


def _of_device(index: int) -> list[Gpu]:
    import pynvml

    device = pynvml.nvmlDeviceGetHandleByIndex(index)
    modes = _asked(pynvml.nvmlDeviceGetMigMode, device)  # None for a GPU without MIG
    if not modes or modes[0] != pynvml.NVML_DEVICE_MIG_ENABLE:
        return [_describe(device, device, index)]
    count = _asked(pynvml.nvmlDeviceGetMaxMigDeviceCount, device) or 0
    slices = [_asked(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, device, number) for number in range(count)]
    found = [_describe(handle, device, index, is_mig=True) for handle in slices if handle]
    return found or [_describe(device, device, index, is_unsliced=True)]


def _describe(handle: object, device: object, index: int, *, is_mig: bool = False, is_unsliced: bool = False) -> Gpu:
    """Describe a GPU. `device` is the whole GPU, of which `handle` may be a slice: only the whole one has some
    properties."""
    import pynvml

    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    users = _asked(pynvml.nvmlDeviceGetComputeRunningProcesses, handle) or []
    return Gpu(
        index=index,
        uuid=_text(pynvml.nvmlDeviceGetUUID(handle)),
        name=_text(pynvml.nvmlDeviceGetName(handle)),
        memory_total_bytes=int(memory.total),
        memory_free_bytes=int(memory.free),
        is_mig=is_mig,
        is_unsliced=is_unsliced,
        holders=tuple(_user(user.pid, user.usedGpuMemory) for user in users),
        compute_mode=_compute_mode(device),
        uncorrected_errors=_uncorrected_errors(device),
    )


def _compute_mode(device: object) -> ComputeMode:
    import pynvml

    exclusive = (pynvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS, pynvml.NVML_COMPUTEMODE_EXCLUSIVE_THREAD)
    mode = _asked(pynvml.nvmlDeviceGetComputeMode, device)
    if mode == pynvml.NVML_COMPUTEMODE_PROHIBITED:
        return ComputeMode.PROHIBITED
    return ComputeMode.EXCLUSIVE if mode in exclusive else ComputeMode.DEFAULT


def _uncorrected_errors(device: object) -> int:
    """Errors since the driver was loaded; 0 for a GPU without ECC."""
    import pynvml

    kind, since = pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC
    return int(_asked(pynvml.nvmlDeviceGetTotalEccErrors, device, kind, since) or 0)


def _asked(query: Callable[..., Any], *args: object) -> Any:
    """NVML's answer; None if the GPU or the driver does not support the query."""
    import pynvml

    try:
        return query(*args)
    except pynvml.NVMLError:
        return None


def _is_visible(gpu: Gpu) -> bool:
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return True
    return any(part.strip() in (str(gpu.index), gpu.uuid) for part in given.split(","))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
