"""What the builders of single units share while one plan is made."""

from __future__ import annotations

from dataclasses import dataclass

from dynkv.plan.environment import secret_names
from dynkv.plan.facts import HostFacts
from dynkv.plan.model import HttpGet, Liveness, Probe, Probes, RestartPolicy, Role
from dynkv.plan.ports import PortPlanner
from dynkv.profile.model import Profile
from dynkv.profile.probes import LivenessSettings, ProbeSettings, UnitProbes


@dataclass(frozen=True, slots=True)
class Context:
    profile: Profile
    facts: HostFacts
    ports: PortPlanner
    env: dict[str, str]
    model_path: str
    served_name: str
    worker_count: int
    sidecar_port: int | None
    home: str

    @property
    def is_tiny(self) -> bool:
        return self.profile.model.path == TINY

    def secrets(self, role: Role) -> tuple[str, ...]:
        return secret_names(self.profile, self.facts, role)

    def restart(self) -> RestartPolicy:
        given = self.profile.restart
        return RestartPolicy(given.max_restarts, given.window_s, given.backoff_initial_s, given.backoff_max_s)


TINY = "tiny"
"""The model name that stands for the random model which dynkv makes itself."""


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
