"""The profiles of `dynkv init` for hosts and models, as a table; each of them passes `doctor` on its host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from stacks import CPU_STACK, LLAMA_8B, STACK

from dynkv.doctor.checks import findings
from dynkv.init.advice import Wish, advice
from dynkv.plan.build import build
from dynkv.plan.facts import HostFacts, ModelFacts, ModelFiles
from dynkv.plan.gpus import ComputeMode, Driver, Gpu
from dynkv.profile.load import load

GIB = 1024**3
LLAMA_70B = {**LLAMA_8B, "num_hidden_layers": 80, "num_attention_heads": 64, "hidden_size": 8192}
LOCAL = ModelFacts(is_local=True, has_config=True, path="/models/mine")
EIGHT, SEVENTY = ModelFiles(config=LLAMA_8B, weights_bytes=16 * GIB), ModelFiles(LLAMA_70B, weights_bytes=141 * GIB)


def gpus(count: int, gib: int, **change: Any) -> tuple[Gpu, ...]:
    one = Gpu(0, "GPU-0", "NVIDIA H100", gib * GIB, int(gib * GIB * 0.99))
    return tuple(replace(one, index=index, uuid=f"GPU-{index}", **change) for index in range(count))


def host(found: tuple[Gpu, ...] = (), memory_gib: int = 256, **more: Any) -> HostFacts:
    facts: dict[str, Any] = {
        "gpus": found,
        "cpus": tuple(range(16)),
        "memory_available_bytes": memory_gib * GIB,
        "python": "/stack/bin/python",
        "packages": STACK if found else CPU_STACK,
        "driver": Driver(cuda_major=13, devices=len(found)),
        "model": LOCAL,
        "model_files": EIGHT,
        "shm_free_bytes": 64 * GIB,
        "home_free_bytes": 500 * GIB,
        "open_files_max": 1024,
    }
    return HostFacts(**{**facts, **more})


MINE = Wish("/models/mine")


@dataclass(frozen=True)
class Row:
    facts: HostFacts
    values: Mapping[str, Any]
    """Some of the values written, by dotted key; None for a key that is not written."""
    wish: Wish = MINE
    says: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """Checks of `doctor` that still warn."""
    errors: tuple[str, ...] = ()


ELSEWHERE: dict[str, Any] = {"model": ModelFacts(is_local=False, has_config=False), "model_files": None}
LAPTOP = host(memory_gib=16, **ELSEWHERE)
ROWS = {
    "a laptop, and no model": Row(
        LAPTOP,
        {"device": "cpu", "model.path": "tiny", "workers.cpu_kv_cache_gb": 1, "lmcache.l1_size_gb": 1},
        Wish(),
        ("no usable GPU was found", "no model was named (--model)"),
    ),
    "a server without GPUs, and a model": Row(
        host(memory_gib=128),
        {"device": "cpu", "workers.cpu_kv_cache_gb": 8, "lmcache.l1_size_gb": 8, "model.max_length": 58880},
        says=("17 GB of weights", "16 CPUs"),
    ),
    "24 GB, 8 billion parameters: a shorter prompt": Row(
        host(gpus(1, 24), memory_gib=64),
        {
            "device": "cuda",
            "workers.replicas": 1,
            "workers.tensor_parallel_size": None,
            "workers.gpu_memory_fraction": 0.9,
            "model.max_length": 26368,
            "lmcache.l1_size_gb": 16,
            "frontend.router_mode": None,
        },
        says=("17 GB of weights and 3.9 GB of KV cache on 26 GB", "131,072 tokens do not fit"),
    ),
    "80 GB, 8 billion parameters: all of the prompt": Row(
        host(gpus(1, 80)),
        {"model.max_length": None, "workers.replicas": 1, "lmcache.l1_size_gb": 64},
        says=("17 GB of weights and 58 GB of KV cache on 86 GB",),
    ),
    "two of 80 GB": Row(
        host(gpus(2, 80)),
        {"topology": "agg", "workers.replicas": 2, "frontend.router_mode": "kv"},
        says=("disagg separates them", "one for each GPU"),
        warnings=("kv-events-open",),
    ),
    "eight of 80 GB, 70 billion parameters": Row(
        host(gpus(8, 80), model_files=SEVENTY),
        {"workers.tensor_parallel_size": 4, "workers.replicas": 2, "model.max_length": None},
        says=("151 GB of weights do not fit one GPU: 38 GB on each of 4",),
        warnings=("kv-events-open",),
    ),
    "six of 80 GB: two are left over": Row(
        host(gpus(6, 80), model_files=SEVENTY),
        {"workers.tensor_parallel_size": 4, "workers.replicas": 1},
        says=("4 GPUs each; 2 left over",),
    ),
    "one of 80 GB, 70 billion parameters": Row(
        host(gpus(1, 80), model_files=SEVENTY),
        {"workers.tensor_parallel_size": 1},
        says=("151 GB of weights do not fit 1 x 77 GB: use a smaller model",),
        errors=("model-too-large",),
    ),
    "heads that three cannot share": Row(
        host(
            gpus(4, 24),
            model_files=replace(EIGHT, config={**LLAMA_8B, "num_attention_heads": 6}, weights_bytes=30 * GIB),
        ),
        {"workers.tensor_parallel_size": 2},
        warnings=("kv-events-open",),
    ),
    "a GPU with a desktop on it": Row(
        host(gpus(1, 24, memory_free_bytes=20 * GIB), memory_gib=64, model_files=replace(EIGHT, weights_bytes=2 * GIB)),
        {"workers.gpu_memory_fraction": 0.8},
        says=("17% of a GPU is in use by others now",),
    ),
    "a GPU that is prohibited": Row(
        host(gpus(1, 24, compute_mode=ComputeMode.PROHIBITED), packages=CPU_STACK, memory_gib=64), {"device": "cpu"}
    ),
    "a GPU, and vLLM for CPUs": Row(
        host(gpus(1, 80), packages=CPU_STACK, memory_gib=64),
        {"device": "cpu"},
        says=("built for CPUs",),
    ),
    "slices of a GPU": Row(
        host(gpus(2, 40, is_mig=True)),
        {"workers.tensor_parallel_size": None, "workers.replicas": 2, "lmcache.enabled": False},
        warnings=("kv-events-open",),
    ),
    "no engine": Row(
        host(packages={"ai-dynamo": "1.6.1"}, memory_gib=16, **ELSEWHERE),
        {"engine": "mocker", "lmcache.enabled": False},
        Wish(),
        ("no vLLM is installed",),
    ),
    "no model, and a GPU": Row(
        host(gpus(1, 24), memory_gib=64, **ELSEWHERE),
        {"model.path": "Qwen/Qwen3-0.6B", "device": "cuda"},
        Wish(),
        ("no model was named", "not on this host yet", "1.2 GB"),
    ),
    "a model of the hub with its size in its name": Row(
        host(gpus(8, 80), **ELSEWHERE),
        {"workers.tensor_parallel_size": 4, "workers.replicas": 2, "model.max_length": None},
        Wish("org/Some-70B-Instruct"),
        ("judging by its name, about 140 GB of weights",),
        warnings=("kv-events-open",),
    ),
    "a model of the hub in 4 bits": Row(
        host(gpus(1, 80), **ELSEWHERE), {"workers.tensor_parallel_size": None}, Wish("org/Some-70B-AWQ"), ("42 GB",)
    ),
    "a model of which nothing is known": Row(
        host(gpus(1, 80), **ELSEWHERE),
        {"workers.tensor_parallel_size": None},
        Wish("org/some"),
        ("it is unknown whether it fits",),
    ),
    "a state that is not KV alone": Row(
        host(gpus(1, 24), memory_gib=64, model_files=replace(EIGHT, config={**LLAMA_8B, "mamba_d_state": 16})),
        {"model.max_length": None},
    ),
    "little memory": Row(host(gpus(1, 80), memory_gib=3), {"lmcache.l1_size_gb": 1}),
    "a port that is taken": Row(
        host(gpus(1, 80), taken_ports={8000: "pid 7 (nginx)", 8001: "pid 8"}),
        {"frontend.port": 8002},
        says=("8000 is in use by pid 7 (nginx)",),
    ),
    "a device that was asked for": Row(
        host(gpus(1, 80), packages=CPU_STACK), {"device": "cpu"}, replace(MINE, device="cpu"), ("as requested",)
    ),
    "a device that is not there": Row(
        replace(LAPTOP, packages=STACK),
        {"device": "cuda"},
        Wish(None, "cuda"),
        ("no usable GPU",),
        errors=("plan-refused",),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_what_is_written_and_why(name: str) -> None:
    row = ROWS[name]
    draft = advice(row.wish, row.facts)
    assert {key: draft.get(key) for key in row.values} == row.values
    text = draft.text()
    for words in row.says:
        assert words in text, text


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if "plan-refused" not in row.errors])
def test_it_is_valid_and_passes_doctor(name: str, tmp_path: Path) -> None:
    row = ROWS[name]
    file = tmp_path / "made.yaml"
    file.write_text(advice(row.wish, row.facts).text(["By a test."]))
    loaded = load(str(file))
    facts = replace(row.facts, model=LOCAL) if loaded.profile.model.path == "tiny" else row.facts
    found = findings(loaded, build(loaded.profile, facts, name="made", profile_name="made", home="/state"), facts)
    told = [finding.id for finding in found if finding.is_error or finding.severity == "warning"]
    assert sorted(told) == sorted((*row.warnings, *row.errors))
