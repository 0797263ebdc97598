"""Whether the planned GPUs are suitable for their workers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import floor

from dynkv.doctor.findings import Case, Finding, finding
from dynkv.plan.gpus import ComputeMode, Gpu
from dynkv.plan.model import Unit

_GIB = 1024**3
_ALLOCATOR = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")


def checks(case: Case) -> Iterator[Finding]:
    for gpu, units in case.on_gpus:
        if gpu.is_unsliced:
            yield _unsliced(gpu)
            continue
        yield from _memory(case, gpu, units)
        yield from _compute_mode(case, gpu, units)
        yield from _errors(gpu)
    yield from _mig(case)
    yield from _cuda_ipc(case)


def _unsliced(gpu: Gpu) -> Finding:
    return finding(
        "mig-without-slices",
        f"MIG is on for GPU {gpu.index}, but there is no slice",
        "CUDA shows no device there",
        f"make slices (nvidia-smi mig -cgi …), or switch it off: nvidia-smi -i {gpu.index} -mig 0",
    )


def _memory(case: Case, gpu: Gpu, units: Sequence[Unit]) -> Iterator[Finding]:
    """Free memory. What a dead supervisor's children hold does not count: they will be taken over or ended."""
    asked = _asked_bytes(case, gpu, units)
    if case.facts.is_taken_over or gpu.memory_free_bytes >= asked:
        return
    free, total = gpu.memory_free_bytes / _GIB, gpu.memory_total_bytes / _GIB
    held = f", held by {', '.join(gpu.holders)}" if gpu.holders else ", held by no process that the driver shows"
    possible = floor(gpu.memory_free_bytes / gpu.memory_total_bytes / len(units) * 100) / 100
    less, key = f"--set workers.gpu_memory_fraction={max(possible, 0.01):g}", ("workers", "gpu_memory_fraction")
    if any(unit.kv_cache_bytes for unit in units):
        less, key = "a smaller --kv-cache-memory-bytes, or workers.gpu_memory_fraction", ("model", "args")
    yield finding(
        "gpu-memory-held",
        f"GPU {gpu.visible_as} has {free:.1f} of {total:.1f} GiB free{held}",
        f"{' and '.join(unit.name for unit in units)} needs {asked / gpu.memory_total_bytes:.0%} of it, and vLLM "
        "does not start with less",
        f"stop the process that uses it, or use less: {less}",
        case.loaded.where(*key),
    )


def _asked_bytes(case: Case, gpu: Gpu, units: Sequence[Unit]) -> float:
    """Bytes that must be free. With a KV cache of fixed size, a worker's share must be free when it starts, and then
    it takes that KV cache and the weights instead. Any of the workers may be the last to start."""
    files = case.facts.model_files
    weights = 0.0 if files is None else files.weights_bytes / case.weights_ranks
    shares = {unit.name: gpu.memory_total_bytes * (unit.gpu_memory_fraction or 0.0) for unit in units}
    sized = {unit.name: unit.kv_cache_bytes + weights for unit in units if unit.kv_cache_bytes}
    taken = shares | sized
    return sum(taken.values()) + max(max(shares[name] - taken[name], 0.0) for name in taken)


def _compute_mode(case: Case, gpu: Gpu, units: Sequence[Unit]) -> Iterator[Finding]:
    processes = len(units) + case.has_sidecar
    reset = f"let several use it: nvidia-smi -i {gpu.index} -c DEFAULT"
    if gpu.compute_mode is ComputeMode.PROHIBITED:
        yield finding(
            "gpu-compute-prohibited",
            f"GPU {gpu.visible_as} is in compute mode Prohibited",
            "no process can make a CUDA context there",
            reset,
        )
    elif gpu.compute_mode is ComputeMode.EXCLUSIVE and processes > 1:
        users = [unit.name for unit in units] + ["the sidecar"] * case.has_sidecar
        yield finding(
            "gpu-compute-exclusive",
            f"GPU {gpu.visible_as} is in compute mode Exclusive Process",
            f"only one process can use it, but these would: {', '.join(users)}",
            reset,
        )


def _errors(gpu: Gpu) -> Iterator[Finding]:
    if gpu.uncorrected_errors:
        yield finding(
            "gpu-ecc-errors",
            f"GPU {gpu.visible_as} has had {gpu.uncorrected_errors} uncorrected memory errors since the driver loaded",
            "each ends the process whose memory it hits, and there may be more",
            "reset the GPU or reboot, so that bad rows are replaced; nvidia-smi -q -d ECC,ROW_REMAPPER tells more",
        )


def _mig(case: Case) -> Iterator[Finding]:
    """MIG slices. Source: NVIDIA Multi-Instance GPU User Guide: a process sees one slice, and there is no
    peer-to-peer."""
    slices = [gpu for gpu, _ in case.on_gpus if gpu.is_mig]
    size = case.profile.workers.ranks
    if slices and size > 1:
        yield finding(
            "mig-tensor-parallel",
            f"a worker has {size} ranks, but GPU {slices[0].index} is divided into MIG slices",
            "ranks on different slices cannot reach each other",
            "keep workers.tensor_parallel_size and the other sizes at 1, or use whole GPUs",
            case.loaded.where("workers", "tensor_parallel_size"),
        )
    elif len(slices) > 1 and case.has_sidecar:
        yield finding(
            "mig-sidecar",
            f"workers on {len(slices)} MIG slices share one sidecar",
            "a process sees one slice only, so the sidecar may not reach the KV blocks of the others (not tried yet)",
            "use one slice, or run without the sidecar: --no-lmcache",
        )


def _cuda_ipc(case: Case) -> Iterator[Finding]:
    """CUDA IPC. It needs one user and one container, which all processes of a deployment share; this checks the
    rest."""
    if not case.on_gpus or not (case.has_sidecar or case.plan.topology == "disagg"):
        return
    envs = [unit.env.get(name, "") for unit in case.plan.workers for name in _ALLOCATOR]
    if any("expandable_segments:True" in env for env in envs):
        yield finding(
            "cuda-ipc-segments",
            "the workers' allocator uses expandable segments",
            "LMCache and NIXL share KV blocks through CUDA IPC, which has no plain handles for such memory",
            "remove expandable_segments from the profile's env",
            case.loaded.where("env"),
        )
    if case.facts.is_wsl:
        yield finding(
            "cuda-ipc-wsl",
            "this is the Windows Subsystem for Linux",
            "LMCache and NIXL share KV blocks through CUDA IPC, which is limited there; this has not been tried",
            "if workers die at the first request, run without the sidecar: --no-lmcache",
        )
