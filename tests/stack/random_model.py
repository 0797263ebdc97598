"""The tiny model with weights whose answer depends on every token of the prompt.

vLLM's dummy weights are so small that only the last token decides the answer: a KV cache full of wrong values would
give the same one. These are random too, but as large as those of a trained model, with sharp attention; in float32 the
gap between the best tokens is far larger than the effect of a different order of summation.
"""

from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
from array import array
from pathlib import Path
from typing import Any

import dynkv.instack

ARGS = '["--dtype=float32"]'
"""For `--set model.args=`; by default vLLM turns a float32 model into bfloat16."""


def make_random_model(target: Path) -> None:
    script = Path(dynkv.instack.__path__[0]) / "tiny_model.py"
    subprocess.run([sys.executable, script, target], check=True, capture_output=True)
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, "torch_dtype": "float32"}))
    chance = random.Random(0)
    tensors = {name: (shape, _values(name, shape, chance)) for name, shape in _shapes(config).items()}
    _write_safetensors(target / "model.safetensors", tensors)


def make_random_lora(target: Path, model: Path, seed: int, rank: int = 20) -> None:
    """An adapter that changes keys and values enough for different answers."""
    config = json.loads((model / "config.json").read_text())
    chance = random.Random(seed)
    tensors: dict[str, tuple[tuple[int, ...], array[float]]] = {}
    for name, shape in _shapes(config).items():
        if name.endswith(("k_proj.weight", "v_proj.weight")):
            for part, (rows, columns) in {"lora_A": (rank, shape[1]), "lora_B": (shape[0], rank)}.items():
                values = array("f", (chance.gauss(0.0, columns**-0.5) for _ in range(rows * columns)))
                full = f"base_model.model.{name.removesuffix('.weight')}.{part}.weight"
                tensors[full] = ((rows, columns), values)
    target.mkdir()
    about = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": ["k_proj", "v_proj"]}
    (target / "adapter_config.json").write_text(json.dumps({**about, "bias": "none", "task_type": "CAUSAL_LM"}))
    _write_safetensors(target / "adapter_model.safetensors", tensors)


def _shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shapes of Qwen3ForCausalLM's weights, with transformers' names."""
    hidden, inner, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    query, key = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
    layer = {
        "input_layernorm": (hidden,),
        "post_attention_layernorm": (hidden,),
        "self_attn.q_norm": (head,),
        "self_attn.k_norm": (head,),
        "self_attn.q_proj": (query, hidden),
        "self_attn.k_proj": (key, hidden),
        "self_attn.v_proj": (key, hidden),
        "self_attn.o_proj": (hidden, query),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    vocabulary = (config["vocab_size"], hidden)
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": vocabulary,
        "lm_head.weight": vocabulary,
        "model.norm.weight": (hidden,),
    }
    for number in range(config["num_hidden_layers"]):
        shapes |= {f"model.layers.{number}.{name}.weight": shape for name, shape in layer.items()}
    return shapes


def _values(name: str, shape: tuple[int, ...], chance: random.Random) -> array[float]:
    if len(shape) == 1:  # a norm's scale; the one of queries and keys makes attention sharp
        return array("f", [2.0 if "q_norm" in name or "k_norm" in name else 1.0]) * shape[0]
    deviation = 1.0 if "embed" in name else shape[1] ** -0.5
    return array("f", (chance.gauss(0.0, deviation) for _ in range(shape[0] * shape[1])))


def _write_safetensors(path: Path, tensors: dict[str, tuple[tuple[int, ...], array[float]]]) -> None:
    """Source: safetensors, README, "Format"."""
    header: dict[str, object] = {}
    offset = 0
    for name, (shape, values) in tensors.items():
        end = offset + len(values) * values.itemsize
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": (offset, end)}
        offset = end
    encoded = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(encoded)) + encoded)
        for _, values in tensors.values():
            file.write(values.tobytes())
