"""Frozen snapshots of units and of the deployment; these are also what goes over the wire.

The field names are a contract: `dynkv status --json` prints them as they stand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from dynkv.cluster.status import ClusterStatus
from dynkv.supervisor.states import State, has_ended, is_well


class DeploymentState(StrEnum):
    STARTING = "starting"
    """It has not answered a request yet."""
    READY = "ready"
    """It has answered a real request, and all its units are ready, its jobs completed."""
    DEGRADED = "degraded"
    """It was ready, and a unit is not."""
    FAILED = "failed"
    """A unit has failed before it ever answered."""
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ProbeStatus:
    ok: bool
    latency_s: float
    detail: str


@dataclass(frozen=True, slots=True)
class LastExit:
    """How the incarnation before this one ended; `at` is an ISO 8601 time in UTC."""

    code: int | None
    signal: int | None
    reason: str
    hint: str
    at: str
    log_tail: tuple[str, ...] = ()
    """The last lines of that incarnation's log."""
    asked: bool = False
    """It did not end by itself."""


@dataclass(frozen=True, slots=True)
class LoraStatus:
    """A LoRA adapter at one worker, as it was when it last answered."""

    name: str
    loaded: bool
    detail: str = ""
    """Why it is not loaded, in words."""


@dataclass(frozen=True, slots=True)
class UnitStatus:
    name: str
    role: str
    """`lmcache`, `frontend`, `worker`, `decode`, `prefill`, or `unit` or `job` for one of the profile's own."""
    state: State
    pid: int | None = None
    gpus: tuple[str, ...] = ()
    """Index, UUID or MIG id."""
    ports: dict[str, int] = field(default_factory=dict)
    """By name."""
    restarts: int = 0
    """Since this supervisor began."""
    requests_cut: int = 0
    """Requests that ended with an error because it had ended, since this supervisor began."""
    uptime_s: float | None = None
    """Of this incarnation."""
    ready_after_s: float | None = None
    """Seconds from its process's start to ready, of this incarnation."""
    probe: ProbeStatus | None = None
    """The newest try."""
    rss_bytes: int | None = None
    """Of its whole tree."""
    last_exit: LastExit | None = None
    """How the incarnation before this one ended; None if there was none."""
    log: str = ""
    """The path of its log."""
    waiting_for: str | None = None
    """What keeps it from starting, in words."""
    started: bool = False
    """Its startup probe has passed."""
    log_start_byte: int = 0
    """Where in its log this incarnation begins."""
    started_at: str | None = None
    """When this incarnation's process was started; ISO 8601, UTC."""
    wanted: bool = True
    """False when it was stopped because fewer of its role are wanted."""
    outdated: bool = False
    """It runs as an earlier plan had it, and will be restarted."""
    restarts_left: int | None = None
    """How many more deaths it may die within the window, and be started again."""
    loras: tuple[LoraStatus, ...] = ()
    """Of a worker, the LoRA adapters that the profile names; empty until it first answers."""

    @property
    def is_missed(self) -> bool:
        """Whether the deployment is not well unless it is ready."""
        return self.wanted or not has_ended(self.state)


class StandbyState(StrEnum):
    WAITING = "waiting"
    """It starts when nothing else does, and there is memory for it."""
    PARKING = "parking"
    """It imports."""
    PARKED = "parked"
    ENDED = "ended"
    """It is not needed any more, or could not be had."""


@dataclass(frozen=True, slots=True)
class StandbyStatus:
    """A process that waits with its imports done, to become what has to start quickly."""

    name: str
    roles: tuple[str, ...]
    state: StandbyState
    pid: int | None = None
    parked_after_s: float | None = None
    launched: int = 0
    """How many units have started from it."""
    rss_bytes: int | None = None
    log: str = ""
    detail: str = ""
    """Why it is not there, in words."""


@dataclass(frozen=True, slots=True)
class GpuStatus:
    """A GPU that units use, as NVML sees it: whoever uses it, also who is no unit."""

    id: str
    """As the units name it: index, UUID or MIG id."""
    memory_used_bytes: int
    memory_total_bytes: int
    utilisation: float | None = None
    """Share of the last moment in which it computed, 0 to 1; None where NVML does not tell, as for a MIG slice."""
    power_w: float | None = None
    """What it draws; None where NVML does not tell."""
    temperature_c: float | None = None
    """In degrees Celsius; None where NVML does not tell."""


@dataclass(frozen=True, slots=True)
class SupervisorStatus:
    pid: int
    version: str
    uptime_s: float


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    name: str
    profile: str
    state: DeploymentState
    endpoint: str
    """Where the OpenAI-compatible API is; empty without a frontend."""
    model: str
    """As clients name it."""
    started_at: str
    """ISO 8601, UTC."""
    supervisor: SupervisorStatus | None
    """None when nobody watches."""
    units: tuple[UnitStatus, ...]
    kv: dict[str, float | int | None] = field(default_factory=dict)
    """Figures of the KV caches; each is None while nobody answers."""
    detail: str = ""
    """What the state is about, in words: what is waited for, or which units are not well."""
    standbys: tuple[StandbyStatus, ...] = ()
    spares: tuple[StandbyStatus, ...] = ()
    """The former name of `standbys`, for one version more."""
    gpus: tuple[GpuStatus, ...] = ()
    """Those that units use, where NVML answers in time."""
    task: str = ""
    """What the model is asked for: `auto` until it has answered; empty without a frontend."""
    model_aliases: tuple[str, ...] = ()
    """Other names that clients may ask for."""
    metrics_url: str = ""
    """Where Prometheus reads the figures of all units; empty where nowhere."""
    cluster: ClusterStatus | None = None
    """The other nodes; None on a machine of its own."""


def deployment_state(units: Iterable[UnitStatus], *, answered: bool, stopping: bool) -> DeploymentState:
    """`answered`: the deployment has once answered a real request."""
    states = [unit.state for unit in units if unit.is_missed]
    if stopping:
        over = all(map(has_ended, states))
        return DeploymentState.STOPPED if over else DeploymentState.STOPPING
    if not answered:
        return DeploymentState.FAILED if State.FAILED in states else DeploymentState.STARTING
    return DeploymentState.READY if all(map(is_well, states)) else DeploymentState.DEGRADED
