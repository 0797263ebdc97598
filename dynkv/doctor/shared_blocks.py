"""Requests that LMCache takes for the same although they differ, so that they get wrong answers. Pure.

LMCache's keys contain the model, the tokens and the request's `cache_salt`. Source: vllm 0.31.0, LMCacheMPConnector;
vllm#44250, LMCache#4183. Seen with lmcache 0.5.6: for a prompt that one LoRA adapter had answered, the base model used
the adapter's KV blocks.
"""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.doctor.findings import Case, Finding, finding
from dynkv.profile.arguments import value_of

_WITHOUT = "use --no-lmcache (lmcache.enabled: false)"


def checks(case: Case) -> Iterator[Finding]:
    if not (case.has_sidecar and case.has_engine):
        return
    if case.profile.model.loras or _is_told(case, "--enable-lora"):
        yield finding(
            "lmcache-ignores-loras",
            "LMCache serves one LoRA adapter's KV blocks to another, and to the base model",
            "its keys do not include the adapter, so the same prompt gets a wrong answer (vllm#44250)",
            _WITHOUT,
            case.loaded.where("model", "loras"),
        )
    if _is_told(case, "--enable-multimodal"):
        yield finding(
            "lmcache-ignores-media",
            "LMCache serves one image's KV blocks to another",
            "vLLM's connector ignores which image a placeholder in the prompt stands for (LMCache#4183)",
            _WITHOUT,
            case.loaded.where("model", "args"),
        )


def _is_told(case: Case, flag: str) -> bool:
    """Whether any worker has the flag."""
    return any(value_of(flag, case.words_of(unit)) == "true" for unit in case.plan.workers)
