"""Inspecting the directory of a LoRA adapter."""

from __future__ import annotations

from pathlib import Path

from dynkv.doctor.model_files import read_json
from dynkv.plan.facts import LoraFacts

_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin", "adapter_model.pt")
"""Names of the weights' file. Source: vllm 0.31.0, lora/lora_model.py."""


def lora_facts(directory: Path) -> LoraFacts:
    """Facts about an adapter. A file that cannot be read is recorded as a problem and raises nothing."""
    config, problem = read_json(directory / "adapter_config.json")
    if config is None:
        return LoraFacts(problem=f"adapter_config.json cannot be read: {problem}")
    rank = config.get("r")
    if not isinstance(rank, int) or rank < 1:
        return LoraFacts(problem="adapter_config.json has no rank `r`, so it is not a LoRA adapter")
    if not any((directory / name).is_file() for name in _WEIGHTS):
        return LoraFacts(rank, f"it contains none of {', '.join(_WEIGHTS)}")
    return LoraFacts(rank)
