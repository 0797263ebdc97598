"""`completion`: scripts that teach a shell to complete dynkv's command line."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer._completion_shared import get_completion_script


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="The shell.")],
) -> None:
    """Print a script that lets a shell complete verbs, options, deployments, units, roles and profiles with Tab."""
    script = get_completion_script(prog_name="dynkv", complete_var="_DYNKV_COMPLETE", shell=shell.value)
    print(script)  # noqa: T201
