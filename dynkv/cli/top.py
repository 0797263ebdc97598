"""`top`, as typer has it."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from dynkv.cli.deployments import Deployment, find
from dynkv.cli.options import NameArgument
from dynkv.cli.status import read_status
from dynkv.errors import UsageError
from dynkv.metrics.trend import Look
from dynkv.probes.text import read


def top(
    name: NameArgument = None,
    interval: Annotated[
        float, typer.Option("--interval", min=0.2, max=5.0, metavar="SECONDS", help="How often it looks again.")
    ] = 1.0,
) -> None:
    """Watch a deployment live: its units, requests, caches and memory.

    Keys: r restarts the chosen unit, l follows its log, q quits.
    """
    deployment = find(name)
    read_status(deployment)  # says so if there is nothing to watch
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("top needs a terminal", hint="`dynkv status --watch` goes on in a pipe too")
    from dynkv.cli.dashboard import Dashboard  # takes 300 ms

    Dashboard(Watched(deployment), interval).run()


class Watched:
    """A deployment as the dashboard looks at it."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def look(self) -> Look:
        """Without a supervisor nobody gathers figures, and there are none."""
        status = read_status(self._deployment)
        metrics = self._deployment.client().metrics() if status.supervisor is not None else ""
        return Look(time.monotonic(), status, read(metrics))

    def restart(self, unit: str) -> None:
        self._deployment.client().ask_unit(unit, "restart")
