"""LoRA adapters: what workers load after each start, and the memory that they reserve for them.

Source: ai-dynamo 1.6.1, `load_lora` of a worker; vllm 0.31.0, config/lora.py.
"""

from __future__ import annotations

from dynkv.errors import UsageError
from dynkv.plan.context import Context
from dynkv.plan.serving import Lora
from dynkv.profile.arguments import value_of

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks for which vLLM can reserve memory."""
_DEFAULT_RANK = 16
_AT_ONCE_MAX = 8
"""Each adapter that a batch may use takes GPU memory; further ones are swapped in from the host's memory."""


def loras(ctx: Context) -> tuple[Lora, ...]:
    """The adapters. Raises UsageError if one has the model's name."""
    given = ctx.profile.model.loras
    if taken := next((lora.name for lora in given if lora.name in (ctx.served_name, *ctx.aliases)), None):
        raise UsageError(f"model.loras: the model itself has the name {taken!r}", hint="give the adapter another name")
    return tuple(
        Lora(lora.name, f"file://{ctx.expand(lora.directory)}" if lora.is_local else lora.path) for lora in given
    )


def lora_args(ctx: Context, args: list[str]) -> list[str]:
    """Options for adapters that `args`, the person's own, do not set yet."""
    given = ctx.profile.model.loras
    if not given:
        return []
    wanted = {
        "--enable-lora": None,
        "--max-loras": min(len(given), _AT_ONCE_MAX),
        "--max-cpu-loras": len(given),
        "--max-lora-rank": _rank(ctx),
    }
    if at_once := value_of("--max-loras", args):
        wanted["--max-cpu-loras"] = max(len(given), int(at_once)) if at_once.isdecimal() else None
    words: list[str] = []
    for option, value in wanted.items():
        if value_of(option, args) is None:
            words += [option] if value is None else [option, str(value)]
    return words


def _rank(ctx: Context) -> int:
    """The smallest rank that suits every adapter whose files can be read."""
    known = [facts.rank for facts in ctx.facts.loras.values() if facts.rank is not None]
    return next((rank for rank in RANKS if rank >= max([_DEFAULT_RANK, *known])), RANKS[-1])


def lora_environment(ctx: Context) -> dict[str, str]:
    return {"DYN_LORA_ENABLED": "true"} if ctx.profile.model.loras else {}
