"""The profile: what a person writes. pydantic models, strict, with defaults that work.

A number without a unit in its name has none; every other key says its unit (`_s`, `_gb`).
The shipped JSON Schema (`dynkv profiles schema`) is made from these models.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from dynkv.profile.arguments import FrontendArgs, RoleArgs, SidecarArgs, WorkerArgs
from dynkv.profile.fields import (
    Address,
    Count,
    Environment,
    Fraction,
    Gibibytes,
    Period,
    Port,
    PositiveInt,
    PositiveSeconds,
    Seconds,
    Section,
    WholeSeconds,
)
from dynkv.profile.l2 import L2Adapter
from dynkv.profile.probes import ProbeGroups
from dynkv.profile.secrets import refuse_secrets
from dynkv.profile.units import OwnUnit


class Model(Section):
    """What is served."""

    path: Annotated[str, Field(min_length=1)] = "Qwen/Qwen3-0.6B"
    """A directory, a Hugging Face id, or `tiny`: a small random model that dynkv makes itself."""
    served_name: str | None = None
    """The name that clients ask for; the path when left out."""
    max_length: PositiveInt | None = None
    """Longest prompt plus reply, in tokens."""
    args: WorkerArgs = []
    """Extra arguments for every worker, one list item for each word."""
    role_args: RoleArgs = RoleArgs()


class RoleSettings(Section):
    """What one role of a disagg deployment may have of its own."""

    replicas: Count | None = None
    """Workers of this role; as many as the GPUs allow when left out."""
    gpu_memory_fraction: Fraction | None = None
    """Instead of `workers.gpu_memory_fraction`."""
    restart_with: list[Literal["decode", "prefill"]] = []
    """Roles whose restart restarts this one too. With ai-dynamo 1.6.1 and vllm 0.31.0 on a CPU each survives the
    other's, and serves with its successor; vllm#49238 reports a crash."""


class Workers(Section):
    """The processes that compute."""

    gpus: Literal["all"] | Annotated[list[Annotated[int, Field(ge=0)] | str], Field(max_length=1024)] = "all"
    """Indices, UUIDs or MIG ids; in disagg the first ones go to decode."""
    share_gpus: bool = False
    """Let several workers have the same GPU; each then needs its own gpu_memory_fraction."""
    tensor_parallel_size: Count = 1
    """How many GPUs one worker is spread over."""
    replicas: Count | None = None
    """Workers in agg; one per GPU group when left out."""
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
    decode: RoleSettings = RoleSettings()
    prefill: RoleSettings = RoleSettings()


class LMCache(Section):
    """The sidecar that keeps KV blocks beyond the workers' own memory."""

    enabled: bool = True
    """Whether there is a sidecar."""
    l1_size_gb: Gibibytes | Literal["auto"] = "auto"
    """RAM for KV blocks, in GiB; `auto` takes 20 for GPU workers, less where RAM is short, and 1 on a CPU."""
    chunk_size: Annotated[int, Field(ge=1, le=1024**2)] = 256
    """Tokens in one cached chunk; a multiple of the workers' block size."""
    eviction_policy: Literal["LRU", "ARC", "IsolatedLRU", "noop"] = "LRU"
    """What goes when L1 is full."""
    worker_reap_timeout_s: WholeSeconds = 30
    """After how long without a heartbeat a dead worker's memory is given back: 30 is LMCache's least, 0 never."""
    worker_registration_grace_s: WholeSeconds = 3600
    """The same for a worker that has not sent its first heartbeat. A lower value ends idle, healthy workers."""
    heartbeat_interval_s: Period = 1.0
    """How often a worker asks whether the sidecar lives. One that is back sooner than this goes unnoticed, and
    the worker's next request hangs (lmcache 0.5.6); LMCache's own 10 is longer than a restart takes."""
    l2: Annotated[list[L2Adapter], Field(max_length=64)] = []
    """Cache levels below RAM, as `lmcache server --l2-adapter` takes them."""
    port: Port = 5555
    """Where workers reach it; the next free one when it is taken."""
    http_port: Port = 8080
    """Of its health and metrics; the next free one when it is taken."""
    args: SidecarArgs = []
    """Extra arguments for `lmcache server`, one list item for each word."""

    @model_validator(mode="after")
    def _reaping_is_possible(self) -> Self:
        if 0 < self.worker_reap_timeout_s < 30:
            raise PydanticCustomError(
                "reap", "worker_reap_timeout_s must be 0 or at least 30", {"key": "lmcache.worker_reap_timeout_s"}
            )
        if self.worker_registration_grace_s < self.worker_reap_timeout_s:
            raise PydanticCustomError("reap", "worker_registration_grace_s must not be below worker_reap_timeout_s")
        return self


class FrontendSettings(Section):
    """The OpenAI-compatible server that clients ask."""

    host: Address = "127.0.0.1"
    """The address it listens on: `0.0.0.0` for all. `localhost` is 127.0.0.1; other names are refused."""
    port: Port = 8000
    """The one port people rely on: it is never moved."""
    router_mode: Literal[
        "round-robin", "random", "power-of-two", "kv", "direct", "least-loaded", "device-aware-weighted"
    ] = "round-robin"
    """How it chooses a worker; `kv` prefers the one that already has most of the prompt's KV blocks."""
    args: FrontendArgs = []
    """Extra arguments for `dynamo.frontend`, one list item for each word."""


class Discovery(Section):
    """How frontend and workers find each other."""

    backend: Literal["file", "etcd"] = "file"
    """Where workers are found: a directory of the deployment's own, or etcd."""
    etcd_endpoints: list[str] = []
    """As `http://host:2379`; needed with `etcd`."""
    nats_server: str | None = None
    """As `nats://host:4222`; requests and events go through it when it is set."""

    @model_validator(mode="after")
    def _etcd_has_an_address(self) -> Self:
        if (self.backend == "etcd") != bool(self.etcd_endpoints):
            raise PydanticCustomError("etcd", "backend etcd and etcd_endpoints go together")
        return self


class Restart(Section):
    """How often, and how soon, a unit that died is started again."""

    max_restarts: Annotated[int, Field(ge=0, le=10**9)] = 5
    """Restarts within the window; with one more death the unit stays down."""
    window_s: PositiveSeconds = 600.0
    """How long a death counts."""
    backoff_initial_s: Seconds = 1.0
    """Before the first restart; it doubles with each further death."""
    backoff_max_s: Seconds = 60.0
    """The longest such delay."""


class Stop(Section):
    """Seconds from SIGTERM to SIGKILL."""

    frontend_s: PositiveSeconds = 10.0
    """Of the frontend."""
    worker_s: PositiveSeconds = 30.0
    """Of each worker."""
    lmcache_s: PositiveSeconds = 15.0
    """Of the sidecar."""


class Logs(Section):
    """Of each unit, rotated by size."""

    max_mb: PositiveInt = 100
    """A unit's log is copied and emptied when it has grown past this."""
    keep: Annotated[int, Field(ge=0, le=10**9)] = 3
    """How many such copies stay."""


class Profile(Section):
    description: str = ""
    """What `dynkv profiles` says of it."""
    topology: Literal["agg", "disagg", "none"] = "agg"
    """`none` runs only the `units` of one's own."""
    engine: Literal["vllm", "mocker"] = "vllm"
    """What the workers run; `mocker` is Dynamo's, which computes nothing."""
    device: Literal["cuda", "cpu"] = "cuda"
    """What the workers run on."""
    model: Model = Model()
    workers: Workers = Workers()
    lmcache: LMCache = LMCache()
    frontend: FrontendSettings = FrontendSettings()
    discovery: Discovery = Discovery()
    probes: ProbeGroups = ProbeGroups()
    restart: Restart = Restart()
    stop: Stop = Stop()
    logs: Logs = Logs()
    units: Annotated[list[OwnUnit], Field(max_length=1000)] = []
    """Programs to run beside the stack: an exporter, a proxy, a router."""
    standby: Literal["off", "start", "always"] = "start"
    """Whether a process does the workers' imports ahead and they are forked from it: while the rest of the deployment
    starts, or always, so that a dead worker is back in a fraction of the time, for about 1 GB of memory."""
    python: str | None = None
    """The interpreter that holds Dynamo, vLLM and LMCache; dynkv's own when left out."""
    env: Environment = {}
    """Added to every process's environment, after dynkv's own entries."""

    @model_validator(mode="after")
    def _no_secret_shows(self) -> Self:
        refuse_secrets(self.model_dump(exclude={"description"}))
        return self

    @model_validator(mode="after")
    def _environment_is_safe(self) -> Self:
        for name in self.env:
            if name in FORBIDDEN_ENV:
                raise PydanticCustomError("env", f"{name} cannot be set: {FORBIDDEN_ENV[name]}", {"key": f"env.{name}"})
        return self

    @model_validator(mode="after")
    def _something_runs(self) -> Self:
        if self.topology == "none" and not self.units:
            raise PydanticCustomError("units", "with topology none there have to be units", {"key": "units"})
        return self

    @model_validator(mode="after")
    def _chunks_are_whole_blocks(self) -> Self:
        if self.lmcache.enabled and self.engine == "vllm" and self.lmcache.chunk_size % self.block_size:
            raise PydanticCustomError(
                "chunk_size",
                f"lmcache.chunk_size {self.lmcache.chunk_size} is no multiple of the workers' block size "
                f"{self.block_size}: the workers would die at start",
                {
                    "key": "lmcache.chunk_size",
                    "hint": f"use a multiple of {self.block_size}, such as {2 * self.block_size}",
                },
            )
        return self

    @model_validator(mode="after")
    def _shared_gpus_fit(self) -> Self:
        if self.topology != "disagg" or self.device != "cuda" or not self.workers.share_gpus:
            return self
        total = sum(self.gpu_memory_fraction(role) for role in ("decode", "prefill"))
        if total > 1:
            raise PydanticCustomError(
                "fractions",
                f"decode and prefill share a GPU, but their memory fractions add up to {total:.2f}",
                {
                    "key": "workers",
                    "hint": "give each a share: workers.decode.gpu_memory_fraction and workers.prefill.…",
                },
            )
        return self

    @property
    def block_size(self) -> int:
        """The workers' KV block size in tokens; vLLM's default for the device where the profile is silent."""
        return self.workers.block_size or (16 if self.device == "cuda" else 128)

    def gpu_memory_fraction(self, role: str) -> float:
        own: Any = getattr(self.workers, role, None)
        return (own and own.gpu_memory_fraction) or self.workers.gpu_memory_fraction


FORBIDDEN_ENV = {
    "PROMETHEUS_MULTIPROC_DIR": "it corrupts the workers' metrics",
    "PYTHONHASHSEED": "sidecar and workers must have the same one, or no token hash ever matches",
    "CUDA_VISIBLE_DEVICES": "the plan gives each worker its GPUs; use workers.gpus",
    "DYN_SYSTEM_PORT": "each worker has its own, from the plan",
    "DYN_FILE_KV": "each deployment has a discovery directory of its own",
    "VLLM_NIXL_SIDE_CHANNEL_PORT": "each worker has its own, from the plan",
}
"""Variables a profile may not set, with the reason."""
