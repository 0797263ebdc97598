"""A worker's LoRA adapters, which it loses with its process: part of its readiness."""

from __future__ import annotations

import anyio
from msgspec.structs import replace

from dynkv.plan.serving import Lora
from dynkv.probes.loras import load, missing
from dynkv.probes.streak import Verdict
from dynkv.probes.worker import News, Phase
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.life import Life
from dynkv.supervisor.status import LoraStatus


async def with_loras(life: Life, news: News) -> News:
    """Tell a worker that answers to load missing adapters; while one is missing, it is not ready."""
    if not life.unit.loras or news.phase is not Phase.READINESS or not news.attempt.ok:
        return news
    lacking = await _load_missing(life)
    known = tuple(LoraStatus(lora.name, lora not in lacking, lacking.get(lora, "")) for lora in life.unit.loras)
    if known != life.status.loras:
        life.publish(loras=known)
    if not lacking:
        return news
    told = "; ".join(f"LoRA {lora.name} is not loaded: {why}" for lora, why in lacking.items())
    return replace(news, verdict=Verdict.FAILED, attempt=replace(news.attempt, ok=False, detail=told))


async def _load_missing(life: Life) -> dict[Lora, str]:
    """Adapters that could not be loaded, with the reason."""
    at, failed = (life.unit.host, life.unit.ports["system"]), dict[Lora, str]()
    for lora, reason in (await missing(at, life.unit.loras)).items():
        began = anyio.current_time()
        why = reason or await load(at, lora)
        if why:
            failed[lora] = why
        else:
            took = round(anyio.current_time() - began, 3)
            life.event(EventKind.LORA, f"loaded LoRA {lora.name}", cause=lora.uri, duration_s=took)
    return failed
