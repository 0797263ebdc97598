"""The profile: what a person writes. pydantic models, strict, with defaults that work.

A number without a unit in its name has none; every other key says its unit (`_s`, `_gb`).
The shipped JSON Schema (`dynkv profiles schema`) is made from these models.
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
    """What is served."""

    path: Annotated[str, Field(min_length=1)] = "Qwen/Qwen3-0.6B"
    """A directory, a Hugging Face id, or `tiny`: a small random model that dynkv makes itself."""
    served_name: ServedName | None = None
    """The name that clients ask for, or a list: the first is the model's name, the others are aliases. When left out
    an id stands for itself, and a directory is called by its last part."""
    max_length: PositiveInt | None = None
    """Longest prompt plus reply, in tokens."""
    task: Literal["auto", "generate", "embed", "classify", "realtime"] = "auto"
    """What clients ask of it. `auto` finds out which endpoint serves it; the others tell the workers, too."""
    loras: Loras = []
    """LoRA adapters, which every worker loads after each of its starts."""
    args: WorkerArgs = []
    """Extra arguments for every worker, one list item for each word."""
    role_args: Apart[RoleArgs] = RoleArgs.model_construct()

    @property
    def names(self) -> tuple[str, ...]:
        """What clients are told to ask for, the model's name first; none where that is left to the plan."""
        given = self.served_name
        return (given,) if isinstance(given, str) else tuple(given or ())


class FrontendSettings(Section):
    """The OpenAI-compatible server that clients ask."""

    enabled: bool = True
    """Whether there is one on this machine; false in a cluster where another node has it."""
    host: Address = "127.0.0.1"
    """The address it listens on: `0.0.0.0` for all. `localhost` is 127.0.0.1; other names are refused."""
    port: Port = 8000
    """The one port people rely on: it is never moved."""
    router_mode: Literal[
        "round-robin", "random", "power-of-two", "kv", "direct", "least-loaded", "device-aware-weighted"
    ] = "round-robin"
    """How it chooses a worker; `kv` prefers the one that already has most of the prompt's KV blocks."""
    migration_limit: Annotated[int, Field(ge=0, le=2**32 - 1)] = 3
    """How often a request whose worker dies may go on at another; 0 for never."""
    record: bool = False
    """Whether `dynkv record` can record its traffic: it then writes lengths, times and hashes of each request."""
    args: FrontendArgs = []
    """Extra arguments for `dynamo.frontend`, one list item for each word."""
    env: StackEnvironment = {}
    """Added to its environment alone, after the profile's `env`."""


class MetricsSettings(Section):
    """Figures for Prometheus, of all units at one address that can only be read."""

    enabled: bool = True
    """Whether anything listens there."""
    host: Address = "127.0.0.1"
    """The address it listens on: `0.0.0.0` for all. It asks for no password."""
    port: Port | None = None
    """The port; the first free one from 9810 on when left out, which a takeover keeps."""


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
    """Before the second restart within the window: the first comes at once. It doubles with each further death."""
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
    """`none` runs only custom `units`."""
    engine: EngineName = "vllm"
    """What the workers run; `mocker` is Dynamo's, which computes nothing."""
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
    """Programs to run beside the stack: an exporter, a proxy, a router."""
    notify: Notifications = []
    """Who is told when it is not well, or is well again: commands to run, and addresses to post to."""
    observability: Apart[Observability] = Observability.model_construct()
    standby: Literal["off", "start", "always"] = "start"
    """Whether a process does the workers' imports ahead and they are forked from it: while the rest of the deployment
    starts, or always, so that a dead worker is back in a fraction of the time, for about 1 GB of memory."""
    python: str | None = None
    """The interpreter that holds Dynamo, vLLM and LMCache. Left out: dynkv's own, or that of `dynkv stack install`."""
    env: StackEnvironment = {}
    """Added to every process's environment, after dynkv's own entries."""

    @model_validator(mode="after")
    def _no_secret_shows(self) -> Self:
        refuse_secrets(self.model_dump(exclude={"description"}, exclude_unset=True))
        return self

    @model_validator(mode="after")
    def _something_runs(self) -> Self:
        if self.topology == "none" and not self.units:
            raise PydanticCustomError("units", "with topology none there have to be units", {"key": "units"})
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
            hint = "set cluster.advertise and cluster.etcd where another node has it"
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
            problem = "nodes of a cluster find each other by cluster.etcd, which stands instead of discovery"
            raise PydanticCustomError("cluster", "{problem}", {"problem": problem, "key": "discovery"})
        return self

    @model_validator(mode="after")
    def _task_can_be_served(self) -> Self:
        task = self.model.task
        if task in ("auto", "generate"):
            return self
        if self.topology == "disagg":
            problem = f"a model for the task {task} has no prefill and decode to divide: use topology agg"
            raise PydanticCustomError("task", problem, {"key": "model.task"})
        if self.model.loras:
            problem = f"workers for the task {task} load no LoRA adapters (ai-dynamo 1.6.1)"
            raise PydanticCustomError("task", problem, {"key": "model.loras"})
        return self

    @model_validator(mode="after")
    def _chunks_are_whole_blocks(self) -> Self:
        if self.lmcache.enabled and ENGINES[self.engine].uses_lmcache and self.lmcache.chunk_size % self.block_size:
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
        # of the others it is known when GPUs are
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
        """The workers' KV block size in tokens; vLLM's default for the device where the profile is silent."""
        return self.workers.block_size or (16 if self.device == "cuda" else 128)

    def gpu_memory_fraction(self, role: str) -> float:
        own: Any = getattr(self.workers, role, None)
        return (own and own.gpu_memory_fraction) or self.workers.gpu_memory_fraction

    def worker_args(self, role: str, name: str = "") -> list[str]:
        """The person's own arguments of a worker: for all of them, then for its role, then for it alone."""
        one = self.workers.each.get(name)
        return [*self.model.args, *getattr(self.model.role_args, role), *(one.args if one else ())]

    @property
    def worker_args_by_key(self) -> dict[tuple[str, ...], list[str]]:
        """Each list of arguments of workers, by where it stands."""
        found: dict[tuple[str, ...], list[str]] = {("model", "args"): self.model.args}
        found |= {("model", "role_args", role): args for role, args in self.model.role_args}
        return found | {("workers", "each", name, "args"): one.args for name, one in self.workers.each.items()}
