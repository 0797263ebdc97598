"""`down` in typer."""

from __future__ import annotations

from typing import Annotated

import typer

from dynkv.cli.options import NameArgument, seconds
from dynkv.cli.takedown import bring_down


def down(
    name: NameArgument = None,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            parser=seconds,
            metavar="SECONDS",
            help="Stop waiting after this long; the deployment keeps stopping.",
        ),
    ] = None,
) -> None:
    """Take a deployment down and leave nothing behind, even if its supervisor is dead."""
    bring_down(name, timeout)
