"""`top` in typer."""

from __future__ import annotations

import os
import sys
import time
from typing import Annotated

import typer

from dynkv.children.output import tail
from dynkv.cli.deployments import Deployment, find
from dynkv.cli.log_files import Follower
from dynkv.cli.options import NameArgument
from dynkv.cli.report import say
from dynkv.cli.status import read_status
from dynkv.errors import UsageError
from dynkv.extras import missing
from dynkv.metrics.trend import Look
from dynkv.probes.text import read
from dynkv.supervisor.events import Event, decoded

_EVENTS = 200
"""Number of earlier events to show."""


def top(
    name: NameArgument = None,
    interval: Annotated[
        float, typer.Option("--interval", min=0.2, max=5.0, metavar="SECONDS", help="How often to refresh.")
    ] = 1.0,
    web: Annotated[bool, typer.Option("--web", help="Show it in a browser, at the address that is printed.")] = False,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, metavar="PORT", help="Port to listen on; 0 for any free port.")
    ] = 0,
    read_only: Annotated[bool, typer.Option("--read-only", help="No key changes anything.")] = False,
) -> None:
    """Watch a deployment live: its requests, caches, GPUs, units and events, and the log of a unit.

    Keys: r restarts the chosen unit, s starts and x stops it, + and - scale its role, i tells all of it, l follows its
    log, o sorts, / filters by text, ? shows all keys, q quits.
    """
    deployment = find(name)
    read_status(deployment)  # reports an error if there is nothing to watch
    if web:
        _serve(deployment, host, port, interval, is_read_only=read_only)
        return
    is_served = os.environ.get("TEXTUAL_DRIVER", "").startswith("textual.drivers.web_driver:")
    if not is_served and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("top needs a terminal", hint="`dynkv status --watch` works in a pipe too")
    try:
        from dynkv.cli.dashboard import Dashboard  # takes 300 ms to import
    except ModuleNotFoundError as error:
        raise missing("top", error.name or "textual", "top") from None
    Dashboard(Watched(deployment), interval, is_read_only=read_only).run()


def _serve(deployment: Deployment, host: str, port: int, interval_s: float, *, is_read_only: bool) -> None:
    try:
        from dynkv.cli.web import serve
    except ModuleNotFoundError as error:
        raise missing("top --web", error.name or "textual-serve", "web") from None
    words = ["top", deployment.place.name, "--interval", f"{interval_s:g}", *(["--read-only"] if is_read_only else [])]
    serve(words, host, port, say)


class Watched:
    """The dashboard's view of a deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._events: Follower | None = None

    def look(self) -> Look:
        """The current state. Without a supervisor nothing collects metrics, so there are none."""
        status = read_status(self._deployment)
        metrics = self._deployment.client().metrics() if status.supervisor is not None else ""
        return Look(time.monotonic(), status, read(metrics))

    def new_events(self) -> list[Event]:
        lines = self._events.new_lines() if self._events else tail(self._deployment.place.events, _EVENTS)
        self._events = self._events or Follower(self._deployment.place.events)
        return [event for line in lines if (event := decoded(line)) is not None]

    def ask(self, unit: str, verb: str) -> None:
        self._deployment.client().ask_unit(unit, verb)

    def scale(self, role: str, count: int) -> None:
        self._deployment.client().scale(role, count)
