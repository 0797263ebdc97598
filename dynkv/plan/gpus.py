"""GPUs as the plan and the supervisor know them. Read by host/gpus.py; plain data here."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class ComputeMode(StrEnum):
    """How many processes may use a GPU at once. Source: NVML API reference, nvmlComputeMode_t."""

    DEFAULT = "default"
    EXCLUSIVE = "exclusive"
    """One."""
    PROHIBITED = "prohibited"
    """None."""


class Gpu(Struct, frozen=True):
    """A GPU or a MIG slice that a worker can be given."""

    index: int
    uuid: str
    name: str
    memory_total_bytes: int
    memory_free_bytes: int
    is_mig: bool = False
    is_unsliced: bool = False
    """Whether MIG is on and has no slice, so that nothing can compute on the GPU."""
    holders: tuple[str, ...] = ()
    """Processes that use some of its memory, in words, as far as the driver shows them."""
    compute_mode: ComputeMode = ComputeMode.DEFAULT
    uncorrected_errors: int = 0
    """ECC errors that could not be corrected, since the driver was loaded."""

    @property
    def visible_as(self) -> str:
        """Its id in CUDA_VISIBLE_DEVICES: a MIG slice has no index there."""
        return self.uuid if self.is_mig else str(self.index)


class Driver(Struct, frozen=True):
    """NVIDIA's driver, as far as it answers."""

    problem: str = ""
    """Why it does not answer, in its own words."""
    cuda_major: int | None = None
    """The newest CUDA that it can run; None if it does not say."""
    devices: int = 0
    """NVIDIA GPUs on the PCI bus, whether or not the driver knows them."""
    hidden: tuple[str, ...] = ()
    """GPUs that CUDA_VISIBLE_DEVICES leaves out."""
