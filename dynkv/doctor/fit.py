"""How much of a model fits: weights and KV blocks against memory, from config.json alone. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from dynkv.profile.arguments import value_of

_BYTES = {"float32": 4, "float": 4}
"""Bytes of an element if not 2, as for float16 and bfloat16."""
_OTHER_STATES = {
    "hybrid_override_pattern",
    "layers_block_type",
    "attn_layer_period",
    "full_attention_interval",
    "mamba_d_state",
    "ssm_state_size",
}
"""Keys of models that keep more or less than the KV of every layer."""


class KvShape(Struct, frozen=True):
    """What one token takes in the KV cache.

    Source: the models' config.json in transformers 5, and how vllm 0.31.0 shares heads between ranks.
    """

    layers: int
    kv_heads: int
    head_dim: int
    element_bytes: int = 2
    latent: int = 0
    """Elements per layer and token with multi-head latent attention, which every rank keeps in full; else 0."""
    max_tokens: int | None = None
    """The longest prompt that the model itself supports; None if it does not say, or stretches it."""
    is_exact: bool = True
    """Whether every layer attends to all tokens; otherwise a token may take less."""

    def bytes_per_token(self, ranks: int) -> int:
        """Bytes on each of `ranks`. A rank has at least one head: with fewer heads, several ranks keep the same one."""
        if self.latent:
            return self.layers * self.latent * self.element_bytes
        heads = max(1, self.kv_heads // ranks)
        return 2 * self.layers * heads * self.head_dim * self.element_bytes


def kv_shape(config: Mapping[str, Any], args: Sequence[str] = ()) -> KvShape | None:
    """The shape; None if the state is not only KV, or config.json does not say enough. `args` are vLLM's."""
    text = config.get("text_config", config)
    if not isinstance(text, Mapping) or _OTHER_STATES & text.keys():
        return None
    layers, heads, hidden = (_count(text, key) for key in ("num_hidden_layers", "num_attention_heads", "hidden_size"))
    rank, rope = _count(text, "kv_lora_rank"), _count(text, "qk_rope_head_dim")
    head_dim = _count(text, "head_dim") or (hidden // heads if hidden and heads else None)
    if not layers or not heads or not (head_dim or rank):
        return None
    kinds = text.get("layer_types") or []
    if any("attention" not in str(kind) or "linear" in str(kind) for kind in kinds):
        return None
    return KvShape(
        layers=layers,
        kv_heads=_count(text, "num_key_value_heads") or heads,
        head_dim=head_dim or 0,
        element_bytes=_element_bytes(config, text, list(args)),
        latent=(rank + (rope or 0)) if rank else 0,
        max_tokens=_max_tokens(text),
        is_exact=not rank and not _slides(text),
    )


def tokens_in(room_bytes: float, bytes_per_token: int) -> int:
    return max(0, int(room_bytes // bytes_per_token))


def _slides(text: Mapping[str, Any]) -> bool:
    """Whether some layer attends only to a window, or to chunks."""
    kinds = text.get("layer_types")
    if kinds:
        return any(kind != "full_attention" for kind in kinds)
    has_window = text.get("sliding_window") is not None or text.get("attention_chunk_size") is not None
    return has_window and text.get("use_sliding_window") is not False


def _element_bytes(config: Mapping[str, Any], text: Mapping[str, Any], args: list[str]) -> int:
    """Bytes of an element: vLLM reduces a float32 model to 2 bytes unless told otherwise."""
    cache = value_of("--kv-cache-dtype", args) or ""
    if cache.startswith("fp8") or _scheme(config):
        return 1
    return _BYTES.get(value_of("--dtype", args) or "", 2) if cache in ("", "auto") else _BYTES.get(cache, 2)


def _scheme(config: Mapping[str, Any]) -> bool:
    """Whether the checkpoint was quantised with its KV cache."""
    quantised = config.get("quantization_config")
    return isinstance(quantised, Mapping) and quantised.get("kv_cache_scheme") is not None


def _max_tokens(text: Mapping[str, Any]) -> int | None:
    scaling = text.get("rope_scaling") or text.get("rope_parameters") or {}
    stretched = isinstance(scaling, Mapping) and (scaling.get("rope_type") or scaling.get("type") or "default")
    return _count(text, "max_position_embeddings") if stretched in ("default", "llama3") else None


def _count(text: Mapping[str, Any], key: str) -> int | None:
    value = text.get(key)
    return value if isinstance(value, int) and value > 0 else None
