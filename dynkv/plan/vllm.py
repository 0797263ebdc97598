"""A vLLM worker under Dynamo: `python -m dynamo.vllm`.

Source: ai-dynamo 1.3.1 with vllm 0.23.0 and 1.6.1 with 0.31.0, run on an H200 and on a CPU.
"""

from __future__ import annotations

import json

from msgspec.structs import replace

from dynkv.plan.context import CPU_NICE, Context
from dynkv.plan.environment import unit_environment
from dynkv.plan.kv_transfer import disables_hybrid_kv_cache_manager, transfer_of
from dynkv.plan.loras import lora_args, lora_environment, loras
from dynkv.plan.model import Dependency, Role, Unit
from dynkv.plan.observability import vllm_tracing
from dynkv.plan.ports import rank_port
from dynkv.plan.seats import Seat, share_cpus
from dynkv.plan.tasks import task_args, task_environment
from dynkv.plan.worker import FIRST_KV_EVENTS_PORT, FIRST_NIXL_PORT, own_args, publishes_kv_events, worker_unit
from dynkv.profile.arguments import kv_cache_bytes, value_of

_THREADS_BIND = "VLLM_CPU_OMP_THREADS_BIND"


def vllm_unit(ctx: Context, seat: Seat, depends_on: tuple[Dependency, ...]) -> Unit:
    ports: dict[str, int] = {}
    if seat.role is not Role.WORKER:
        # a side channel for each data parallel rank (vllm 0.31.0); older versions have one for every rank
        ports |= _of_ranks(ctx, seat, "nixl", FIRST_NIXL_PORT, ctx.profile.workers.ranks)
    if publishes_kv_events(ctx, seat.role):
        # each data parallel rank publishes at its own, consecutive port (vllm 0.31.0)
        copies = ctx.profile.workers.data_parallel_size
        ports |= _of_ranks(ctx, seat, "kv_events", FIRST_KV_EVENTS_PORT, copies)
    own = own_args(ctx, seat)
    argv = [
        *_model_args(ctx, seat),
        *task_args(ctx.task),
        *_endpoint_args(ctx, own),
        *lora_args(ctx, own),
        *_kv_args(ctx, seat, ports),
        *vllm_tracing(ctx.profile, own),
        *own,
    ]
    env = {**task_environment(ctx.task), **lora_environment(ctx), **_environment(ctx, seat, ports)}
    unit = replace(worker_unit(ctx, seat, argv, env, ports, depends_on), loras=loras(ctx))
    return replace(unit, nice=CPU_NICE, cpus=_own_cpus(ctx, seat)) if seat.cpus else unit


def _endpoint_args(ctx: Context, own: list[str]) -> list[str]:
    """Options of the endpoint. With vLLM's tokenizer a worker serves only chat, but also registers text completion,
    which answers 500.

    Source: ai-dynamo 1.6.1, `--help`, and tried with vllm 0.31.0 on a CPU.
    """
    if ctx.task.is_pooling or value_of("--use-vllm-tokenizer", own) != "true":
        return []
    return ["--endpoint-types", "chat"] if value_of("--endpoint-types", own) is None else []


def _of_ranks(ctx: Context, seat: Seat, name: str, first: int, ranks: int) -> dict[str, int]:
    """Consecutive ports: the worker is told the first, and each rank adds its number."""
    label = f"{seat.unit}.{name}"
    # the engine's own events stay on this host: Dynamo forwards them
    port = ctx.open_port(label, first, ranks) if name == "nixl" else ctx.ports.free_from(first, label, ranks)
    return {name if rank == 0 else rank_port(name, rank): port + rank for rank in range(ranks)}


def _model_args(ctx: Context, seat: Seat) -> list[str]:
    profile = ctx.profile
    argv = [*ctx.interpreter, "-m", "dynamo.vllm", "--model", ctx.model_path]
    argv += ["--served-model-name", ctx.served_name, *ctx.aliases]
    argv += ["--tensor-parallel-size", str(profile.workers.tensor_parallel_size)]
    if profile.workers.pipeline_parallel_size > 1:
        argv += ["--pipeline-parallel-size", str(profile.workers.pipeline_parallel_size)]
    if profile.workers.data_parallel_size > 1:
        argv += ["--data-parallel-size", str(profile.workers.data_parallel_size)]
    if seat.gpus:
        argv += ["--gpu-memory-utilization", f"{profile.gpu_memory_fraction(seat.role):g}"]
    if profile.workers.block_size:
        argv += ["--block-size", str(profile.workers.block_size)]
    if profile.model.max_length:
        argv += ["--max-model-len", str(profile.model.max_length)]
    if profile.device == "cpu":
        argv += ["--enforce-eager"]  # compiling takes longer than it saves
    if ctx.is_tiny:
        argv += ["--load-format", "dummy"]
    return argv


def _kv_args(ctx: Context, seat: Seat, ports: dict[str, int]) -> list[str]:
    argv: list[str] = []
    if seat.role is not Role.WORKER:
        argv += ["--disaggregation-mode", seat.role.value]
    if disables_hybrid_kv_cache_manager(ctx.profile):
        argv += ["--disable-hybrid-kv-cache-manager"]
    if (transfer := transfer_of(ctx, seat.role)) is not None:
        argv += ["--kv-transfer-config", json.dumps(transfer)]
    if "kv_events" in ports:
        argv += ["--kv-events-config", json.dumps(_kv_events(ports["kv_events"]))]
    return argv


def _kv_events(port: int) -> dict[str, object]:
    # vLLM binds an endpoint only if it contains a `*`; with an address it connects instead (vllm 0.31.0)
    endpoint = f"tcp://*:{port}"
    return {"publisher": "zmq", "topic": "kv-events", "endpoint": endpoint, "enable_kv_cache_events": True}


def _environment(ctx: Context, seat: Seat, ports: dict[str, int]) -> dict[str, str]:
    # a unit's TMPDIR is removed with it, and the compiler's output should not be
    env = {"VLLM_HOST_IP": "127.0.0.1", "TORCHINDUCTOR_CACHE_DIR": f"{ctx.home}/_cache/torchinductor"}
    if "nixl" in ports:
        env |= {"VLLM_NIXL_SIDE_CHANNEL_HOST": ctx.reached_at, "VLLM_NIXL_SIDE_CHANNEL_PORT": str(ports["nixl"])}
        # against a memory leak of UCX; vLLM sets it itself, but not once NIXL is imported, as in a forked engine
        env["UCX_RCACHE_MAX_UNRELEASED"] = "1024"
    if seat.gpus:
        return env | {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(seat.gpus)}
    env["CUDA_VISIBLE_DEVICES"] = ""
    if not kv_cache_bytes(own_args(ctx, seat)):  # the variable would win over the argument (vllm 0.31.0)
        env["VLLM_CPU_KVCACHE_SPACE"] = str(ctx.profile.workers.cpu_kv_cache_gb)
    if ctx.facts.cpus_worth is not None and not _binds_threads(ctx, seat):
        env[_THREADS_BIND] = (
            "nobind"  # otherwise it starts a thread for each CPU, however little of their time it may use
        )
    elif own := _own_cpus(ctx, seat):
        ranks = share_cpus(own, ctx.profile.workers.ranks)
        env[_THREADS_BIND] = "|".join(",".join(map(str, cpus)) for cpus in ranks)
    threads = max(1, ((ctx.facts.cpus_worth or len(ctx.facts.cpus)) - 1) // ctx.worker_count)
    # without this a worker compiles C++ at its first request even in eager mode, and dies if there is no compiler
    return env | {"TORCH_COMPILE_DISABLE": "1", "OMP_NUM_THREADS": str(threads)}


def _own_cpus(ctx: Context, seat: Seat) -> tuple[int, ...]:
    """CPUs for one worker. By default each worker binds its threads to the same cores, as if it had the machine to
    itself, and several ranks refuse to start without a NUMA node for each (vllm 0.31.0)."""
    needs_binding = ctx.worker_count > 1 or ctx.profile.workers.ranks > 1
    return seat.cpus if needs_binding and not _binds_threads(ctx, seat) else ()


def _binds_threads(ctx: Context, seat: Seat) -> bool:
    """Whether the person has set how threads are bound, which then wins."""
    return _THREADS_BIND in {**ctx.env, **unit_environment(ctx.profile, seat.role, seat.unit)}
