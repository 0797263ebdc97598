"""What the builders of single units share while one plan is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
"""Of workers that compute on the CPU. NIXL keeps a thread polling without pause for each (1.4.1), and what routes to
the workers and watches them comes first. On Linux 6.18 with two cores and autogroups (sched(7)), two such workers at
equal priority starved all other processes for up to 90 s; with this none waited longer than 0.1 s."""


@dataclass(frozen=True, slots=True)
class Context:
    deployment: str
    profile: Profile
    facts: HostFacts
    ports: PortPlanner
    env: dict[str, str]
    circumstances: tuple[str, ...]
    """What of it only tells who started it from where."""
    model_path: str
    served_name: str
    aliases: tuple[str, ...]
    """Other names of the model."""
    task: Task
    worker_count: int
    frontend_port: int | None
    """None without a stack: only custom units."""
    sidecar_ports: Mapping[str, int]
    """Where workers reach each sidecar, by its name; empty without LMCache."""
    metrics: Listener | None
    """None where figures are read nowhere."""
    discovery_dir: str | None
    """None with etcd."""
    home: str
    node: Node | None = None
    """None where there is no other machine."""

    @property
    def has_stack(self) -> bool:
        return self.profile.topology != "none"

    def sidecar_of(self, role: Role) -> str | None:
        """Before which no worker of this role starts: its own one, else the only one there is."""
        return sidecar_of(self.profile, role) or next(iter(self.sidecar_ports), None)

    @property
    def is_tiny(self) -> bool:
        return self.profile.model.path == TINY

    @property
    def interpreter(self) -> list[str]:
        """The stack's, as a program is run by it: what it imports comes from its installation alone."""
        return [self.facts.python, *self.facts.python_options]

    @property
    def shares_l1(self) -> bool:
        """Whether sidecars of other nodes read from this node's."""
        return self.node is not None and self.profile.lmcache.p2p is not None

    @property
    def reached_at(self) -> str:
        """The address on which listens what other nodes have to reach; loopback where there are none."""
        return self.node.advertise if self.node else LOOPBACK

    def open_port(self, name: str, first: int, count: int = 1, highest: int = PORT_MAX) -> int:
        """Of what other nodes have to reach, from their range; from `first` on where there are none."""
        if self.node is not None:
            first, highest = self.profile.cluster.first_and_last_port
        return self.ports.free_from(first, name, count, highest)

    def expand(self, path: str) -> str:
        """A path of the profile, made absolute; raises PreflightRefused where it cannot be."""
        refuse_variables(path)
        return expand(path, self.home, self.facts.paths)

    def secrets(self, role: Role) -> tuple[str, ...]:
        return secret_names(self.profile, self.facts, role)

    def restart(self) -> RestartPolicy:
        given = self.profile.restart
        return RestartPolicy(given.max_restarts, given.window_s, given.backoff_initial_s, given.backoff_max_s)


def probes(settings: UnitProbes, started: tuple[HttpGet, ...], ready: tuple[HttpGet, ...], figures: HttpGet) -> Probes:
    """`figures` is the unit's /metrics, which liveness reads."""
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
