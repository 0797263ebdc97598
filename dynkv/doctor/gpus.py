"""The host's GPUs through NVML. Source: NVML API reference, nvidia-ml-py 13."""

from __future__ import annotations

import os

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
