"""What to import in advance, so that starting a worker or the sidecar, or sending it a message, does not wait for
imports.

Source: ai-dynamo 1.3.1 with vllm 0.23.0 and 1.6.1 with 0.31.0, in which `dynamo.vllm.main` imports nearly all of it;
lmcache 0.5.2 and 0.5.6, cli/commands/server.py and v1/multiprocess/http_server.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from dynkv.plan.context import Context
from dynkv.plan.environment import given_environment, unit_environment
from dynkv.plan.model import SIDECARS_STANDBY, WORKERS_STANDBY, Role, Standby, Unit
from dynkv.plan.versions import at_least
from dynkv.secrets import without_secrets

_GIB = 1024**3
_WORKERS_BYTES = {"vllm": int(1.5 * _GIB), "mocker": int(0.25 * _GIB)}
"""Memory of the workers' standby. Measured: 1.0 GB on a CPU, 1.1 GB on an H200."""
_SIDECARS_BYTES = int(0.75 * _GIB)
"""Memory of the sidecar's standby. Measured: 0.7 GB."""
_ENGINE = ("vllm.v1.engine.core", "vllm.v1.executor.multiproc_executor", "vllm.v1.worker.worker_base")
_ENGINE_ON = {
    "cpu": ("vllm.v1.worker.cpu_worker",),
    "cuda": ("vllm.v1.executor.uniproc_executor", "vllm.v1.worker.gpu_worker"),
}


_SHARED_BY_WORKERS = frozenset(
    "HF_HUB_CACHE OMP_NUM_THREADS TORCH_COMPILE_DISABLE TORCHINDUCTOR_CACHE_DIR VLLM_HOST_IP".split()
)
"""Variables of workers, beyond those of every process, that may be read while modules are imported."""


_OF_A_DEPLOYMENT = frozenset({"DYN_FILE_KV"})
"""Variables read when Dynamo starts, and not while modules are imported (ai-dynamo 1.6.1)."""


def standbys(ctx: Context, units: Sequence[Unit]) -> tuple[Standby, ...]:
    """One standby for all workers, whatever their role; with `always` also one for the sidecar and what talks to it."""
    mode, workers = ctx.profile.standby, [unit for unit in units if unit.role.is_worker]
    if mode == "off" or not workers or not _modules(ctx):
        return ()
    keep = mode == "always"
    alike = _alike(ctx, workers)
    others = tuple(unit.name for unit in workers if unit not in alike)
    found = [_for_workers(ctx, alike, others, keep=keep)]
    sidecar = next((unit for unit in units if unit.role is Role.LMCACHE), None)
    if keep and ctx.profile.engine == "vllm" and sidecar is not None:
        found.append(_for_sidecar(ctx, sidecar))
    return tuple(found)


def _alike(ctx: Context, workers: list[Unit]) -> list[Unit]:
    """Workers with the same variables, since imports may have read them."""
    own = {unit.name: without_secrets(unit_environment(ctx.profile, unit.role, unit.name)) for unit in workers}
    groups = [[unit for unit in workers if own[unit.name] == env] for env in own.values()]
    return max(groups, key=len)


def _for_workers(ctx: Context, workers: list[Unit], others: tuple[str, ...], *, keep: bool) -> Standby:
    engine, device = ctx.profile.engine, ctx.profile.device
    return Standby(
        name=WORKERS_STANDBY,
        modules=_modules(ctx),
        env=_common(ctx, workers),
        roles=tuple(dict.fromkeys(unit.role for unit in workers)),
        others=others,
        keep=keep,
        memory_bytes=_WORKERS_BYTES[engine],
        cuda=engine == "vllm" and device == "cuda",
        spawns=engine == "vllm",
        python_options=ctx.facts.python_options,
    )


def _modules(ctx: Context) -> tuple[str, ...]:
    """Modules to import, without Dynamo's if it sends traces: importing it starts threads for that, which a fork
    does not have (ai-dynamo 1.6.1)."""
    engine = ctx.profile.engine
    dynamo = () if ctx.profile.observability.otlp else (f"dynamo.{engine}.main",)
    return (*dynamo, *((*_ENGINE, *_ENGINE_ON[ctx.profile.device]) if engine == "vllm" else ()))


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
