"""Units of one's own, planned as the profile gives them."""

from __future__ import annotations

from graphlib import CycleError

from dynkv.errors import UsageError
from dynkv.plan.context import Context
from dynkv.plan.environment import with_environment
from dynkv.plan.model import (
    SIDECAR_HELPER,
    WORKERS_STANDBY,
    Condition,
    Dependency,
    HttpGet,
    Liveness,
    Probe,
    Probes,
    Role,
    Unit,
)
from dynkv.plan.order import start_stages
from dynkv.profile.units import OwnUnit

_STARTUP_PERIOD_S, _STARTUP_TIMEOUT_S = 0.2, 1.0
_OTHER_LOGS = (WORKERS_STANDBY, SIDECAR_HELPER, "supervisor", "reclaim")
"""A unit's log is named after it."""


def own_units(ctx: Context, stack: list[Unit]) -> list[Unit]:
    """Raises UsageError for a name that is taken, or a dependency that is not there or goes round in a circle."""
    units = [_unit(ctx, own) for own in ctx.profile.units]
    names = [unit.name for unit in (*stack, *units)]
    for unit in units:
        if names.count(unit.name) > 1 or unit.name in _OTHER_LOGS:
            raise UsageError(f"units: the name {unit.name!r} is taken", hint="give the unit another name")
        for dependency in unit.depends_on:
            if dependency.unit not in names:
                raise UsageError(
                    f"units: {unit.name} depends on {dependency.unit!r}", hint=f"there is {', '.join(names)}"
                )
    try:
        start_stages([*stack, *units])
    except CycleError as error:
        raise UsageError(
            f"units: a circle of dependencies: {' → '.join(error.args[1])}",
            hint="each waits for the next; take one of them out of a `depends_on`",
        ) from None
    return units


def _unit(ctx: Context, own: OwnUnit) -> Unit:
    for name, port in own.ports.items():
        ctx.ports.fixed(port, f"units.{own.name}.ports.{name}")
    unit = Unit(
        name=own.name,
        role=Role.UNIT,
        argv=tuple(own.argv),
        env=ctx.env,
        ports=dict(own.ports),
        probes=_probes(own),
        secret_env=ctx.secrets(Role.UNIT),
        depends_on=tuple(Dependency(name, Condition.READY) for name in own.depends_on),
        restart=ctx.restart(),
        stop_timeout_s=own.stop_timeout_s,
        circumstances=ctx.circumstances,
    )
    return with_environment(unit, own.env)


def _probes(own: OwnUnit) -> Probes:
    given, port = own.probes, own.probed_port
    if given is None or port is None:
        return Probes(Probe(()), Probe(()))
    check = HttpGet(port, given.http_get.path, given.http_get.host)
    period_s = min(_STARTUP_PERIOD_S, given.period_seconds)
    startup = Probe(
        (check,),
        given.initial_delay_seconds,
        period_s,
        min(given.timeout_seconds, _STARTUP_TIMEOUT_S),
        failure_threshold=max(1, int(given.startup_seconds / period_s)),
    )
    readiness = Probe(
        (check,),
        0.0,
        given.period_seconds,
        given.timeout_seconds,
        given.success_threshold,
        given.failure_threshold,
    )
    liveness = Liveness(None, given.period_seconds) if given.restart_when_hung else None
    return Probes(startup, readiness, liveness)
