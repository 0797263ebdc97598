"""Parameters of the units' probes, with defaults for each kind of unit."""

from __future__ import annotations

from typing import Any, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from dynkv.profile.apart import Apart
from dynkv.profile.fields import Period, PositiveInt, PositiveSeconds, Seconds, Section
from dynkv.profile.source import merge

_SAMPLES_MAX = 10_000
"""Most samples kept of a unit."""


class ProbeSettings(Section):
    """Kubernetes' probe parameters."""

    initial_delay_seconds: Seconds = 0.0
    """Seconds before the first attempt."""
    period_seconds: Period = 5.0
    """Seconds from one attempt to the next. Until the unit is ready, the interval grows to a fiftieth of the time
    waited, at most 1 s."""
    timeout_seconds: PositiveSeconds = 5.0
    """Seconds until an attempt counts as failed."""
    success_threshold: PositiveInt = 1
    """Attempts in a row that must succeed."""
    failure_threshold: PositiveInt = 3
    """Attempts in a row that must fail."""


class LivenessSettings(Section):
    """When a running unit counts as hung. It is judged by progress: a unit that is only slow never hangs."""

    enabled: bool = True
    """Whether to check for hangs."""
    period_seconds: Period = 5.0
    """Seconds from one sample to the next."""
    timeout_seconds: PositiveSeconds = 10.0
    """Seconds until a sample counts as unanswered."""
    failure_threshold: PositiveInt = 3
    """Samples in a row in which the unit was suspended, had lost its engine, or neither answered nor used a CPU."""
    stall_seconds: PositiveSeconds = 120.0
    """Seconds for which requests may run without producing a token."""

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
    startup = ProbeSettings.model_construct(period_seconds=period, failure_threshold=round(seconds / period))
    return UnitProbes.model_construct(startup=startup, readiness=ProbeSettings.model_construct())


class Canary(Section):
    """Requests for one token that Dynamo sends to an idle worker; if they fail while HTTP answers, the engine has
    hung."""

    enabled: bool = False
    """Whether to send them."""
    idle_seconds: PositiveInt = 10
    """Seconds without a request after which a worker is idle."""
    timeout_seconds: PositiveInt = 10
    """Timeout of such a request in seconds."""


class ProbeGroups(Section):
    """The probes of units, by kind of unit."""

    lmcache: Apart[UnitProbes] = _startup(0.1, 300)
    frontend: Apart[UnitProbes] = _startup(0.1, 120)
    worker: Apart[UnitProbes] = _startup(0.1, 1800)
    canary: Apart[Canary] = Canary.model_construct()

    @model_validator(mode="before")
    @classmethod
    def _keep_defaults(cls, given: Any) -> Any:
        """Fill in what is not given from the defaults of the kind of unit, not from those of probes in general."""
        defaults = {name: field.default.model_dump() for name, field in cls.model_fields.items()}
        return merge(defaults, given) if isinstance(given, dict) else given
