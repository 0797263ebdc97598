"""The common part of all workers, whatever the engine: ports, GPUs, probes, dependencies."""

from __future__ import annotations

from itertools import takewhile

from msgspec.structs import replace

from dynkv.plan.context import Context, probes
from dynkv.plan.environment import given_environment
from dynkv.plan.model import Dependency, HttpGet, Probes, Role, Unit
from dynkv.plan.ports import REQUEST_PORT, SYSTEM_PORT_MAX, rank_port
from dynkv.plan.seats import Seat
from dynkv.profile.arguments import kv_cache_bytes, value_of
from dynkv.profile.engines import ENGINES

FIRST_SYSTEM_PORT = 8081
FIRST_KV_EVENTS_PORT = 20081
FIRST_NIXL_PORT = 20097


def worker_unit(
    ctx: Context,
    seat: Seat,
    argv: list[str],
    env: dict[str, str],
    more_ports: dict[str, int],
    depends_on: tuple[Dependency, ...],
) -> Unit:
    """A worker, which is ready when its engine serves: `/health` answers 503 until then."""
    own = own_args(ctx, seat)
    processes = _serving_processes(own)
    system = ctx.open_port(f"{seat.unit}.system", FIRST_SYSTEM_PORT, processes, SYSTEM_PORT_MAX)
    serving = (HttpGet(system, "/health", ctx.reached_at), HttpGet(system, "/metrics", ctx.reached_at))
    requests = _request_port(ctx, seat, processes)
    ranks = {rank_port("system", n): system + n for n in range(1, processes)}
    on_gpu = bool(seat.gpus) and ENGINES[ctx.profile.engine].computes
    return Unit(
        name=seat.unit,
        role=seat.role,
        argv=tuple(argv),
        env={
            **ctx.env,
            "DYN_SYSTEM_HOST": ctx.reached_at,
            "DYN_SYSTEM_PORT": str(system),
            **({"DYN_TCP_RPC_PORT": str(requests[REQUEST_PORT])} if requests else {}),
            **_canary(ctx),
            **env,
            **given_environment(ctx.profile),
        },
        ports={"system": system, **ranks, **requests, **more_ports},
        probes=_probes(ctx, serving),
        secret_env=ctx.secrets(seat.role),
        gpus=seat.gpus,
        gpu_memory_fraction=ctx.profile.gpu_memory_fraction(seat.role) if on_gpu else None,
        kv_cache_bytes=kv_cache_bytes(own) if on_gpu else 0,
        depends_on=depends_on,
        restart=ctx.restart(),
        stop_timeout_s=ctx.profile.stop.worker_s,
        host=ctx.reached_at,
    )


def _request_port(ctx: Context, seat: Seat, processes: int) -> dict[str, int]:
    """The port for requests on a node of a cluster; elsewhere, and for several serving processes, the worker chooses
    one."""
    if ctx.node is None or processes > 1:
        return {}
    return {REQUEST_PORT: ctx.open_port(f"{seat.unit}.{REQUEST_PORT}", FIRST_SYSTEM_PORT)}


def _serving_processes(args: list[str]) -> int:
    """Serving processes; each has its own system port, next to the one that the worker is told (ai-dynamo 1.6.1)."""
    told = value_of("--embedding-worker-processes", args)
    return int(told) if told is not None and told.isdecimal() and int(told) else 1


def _canary(ctx: Context) -> dict[str, str]:
    """Variables for the canary. Source: Dynamo, "Health Checks"; 1.6.1 sends it to an idle worker's own endpoint,
    and reports through `/health`."""
    canary = ctx.profile.probes.canary
    if not canary.enabled:
        return {}
    return {
        "DYN_HEALTH_CHECK_ENABLED": "true",
        "DYN_CANARY_WAIT_TIME": str(canary.idle_seconds),
        "DYN_HEALTH_CHECK_REQUEST_TIMEOUT": str(canary.timeout_seconds),
    }


def _probes(ctx: Context, serving: tuple[HttpGet, HttpGet]) -> Probes:
    health, figures = serving
    made = probes(ctx.profile.probes.worker, serving, serving, figures)
    if made.liveness is None or not ctx.profile.probes.canary.enabled:
        return made
    return replace(made, liveness=replace(made.liveness, canary=health))


def program_of(unit: Unit) -> tuple[str, ...]:
    """The interpreter and what it runs, a module or a script; behind come that one's arguments. Of a frontend, too."""
    behind = 1 + sum(1 for _ in takewhile(lambda word: word.startswith("-"), unit.argv[1:]))
    return unit.argv[: behind + 1]


def publishes_kv_events(ctx: Context, role: Role) -> bool:
    """Whether workers of this role publish events: the KV router follows the caches of those that compute prompts,
    all in agg, prefill in disagg."""
    return ctx.profile.frontend.router_mode == "kv" and role is not Role.DECODE


def own_args(ctx: Context, seat: Seat) -> list[str]:
    """The person's own arguments: for every worker, then for the role, then for this one."""
    return ctx.profile.worker_args(seat.role, seat.unit)
