"""Custom units, planned as in the profile."""

from __future__ import annotations

from graphlib import CycleError

from msgspec.structs import replace

from dynkv.errors import UsageError
from dynkv.plan.context import Context
from dynkv.plan.environment import with_environment
from dynkv.plan.hook import HOOKS
from dynkv.plan.model import (
    LOOPBACK,
    SIDECARS_STANDBY,
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
_ADVERTISED = "${CLUSTER_ADVERTISE}"
_OTHER_LOGS = (WORKERS_STANDBY, SIDECARS_STANDBY, "supervisor", "reclaim", HOOKS)
"""Logs that are not a unit's, whose names a unit cannot have."""


def with_own_units(ctx: Context, stack: list[Unit]) -> tuple[Unit, ...]:
    """The stack, some of which may wait for a custom unit, and the custom units.

    Raises UsageError for a name that is taken, and for a dependency that is missing, can never be met or is circular.
    """
    own = ctx.profile.units
    units = [*stack, *(_unit(ctx, it) for it in own)]
    names = [unit.name for unit in units]
    for it in own:
        if names.count(it.name) > 1 or it.name in _OTHER_LOGS:
            raise UsageError(f"units: the name {it.name!r} is taken", hint="give the unit another name")
        for other in it.before:
            if not any(other in (unit.name, unit.role) for unit in units):
                raise UsageError(f"units: {it.name} is before {other!r}", hint=f"available: {', '.join(names)}")
    jobs = frozenset(it.name for it in own if it.kind == "job")
    needs = {it.name: [_dependency(it.name, *need, names, jobs) for need in it.needs.items()] for it in own}
    ordered = tuple(replace(unit, depends_on=_in_order(unit, needs.get(unit.name, []), own, jobs)) for unit in units)
    _refuse_circles(ordered)
    return ordered


def _dependency(unit: str, name: str, condition: str | None, names: list[str], jobs: frozenset[str]) -> Dependency:
    if name not in names:
        raise UsageError(f"units: {unit} depends on {name!r}", hint=f"available: {', '.join(names)}")
    usual = _usual(name, jobs)
    wanted = usual if condition is None else Condition(condition)
    if wanted not in (usual, Condition.STARTED):
        kind = "a job" if name in jobs else "no job"
        raise UsageError(
            f"units: {unit} waits for {name} to be {wanted}, which never happens", hint=f"{name} is {kind}"
        )
    return Dependency(name, wanted)


def _usual(name: str, jobs: frozenset[str]) -> Condition:
    return Condition.COMPLETED if name in jobs else Condition.READY


def _in_order(unit: Unit, needs: list[Dependency], own: list[OwnUnit], jobs: frozenset[str]) -> tuple[Dependency, ...]:
    """Its dependencies: from its own plan, from its `depends_on`, and from the `before` of others."""
    before = [Dependency(it.name, _usual(it.name, jobs)) for it in own if {unit.name, unit.role} & {*it.before}]
    return tuple(dict.fromkeys([*unit.depends_on, *needs, *before]))


def _refuse_circles(units: tuple[Unit, ...]) -> None:
    try:
        start_stages(units)
    except CycleError as error:
        raise UsageError(
            f"units: circular dependencies: {' → '.join(error.args[1])}",
            hint="each waits for the next; remove one of them from a `depends_on` or `before`",
        ) from None


def _unit(ctx: Context, own: OwnUnit) -> Unit:
    for name, port in own.ports.items():
        ctx.ports.fixed(port, f"units.{own.name}.ports.{name}")
    unit = Unit(
        name=own.name,
        role=Role.JOB if own.kind == "job" else Role.UNIT,
        argv=tuple(_at(ctx, word) for word in own.argv),
        env=ctx.env,
        ports=dict(own.ports),
        probes=_probes(ctx, own),
        secret_env=ctx.secrets(Role.UNIT),
        restart=ctx.restart(),
        stop_timeout_s=own.stop_timeout_s,
        circumstances=ctx.circumstances,
    )
    return with_environment(unit, own.env)


def _at(ctx: Context, word: str) -> str:
    """The word with this machine's address for other nodes filled in."""
    return word.replace(_ADVERTISED, ctx.profile.cluster.advertise or LOOPBACK)


def _probes(ctx: Context, own: OwnUnit) -> Probes:
    given, port = own.probes, own.probed_port
    if given is None or port is None:
        return Probes(Probe(()), Probe(()))
    check = HttpGet(port, given.http_get.path, _at(ctx, given.http_get.host))
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
