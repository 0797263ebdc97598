"""The plan: what will run, as data. Made by plan/build.py, executed by supervisor/, printed by render/."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from msgspec import Struct, field

from dynkv.documents import encoded
from dynkv.plan.hook import Hook
from dynkv.plan.serving import Frontend, Listener, Lora, Node
from dynkv.plan.steps import Step


class Role(StrEnum):
    """What a unit is for. The role determines probes, order of start and stop, and restart policy."""

    LMCACHE = "lmcache"
    FRONTEND = "frontend"
    WORKER = "worker"
    DECODE = "decode"
    PREFILL = "prefill"
    UNIT = "unit"
    """A custom unit."""
    JOB = "job"
    """A custom unit that runs once, until it exits with 0."""

    @property
    def is_own(self) -> bool:
        """Whether this is a custom unit and none of the stack's programs."""
        return self in (Role.UNIT, Role.JOB)

    @property
    def is_worker(self) -> bool:
        return self in (Role.WORKER, Role.DECODE, Role.PREFILL)


class Condition(StrEnum):
    """The state that a unit must have reached before one that depends on it may start."""

    STARTED = "started"
    """Its startup probe has succeeded."""
    READY = "ready"
    """Its readiness probe has succeeded."""
    COMPLETED = "completed"
    """It is a job and has exited with 0."""


class Dependency(Struct, frozen=True):
    unit: str
    condition: Condition


LOOPBACK = "127.0.0.1"


class HttpGet(Struct, frozen=True):
    """A check that passes when GET answers 200 to 399, like a Kubernetes httpGet probe."""

    port: int
    path: str
    host: str = LOOPBACK
    or_lists_model: str = ""
    """On a 404, pass if `/v1/models` lists this model: ai-dynamo 1.3.1 has no `/ready` for a name with a slash."""


class Probe(Struct, frozen=True):
    """Kubernetes' probe parameters; the probe passes when all of its checks do.

    Source: Kubernetes, "Configure Liveness, Readiness and Startup Probes".
    """

    checks: tuple[HttpGet, ...]
    initial_delay_seconds: float = 0.0
    period_seconds: float = 10.0
    timeout_seconds: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3


class Liveness(Struct, frozen=True):
    """Liveness is judged by progress, not by how fast something answers: a busy engine is late, but alive.

    A unit is hung if, for `failure_threshold` samples in a row, `period_seconds` apart, it was suspended by a signal,
    had lost its engine, neither answered nor used a CPU, or failed its canary; or if requests ran without a token for
    `stall_seconds`.
    """

    check: HttpGet | None
    """Its /metrics; None for a unit without them, which counts as answering while its readiness probe passes."""
    period_seconds: float = 5.0
    timeout_seconds: float = 10.0
    failure_threshold: int = 3
    stall_seconds: float = 120.0
    canary: HttpGet | None = None
    """A check that answers 5xx when a request that the idle worker sent itself has failed."""


class Probes(Struct, frozen=True):
    """`startup` applies until the unit is first ready; then `readiness` and `liveness` run side by side."""

    startup: Probe
    readiness: Probe
    liveness: Liveness | None = None


class RestartPolicy(Struct, frozen=True):
    """At most `max_restarts` within any `window_s` seconds; the first is immediate, then the delay doubles from
    initial to max."""

    max_restarts: int = 5
    window_s: float = 600.0
    backoff_initial_s: float = 1.0
    backoff_max_s: float = 60.0


class LogPolicy(Struct, frozen=True):
    """A log is copied and truncated when it has grown past `max_bytes`; `keep` copies are kept."""

    max_bytes: int = 100_000_000
    keep: int = 3


class Unit(Struct, frozen=True):
    """One planned process.

    `env` is its whole environment except for `secret_env` and `own_secrets`: names whose values come from the
    supervisor's own environment at the moment of starting, and are never written anywhere.
    """

    name: str
    role: Role
    argv: tuple[str, ...]
    env: dict[str, str]
    ports: dict[str, int]
    probes: Probes
    secret_env: tuple[str, ...] = ()
    own_secrets: dict[str, str] = field(default_factory=dict)
    """Secrets of this unit alone, with the names under which the supervisor has them."""
    gpus: tuple[str, ...] = ()
    gpu_memory_fraction: float | None = None
    kv_cache_bytes: int = 0
    """GPU memory of its KV cache on each GPU, if given in bytes, whatever the fraction; weights come on top."""
    nice: int = 0
    """Niceness, from -20 (most favoured) to 19. Source: setpriority(2)."""
    cpus: tuple[int, ...] = ()
    """CPUs for all its processes, if not empty; threads that bind themselves to others during the start are moved
    back."""
    depends_on: tuple[Dependency, ...] = ()
    restart_with: tuple[str, ...] = ()
    """Units whose restart restarts this one too; a restart for this reason restarts no further unit."""
    mapped_by: tuple[str, ...] = ()
    """Units that map this one's GPU memory through CUDA IPC, and may keep it from being freed when this one dies."""
    restart: RestartPolicy = RestartPolicy()
    stop_timeout_s: float = 30.0
    """Seconds from SIGTERM to SIGKILL of the whole tree."""
    killed_at_end: bool = False
    """Whether it is killed when the whole deployment goes down: it has nothing to write then, and would take seconds
    to free its memory."""
    loras: tuple[Lora, ...] = ()
    """Adapters that it must be told to load after each start."""
    host: str = LOOPBACK
    """The host of the ports that the supervisor probes."""
    circumstances: tuple[str, ...] = ()
    """Names in `env` that only reflect where the deployment was started from."""

    @property
    def heeded_env(self) -> dict[str, str]:
        """The part of `env` whose change requires a restart."""
        return {name: value for name, value in self.env.items() if name not in self.circumstances}

    def gpu_share_bytes(self, total_bytes: int) -> int:
        """The least it takes of a GPU of that size, as far as its plan says."""
        return max(int(total_bytes * (self.gpu_memory_fraction or 0.0)), self.kv_cache_bytes)

    def digest(self) -> str:
        """A digest that changes exactly when a running child would have to be restarted."""
        content: tuple[object, ...] = (self.argv, self.heeded_env, self.secret_env, self.gpus, self.ports)
        content += (sorted(self.own_secrets),) if self.own_secrets else ()
        content += (self.loras,) if self.loras else ()
        return hashlib.sha256(encoded(content, is_sorted=True)).hexdigest()[:16]


WORKERS_STANDBY = "standby"
"""The standby from which workers start."""
SIDECARS_STANDBY = "standby-helper"
"""The standby for the sidecar, and for what the supervisor uses to talk to it."""


class Standby(Struct, frozen=True):
    """A process that has done others' imports in advance and becomes one of them on request, any number of times.

    It holds nothing of a single unit: arguments, ports, GPUs and the rest of the environment come with the request.
    """

    name: str
    modules: tuple[str, ...]
    """Modules to import."""
    env: dict[str, str]
    roles: tuple[Role, ...]
    """Roles of the units that start from it; none if it serves the supervisor itself."""
    keep: bool
    """Whether it stays for later starts once all units are ready; otherwise it ends then."""
    memory_bytes: int
    """Its approximate memory while nothing shares its pages."""
    cuda: bool = False
    """Whether units that start from it use GPUs."""
    spawns: bool = False
    """Whether units that start from it start processes with the same imports, as vLLM does its engine."""
    others: tuple[str, ...] = ()
    """Units that do not start from it despite their role, since they have other variables."""
    python_options: tuple[str, ...] = ()
    """Options of its interpreter, the same as those of the units."""
    late: tuple[str, ...] = ()
    """What its programs import, or work out with `MODULE:FUNCTION`, only after their own imports. It is done ahead as
    far as possible; what cannot be is left to the programs."""


class Plan(Struct, frozen=True):
    """One deployment, resolved for one host."""

    name: str
    profile: str
    topology: str
    engine: str
    device: str
    frontend: Frontend | None
    """None if only custom units run here, or another node has it."""
    units: tuple[Unit, ...]
    python: str
    discovery_dir: str | None
    """The directory of Dynamo's file discovery, owned by this deployment; None with etcd."""
    warm_up_tokens: int = 1
    """Shortest length of a first prompt. A worker's heartbeat to the sidecar starts with the first whole chunk that
    it stores; without one it never notices a restart of the sidecar (lmcache 0.5.6)."""
    logs: LogPolicy = LogPolicy()
    reap_timeout_s: float = 0.0
    """Seconds after which the sidecar by itself forgets a dead worker; 0 means never."""
    directory: str = ""
    """The deployment's directory, which is its units' working directory."""
    prepare: tuple[Step, ...] = ()
    """Steps to carry out in order before anything starts."""
    standbys: tuple[Standby, ...] = ()
    ports: tuple[int, ...] = ()
    """All planned ports, including those that no unit is told."""
    metrics: Listener | None = None
    """Where the metrics of all units are served; None if they are not."""
    node: Node | None = None
    """This machine as a node of a cluster; None outside of one."""
    l2_directories: tuple[str, ...] = ()
    """Directories in which the sidecar keeps KV blocks."""
    packages: dict[str, str] = field(default_factory=dict)
    """Versions of the stack's packages for `python` when this was planned, by distribution name; empty if unknown."""
    hooks: tuple[Hook, ...] = ()
    """Hooks that report when the deployment is not well."""
    notes: tuple[str, ...] = field(default=())
    """Decisions made for the person, in words."""

    @property
    def endpoint(self) -> str:
        """Where clients send requests; empty if nothing serves them."""
        return self.frontend.endpoint if self.frontend else ""

    @property
    def metrics_url(self) -> str:
        """Empty if metrics are not served."""
        return self.metrics.url if self.metrics else ""

    @property
    def model(self) -> str:
        served = self.frontend or self.node
        return served.model if served else ""

    @property
    def model_aliases(self) -> tuple[str, ...]:
        return self.frontend.aliases if self.frontend else ()

    def unit(self, name: str) -> Unit:
        return next(u for u in self.units if u.name == name)

    @property
    def workers(self) -> tuple[Unit, ...]:
        return tuple(u for u in self.units if u.role.is_worker)
