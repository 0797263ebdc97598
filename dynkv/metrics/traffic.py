"""Figures of the frontend and the workers about their requests, passed on with the unit's name among the labels.

Fetched when somebody asks. Sources: ai-dynamo 1.6.1, prometheus_names.py (frontend_service); vllm 0.23.0 and 0.31.0,
/metrics.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import anyio

from dynkv.plan.model import Plan, Role, Unit, local_host
from dynkv.probes.http import request

REQUESTS = "dynamo_frontend_requests_total"
FIRST_TOKEN = "dynamo_frontend_time_to_first_token_seconds"
PASSED_ON = {
    REQUESTS: "requests that the frontend has answered, by their outcome",
    FIRST_TOKEN: "seconds from a request to its first token",
    "dynamo_frontend_inter_token_latency_seconds": "seconds between two tokens of an answer",
    "dynamo_frontend_inflight_requests": "requests that are being answered",
    "dynamo_frontend_queued_requests": "requests that wait for a first token",
    "vllm:num_requests_running": "requests that a worker's engine computes",
    "vllm:num_requests_waiting": "requests that wait for room in a worker's engine",
    "vllm:kv_cache_usage_perc": "how much of a worker's KV cache is taken, 0 to 1",
    "vllm:prompt_tokens_total": "prompt tokens of a worker",
    "vllm:generation_tokens_total": "tokens that a worker has generated",
}
"""What each counts, by name. The reference is made from this."""
_TIMEOUT_S = 1.0
_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})?(?P<value> \S+)")
_OF_A_HISTOGRAM = ("_bucket", "_sum", "_count")


@dataclass
class _Family:
    comments: list[str] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)


async def traffic(plan: Plan) -> str:
    """Each family once, with the samples of all units that have answered within a second."""
    answers: dict[str, str] = {}
    async with anyio.create_task_group() as tasks:
        for unit, host, port in _publishers(plan):
            tasks.start_soon(_fetch, unit.name, host, port, answers)
    return passed_on(plan.name, [(unit, answers[unit.name]) for unit in plan.units if unit.name in answers])


def passed_on(deployment: str, answers: Iterable[tuple[Unit, str]]) -> str:
    """What of each unit's exposition is passed on; a family's comments come from the first unit that has it."""
    families: dict[str, _Family] = {}
    for unit, text in answers:
        labels = f'deployment="{deployment}",process="{unit.name}",role="{unit.role}"'
        own: dict[str, _Family] = {}
        for line in text.splitlines():
            _sort_in(line, labels, own)
        for name, family in own.items():
            known = families.setdefault(name, _Family(family.comments))
            known.samples += family.samples
    return "".join(f"{line}\n" for family in families.values() for line in [*family.comments, *family.samples])


def _sort_in(line: str, labels: str, families: dict[str, _Family]) -> None:
    if line.startswith("#"):
        words = line.split(None, 3)
        if len(words) > 2 and (name := _family(words[2])) is not None:
            # a client of Prometheus names a counter's family with or without _total; its samples decide
            words[2] = name
            families.setdefault(name, _Family()).comments.append(" ".join(words))
    elif (match := _SAMPLE.match(line)) and (name := _family(match["name"])) is not None:
        given = f",{match['labels'].rstrip(',')}" if match["labels"] else ""
        families.setdefault(name, _Family()).samples.append(f"{match['name']}{{{labels}{given}}}{match['value']}")


def _family(name: str) -> str | None:
    """The family of a sample or of a comment, if it is passed on."""
    for candidate in (name, f"{name}_total", *(name.removesuffix(suffix) for suffix in _OF_A_HISTOGRAM)):
        if candidate in PASSED_ON:
            return candidate
    return None


def _publishers(plan: Plan) -> Iterable[tuple[Unit, str, int]]:
    for unit in plan.units:
        if unit.role is Role.FRONTEND and plan.frontend is not None:
            yield unit, local_host(plan.frontend.host), plan.frontend.port
        elif unit.role.is_worker and "system" in unit.ports:
            yield unit, "127.0.0.1", unit.ports["system"]


async def _fetch(name: str, host: str, port: int, answers: dict[str, str]) -> None:
    try:
        with anyio.fail_after(_TIMEOUT_S):
            response = await request(host, port, "/metrics")
    except (OSError, TimeoutError):
        return
    if response.status == 200:
        answers[name] = response.body.decode(errors="replace")
