"""Frozen snapshots of units and of the deployment, which also go over the wire.

The field names are a contract: `dynkv status --json` prints them as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct, field

from dynkv.cluster.status import ClusterStatus
from dynkv.supervisor.states import State, has_ended, is_well


class DeploymentState(StrEnum):
    STARTING = "starting"
    """It has not answered a request yet."""
    READY = "ready"
    """It has answered a real request, all its units are ready, and its jobs are completed."""
    DEGRADED = "degraded"
    """It was ready, but a unit is not."""
    FAILED = "failed"
    """A unit failed before the deployment ever answered."""
    STOPPING = "stopping"
    """It is being taken down."""
    STOPPED = "stopped"
    """It has been taken down; nothing of it runs."""


class ProbeStatus(Struct, frozen=True):
    """One attempt of a unit's probe."""

    ok: bool
    """Whether it passed."""
    latency_s: float
    """How long it took, in seconds."""
    detail: str
    """What was answered, or why there was no answer."""


class LastExit(Struct, frozen=True):
    """How the previous incarnation ended."""

    code: int | None
    """Its exit code; None unless it exited."""
    signal: int | None
    """The number of the signal that ended it; None unless one did."""
    reason: str
    """Why it ended, in words."""
    hint: str
    """What to do about it; may be empty."""
    at: str
    """When it ended; ISO 8601, UTC."""
    log_tail: tuple[str, ...] = ()
    """The last lines of that incarnation's log."""
    asked: bool = False
    """Whether it was told to end."""


class LoraStatus(Struct, frozen=True):
    """A LoRA adapter at one worker, as of the worker's last answer."""

    name: str
    """The name that clients use."""
    loaded: bool
    """Whether the worker has loaded it."""
    detail: str = ""
    """Why it is not loaded, in words."""


class UnitStatus(Struct, frozen=True):
    """One unit, as of its last change or probe."""

    name: str
    """Its name, such as `worker-0`."""
    role: str
    """`lmcache`, `frontend`, `worker`, `decode`, `prefill`, or `unit` or `job` for a custom unit."""
    state: State
    """See [the states of a unit](events.md#states-of-a-unit)."""
    pid: int | None = None
    """Its main process; None if it has none."""
    gpus: tuple[str, ...] = ()
    """Indices, UUIDs or MIG ids."""
    ports: dict[str, int] = field(default_factory=dict)
    """Ports by name."""
    restarts: int = 0
    """Restarts since this supervisor began."""
    requests_cut: int = 0
    """Requests that ended with an error because the unit had ended, since this supervisor began."""
    uptime_s: float | None = None
    """Seconds since this incarnation started."""
    ready_after_s: float | None = None
    """Seconds from the start of this incarnation's process until it was ready."""
    probe: ProbeStatus | None = None
    """The newest attempt."""
    rss_bytes: int | None = None
    """Memory of its whole tree."""
    last_exit: LastExit | None = None
    """How the previous incarnation ended; None if there was none."""
    log: str = ""
    """The path of its log."""
    waiting_for: str | None = None
    """What keeps the unit from starting, in words."""
    started: bool = False
    """Whether its startup probe has passed."""
    log_start_byte: int = 0
    """Where in its log this incarnation begins."""
    started_at: str | None = None
    """When this incarnation's process was started; ISO 8601, UTC."""
    wanted: bool = True
    """False if it was stopped because fewer units of its role are wanted."""
    outdated: bool = False
    """Whether it runs according to an earlier plan, and will be restarted."""
    restarts_left: int | None = None
    """How many more deaths within the window may be followed by a restart."""
    loras: tuple[LoraStatus, ...] = ()
    """For a worker, the LoRA adapters in the profile; empty until it first answers."""

    @property
    def is_missed(self) -> bool:
        """Whether the deployment is not well unless this unit is ready."""
        return self.wanted or not has_ended(self.state)


class StandbyState(StrEnum):
    WAITING = "waiting"
    """It starts when nothing else does and there is enough memory."""
    PARKING = "parking"
    """It imports."""
    PARKED = "parked"
    """It has imported, and waits to be forked."""
    ENDED = "ended"
    """It is no longer needed, or could not be started."""


class StandbyStatus(Struct, frozen=True):
    """A process that has done its imports and waits to become a unit that must start quickly."""

    name: str
    """Its name, such as `standby`."""
    roles: tuple[str, ...]
    """Roles whose units start from it."""
    state: StandbyState
    """`waiting`, `parking`, `parked` or `ended`."""
    pid: int | None = None
    """Its process; None if there is none."""
    parked_after_s: float | None = None
    """Seconds that its imports took; None until they are done."""
    launched: int = 0
    """How many units have started from it."""
    rss_bytes: int | None = None
    """Its memory, much of it shared with the units that have started from it."""
    log: str = ""
    """The path of its log."""
    detail: str = ""
    """Why it is not there, in words."""
    is_of_host: bool = False
    """Whether it was parked for the host before, and stays for the next deployment."""


class GpuStatus(Struct, frozen=True):
    """A GPU that units use, as NVML sees it, including its use by other processes."""

    id: str
    """The id that the units have: index, UUID or MIG id."""
    memory_used_bytes: int
    """Memory in use, by any process."""
    memory_total_bytes: int
    """All of its memory."""
    utilisation: float | None = None
    """Share of the last moment in which it computed, 0 to 1; None if NVML does not say, as for a MIG slice."""
    power_w: float | None = None
    """Power draw in watts; None if NVML does not say."""
    temperature_c: float | None = None
    """Temperature in degrees Celsius; None if NVML does not say."""


class SupervisorStatus(Struct, frozen=True):
    """The process that supervises the deployment."""

    pid: int
    """Its process."""
    version: str
    """The version of dynkv that it runs."""
    uptime_s: float
    """Seconds since it started; a takeover begins anew."""


class DeploymentStatus(Struct, frozen=True):
    name: str
    """The deployment's name."""
    profile: str
    """The name of its profile."""
    state: DeploymentState
    """See [the states of a deployment](events.md#states-of-a-deployment)."""
    endpoint: str
    """The address of the OpenAI-compatible API; empty without a frontend."""
    model: str
    """The model's name for clients."""
    started_at: str
    """When the deployment was started; ISO 8601, UTC."""
    supervisor: SupervisorStatus | None
    """None without a supervisor."""
    units: tuple[UnitStatus, ...]
    """All units, in the order of the plan."""
    kv: dict[str, float | int | None] = field(default_factory=dict)
    """Figures of the KV caches; each is None while it is unknown."""
    detail: str = ""
    """What the state is about, in words: what it is waiting for, or which units are not well."""
    standbys: tuple[StandbyStatus, ...] = ()
    """The processes from which workers and the sidecar start."""
    spares: tuple[StandbyStatus, ...] = ()
    """The former name of `standbys`, for one more version."""
    gpus: tuple[GpuStatus, ...] = ()
    """GPUs that units use, if NVML answers in time."""
    task: str = ""
    """What the model is used for: `auto` until it has answered; empty without a frontend."""
    model_aliases: tuple[str, ...] = ()
    """Other names that clients may use."""
    metrics_url: str = ""
    """Where Prometheus reads the metrics of all units; empty if they are not served."""
    cluster: ClusterStatus | None = None
    """The other nodes; None outside of a cluster."""


def deployment_state(units: Iterable[UnitStatus], *, answered: bool, stopping: bool) -> DeploymentState:
    """The state; `answered`: the deployment has answered a real request."""
    states = [unit.state for unit in units if unit.is_missed]
    if stopping:
        over = all(map(has_ended, states))
        return DeploymentState.STOPPED if over else DeploymentState.STOPPING
    if not answered:
        return DeploymentState.FAILED if State.FAILED in states else DeploymentState.STARTING
    return DeploymentState.READY if all(map(is_well, states)) else DeploymentState.DEGRADED
