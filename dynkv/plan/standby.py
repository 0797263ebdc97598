"""What is imported ahead, so that a worker's start, or a message to the sidecar, does not take that long.

Source: ai-dynamo 1.3.1 with vllm 0.23.0 and 1.6.1 with 0.31.0, in which `dynamo.vllm.main` imports nearly all of it.
"""

from __future__ import annotations

from dynkv.plan.context import Context
from dynkv.plan.environment import given_environment, role_environment
from dynkv.plan.model import SIDECAR_HELPER, WORKERS_STANDBY, Standby, Unit
from dynkv.plan.versions import at_least
from dynkv.secrets import without_secrets

_GIB = 1024**3
_WORKERS_BYTES = {"vllm": int(1.5 * _GIB), "mocker": int(0.25 * _GIB)}
"""Measured: 1.0 GB on a CPU, 1.1 GB on an H200."""
_HELPER_BYTES = int(0.75 * _GIB)
"""Measured: 0.6 GB."""
_ENGINE = ("vllm.v1.engine.core", "vllm.v1.executor.multiproc_executor", "vllm.v1.worker.worker_base")
_ENGINE_ON = {
    "cpu": ("vllm.v1.worker.cpu_worker",),
    "cuda": ("vllm.v1.executor.uniproc_executor", "vllm.v1.worker.gpu_worker"),
}


_SHARED_BY_WORKERS = frozenset({"OMP_NUM_THREADS", "TORCH_COMPILE_DISABLE", "TORCHINDUCTOR_CACHE_DIR", "VLLM_HOST_IP"})
"""What workers have beyond every process's environment, and may be read while modules are imported."""


def standbys(ctx: Context, workers: list[Unit]) -> tuple[Standby, ...]:
    """One for all workers, whatever their role; with `always` also one for what talks to the sidecar."""
    mode = ctx.profile.standby
    if mode == "off" or not workers:
        return ()
    keep = mode == "always"
    found = [_for_workers(ctx, _alike(ctx, workers), keep=keep)]
    if keep and ctx.profile.engine == "vllm" and ctx.sidecar_port is not None:
        found.append(_for_helper(ctx))
    return tuple(found)


def _alike(ctx: Context, workers: list[Unit]) -> list[Unit]:
    """Those whose role has the same variables of its own: what was imported may have read them."""
    own = {unit.role: without_secrets(role_environment(ctx.profile, unit.role)) for unit in workers}
    groups = [[unit for unit in workers if own[unit.role] == env] for env in own.values()]
    return max(groups, key=len)


def _for_workers(ctx: Context, workers: list[Unit], *, keep: bool) -> Standby:
    engine, device = ctx.profile.engine, ctx.profile.device
    modules = (f"dynamo.{engine}.main", *((*_ENGINE, *_ENGINE_ON[device]) if engine == "vllm" else ()))
    return Standby(
        name=WORKERS_STANDBY,
        modules=modules,
        env=_common(ctx, workers),
        roles=tuple(dict.fromkeys(unit.role for unit in workers)),
        keep=keep,
        memory_bytes=_WORKERS_BYTES[engine],
        cuda=engine == "vllm" and device == "cuda",
        spawns=engine == "vllm",
        python_options=ctx.facts.python_options,
    )


def _common(ctx: Context, workers: list[Unit]) -> dict[str, str]:
    """What every worker has, so that nothing of one unit is there while it waits: not its ports, GPUs or cores."""
    first, *rest = (unit.env for unit in workers)
    given = role_environment(ctx.profile, workers[0].role)
    kept = {**ctx.env, **given_environment(ctx.profile), **given}.keys() | _SHARED_BY_WORKERS
    return {name: value for name, value in first.items() if name in kept and all(env[name] == value for env in rest)}


def _for_helper(ctx: Context) -> Standby:
    new = at_least(ctx.facts.packages, "lmcache", 0, 5, 6)
    return Standby(
        name=SIDECAR_HELPER,
        modules=("lmcache.v1.multiprocess.transport.factory" if new else "lmcache.v1.multiprocess.mq",),
        env=ctx.env,
        roles=(),
        keep=True,
        memory_bytes=_HELPER_BYTES,
        python_options=ctx.facts.python_options,
    )
