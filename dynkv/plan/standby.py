"""What to import in advance, so that starting a worker or the sidecar, or sending it a message, does not wait for
imports.

Source: ai-dynamo 1.3.1 with vllm 0.23.0 and 1.6.1 with 0.31.0, in which `dynamo.vllm.main` imports nearly all of it;
lmcache 0.5.2 and 0.5.6, cli/commands/server.py and v1/multiprocess/http_server.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from dynkv.plan.context import Context
from dynkv.plan.environment import given_environment, unit_environment
from dynkv.plan.kv_transfer import connector_modules, transfer_of
from dynkv.plan.model import SIDECARS_STANDBY, WORKERS_STANDBY, Role, Standby, Unit
from dynkv.plan.versions import at_least
from dynkv.profile.engines import ENGINES
from dynkv.profile.model import Profile
from dynkv.secrets import without_secrets

_GIB = 1024**3
_SIDECARS_BYTES = int(0.75 * _GIB)
"""Memory of the sidecar's standby. Measured: 0.7 GB."""


_SHARED_BY_WORKERS = frozenset(
    "HF_HUB_CACHE OMP_NUM_THREADS TORCH_COMPILE_DISABLE TORCHINDUCTOR_CACHE_DIR VLLM_HOST_IP".split()
)
"""Variables of workers, beyond those of every process, that may be read while modules are imported."""


_OF_A_DEPLOYMENT = frozenset({"DYN_FILE_KV"})
"""Variables read when Dynamo starts, and not while modules are imported (ai-dynamo 1.6.1)."""


def standbys(ctx: Context, units: Sequence[Unit]) -> tuple[Standby, ...]:
    """One standby for all workers, whatever their role; with `always` also one for the sidecar and what talks to it."""
    mode, workers = ctx.profile.standby, [unit for unit in units if unit.role.is_worker]
    if mode == "off" or not workers or not worker_modules(ctx.profile):
        return ()
    keep = mode == "always"
    alike = _alike(ctx, workers)
    others = tuple(unit.name for unit in workers if unit not in alike)
    found = [_for_workers(ctx, alike, others, keep=keep)]
    sidecar = next((unit for unit in units if unit.role is Role.LMCACHE), None)
    if keep and ENGINES[ctx.profile.engine].uses_lmcache and sidecar is not None:
        found.append(_for_sidecar(ctx, sidecar))
    return tuple(found)


def why_none(profile: Profile, *, has_workers: bool) -> str:
    """Why a plan has no standby, or what to do for one, in words."""
    engine = ENGINES[profile.engine]
    if not has_workers:
        return "imports are parked for workers, and it has none here"
    if worker_modules(profile):
        return "with --set standby=always it does"
    if engine.imports.dynamo:
        return f"{engine.called} has nothing to import ahead while observability.otlp is set"
    return f"{engine.called} has nothing to import ahead: another --engine may have"


def _alike(ctx: Context, workers: list[Unit]) -> list[Unit]:
    """Workers with the same variables, since imports may have read them."""
    own = {unit.name: without_secrets(unit_environment(ctx.profile, unit.role, unit.name)) for unit in workers}
    groups = [[unit for unit in workers if own[unit.name] == env] for env in own.values()]
    return max(groups, key=len)


def _for_workers(ctx: Context, workers: list[Unit], others: tuple[str, ...], *, keep: bool) -> Standby:
    engine = ENGINES[ctx.profile.engine]
    return Standby(
        name=WORKERS_STANDBY,
        modules=worker_modules(ctx.profile),
        env=_common(ctx, workers),
        roles=tuple(dict.fromkeys(unit.role for unit in workers)),
        others=others,
        keep=keep,
        memory_bytes=engine.imports.memory_bytes,
        cuda=engine.computes and ctx.profile.device == "cuda",
        spawns=engine.imports.spawns,
        python_options=ctx.facts.python_options,
        late=_late(ctx, workers),
    )


def _late(ctx: Context, workers: Sequence[Unit]) -> tuple[str, ...]:
    """What the workers import or work out only later in their start.

    Measured: 0.4 s for LMCache's connector, in each process of a worker, one after the other (lmcache 0.5.6, H200). On
    a CPU nothing is done ahead, since vLLM searches all modules for kernels there, and fails at one of these (vllm
    0.31.0).
    """
    imports = ENGINES[ctx.profile.engine].imports
    if not imports.late or ctx.profile.device == "cpu":
        return ()
    compiling = imports.late_compiling if any("--enforce-eager" not in unit.argv for unit in workers) else ()
    configs = (transfer_of(ctx, unit.role) for unit in workers)
    connectors = (name for config in configs if config for name in connector_modules(config))
    return tuple(dict.fromkeys((*connectors, *imports.late, *compiling)))


def worker_modules(profile: Profile) -> tuple[str, ...]:
    """Modules to import for workers; without any there is no standby.

    Dynamo's is left out if it sends traces: importing it starts threads for that, which a fork does not have
    (ai-dynamo 1.6.1).
    """
    imports = ENGINES[profile.engine].imports
    dynamo = () if profile.observability.otlp else imports.dynamo
    return (*dynamo, *imports.beside.get(profile.device, ()))


def _common(ctx: Context, workers: list[Unit]) -> dict[str, str]:
    """Variables that all workers have, so that a waiting standby has nothing of a single unit, such as ports, GPUs
    or cores."""
    first, *rest = (unit.env for unit in workers)
    given = unit_environment(ctx.profile, workers[0].role, workers[0].name)
    kept = {**ctx.env, **given_environment(ctx.profile), **given}.keys() - _OF_A_DEPLOYMENT | _SHARED_BY_WORKERS
    return {name: value for name, value in first.items() if name in kept and all(env[name] == value for env in rest)}


def _for_sidecar(ctx: Context, sidecar: Unit) -> Standby:
    """The sidecar's standby, with the sidecar's variables, since imports may have read them."""
    new = at_least(ctx.facts.packages, "lmcache", 0, 5, 6)
    return Standby(
        name=SIDECARS_STANDBY,
        modules=(
            f"{ctx.facts.scripts_directory}/server_imports.py",
            f"lmcache.v1.multiprocess.{'transport.factory' if new else 'mq'}",
        ),
        env={name: value for name, value in sidecar.env.items() if name not in _OF_A_DEPLOYMENT},
        roles=(Role.LMCACHE,),
        keep=True,
        memory_bytes=_SIDECARS_BYTES,
        cuda=ctx.profile.device == "cuda",
        python_options=ctx.facts.python_options,
    )
