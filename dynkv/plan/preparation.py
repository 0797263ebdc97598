"""The preparations that a deployment needs before it can start."""

from __future__ import annotations

from dynkv.plan.context import Context
from dynkv.plan.served_model import tiny_model_path
from dynkv.plan.steps import MakeDirectory, Run, Step

_FOR_ITS_OWNER = 0o700


def preparation(ctx: Context) -> tuple[Step, ...]:
    """Steps in order. Each can be repeated, and then changes nothing."""
    steps = [*_l2(ctx), *_tiny_model(ctx), *_discovery(ctx)]
    return tuple(dict.fromkeys(steps))


def _l2(ctx: Context) -> list[Step]:
    if not ctx.sidecar_ports:
        return []
    paths = [path for adapter in ctx.profile.lmcache.l2 if (path := adapter.directory) is not None]
    return [MakeDirectory(ctx.expand(path), _FOR_ITS_OWNER, "L2 of the sidecar") for path in paths]


def _tiny_model(ctx: Context) -> list[Step]:
    if not (ctx.is_tiny and ctx.has_stack):
        return []
    path = tiny_model_path(ctx.profile, ctx.facts, ctx.home)
    make = Run(
        (ctx.facts.python, f"{ctx.facts.scripts_directory}/tiny_model.py", path),
        unless_exists=f"{path}/config.json",
        purpose="the tiny model",
        hint="the stack's interpreter needs the tokenizers package, which comes with ai-dynamo",
    )
    return [MakeDirectory(path.rpartition("/")[0], _FOR_ITS_OWNER, "models that dynkv makes itself"), make]


def _discovery(ctx: Context) -> list[Step]:
    return [] if ctx.discovery_dir is None else [MakeDirectory(ctx.discovery_dir, _FOR_ITS_OWNER, "Dynamo's discovery")]
