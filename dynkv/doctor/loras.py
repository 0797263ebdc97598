"""Whether the LoRA adapters can be loaded. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.doctor.findings import Case, Finding, finding
from dynkv.plan.loras import RANKS


def checks(case: Case) -> Iterator[Finding]:
    if not case.has_engine:
        return
    mark = case.loaded.where("model", "loras")
    for lora in case.profile.model.loras:
        facts = case.facts.loras.get(lora.name)
        if facts is not None and facts.problem:
            yield finding(
                "lora-not-found",
                f"the LoRA adapter {lora.name} is not in {lora.directory}: {facts.problem}",
                "no worker is ready without it",
                "give the directory that contains adapter_config.json, or remove it from model.loras",
                mark,
            )
        elif facts is not None and facts.rank is not None and facts.rank > RANKS[-1]:
            yield finding(
                "lora-rank",
                f"the LoRA adapter {lora.name} has rank {facts.rank}",
                f"vLLM loads none above {RANKS[-1]}",
                "remove it from model.loras",
                mark,
            )
