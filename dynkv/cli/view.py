"""Output for people with rich, which only this file imports; plain text if stdout is not a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import (
    Console,
    ConsoleOptions,
    ConsoleRenderable,
    Group,
    RenderableType,
    RenderHook,
    RenderResult,
)
from rich.live import Live
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from dynkv.children.lines import newest
from dynkv.children.output import tail
from dynkv.cli.status_text import STATE_STYLE, age, in_full, probe_words, standby_words
from dynkv.cli.streams import moving
from dynkv.plan.steps import in_words
from dynkv.profile.engines import ENGINES
from dynkv.readable import readable
from dynkv.supervisor.states import State
from dynkv.supervisor.status import DeploymentStatus, StandbyState

if TYPE_CHECKING:
    from dynkv.doctor.findings import Finding
    from dynkv.plan.difference import Difference
    from dynkv.plan.model import Plan
    from dynkv.supervisor.events import Event

_WIDE = 200
_LOOKED_AT = 30
"""Lines of a log to look at: lines about probes stand between the informative ones."""


def _console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    # a pipe has no width: lines stay whole for grep and friends
    width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDE
    console = Console(stderr=stderr, width=width, highlight=False, emoji=False, soft_wrap=not stream.isatty())
    if stream.isatty():
        console.push_render_hook(_AllReadable())
    return console


class _Readable:
    """Content with our styles, in which text cannot act on a terminal."""

    def __init__(self, shown: RenderableType) -> None:
        self._shown = shown

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._shown, options):
            yield segment if segment.control else Segment(readable(segment.text), segment.style)


class _AllReadable(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Readable(it) for it in renderables]


_SEVERITY_STYLE = {"error": "bold red", "warning": "yellow", "info": "green"}


def show_findings(findings: Iterable[Finding], *, stderr: bool = True) -> None:
    """Print findings: what in one line, then where, why it matters and what to do."""
    console = _console(stderr=stderr)
    for finding in findings:
        style = _SEVERITY_STYLE[finding.severity]
        console.print(f"[{style}]{finding.severity}:[/] {escape(finding.what)} [dim]({finding.id})[/]")
        if finding.where:
            console.print(f"  [dim]at[/] {escape(finding.where)}")
        console.print(f"  [dim]why:[/] {escape(finding.why)}")
        console.print(f"  [cyan]hint:[/] {escape(finding.hint)}")


def _engine(plan: Plan) -> tuple[str, ...]:
    """What the workers run, and on what if it computes; empty without workers."""
    if plan.topology == "none":
        return ()
    return (f"{plan.engine} on {plan.device}" if ENGINES[plan.engine].computes else plan.engine,)


def show_plan(plan: Plan) -> None:
    console = _console()
    parts = (plan.topology, *_engine(plan), escape(plan.python))
    console.print(f"[bold]{escape(plan.name)}[/]: {', '.join(parts)}")
    if plan.frontend is not None:
        console.print(Text(f"endpoint {plan.endpoint}, model {in_full(plan.model, plan.model_aliases)}"))
    if plan.metrics_url:
        console.print(Text(f"metrics for Prometheus at {plan.metrics_url}"))
    for note in plan.notes:
        console.print(f"[yellow]note:[/] {escape(note)}")
    for step in plan.prepare:
        console.print(Text(f"prepare: {in_words(step)}"))
    for unit in plan.units:
        console.print()
        after = ", ".join(f"{d.unit} is {d.condition}" for d in unit.depends_on) or "at once"
        gpus = f", GPU {','.join(unit.gpus)}" if unit.gpus else ""
        ports = ", ".join(f"{name} {port}" for name, port in unit.ports.items())
        console.print(Text.assemble((unit.name, "bold"), f" ({unit.role}{gpus}) starts: {after}; ports: {ports}"))
        console.print(Text("  " + " ".join(unit.argv)))


def show_difference(found: Difference) -> None:
    console = _console()
    if found.is_none:
        console.print("nothing would change")
        return
    if found.supervisor != "keep":
        console.print(f"[bold]supervisor[/]: {found.supervisor}: it has another version, or is dead")
    for unit in found.units:
        reasons = "; ".join(unit.reasons)
        console.print(Text.assemble((unit.name, "bold"), f": {unit.action}", f": {reasons}" if reasons else ""))
    if found.reasons:
        console.print(Text(f"without a restart: {', '.join(found.reasons)}"))
    for loss in found.losses:
        console.print(Text.assemble(("lost", "bold yellow"), f": {loss}"))


def show_profiles(rows: Iterable[tuple[str, str]]) -> None:
    table = _table("profile", "description")
    for name, description in rows:
        table.add_row(Text(name, style="bold"), Text(description))
    _console().print(table)


def show_event(event: Event) -> None:
    took = f" in {event.duration_s:g} s" if event.duration_s is not None else ""
    cause = f" [dim]({escape(event.cause)})[/]" if event.cause else ""
    unit = escape(event.unit or "deployment")
    _console().print(f"[dim]{escape(event.at)}[/] [bold]{unit}[/]: {escape(event.message)}{took}{cause}")


@contextmanager
def live_progress() -> Iterator[Callable[[DeploymentStatus], None]]:
    """The live view that `up` and `down` show in a terminal while they wait."""
    with moving(sys.stdout), Live(console=_console(), refresh_per_second=8, transient=True) as live:
        yield lambda status: live.update(_Readable(_progress(status)))


@contextmanager
def live_text() -> Iterator[Callable[[str], None]]:
    """A function that shows text with Ink's colours in place of the previous one; the last text stays."""
    with moving(sys.stdout), Live(console=_console(), auto_refresh=False, vertical_overflow="ellipsis") as live:
        yield lambda text: live.update(_Readable(Text.from_ansi(text)), refresh=True)


def _progress(status: DeploymentStatus) -> RenderableType:
    table = _table("unit", "state", "time", "")
    for unit in status.units:
        lines = tail(Path(unit.log), _LOOKED_AT, unit.log_start_byte) if unit.state is State.STARTING else []
        waits = f"waiting for {unit.waiting_for}" if unit.waiting_for else ""
        told = waits or newest(lines, datetime.now().astimezone()) or probe_words(unit)
        table.add_row(
            Text(unit.name), _state(unit.state), age(unit), Text(told, style="dim", overflow="ellipsis", no_wrap=True)
        )
    for standby in status.standbys:
        if standby.state is not StandbyState.ENDED:
            table.add_row(standby.name, str(standby.state), "", Text(standby_words(standby), style="dim"))
    return Group(table, Text(status.detail, style="cyan"))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column)
    return table


def _state(state: State) -> Text:
    return Text(state, style=STATE_STYLE.get(state, "yellow"))
