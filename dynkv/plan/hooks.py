"""Hooks of the profile, planned. Pure."""

from __future__ import annotations

from pathlib import PurePath
from urllib.parse import urlsplit

from dynkv.plan.context import Context
from dynkv.plan.hook import Hook
from dynkv.plan.model import Role
from dynkv.profile.notify import Notification


def planned_hooks(ctx: Context) -> tuple[Hook, ...]:
    """The hooks; their programs get the environment that every process of the deployment has."""
    return tuple(_hook(ctx, given) for given in ctx.profile.notify)


def _hook(ctx: Context, given: Notification) -> Hook:
    return Hook(
        name=_name(given),
        on=tuple(given.on),
        env=ctx.env,
        argv=tuple(given.command or ()),
        url_in=given.kept_as,
        url_file="" if given.webhook_file is None else ctx.expand(given.webhook_file),
        secret_env=tuple(name for name in ctx.secrets(Role.UNIT) if given.command or name.lower().endswith("_proxy")),
        timeout_s=given.timeout_s,
        interval_s=given.interval_s,
        retries=given.retries,
    )


def _name(given: Notification) -> str:
    if given.command:
        return PurePath(given.command[0]).name
    return f"the webhook at {urlsplit(given.webhook).hostname}" if given.webhook else "the webhook of webhook_file"
