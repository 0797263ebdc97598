"""`up` in typer."""

from __future__ import annotations

from typing import Annotated

import typer

from dynkv.cli.bringup import bring_up
from dynkv.cli.options import (
    DeviceOption,
    EngineOption,
    GpusOption,
    ModelOption,
    NameOption,
    NoLMCacheOption,
    ProfileArgument,
    SetOption,
    seconds,
)

ForegroundOption = Annotated[bool, typer.Option("--foreground", help="Stay in the foreground as the supervisor.")]
TimeoutOption = Annotated[
    float | None, typer.Option("--timeout", parser=seconds, metavar="SECONDS", help="Give up after this long.")
]
NoWaitOption = Annotated[bool, typer.Option("--no-wait", help="Return as soon as the supervisor runs.")]
SkipChecksOption = Annotated[bool, typer.Option("--skip-checks", help="Start anyway when a check finds an error.")]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="End processes without a supervisor instead of taking them over.")
]

NoRollbackOption = Annotated[
    bool, typer.Option("--no-rollback", help="Do not roll back a failed update of a running deployment.")
]


def up(
    profile: ProfileArgument,
    gpus: GpusOption = None,
    model: ModelOption = None,
    engine: EngineOption = None,
    device: DeviceOption = None,
    name: NameOption = None,
    sets: SetOption = None,
    no_lmcache: NoLMCacheOption = False,
    foreground: ForegroundOption = False,
    timeout: TimeoutOption = None,
    no_wait: NoWaitOption = False,
    skip_checks: SkipChecksOption = False,
    replace: ReplaceOption = False,
    no_rollback: NoRollbackOption = False,
) -> None:
    """Start a deployment and wait until it answers requests, or update a running one to match the profile.

    The host is checked first, as by `dynkv doctor`. A start that fails, takes too long or is interrupted with Ctrl-C
    leaves nothing running. Processes without a supervisor are taken over, and keep running even if the start fails. In
    a running deployment only what has changed is restarted, one unit of a role after the other; `dynkv diff` shows it
    beforehand. A failed change is rolled back.
    """
    bring_up(
        profile,
        gpus,
        model,
        engine,
        device,
        name,
        sets,
        no_lmcache,
        foreground,
        timeout,
        no_wait,
        skip_checks,
        replace,
        no_rollback,
    )
