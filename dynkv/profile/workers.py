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
    """What one role of a disagg deployment may have of its own."""

    replicas: CountOrNone | None = None
    """Workers of this role; as many as the GPUs allow when left out. 0 in a cluster where other nodes have them."""
    gpu_memory_fraction: Fraction | None = None
    """Instead of `workers.gpu_memory_fraction`."""
    env: StackEnvironment = {}
    """Added to the environment of this role alone, after `workers.env`."""
    restart_with: list[Literal["decode", "prefill"]] = []
    """Roles whose restart restarts this one too. With ai-dynamo 1.6.1 and vllm 0.31.0 on a CPU each survives the
    other's, and serves with its successor; vllm#49238 reports a crash."""


class OneWorker(Section):
    """What one worker has beyond the others of its role."""

    args: WorkerArgs = []
    """Extra arguments, after those of its role."""
    env: StackEnvironment = {}
    """Added to its environment alone, after that of its role."""


class Workers(Section):
    """The processes that compute."""

    gpus: Literal["all"] | Annotated[list[Annotated[int, Field(ge=0)] | str], Field(max_length=1024)] = "all"
    """Indices, UUIDs or MIG ids; in disagg the first ones go to decode."""
    share_gpus: bool = False
    """Let several workers have the same GPU; each then needs its own gpu_memory_fraction."""
    tensor_parallel_size: Count = 1
    """How many GPUs each layer of a worker is spread over."""
    pipeline_parallel_size: Count = 1
    """How many groups of such GPUs the layers of a worker are divided among."""
    data_parallel_size: Count = 1
    """How many copies of the engine a worker has, each with GPUs and a KV cache of its own; with
    `--enable-expert-parallel` in `model.args` they share the experts. A worker has as many GPUs as the product of the
    three sizes, in one process tree. Read in ai-dynamo 1.6.1 and vllm 0.31.0, and not run on GPUs."""
    replicas: CountOrNone | None = None
    """Workers in agg; one per GPU group when left out. 0 in a cluster where other nodes have them."""
    min_replicas: Count = 1
    """The fewest workers that agg makes sense with; a host without the GPUs for them is refused."""
    decode_per_prefill: Count = 2
    """In disagg, how many GPU groups decode gets for each that prefill gets."""
    gpu_memory_fraction: Fraction = 0.85
    """The share of a GPU's memory that a worker takes."""
    block_size: PositiveInt | None = None
    """Tokens in one KV block; vLLM's own default when left out (16 on CUDA, 128 on CPU)."""
    cpu_kv_cache_gb: PositiveInt = 1
    """KV cache of a worker on the CPU, in GiB."""
    env: StackEnvironment = {}
    """Added to the environment of all workers, after the profile's `env`."""
    decode: Apart[RoleSettings] = RoleSettings.model_construct()
    prefill: Apart[RoleSettings] = RoleSettings.model_construct()
    each: dict[str, OneWorker] = {}
    """By a worker's name, such as `worker-1`: what it alone has."""

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
        """Of one copy of the engine, which together hold the weights once."""
        return self.tensor_parallel_size * self.pipeline_parallel_size

    @property
    def ranks(self) -> int:
        """Of one worker, each with a GPU of its own."""
        return self.engine_ranks * self.data_parallel_size
