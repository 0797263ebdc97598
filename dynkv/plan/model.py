"""The plan: what will run, as data. Made by plan/build.py, executed by supervisor/, printed by render/."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum

from dynkv.documents import encoded
from dynkv.plan.hook import Hook
from dynkv.plan.serving import Frontend, Listener, Lora, Node
from dynkv.plan.steps import Step


class Role(StrEnum):
    """What a unit is for. A role decides probes, order of start and stop, and restart policy."""

    LMCACHE = "lmcache"
    FRONTEND = "frontend"
    WORKER = "worker"
    DECODE = "decode"
    PREFILL = "prefill"
    UNIT = "unit"
    """A unit of the person's own."""
    JOB = "job"
    """One of those that runs once: it is over when it has ended well."""

    @property
    def is_own(self) -> bool:
        """It is the person's, and none of the stack's programs."""
        return self in (Role.UNIT, Role.JOB)

    @property
    def is_worker(self) -> bool:
        return self in (Role.WORKER, Role.DECODE, Role.PREFILL)


class Condition(StrEnum):
    """How far a unit must have come before one that depends on it may start."""

    STARTED = "started"
    """Its startup probe has succeeded."""
    READY = "ready"
    """Its readiness probe has succeeded."""
    COMPLETED = "completed"
    """It is a job, and has ended well."""


@dataclass(frozen=True, slots=True)
class Dependency:
    unit: str
    condition: Condition


LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class HttpGet:
    """A check that passes when GET answers 200 to 399, as a Kubernetes httpGet probe does."""

    port: int
    path: str
    host: str = LOOPBACK
    or_lists_model: str = ""
    """On a 404, pass if `/v1/models` lists this model: ai-dynamo 1.3.1 knows no `/ready` for a name with a slash."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Kubernetes' probe parameters; the probe passes when all of its checks do.

    Source: Kubernetes, "Configure Liveness, Readiness and Startup Probes".
    """

    checks: tuple[HttpGet, ...]
    initial_delay_seconds: float = 0.0
    period_seconds: float = 10.0
    timeout_seconds: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3


@dataclass(frozen=True, slots=True)
class Liveness:
    """Judged by progress, not by how fast something answers: a busy engine is late, and alive.

    A unit is hung when for `failure_threshold` samples in a row, `period_seconds` apart, it was stopped by a
    signal, lacked the engine it had, neither answered nor used a CPU, or failed its canary; or when for
    `stall_seconds` requests ran without a token.
    """

    check: HttpGet | None
    """Its /metrics; None for a unit that has none: then it answers as long as its readiness probe passes."""
    period_seconds: float = 5.0
    timeout_seconds: float = 10.0
    failure_threshold: int = 3
    stall_seconds: float = 120.0
    canary: HttpGet | None = None
    """Answers 5xx when a request that the worker sent itself while idle has failed."""


@dataclass(frozen=True, slots=True)
class Probes:
    """`startup` governs until the unit was first ready; then `readiness` and `liveness` run side by side."""

    startup: Probe
    readiness: Probe
    liveness: Liveness | None = None


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """At most `max_restarts` within any `window_s` seconds; none waits before the first, then the delay doubles from
    initial to max."""

    max_restarts: int = 5
    window_s: float = 600.0
    backoff_initial_s: float = 1.0
    backoff_max_s: float = 60.0


@dataclass(frozen=True, slots=True)
class LogPolicy:
    """A log is copied and emptied when it has grown past `max_bytes`; `keep` copies stay."""

    max_bytes: int = 100_000_000
    keep: int = 3


@dataclass(frozen=True, slots=True)
class Unit:
    """One planned process.

    `env` is its whole environment but for `secret_env` and `own_secrets`: names whose values are taken from the
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
    """Secrets that no other unit is given: each by the name under which the supervisor has it."""
    gpus: tuple[str, ...] = ()
    gpu_memory_fraction: float | None = None
    kv_cache_bytes: int = 0
    """What its KV cache takes of each GPU where that is told, whatever the fraction; weights come beside it."""
    nice: int = 0
    """From -20, served first, to 19. Source: setpriority(2)."""
    cpus: tuple[int, ...] = ()
    """Its own, for all its processes, when not empty; threads that bind themselves to others while it starts are moved
    back."""
    depends_on: tuple[Dependency, ...] = ()
    restart_with: tuple[str, ...] = ()
    """Units whose restart restarts this one too; a restart for this reason restarts no further one."""
    mapped_by: tuple[str, ...] = ()
    """Units that map this one's GPU memory through CUDA IPC, and may keep it from being freed when this one dies."""
    restart: RestartPolicy = RestartPolicy()
    stop_timeout_s: float = 30.0
    """Seconds from SIGTERM to SIGKILL of the whole tree."""
    killed_at_end: bool = False
    """With the whole deployment: it has nothing to write then, and would take seconds to let go of its memory."""
    loras: tuple[Lora, ...] = ()
    """What it has to be told to load after each of its starts."""
    host: str = LOOPBACK
    """Where it listens on the ports that the supervisor asks."""
    circumstances: tuple[str, ...] = ()
    """Names in `env` that only tell who started it from where."""

    @property
    def heeded_env(self) -> dict[str, str]:
        """What of `env` a child would have to be restarted for."""
        return {name: value for name, value in self.env.items() if name not in self.circumstances}

    def gpu_share_bytes(self, total_bytes: int) -> int:
        """What it takes at least of a GPU of that size, as far as its plan tells."""
        return max(int(total_bytes * (self.gpu_memory_fraction or 0.0)), self.kv_cache_bytes)

    def digest(self) -> str:
        """Changes when anything does that a running child would have to be restarted for, and with nothing else."""
        content: tuple[object, ...] = (self.argv, self.heeded_env, self.secret_env, self.gpus, self.ports)
        content += (sorted(self.own_secrets),) if self.own_secrets else ()
        content += (self.loras,) if self.loras else ()
        return hashlib.sha256(encoded(content, is_sorted=True)).hexdigest()[:16]


WORKERS_STANDBY = "standby"
"""The standby from which workers start."""
SIDECARS_STANDBY = "standby-helper"
"""The standby from which the sidecar starts, and what the supervisor has talk to it."""


@dataclass(frozen=True, slots=True)
class Standby:
    """A process that has done others' imports ahead and becomes them on request, as often as it is asked.

    It holds nothing of a single unit: arguments, ports, GPUs and the rest of the environment come with the request.
    """

    name: str
    modules: tuple[str, ...]
    """What it imports."""
    env: dict[str, str]
    roles: tuple[Role, ...]
    """Units of these roles start from it; none where it serves the supervisor itself."""
    keep: bool
    """It stays when all are ready, for the next start; otherwise it ends then."""
    memory_bytes: int
    """What it takes, roughly, while nothing shares its pages."""
    cuda: bool = False
    """What starts from it uses GPUs."""
    spawns: bool = False
    """What starts from it starts processes that need the same imports, as vLLM does its engine."""
    others: tuple[str, ...] = ()
    """Units that do not start from it, whatever their role: they are given other variables."""
    python_options: tuple[str, ...] = ()
    """Of its interpreter: those that what starts from it has."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One deployment, resolved for one host."""

    name: str
    profile: str
    topology: str
    engine: str
    device: str
    frontend: Frontend | None
    """None where only custom units run, or another node has it."""
    units: tuple[Unit, ...]
    python: str
    discovery_dir: str | None
    """The directory of Dynamo's file discovery, owned by this deployment; None with etcd."""
    warm_up_tokens: int = 1
    """The least length of a first prompt. A worker's heartbeat to the sidecar starts with the first whole chunk
    that it stores, and without one it never notices that the sidecar was restarted (lmcache 0.5.6)."""
    logs: LogPolicy = LogPolicy()
    reap_timeout_s: float = 0.0
    """After how long the sidecar lets go of a dead worker by itself; 0 for never."""
    directory: str = ""
    """The deployment's own, in which its units run."""
    prepare: tuple[Step, ...] = ()
    """What has to be there before anything starts, in this order."""
    standbys: tuple[Standby, ...] = ()
    ports: tuple[int, ...] = ()
    """All that are planned, also those beside the one that a unit is told."""
    metrics: Listener | None = None
    """Where the figures of all units are read; None where nowhere."""
    node: Node | None = None
    """As which one of a cluster's this machine serves; None on its own."""
    l2_directories: tuple[str, ...] = ()
    """Those in which the sidecar keeps KV blocks."""
    hooks: tuple[Hook, ...] = ()
    """Who is told when it is not well."""
    notes: tuple[str, ...] = field(default=())
    """Decisions made for the person, in words."""

    @property
    def endpoint(self) -> str:
        """Where requests go in; empty where there is nothing for them."""
        return self.frontend.endpoint if self.frontend else ""

    @property
    def metrics_url(self) -> str:
        """Empty where figures are read nowhere."""
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
