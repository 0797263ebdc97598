"""KV bytes per token, compared with figures calculated by hand from the models' config.json."""

from __future__ import annotations

from typing import Any

import pytest

from dynkv.doctor.fit import kv_shape, tokens_in

LLAMA_8B = {
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 4096,
    "max_position_embeddings": 131072,
    "rope_scaling": {"rope_type": "llama3", "factor": 8.0},
}
QWEN_06B = {
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "hidden_size": 1024,
    "max_position_embeddings": 40960,
    "sliding_window": None,
    "layer_types": ["full_attention"] * 28,
}
DEEPSEEK = {
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "hidden_size": 7168,
    "kv_lora_rank": 512,
    "qk_rope_head_dim": 64,
}


@pytest.mark.parametrize(
    ("config", "ranks", "args", "bytes_per_token"),
    [
        (LLAMA_8B, 1, [], 131072),  # 2 * 32 layers * 8 heads * 128 * 2 bytes
        (LLAMA_8B, 2, [], 65536),  # 4 heads on each rank
        (LLAMA_8B, 8, [], 16384),  # 1 head on each rank
        (LLAMA_8B, 16, [], 16384),  # still 1: two ranks have the same one
        (LLAMA_8B, 1, ["--kv-cache-dtype", "fp8"], 65536),
        (LLAMA_8B, 1, ["--dtype=float32"], 262144),
        ({**LLAMA_8B, "torch_dtype": "float32"}, 1, [], 131072),  # vLLM reduces it to 16 bits
        (QWEN_06B, 1, [], 114688),  # 2 * 28 * 8 * 128 * 2: head_dim is not hidden / heads
        ({"text_config": QWEN_06B}, 1, [], 114688),
        ({**LLAMA_8B, "num_key_value_heads": None}, 1, [], 524288),  # each head has its own
        (DEEPSEEK, 1, [], 70272),  # 61 * (512 + 64) * 2
        (DEEPSEEK, 8, [], 70272),  # latent: complete on every rank
        ({**LLAMA_8B, "quantization_config": {"kv_cache_scheme": {"num_bits": 8}}}, 1, [], 65536),
    ],
)
def test_bytes_per_token(config: dict[str, Any], ranks: int, args: list[str], bytes_per_token: int) -> None:
    shape = kv_shape(config, args)
    assert shape is not None
    assert shape.bytes_per_token(ranks) == bytes_per_token


@pytest.mark.parametrize(
    ("change", "is_exact"),
    [
        ({}, True),
        ({"sliding_window": 4096}, False),
        ({"sliding_window": 4096, "use_sliding_window": False}, True),
        ({"layer_types": ["full_attention"] * 16 + ["sliding_attention"] * 16}, False),
    ],
)
def test_layers_with_a_window_need_less(change: dict[str, Any], is_exact: bool) -> None:
    shape = kv_shape({**LLAMA_8B, **change})
    assert shape is not None
    assert shape.is_exact is is_exact


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"num_hidden_layers": 32},
        {**LLAMA_8B, "mamba_d_state": 16},
        {**LLAMA_8B, "layer_types": ["linear_attention"] * 24 + ["full_attention"] * 8},
        {**LLAMA_8B, "num_hidden_layers": "32"},
    ],
)
def test_nothing_is_said_of_what_is_not_understood(config: dict[str, Any]) -> None:
    assert kv_shape(config) is None


def test_the_longest_prompt_of_the_model() -> None:
    longest = [kv_shape({**LLAMA_8B, "rope_scaling": scaling}) for scaling in (None, {"type": "yarn", "factor": 4.0})]
    assert [shape and shape.max_tokens for shape in longest] == [131072, None]


def test_tokens_in() -> None:
    assert tokens_in(20 * 1024**3, 131072) == 163840
    assert tokens_in(-1, 131072) == 0
