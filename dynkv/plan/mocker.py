"""Dynamo's mocker: the whole topology without an engine. Source: ai-dynamo 1.6.1, `python -m dynamo.mocker --help`."""

from __future__ import annotations

from dynkv.plan.context import Context
from dynkv.plan.model import Dependency, Role, Unit
from dynkv.plan.seats import Seat
from dynkv.plan.worker import own_args, worker_unit


def mocker_unit(ctx: Context, seat: Seat, depends_on: tuple[Dependency, ...]) -> Unit:
    argv = [*ctx.interpreter, "-m", "dynamo.mocker", "--model-path", ctx.model_path, "--model-name", ctx.served_name]
    if ctx.profile.workers.block_size:
        argv += ["--block-size", str(ctx.profile.workers.block_size)]
    if ctx.profile.workers.data_parallel_size > 1:
        argv += ["--data-parallel-size", str(ctx.profile.workers.data_parallel_size)]
    if ctx.profile.model.max_length:
        argv += ["--max-model-len", str(ctx.profile.model.max_length)]
    if seat.role is not Role.WORKER:
        argv += ["--disaggregation-mode", seat.role.value]
    # without it /health stays 503 "notready" although the endpoints are ready (ai-dynamo 1.6.1)
    env = {"CUDA_VISIBLE_DEVICES": "", "DYN_SYSTEM_STARTING_HEALTH_STATUS": "ready"}
    return worker_unit(ctx, seat, argv + own_args(ctx, seat), env, {}, depends_on)
