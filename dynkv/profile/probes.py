"""How units are asked how they are: the parameters of their probes, with defaults for each kind of unit."""

from __future__ import annotations

from typing import Any, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from dynkv.profile.apart import Apart
from dynkv.profile.fields import Period, PositiveInt, PositiveSeconds, Seconds, Section
from dynkv.profile.source import merge

_SAMPLES_MAX = 10_000
"""Of a unit, that are kept."""


class ProbeSettings(Section):
    """Kubernetes' probe parameters."""

    initial_delay_seconds: Seconds = 0.0
    """Before the first try."""
    period_seconds: Period = 5.0
    """From one try to the next."""
    timeout_seconds: PositiveSeconds = 5.0
    """After which a try counts as failed."""
    success_threshold: PositiveInt = 1
    """Tries in a row that have to pass."""
    failure_threshold: PositiveInt = 3
    """Tries in a row that have to fail."""


class LivenessSettings(Section):
    """When a unit that runs counts as hung. It is judged by progress: one that is only slow never is."""

    enabled: bool = True
    """Whether it is looked for."""
    period_seconds: Period = 5.0
    """From one sample to the next."""
    timeout_seconds: PositiveSeconds = 10.0
    """After which a sample counts as no answer."""
    failure_threshold: PositiveInt = 3
    """Samples in a row in which it was stopped, lacked its engine, or neither answered nor used a CPU."""
    stall_seconds: PositiveSeconds = 120.0
    """How long requests may run without a single token."""

    @model_validator(mode="after")
    def _samples_fit(self) -> Self:
        if self.stall_seconds > _SAMPLES_MAX * self.period_seconds:
            raise PydanticCustomError("samples", f"stall_seconds is more than {_SAMPLES_MAX} times period_seconds")
        return self


class UnitProbes(Section):
    """When a unit has started, when it is ready, and when it hangs."""

    startup: Apart[ProbeSettings] = ProbeSettings.model_construct()
    readiness: Apart[ProbeSettings] = ProbeSettings.model_construct()
    liveness: Apart[LivenessSettings] = LivenessSettings.model_construct()


def _startup(period: float, seconds: float) -> UnitProbes:
    """Probes of a unit that may take `seconds` to start."""
    startup = ProbeSettings.model_construct(period_seconds=period, failure_threshold=int(seconds / period))
    return UnitProbes.model_construct(startup=startup, readiness=ProbeSettings.model_construct())


class Canary(Section):
    """Requests for one token that Dynamo sends an idle worker; its engine has hung if they fail while HTTP answers."""

    enabled: bool = False
    """Whether they are sent."""
    idle_seconds: PositiveInt = 10
    """How long a worker has to be without a request."""
    timeout_seconds: PositiveInt = 10
    """How long such a request may take."""


class ProbeGroups(Section):
    """How units are asked how they are, by kind of unit."""

    lmcache: Apart[UnitProbes] = _startup(0.5, 300)
    frontend: Apart[UnitProbes] = _startup(0.25, 120)
    worker: Apart[UnitProbes] = _startup(0.25, 1800)
    canary: Apart[Canary] = Canary.model_construct()

    @model_validator(mode="before")
    @classmethod
    def _keep_defaults(cls, given: Any) -> Any:
        """What is not given keeps the default of its unit, not that of probes in general."""
        defaults = {name: field.default.model_dump() for name, field in cls.model_fields.items()}
        return merge(defaults, given) if isinstance(given, dict) else given
