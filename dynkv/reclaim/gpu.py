"""The memory gate: an engine starts when the GPU memory that it will ask for is free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio

from dynkv.host.gpus import GpuMemory, gpu_memory

DEADLINE_S = 60.0
_PERIOD_S = 0.25
_MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Shortage:
    """A GPU with too little free memory, and who holds it, in words."""

    gpu: str
    needed_bytes: int
    free_bytes: int
    holders: tuple[str, ...]
    unexplained_bytes: int = 0
    """As in GpuMemory."""

    @property
    def is_mapped_elsewhere(self) -> bool:
        """Whether there would be enough, were it not for what no process on this GPU uses."""
        return self.free_bytes + self.unexplained_bytes >= self.needed_bytes

    def __str__(self) -> str:
        held = f", held by {', '.join(self.holders)}" if self.holders else ", held by nobody that NVML shows"
        return f"GPU {self.gpu} has {self.free_bytes // _MIB} of {self.needed_bytes // _MIB} MiB free{held}"


async def wait_for_memory(
    gpus: Sequence[str], fraction: float, waiting: Callable[[str], None], deadline_s: float = DEADLINE_S
) -> list[Shortage]:
    """Return when `fraction` of each GPU is free, or at the deadline with what is still short.

    `waiting` is told, in words, what is waited for. vLLM refuses to start with less (vllm 0.23, 0.31: "Free
    memory on device … is less than desired GPU memory utilization").
    """
    short = shortages(gpus, fraction)
    with anyio.move_on_after(deadline_s):
        while short:
            waiting(str(short[0]))
            await anyio.sleep(_PERIOD_S)  # nothing tells when GPU memory is given back
            short = shortages(gpus, fraction)
    return short


def shortages(gpus: Sequence[str], fraction: float) -> list[Shortage]:
    read = [(gpu, gpu_memory(gpu)) for gpu in gpus]
    return [_shortage(gpu, memory, fraction) for gpu, memory in read if memory.free_bytes < memory.needed(fraction)]


def _shortage(gpu: str, memory: GpuMemory, fraction: float) -> Shortage:
    needed = memory.needed(fraction)
    return Shortage(gpu, needed, memory.free_bytes, memory.holders, memory.unexplained_bytes)
