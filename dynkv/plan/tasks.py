"""What a worker must be told to serve a task other than generating.

Source: ai-dynamo 1.6.1, vllm/backend_args.py; each was run on a CPU with vllm 0.31.0.
"""

from __future__ import annotations

from collections.abc import Sequence

from dynkv.plan.model import Role
from dynkv.plan.seats import Seat
from dynkv.plan.serving import Task
from dynkv.profile.arguments import value_of
from dynkv.profile.engines import ENGINES
from dynkv.profile.model import Profile

_ARGS = {
    Task.EMBED: ("--embedding-worker", "--runner", "pooling"),
    Task.CLASSIFY: ("--classify-worker", "--runner", "pooling"),
    Task.REALTIME: ("--realtime",),
}


def task_of(profile: Profile, workers: Sequence[Seat]) -> Task:
    """The task, from the profile or from the arguments of all its workers; some engines only generate."""
    if not ENGINES[profile.engine].has_tasks:
        return Task.GENERATE
    if profile.model.task != "auto":
        return Task(profile.model.task)
    told = {_told(profile.worker_args(seat.role, seat.unit)) for seat in workers if seat.role is Role.WORKER}
    return told.pop() if len(told) == 1 else Task.AUTO


def _told(args: list[str]) -> Task:
    return next((task for task, words in _ARGS.items() if value_of(words[0], args) == "true"), Task.AUTO)


def task_args(task: Task) -> list[str]:
    return [*_ARGS.get(task, ())]


def task_environment(task: Task) -> dict[str, str]:
    # a realtime worker's /health never becomes ready by itself, although its endpoint does
    return {"DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS": '["generate"]'} if task is Task.REALTIME else {}
