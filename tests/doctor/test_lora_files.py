"""Directories of LoRA adapters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dynkv.doctor.lora_files import lora_facts
from dynkv.plan.facts import LoraFacts


def adapter(directory: Path, config: object, weights: str = "adapter_model.safetensors") -> Path:
    (directory / "adapter_config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    (directory / weights).touch()
    return directory


@pytest.mark.parametrize("weights", ["adapter_model.safetensors", "adapter_model.bin"])
def test_an_adapter_tells_its_rank(tmp_path: Path, weights: str) -> None:
    assert lora_facts(adapter(tmp_path, {"peft_type": "LORA", "r": 32}, weights)) == LoraFacts(32)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ("{", "cannot be read"),
        ([], "is not an object"),
        ({"peft_type": "PROMPT_TUNING"}, "has no rank"),
        ({"r": 0}, "has no rank"),
        ({"r": "16"}, "has no rank"),
    ],
)
def test_what_is_no_adapter_is_a_problem_in_words(tmp_path: Path, config: object, problem: str) -> None:
    assert problem in lora_facts(adapter(tmp_path, config)).problem


def test_without_weights_or_without_anything(tmp_path: Path) -> None:
    assert "adapter_model.safetensors" in lora_facts(adapter(tmp_path, {"r": 8}, "README.md")).problem
    assert "cannot be read" in lora_facts(tmp_path / "nowhere").problem
