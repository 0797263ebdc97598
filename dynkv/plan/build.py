"""From a profile and HostFacts to a Plan. Pure: the same profile on the same host gives the same plan."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from dynkv.documents import is_text
from dynkv.errors import PreflightRefused, UsageError
from dynkv.plan.cluster import Served, node_of
from dynkv.plan.context import Context
from dynkv.plan.coordinator import coordinator_unit
from dynkv.plan.environment import (
    base_environment,
    circumstances,
    dropped_names,
    unit_environment,
    with_environment,
)
from dynkv.plan.facts import HostFacts
from dynkv.plan.frontend import frontend_unit
from dynkv.plan.hooks import planned_hooks
from dynkv.plan.hub import one_cache
from dynkv.plan.mocker import mocker_unit
from dynkv.plan.model import Dependency, LogPolicy, Plan, Role, Unit
from dynkv.plan.observability import named
from dynkv.plan.order import worker_dependencies
from dynkv.plan.own import with_own_units
from dynkv.plan.paths import expand
from dynkv.plan.ports import METRICS, METRICS_FROM, PORT_MAX, PortPlanner
from dynkv.plan.preparation import preparation
from dynkv.plan.seats import Seat, seats
from dynkv.plan.served_model import model_path, naming_notes, served_names
from dynkv.plan.serving import Frontend, Listener
from dynkv.plan.sidecars import sidecars
from dynkv.plan.standby import standbys
from dynkv.plan.tasks import task_of
from dynkv.plan.vllm import vllm_unit
from dynkv.profile.engines import ENGINES, EngineName
from dynkv.profile.model import Profile

MAKERS: dict[EngineName, Callable[[Context, Seat, tuple[Dependency, ...]], Unit]] = {
    "vllm": vllm_unit,
    "mocker": mocker_unit,
}
"""Of a worker, by its engine."""


def build(profile: Profile, facts: HostFacts, *, name: str, profile_name: str, home: str) -> Plan:
    """Resolve `profile` for a host; `home` is DYNKV_HOME.

    Raises PreflightRefused if the host lacks what the profile needs (GPUs, the frontend's port), UsageError if the
    profile contradicts itself.
    """
    profile, notes = _settle(profile, facts)
    _refuse_bytes(profile, facts, home)
    workers = seats(profile, facts) if profile.topology != "none" else []
    _refuse_strangers(profile, workers)
    ctx = _context(profile, facts, name, home, workers)
    units = _units(ctx, workers)
    return Plan(
        name=name,
        profile=profile_name,
        topology=profile.topology,
        engine=profile.engine,
        device=profile.device,
        frontend=_frontend(ctx),
        units=units,
        python=facts.python,
        packages=dict(facts.packages),
        discovery_dir=ctx.discovery_dir,
        logs=LogPolicy(profile.logs.max_mb * 1_000_000, profile.logs.keep),
        reap_timeout_s=profile.lmcache.worker_reap_timeout_s if ctx.sidecar_ports else 0.0,
        directory=f"{home}/{name}",
        prepare=preparation(ctx),
        warm_up_tokens=_warm_up_tokens(profile),
        standbys=standbys(ctx, units),
        ports=tuple(sorted(ctx.ports.given)),
        metrics=ctx.metrics,
        node=ctx.node,
        l2_directories=_l2_directories(ctx) if ctx.sidecar_ports else (),
        hooks=planned_hooks(ctx),
        notes=(
            *notes,
            *naming_notes(profile, facts, home),
            *_unused_gpus(profile, facts, workers),
            *_dropped(profile, facts),
        ),
    )


def _refuse_strangers(profile: Profile, workers: list[Seat]) -> None:
    """Raise UsageError if the profile has settings for a worker that is not planned."""
    names = [seat.unit for seat in workers]
    for name in profile.workers.each:
        if name not in names:
            there = ", ".join(names) or "none"
            raise UsageError(f"workers.each: no worker is named {name!r}", hint=f"available: {there}")


def _refuse_bytes(profile: Profile, facts: HostFacts, home: str) -> None:
    """Raise PreflightRefused for paths that the Rust parts of the stack cannot handle (ai-dynamo 1.6.1, tokenizers)."""
    if profile.topology == "none":
        return
    for what, path in {"DYNKV_HOME": home, "the model": facts.model.path, "the interpreter": facts.python}.items():
        if not is_text(path):
            raise PreflightRefused(
                f"the path of {what} contains bytes that are not valid UTF-8, which the stack cannot handle: {path}",
                hint="rename it, or use a link with another name",
            )


def _context(profile: Profile, facts: HostFacts, name: str, home: str, workers: list[Seat]) -> Context:
    has_stack = profile.topology != "none"
    ports = PortPlanner(facts.taken_ports, facts.kept_ports)
    # first the ports that clients use, so that they get their usual numbers
    has_frontend = has_stack and profile.frontend.enabled
    frontend_port = ports.fixed(profile.frontend.port, "frontend.port") if has_frontend else None
    roles = {seat.role for seat in workers}
    zmq = (profile.lmcache.port, PORT_MAX) if profile.lmcache.p2p is None else profile.cluster.first_and_last_port
    sidecar_ports = {it: ports.free_from(zmq[0], f"{it}.zmq", highest=zmq[1]) for it in sidecars(profile, roles)}
    metrics = _listener(profile, ports)
    served_name, *aliases = served_names(profile, facts, home)
    served = Served(served_name, model_path(profile, facts, home), tuple(sorted(role.value for role in roles)))
    node = node_of(profile, facts, name, home, served, partial(expand, home=home, facts=facts.paths))
    # without a stack too: parts of Dynamo that are custom units find each other through it
    is_alone = profile.discovery.backend == "file" and node is None
    discovery_dir = f"{home}/{name}/discovery" if is_alone else None
    return Context(
        deployment=name,
        profile=profile,
        facts=facts,
        ports=ports,
        env=base_environment(profile, facts, discovery_dir, name, node),
        circumstances=circumstances(profile, facts),
        model_path=served.path,
        served_name=served_name,
        aliases=tuple(aliases),
        task=task_of(profile, workers),
        worker_count=len(workers),
        frontend_port=frontend_port,
        sidecar_ports=sidecar_ports,
        metrics=metrics,
        discovery_dir=discovery_dir,
        home=home,
        node=node,
    )


def _listener(profile: Profile, ports: PortPlanner) -> Listener | None:
    given = profile.metrics
    if not given.enabled:
        return None
    port = ports.free_from(METRICS_FROM, METRICS) if given.port is None else ports.fixed(given.port, "metrics.port")
    return Listener(given.host, port)


def _frontend(ctx: Context) -> Frontend | None:
    if ctx.frontend_port is None:
        return None
    settings = ctx.profile.frontend
    return Frontend(settings.host, ctx.frontend_port, ctx.served_name, ctx.task, ctx.aliases, settings.migration_limit)


def _units(ctx: Context, workers: list[Seat]) -> tuple[Unit, ...]:
    # in this order, so that the sidecar gets its usual port whatever the workers use
    sidecar = _sidecars(ctx) if ctx.sidecar_ports else []
    coordinator = coordinator_unit(ctx)
    worker_units = _worker_units(ctx, workers)
    frontend = [] if ctx.frontend_port is None else [frontend_unit(ctx, ctx.frontend_port)]
    stack = [_surrounded(ctx, unit) for unit in (*sidecar, *frontend, *worker_units)]
    stack += [] if coordinator is None else [coordinator]
    return with_own_units(ctx, stack)


def _surrounded(ctx: Context, unit: Unit) -> Unit:
    """The unit with the profile's variables for its role; a variable that the plan changes is no longer a
    circumstance."""
    untouched = tuple(name for name in ctx.circumstances if unit.env.get(name) == ctx.facts.environ[name])
    own = {**named(ctx.profile, ctx.deployment, unit.name), **unit_environment(ctx.profile, unit.role, unit.name)}
    made = with_environment(replace(unit, circumstances=untouched), own)
    return made if ctx.facts.model.is_local else replace(made, env={**made.env, **one_cache(made.env)})


def _warm_up_tokens(profile: Profile) -> int:
    if not (profile.lmcache.enabled and ENGINES[profile.engine].uses_lmcache):
        return 1
    longest = profile.model.max_length or profile.lmcache.chunk_size * 2
    return min(profile.lmcache.chunk_size + 1, longest - 1)


def _settle(profile: Profile, facts: HostFacts) -> tuple[Profile, tuple[str, ...]]:
    """The profile without what the engine cannot use, and notes that say so."""
    notes: list[str] = []
    engine = ENGINES[profile.engine]
    if profile.lmcache.enabled and not engine.uses_lmcache and "lmcache" not in facts.packages:
        profile = profile.model_copy(update={"lmcache": profile.lmcache.model_copy(update={"enabled": False})})
        notes.append(f"no sidecar: lmcache is not installed for {facts.python}, and {engine.called} does not use it")
    if profile.model.loras and not engine.loads_loras:
        profile = profile.model_copy(update={"model": profile.model.model_copy(update={"loras": []})})
        notes.append(f"no LoRA adapters: {engine.called} loads none")
    if profile.model.task not in ("auto", "generate") and not engine.has_tasks:
        notes.append(f"{engine.called} always generates: the task {profile.model.task} is not tried")
    return profile, tuple(notes)


def _worker_units(ctx: Context, workers: list[Seat]) -> list[Unit]:
    make = MAKERS[ctx.profile.engine]
    decode = [seat.unit for seat in workers if seat.role is Role.DECODE]
    has_frontend = ctx.frontend_port is not None

    def depends_on(role: Role) -> tuple[Dependency, ...]:
        return worker_dependencies(role, frontend=has_frontend, sidecar=ctx.sidecar_of(role), decode=decode)

    units = [make(ctx, seat, depends_on(seat.role)) for seat in workers]
    return [
        replace(unit, restart_with=_restarts_with(ctx.profile, unit, units), mapped_by=_mapped_by(unit, decode))
        for unit in units
    ]


def _restarts_with(profile: Profile, unit: Unit, workers: list[Unit]) -> tuple[str, ...]:
    own = {Role.DECODE: profile.workers.decode, Role.PREFILL: profile.workers.prefill}.get(unit.role)
    roles = [] if own is None else own.restart_with
    return tuple(other.name for other in workers if other.role in roles and other.name != unit.name)


def _mapped_by(unit: Unit, decode: list[str]) -> tuple[str, ...]:
    """Units that map this one's GPU memory: decode reads from prefill, and UCX keeps a peer's mappings until the
    process that made them ends.

    Source: openucx/ucx#11753, ai-dynamo/nixl#1066; seen with nixl and vllm 0.23.0 on two H100 over NVLink.
    """
    return tuple(decode) if unit.role is Role.PREFILL and unit.gpu_memory_fraction is not None else ()


def _dropped(profile: Profile, facts: HostFacts) -> tuple[str, ...]:
    told = ", ".join(dropped_names(profile, facts))
    return (
        (f"set here but passed to no process: {told}; set what is needed under env, or by its key in the profile",)
        if told
        else ()
    )


def _unused_gpus(profile: Profile, facts: HostFacts, workers: list[Seat]) -> tuple[str, ...]:
    if profile.device != "cuda" or not ENGINES[profile.engine].computes or profile.topology == "none":
        return ()
    used = {gpu for seat in workers for gpu in seat.gpus}
    listed = [str(g) for g in profile.workers.gpus] if profile.workers.gpus != "all" else None
    wanted = [gpu for gpu in facts.gpus if listed is None or gpu.visible_as in listed or gpu.uuid in listed]
    idle = [gpu.visible_as for gpu in wanted if gpu.visible_as not in used]
    return (f"GPUs without a worker: {', '.join(idle)}",) if idle else ()


def _sidecars(ctx: Context) -> list[Unit]:
    from dynkv.plan.lmcache import lmcache_unit  # with the models of all L2 adapters

    return [lmcache_unit(ctx, name, port) for name, port in ctx.sidecar_ports.items()]


def _l2_directories(ctx: Context) -> tuple[str, ...]:
    from dynkv.plan.lmcache import l2_directories

    return l2_directories(ctx)
