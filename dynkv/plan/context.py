"""The values that the builders of single units share while a plan is made."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from dynkv.plan.environment import secret_names
from dynkv.plan.facts import HostFacts
from dynkv.plan.model import LOOPBACK, HttpGet, Liveness, Probe, Probes, RestartPolicy, Role
from dynkv.plan.paths import expand, refuse_variables
from dynkv.plan.ports import PORT_MAX, PortPlanner
from dynkv.plan.served_model import TINY
from dynkv.plan.serving import Listener, Node, Task
from dynkv.plan.sidecars import sidecar_of
from dynkv.profile.model import Profile
from dynkv.profile.probes import LivenessSettings, ProbeSettings, UnitProbes

CPU_NICE = 10
"""Niceness of workers that compute on the CPU. For each, NIXL keeps a thread polling without pause (1.4.1), and what
routes to the workers and watches them must come first. On Linux 6.18 with two cores and autogroups (sched(7)), two
such workers at equal priority starved all other processes for up to 90 s; with this none waited longer than 0.1 s."""


class Context(Struct, frozen=True):
    deployment: str
    profile: Profile
    facts: HostFacts
    ports: PortPlanner
    env: dict[str, str]
    circumstances: tuple[str, ...]
    """Variables that only reflect where the deployment was started from."""
    model_path: str
    served_name: str
    aliases: tuple[str, ...]
    """Other names of the model."""
    task: Task
    worker_count: int
    frontend_port: int | None
    """None without a stack, if there are only custom units."""
    sidecar_ports: Mapping[str, int]
    """The port at which workers reach each sidecar, by its name; empty without LMCache."""
    metrics: Listener | None
    """None if metrics are not served."""
    discovery_dir: str | None
    """None with etcd."""
    home: str
    node: Node | None = None
    """None without other machines."""

    @property
    def has_stack(self) -> bool:
        return self.profile.topology != "none"

    def sidecar_of(self, role: Role) -> str | None:
        """The sidecar that a worker of this role waits for: its own, else the only one."""
        return sidecar_of(self.profile, role) or next(iter(self.sidecar_ports), None)

    @property
    def is_tiny(self) -> bool:
        return self.profile.model.path == TINY

    @property
    def interpreter(self) -> list[str]:
        """The stack's interpreter, with options that let it import only from its installation."""
        return [self.facts.python, *self.facts.python_options]

    @property
    def shares_l1(self) -> bool:
        """Whether sidecars of other nodes read from this node's."""
        return self.node is not None and self.profile.lmcache.p2p is not None

    @property
    def reached_at(self) -> str:
        """The address to listen on for other nodes; loopback if there are none."""
        return self.node.advertise if self.node else LOOPBACK

    def open_port(self, name: str, first: int, count: int = 1, highest: int = PORT_MAX) -> int:
        """A free port: from the range for other nodes if there are any, else from `first` on."""
        if self.node is not None:
            first, highest = self.profile.cluster.first_and_last_port
        return self.ports.free_from(first, name, count, highest)

    def expand(self, path: str) -> str:
        """Make a path of the profile absolute. Raises PreflightRefused if that is impossible."""
        refuse_variables(path)
        return expand(path, self.home, self.facts.paths)

    def secrets(self, role: Role) -> tuple[str, ...]:
        return secret_names(self.profile, self.facts, role)

    def restart(self) -> RestartPolicy:
        given = self.profile.restart
        return RestartPolicy(given.max_restarts, given.window_s, given.backoff_initial_s, given.backoff_max_s)


def probes(settings: UnitProbes, started: tuple[HttpGet, ...], ready: tuple[HttpGet, ...], figures: HttpGet) -> Probes:
    """The probes of a unit; `figures` is its /metrics, which liveness reads."""
    return Probes(
        startup=_probe(settings.startup, started),
        readiness=_probe(settings.readiness, ready),
        liveness=_liveness(settings.liveness, figures),
    )


def _liveness(settings: LivenessSettings, figures: HttpGet) -> Liveness | None:
    if not settings.enabled:
        return None
    return Liveness(
        check=figures,
        period_seconds=settings.period_seconds,
        timeout_seconds=settings.timeout_seconds,
        failure_threshold=settings.failure_threshold,
        stall_seconds=settings.stall_seconds,
    )


def _probe(settings: ProbeSettings, checks: tuple[HttpGet, ...]) -> Probe:
    return Probe(
        checks=checks,
        initial_delay_seconds=settings.initial_delay_seconds,
        period_seconds=settings.period_seconds,
        timeout_seconds=settings.timeout_seconds,
        success_threshold=settings.success_threshold,
        failure_threshold=settings.failure_threshold,
    )
