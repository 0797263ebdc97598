"""The profile that a person writes, as strict pydantic models with working defaults.

A number without a unit in its name is a plain number; every other key names its unit (`_s`, `_gb`). The shipped JSON
Schema (`dynkv profiles schema`) is made from these models.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from dynkv.profile.apart import Apart
from dynkv.profile.arguments import FrontendArgs, RoleArgs, WorkerArgs, kv_cache_bytes
from dynkv.profile.cluster import Cluster
from dynkv.profile.engines import ENGINES, EngineName
from dynkv.profile.environment import StackEnvironment
from dynkv.profile.fields import (
    Address,
    Port,
    PositiveInt,
    PositiveSeconds,
    Seconds,
    Section,
)
from dynkv.profile.lmcache import LMCache
from dynkv.profile.loras import Loras
from dynkv.profile.names import ServedName
from dynkv.profile.notify import Notifications
from dynkv.profile.observability import Observability
from dynkv.profile.probes import ProbeGroups
from dynkv.profile.secrets import refuse_secrets
from dynkv.profile.units import OwnUnit
from dynkv.profile.workers import Workers


class Model(Section):
    """The model to serve."""

    path: Annotated[str, Field(min_length=1)] = "Qwen/Qwen3-0.6B"
    """A directory, a Hugging Face id, or `tiny`: a small random model that dynkv makes itself."""
    served_name: ServedName | None = None
    """The name that clients use, or a list: the first is the model's name, the others are aliases. By default an id
    is its own name, and a directory is named by the last part of its path."""
    max_length: PositiveInt | None = None
    """Longest prompt plus reply, in tokens."""
    task: Literal["auto", "generate", "embed", "classify", "realtime"] = "auto"
    """What clients use the model for. `auto` finds out which endpoint serves it; others configure the workers too."""
    loras: Loras = []
    """LoRA adapters, which every worker loads after each of its starts."""
    args: WorkerArgs = []
    """Extra arguments for every worker, one list item for each word."""
    role_args: Apart[RoleArgs] = RoleArgs.model_construct()

    @property
    def names(self) -> tuple[str, ...]:
        """The names for clients, the model's name first; none if the plan chooses it."""
        given = self.served_name
        return (given,) if isinstance(given, str) else tuple(given or ())


class FrontendSettings(Section):
    """The OpenAI-compatible server that clients connect to."""

    enabled: bool = True
    """Whether there is one on this machine; false in a cluster if another node has it."""
    host: Address = "127.0.0.1"
    """The address to listen on; `0.0.0.0` is all. `localhost` means 127.0.0.1; other names are refused."""
    port: Port = 8000
    """The port that clients use. It is never moved."""
    router_mode: Literal[
        "round-robin", "random", "power-of-two", "kv", "direct", "least-loaded", "device-aware-weighted"
    ] = "round-robin"
    """How it chooses a worker; `kv` prefers the one that already has most of the prompt's KV blocks."""
    migration_limit: Annotated[int, Field(ge=0, le=2**32 - 1)] = 3
    """How many times a request whose worker dies may continue on another worker; 0 means never."""
    record: bool = False
    """Whether `dynkv record` can record the traffic: the frontend then writes lengths, times and hashes of each
    request."""
    args: FrontendArgs = []
    """Extra arguments for `dynamo.frontend`, one list item for each word."""
    env: StackEnvironment = {}
    """Variables for the frontend alone, added after the profile's `env`."""


class MetricsSettings(Section):
    """Metrics of all units for Prometheus, at one read-only address."""

    enabled: bool = True
    """Whether to serve metrics."""
    host: Address = "127.0.0.1"
    """The address to listen on; `0.0.0.0` is all. It requires no password."""
    port: Port | None = None
    """The port; by default the first free one from 9810 on, which a takeover keeps."""


class Discovery(Section):
    """How frontend and workers find each other."""

    backend: Literal["file", "etcd"] = "file"
    """Where workers are registered: in a directory of the deployment, or in etcd."""
    etcd_endpoints: list[str] = []
    """Addresses of etcd, such as `http://host:2379`; required with `etcd`."""
    nats_server: str | None = None
    """Address of NATS, such as `nats://host:4222`; if set, requests and events go through it."""

    @model_validator(mode="after")
    def _etcd_has_an_address(self) -> Self:
        if (self.backend == "etcd") != bool(self.etcd_endpoints):
            raise PydanticCustomError("etcd", "backend etcd and etcd_endpoints go together")
        return self


class Restart(Section):
    """How often and how soon a unit that died is restarted."""

    max_restarts: Annotated[int, Field(ge=0, le=10**9)] = 5
    """Most restarts within the window; after one more death the unit stays down."""
    window_s: PositiveSeconds = 600.0
    """Seconds for which a death counts."""
    backoff_initial_s: Seconds = 1.0
    """Seconds before the second restart within the window; the first is immediate. Each further death doubles it."""
    backoff_max_s: Seconds = 60.0
    """The longest such delay in seconds."""


class Stop(Section):
    """Seconds from SIGTERM to SIGKILL."""

    frontend_s: PositiveSeconds = 10.0
    """For the frontend."""
    worker_s: PositiveSeconds = 30.0
    """For each worker."""
    lmcache_s: PositiveSeconds = 15.0
    """For the sidecar."""


class Logs(Section):
    """Logs of each unit, rotated by size."""

    max_mb: PositiveInt = 100
    """Size in MB at which a unit's log is copied and truncated."""
    keep: Annotated[int, Field(ge=0, le=10**9)] = 3
    """How many copies are kept."""


class Profile(Section):
    description: str = ""
    """The description in `dynkv profiles`."""
    topology: Literal["agg", "disagg", "none"] = "agg"
    """`none` runs only custom `units`."""
    engine: EngineName = "vllm"
    """What the workers run; `mocker` is Dynamo's simulated engine, which computes nothing."""
    device: Literal["cuda", "cpu"] = "cuda"
    """What the workers run on."""
    model: Apart[Model] = Model.model_construct()
    workers: Apart[Workers] = Workers.model_construct()
    lmcache: Apart[LMCache] = LMCache.model_construct()
    frontend: Apart[FrontendSettings] = FrontendSettings.model_construct()
    metrics: Apart[MetricsSettings] = MetricsSettings.model_construct()
    discovery: Apart[Discovery] = Discovery.model_construct()
    cluster: Apart[Cluster] = Cluster.model_construct()
    probes: Apart[ProbeGroups] = ProbeGroups.model_construct()
    restart: Apart[Restart] = Restart.model_construct()
    stop: Apart[Stop] = Stop.model_construct()
    logs: Apart[Logs] = Logs.model_construct()
    units: Annotated[list[Apart[OwnUnit]], Field(max_length=1000)] = []
    """Programs to run next to the stack, such as an exporter, a proxy or a router."""
    notify: Notifications = []
    """Whom to notify when the deployment is not well, or well again: commands to run, and addresses to post to."""
    observability: Apart[Observability] = Observability.model_construct()
    standby: Literal["off", "start", "always"] = "start"
    """Whether a process does the workers' imports in advance and the workers are forked from it: while the rest of
    the deployment starts, or always, so that a dead worker is back in a fraction of the time, for about 1 GB of
    memory."""
    python: str | None = None
    """The interpreter that has Dynamo, vLLM and LMCache; by default dynkv's own, or that of `dynkv stack install`."""
    env: StackEnvironment = {}
    """Variables for every process, added after dynkv's own."""

    @model_validator(mode="after")
    def _no_secret_shows(self) -> Self:
        refuse_secrets(self.model_dump(exclude={"description"}, exclude_unset=True))
        return self

    @model_validator(mode="after")
    def _something_runs(self) -> Self:
        if self.topology == "none" and not self.units:
            raise PydanticCustomError("units", "topology none needs units", {"key": "units"})
        return self

    @model_validator(mode="after")
    def _what_is_left_out_is_elsewhere(self) -> Self:
        workers = self.workers
        counts = {
            "workers.decode.replicas": workers.decode.replicas,
            "workers.prefill.replicas": workers.prefill.replicas,
        }
        if self.topology == "agg":
            counts = {"workers.replicas": workers.replicas}
        left_out = [key for key, count in counts.items() if count == 0]
        left_out += [] if self.frontend.enabled else ["frontend.enabled"]
        if left_out and not self.cluster.is_set:
            problem = f"{left_out[0]} leaves out what a deployment on one machine needs"
            hint = "set cluster.advertise and cluster.etcd if another node has it"
            raise PydanticCustomError("cluster", "{problem}", {"problem": problem, "key": left_out[0], "hint": hint})
        if len(left_out) > len(counts):
            problem = "without a frontend and without workers nothing runs here"
            raise PydanticCustomError("cluster", "{problem}", {"problem": problem, "key": "frontend.enabled"})
        if self.cluster.advertise and not self.cluster.etcd and self.topology != "none":
            problem = "cluster.advertise needs cluster.etcd, in which the nodes meet"
            raise PydanticCustomError("cluster", "{problem}", {"problem": problem, "key": "cluster.etcd"})
        if self.lmcache.p2p and not self.cluster.is_set:
            problem = "lmcache.p2p is for sidecars of several nodes, and cluster.etcd is not set"
            raise PydanticCustomError("cluster", "{problem}", {"problem": problem, "key": "lmcache.p2p"})
        if self.cluster.is_set and self.discovery != Discovery():
            problem = "nodes of a cluster find each other by cluster.etcd, which replaces discovery"
            raise PydanticCustomError("cluster", "{problem}", {"problem": problem, "key": "discovery"})
        return self

    @model_validator(mode="after")
    def _task_can_be_served(self) -> Self:
        task = self.model.task
        if task in ("auto", "generate"):
            return self
        if self.topology == "disagg":
            problem = f"a model for the task {task} has no separate prefill and decode: use topology agg"
            raise PydanticCustomError("task", problem, {"key": "model.task"})
        if self.model.loras:
            problem = f"workers for the task {task} cannot load LoRA adapters (ai-dynamo 1.6.1)"
            raise PydanticCustomError("task", problem, {"key": "model.loras"})
        return self

    @model_validator(mode="after")
    def _chunks_are_whole_blocks(self) -> Self:
        if self.lmcache.enabled and ENGINES[self.engine].uses_lmcache and self.lmcache.chunk_size % self.block_size:
            raise PydanticCustomError(
                "chunk_size",
                f"lmcache.chunk_size {self.lmcache.chunk_size} is not a multiple of the workers' block size "
                f"{self.block_size}: the workers would die at start",
                {
                    "key": "lmcache.chunk_size",
                    "hint": f"use a multiple of {self.block_size}, such as {2 * self.block_size}",
                },
            )
        return self

    @model_validator(mode="after")
    def _layout_has_its_roles(self) -> Self:
        if self.lmcache.layout == "both" and self.topology != "disagg":
            problem = f"lmcache.layout both needs prefill and decode, and topology {self.topology} has no such workers"
            raise PydanticCustomError("layout", problem, {"key": "lmcache.layout"})
        return self

    @model_validator(mode="after")
    def _shared_gpus_fit(self) -> Self:
        if self.topology != "disagg" or self.device != "cuda" or not self.workers.share_gpus:
            return self
        sized = {role for role in ("decode", "prefill") if kv_cache_bytes(self.worker_args(role))}
        # for the others this is known only when the GPUs are
        total = sum(self.gpu_memory_fraction(role) for role in {"decode", "prefill"} - sized)
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
        """The workers' KV block size in tokens; by default vLLM's for the device."""
        return self.workers.block_size or (16 if self.device == "cuda" else 128)

    def gpu_memory_fraction(self, role: str) -> float:
        own: Any = getattr(self.workers, role, None)
        return (own and own.gpu_memory_fraction) or self.workers.gpu_memory_fraction

    def worker_args(self, role: str, name: str = "") -> list[str]:
        """The person's arguments for a worker: for all workers, then for its role, then for this one."""
        one = self.workers.each.get(name)
        return [*self.model.args, *getattr(self.model.role_args, role), *(one.args if one else ())]

    @property
    def worker_args_by_key(self) -> dict[tuple[str, ...], list[str]]:
        """Each list of worker arguments, by its key in the profile."""
        found: dict[tuple[str, ...], list[str]] = {("model", "args"): self.model.args}
        found |= {("model", "role_args", role): args for role, args in self.model.role_args}
        return found | {("workers", "each", name, "args"): one.args for name, one in self.workers.each.items()}
