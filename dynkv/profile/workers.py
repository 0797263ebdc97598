"""The processes that compute: how many, on which GPUs, with how much memory."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from dynkv.profile.apart import Apart
from dynkv.profile.arguments import HANDSHAKE_ARGS, WORKER_OPTIONS, WorkerArgs
from dynkv.profile.environment import StackEnvironment
from dynkv.profile.fields import Count, CountOrNone, Fraction, PositiveInt, Section
from dynkv.profile.words import values

_RANKS_MAX = 256
_HANDSHAKES = ("prefill-", "decode-")


class RoleSettings(Section):
    """Settings of one role in a disagg deployment."""

    replicas: CountOrNone | None = None
    """Number of workers of this role; by default as many as the GPUs allow. 0 in a cluster if other nodes have them."""
    gpu_memory_fraction: Fraction | None = None
    """Replaces `workers.gpu_memory_fraction` for this role."""
    env: StackEnvironment = {}
    """Variables for this role alone, added after `workers.env`."""
    restart_with: list[Literal["decode", "prefill"]] = []
    """Roles whose restart restarts this one too. With ai-dynamo 1.6.1 and vllm 0.31.0 on a CPU each survives the
    other's restart, and serves with its successor; vllm#49238 reports a crash."""


class OneWorker(Section):
    """Settings of one worker, in addition to those of its role."""

    args: WorkerArgs = []
    """Extra arguments, after those of its role."""
    env: StackEnvironment = {}
    """Variables for this worker alone, added after those of its role."""


class Workers(Section):
    """The processes that compute."""

    gpus: Literal["all"] | Annotated[list[Annotated[int, Field(ge=0)] | str], Field(max_length=1024)] = "all"
    """Indices, UUIDs or MIG ids; in disagg the first ones go to decode."""
    share_gpus: bool = False
    """Allow several workers on the same GPU; each then needs its own gpu_memory_fraction."""
    tensor_parallel_size: Count = 1
    """Number of GPUs that each layer of a worker is spread over."""
    pipeline_parallel_size: Count = 1
    """Number of such GPU groups that the layers of a worker are divided among."""
    data_parallel_size: Count = 1
    """Number of copies of the engine in a worker, each with its own GPUs and KV cache; with
    `--enable-expert-parallel` in `model.args` they share the experts. A worker has as many GPUs as the product of
    the three sizes, in one process tree. Based on the source of ai-dynamo 1.6.1 and vllm 0.31.0, not tried on GPUs."""
    replicas: CountOrNone | None = None
    """Number of workers in agg; by default one per GPU group. 0 in a cluster if other nodes have them."""
    min_replicas: Count = 1
    """The fewest workers for which this profile makes sense; a host with fewer GPUs is refused."""
    decode_per_prefill: Count = 2
    """Number of GPU groups in disagg that decode gets for each one of prefill."""
    gpu_memory_fraction: Fraction = 0.85
    """Share of a GPU's memory that a worker takes."""
    block_size: PositiveInt | None = None
    """Tokens in one KV block; by default vLLM's own (16 on CUDA, 128 on CPU)."""
    cpu_kv_cache_gb: PositiveInt = 1
    """KV cache of a worker on the CPU, in GiB."""
    env: StackEnvironment = {}
    """Variables for all workers, added after the profile's `env`."""
    decode: Apart[RoleSettings] = RoleSettings.model_construct()
    prefill: Apart[RoleSettings] = RoleSettings.model_construct()
    each: dict[str, OneWorker] = {}
    """Settings of single workers, by name, such as `worker-1`."""

    @model_validator(mode="after")
    def _ranks_fit_one_machine(self) -> Self:
        if self.ranks > _RANKS_MAX:
            raise PydanticCustomError(
                "ranks", f"a worker of {self.ranks} ranks has more than the {_RANKS_MAX} that one machine may have"
            )
        return self

    @model_validator(mode="after")
    def _handshake_agrees(self) -> Self:
        for name, one in self.each.items():
            given = values(one.args, WORKER_OPTIONS)
            if name.startswith(_HANDSHAKES) and (flag := next((it for it in HANDSHAKE_ARGS if it in given), None)):
                raise PydanticCustomError(
                    "handshake",
                    f"prefill and decode must agree on {flag}, or every transfer fails: put it in model.args",
                    {"key": f"workers.each.{name}"},
                )
        return self

    @property
    def engine_ranks(self) -> int:
        """Ranks of one copy of the engine, which together hold the weights once."""
        return self.tensor_parallel_size * self.pipeline_parallel_size

    @property
    def ranks(self) -> int:
        """Ranks of one worker, each with its own GPU."""
        return self.engine_ranks * self.data_parallel_size
