"""The memory gate: an engine starts when the GPU memory that it will need is free."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
from msgspec import Struct

from dynkv.host.asking import Questions
from dynkv.host.gpus import GpuMemory, gpu_memory

DEADLINE_S = 60.0
_UNKNOWN_S = 5.0
"""How long to wait for an answer if there is none, for example without a driver. A GPU that is reset takes seconds."""
_PERIOD_S = 0.25
_PATIENCE_S = 5.0
"""Timeout of one look. NVML takes some 10 ms, and minutes for a GPU that fell off the bus."""
_MIB = 1024**2
_NVML = Questions()


class Shortage(Struct, frozen=True):
    """A GPU with too little free memory."""

    gpu: str
    needed_bytes: int
    memory: GpuMemory

    def would_do(self, mapped_bytes: int) -> bool:
        """Whether it would be enough without `mapped_bytes` and without what no process on this GPU uses."""
        return self.memory.free_bytes + self.memory.unexplained_bytes + mapped_bytes >= self.needed_bytes

    def __str__(self) -> str:
        holders = ", ".join(self.memory.holders) or "no process that NVML shows"
        free = f"{self.memory.free_bytes // _MIB} of {self.needed_bytes // _MIB} MiB free"
        return f"GPU {self.gpu} has {free}, held by {holders}"


class Unknown(Struct, frozen=True):
    """A GPU whose free memory is unknown, and why."""

    gpu: str
    why: str

    def __str__(self) -> str:
        return f"the free memory of GPU {self.gpu} is unknown: {self.why}"


Short = list[Shortage | Unknown]


async def wait_for_memory(
    gpus: Sequence[str],
    fraction: float,
    waiting: Callable[[str], None],
    deadline_s: float = DEADLINE_S,
    kv_cache_bytes: int = 0,
) -> Short:
    """Return when `fraction` of each GPU is free, or at the deadline with what is still short or unknown.

    A KV cache of fixed size must fit too, however small the fraction.

    `waiting` is called, whenever it changes, with what is being waited for, in words. vLLM refuses to start with less
    (vllm 0.23, 0.31: "Free memory on device … is less than desired GPU memory utilization").
    """
    known_at, told = anyio.current_time(), ""
    until = known_at + deadline_s
    while True:
        short, now = await _shortages(gpus, fraction, kv_cache_bytes), anyio.current_time()
        known_at = now if any(isinstance(shortage, Shortage) for shortage in short) else known_at
        if not short or now >= min(until, known_at + _UNKNOWN_S):
            return short
        if str(short[0]) != told:
            told = str(short[0])
            waiting(told)
        await anyio.sleep(_PERIOD_S)  # nothing notifies when GPU memory is freed


async def _shortages(gpus: Sequence[str], fraction: float, kv_cache_bytes: int) -> Short:
    def look() -> Short:
        return [short for gpu in gpus if (short := _short_of(gpu, fraction, kv_cache_bytes)) is not None]

    try:
        return await _NVML.ask(look, _PATIENCE_S)
    except TimeoutError:
        return [Unknown(gpu, "NVML does not answer") for gpu in gpus]


def _short_of(gpu: str, fraction: float, kv_cache_bytes: int) -> Shortage | Unknown | None:
    try:
        memory = gpu_memory(gpu)
    except Exception as error:  # noqa: BLE001 (whatever the driver's library raises: it cannot say)
        return Unknown(gpu, f"NVML says {str(error) or type(error).__name__}")
    needed = memory.needed(fraction, kv_cache_bytes)
    if memory.free_bytes >= needed:
        return None
    return Shortage(gpu, needed, memory)
