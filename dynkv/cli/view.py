"""Everything that is shown to a person. The only importer of rich; plain text where stdout is no terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dynkv.children.output import tail
from dynkv.errors import DynkvError
from dynkv.plan.model import Plan
from dynkv.supervisor.events import Event
from dynkv.supervisor.states import State
from dynkv.supervisor.status import DeploymentState, DeploymentStatus, SpareState, SpareStatus, UnitStatus

if TYPE_CHECKING:
    from dynkv.doctor.checks import Finding

_WIDE = 200
_STATE_STYLE = {
    State.READY: "green",
    State.STARTING: "cyan",
    State.PENDING: "dim",
    State.STOPPED: "dim",
    State.STOPPING: "yellow",
    State.FAILED: "bold red",
}
_DEPLOYMENT_STYLE = {
    DeploymentState.READY: "bold green",
    DeploymentState.STARTING: "cyan",
    DeploymentState.FAILED: "bold red",
    DeploymentState.DEGRADED: "bold yellow",
}


def _console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    # a pipe has no width: lines stay whole for grep and friends
    width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDE
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=not stream.isatty())


def say(text: str) -> None:
    _console().print(escape(text))


def show_error(error: DynkvError) -> None:
    """One shape for all: what, where, the lines it is about, and what to do next."""
    console = _console(stderr=True)
    console.print(f"[bold red]error:[/] {escape(error.what)}")
    if error.where:
        console.print(f"  [dim]at[/] {escape(error.where)}")
    if error.detail:
        console.print(Text(error.detail, style="dim"))
    if error.hint:
        console.print(f"  [cyan]hint:[/] {escape(error.hint)}")


def show_findings(findings: Iterable[Finding]) -> None:
    console = _console(stderr=True)
    for finding in findings:
        style = "bold red" if finding.is_error else "yellow"
        console.print(f"[{style}]{finding.severity}:[/] {escape(finding.what)} [dim]({finding.id})[/]")
        if finding.where:
            console.print(f"  [dim]at[/] {escape(finding.where)}")
        console.print(f"  [dim]why:[/] {escape(finding.why)}")
        console.print(f"  [cyan]hint:[/] {escape(finding.hint)}")


def show_status(status: DeploymentStatus) -> None:
    _console().print(_status(status))


def show_plan(plan: Plan) -> None:
    console = _console()
    console.print(
        f"[bold]{escape(plan.name)}[/]: {plan.topology}, {plan.engine} on {plan.device}, {escape(plan.python)}"
    )
    if plan.frontend is not None:
        console.print(f"endpoint {plan.endpoint}, model {escape(plan.model)}")
    for note in plan.notes:
        console.print(f"[yellow]note:[/] {escape(note)}")
    for unit in plan.units:
        console.print()
        after = ", ".join(f"{d.unit} is {d.condition}" for d in unit.depends_on) or "at once"
        gpus = f", GPU {','.join(unit.gpus)}" if unit.gpus else ""
        ports = ", ".join(f"{name} {port}" for name, port in unit.ports.items())
        console.print(f"[bold]{unit.name}[/] ({unit.role}{gpus}) starts: {after}; ports: {ports}")
        console.print(Text("  " + " ".join(unit.argv)))


def show_profiles(rows: Iterable[tuple[str, str]]) -> None:
    table = _table("profile", "what it is")
    for name, description in rows:
        table.add_row(f"[bold]{name}[/]", escape(description))
    _console().print(table)


def show_event(event: Event) -> None:
    took = f" in {event.duration_s:g} s" if event.duration_s is not None else ""
    cause = f" [dim]({escape(event.cause)})[/]" if event.cause else ""
    unit = event.unit or "deployment"
    _console().print(f"[dim]{event.at}[/] [bold]{unit}[/]: {escape(event.message)}{took}{cause}")


def show_started(status: DeploymentStatus, directory: Path) -> None:
    body = f'{{"model": "{status.model}", "messages": [{{"role": "user", "content": "Hello"}}], "max_tokens": 32}}'
    console = _console()
    if not status.endpoint:
        console.print(f"[bold green]ready:[/] {len(status.units)} units")
        console.print(f"logs:  {escape(str(directory / 'logs'))}", style="dim")
        return
    console.print(f"[bold green]ready:[/] {status.endpoint}  [dim]model[/] {escape(status.model)}")
    console.print(
        f"try:   curl -s {status.endpoint}/v1/chat/completions -H 'Content-Type: application/json' \\", style="dim"
    )
    console.print(Text(f"         -d '{body}'", style="dim"))
    console.print(f"logs:  {escape(str(directory / 'logs'))}", style="dim")


class Progress:
    """What `up` and `down` show while they wait: live in a terminal, a line per change elsewhere."""

    def __init__(self, live: Live | None) -> None:
        self._live = live
        self._said: dict[str, str] = {}

    def update(self, status: DeploymentStatus) -> None:
        if self._live is not None:
            self._live.update(_progress(status))
            return
        for unit in status.units:
            line = f"{unit.name}: {unit.state}" + (f", waiting for {unit.waiting_for}" if unit.waiting_for else "")
            self._say_once(unit.name, line)
        for spare in status.spares:
            self._say_once(spare.name, f"{spare.name}: {spare.state}" + (f", {spare.detail}" if spare.detail else ""))
        self._say_once("", status.detail)

    def _say_once(self, key: str, line: str) -> None:
        if line and self._said.get(key) != line:
            self._said[key] = line
            say(line)


@contextmanager
def progress() -> Iterator[Progress]:
    console = _console()
    if not console.is_terminal:
        yield Progress(None)
        return
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        yield Progress(live)


def _progress(status: DeploymentStatus) -> RenderableType:
    table = _table("unit", "state", "time", "")
    for unit in status.units:
        last = tail(Path(unit.log), 1, unit.log_start_byte) if unit.state is State.STARTING else []
        told = (unit.waiting_for and f"waiting for {unit.waiting_for}") or (last[0] if last else _probe_words(unit))
        table.add_row(
            unit.name, _state(unit.state), _age(unit), Text(told, style="dim", overflow="ellipsis", no_wrap=True)
        )
    for spare in status.spares:
        if spare.state is not SpareState.ENDED:
            table.add_row(spare.name, str(spare.state), "", Text(_spare_words(spare), style="dim"))
    return Group(table, Text(status.detail, style="cyan"))


def _status(status: DeploymentStatus) -> RenderableType:
    style = _DEPLOYMENT_STYLE.get(status.state, "")
    head = Text.assemble(
        (status.name, "bold"),
        " is ",
        (status.state, style),
        f"  {status.endpoint}  model {status.model}" * bool(status.endpoint),
    )
    if status.detail:
        head.append(f"\n{status.detail}", style="yellow")
    table = _table("unit", "state", "pid", "gpu", "ports", "age", "restarts", "memory", "probe", "last exit")
    for unit in status.units:
        table.add_row(
            unit.name,
            _state(unit.state),
            str(unit.pid or "-"),
            ",".join(unit.gpus) or "-",
            " ".join(f"{name}:{port}" for name, port in unit.ports.items()),
            _age(unit),
            str(unit.restarts),
            f"{unit.rss_bytes / 1e6:.0f} MB" if unit.rss_bytes else "-",
            escape(unit.waiting_for or _probe_words(unit)),
            escape(unit.last_exit.reason if unit.last_exit else "-"),
        )
    spares = [Text(f"{spare.name} is {spare.state}, {_spare_words(spare)}", style="dim") for spare in status.spares]
    return Group(head, table, *spares)


def _spare_words(spare: SpareStatus) -> str:
    """What it is for, and what it takes."""
    if spare.detail:
        return spare.detail
    purpose = f"{' or '.join(spare.roles)} can start from it" if spare.roles else "for what talks to the sidecar"
    if spare.state is SpareState.PARKING:
        return "imports what the workers share"
    if spare.state is SpareState.ENDED:
        return f"{spare.launched} started from it"
    return purpose + (f", pid {spare.pid}, {spare.rss_bytes / 1e6:.0f} MB" if spare.rss_bytes else "")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column)
    return table


def _state(state: State) -> Text:
    return Text(state, style=_STATE_STYLE.get(state, "yellow"))


def _age(unit: UnitStatus) -> str:
    if unit.uptime_s is None:
        return "-"
    minutes, seconds = divmod(int(unit.uptime_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else (f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s")


def _probe_words(unit: UnitStatus) -> str:
    if unit.probe is None:
        return "-"
    return f"ok {unit.probe.latency_s * 1000:.0f} ms" if unit.probe.ok else unit.probe.detail
