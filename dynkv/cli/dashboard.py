"""The full-screen live view of `dynkv top`, with textual, which it and its screens alone import.

It asks a Source for everything, in a thread, so that keys are answered while a supervisor is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import ItemGrid
from textual.widgets import DataTable, Footer, Static

from dynkv.cli.screens import Confirmation, LogScreen
from dynkv.cli.status_text import COLUMNS, DEPLOYMENT_STYLE, STATE_STYLE, in_full, unit_row
from dynkv.cli.tile import Tile
from dynkv.errors import DynkvError
from dynkv.metrics.trend import Look, Reading, Trend
from dynkv.readable import readable
from dynkv.supervisor.status import DeploymentStatus

READINGS = 120
"""How many are kept for the curves."""
_SHOWN = tuple(name for name in COLUMNS if name not in ("pid", "ports"))


class Source(Protocol):
    """Both raise DynkvError, with what to tell."""

    def look(self) -> Look: ...

    def restart(self, unit: str) -> None: ...


class Dashboard(App[None]):
    """Looks again every `interval_s`, until q is pressed."""

    CSS = """
    #head, #detail { height: auto; padding: 0 1; }
    #detail { color: $text-warning; }
    #tiles { height: auto; margin: 1 0; grid-gutter: 0 2; padding: 0 1; }
    #units { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "restart", "Restart the unit"),
        Binding("l,enter", "logs", "Follow its log"),
        Binding("q", "quit", "Quit"),
    ]
    TITLE = "dynkv top"
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, source: Source, interval_s: float) -> None:
        super().__init__()
        self._source = source
        self._interval_s = interval_s
        self._trend = Trend(READINGS)
        self._logs: dict[str, Path] = {}
        # held, not looked up: while another screen is above, a query finds nothing of these
        self._head = Static("looking …", id="head")
        self._detail = Static("", id="detail")
        self._requests = Tile("requests/s", lambda value: f"{value:.1f}", length=READINGS, id="requests")
        self._first_token = Tile(
            "first token", lambda value: f"{value * 1000:.0f} ms", length=READINGS, id="first-token"
        )
        self._hit_rate = _ratio_tile("hit rate", "hit-rate")
        self._l1 = _ratio_tile("L1 memory", "l1")
        self._gpus: dict[str, Tile] = {}
        self._tiles = ItemGrid(
            self._requests, self._first_token, self._hit_rate, self._l1, min_column_width=18, id="tiles"
        )
        self._units: DataTable[Text | str] = DataTable(cursor_type="row", id="units")

    def compose(self) -> ComposeResult:
        yield from (self._head, self._detail, self._tiles, self._units, Footer())

    def on_mount(self) -> None:
        for name in _SHOWN:
            self._units.add_column(name, key=name)
        self._units.focus()
        self.run_worker(self._look_forever())

    async def _look_forever(self) -> None:
        while True:
            try:
                self._show(await asyncio.to_thread(self._source.look))
            except DynkvError as error:  # what was known before stays
                self._detail.update(Text(readable(f"{error.what}\n{error.hint}".rstrip())))
            await asyncio.sleep(self._interval_s)

    def _show(self, look: Look) -> None:
        status = look.status
        self._logs = {unit.name: Path(unit.log) for unit in status.units}
        self._head.update(_head(status))
        self._detail.update(Text(readable(status.detail)))
        self._show_readings(self._trend.take(look))
        self._show_units(status)

    def _show_readings(self, newest: Reading) -> None:
        readings = self._trend.readings
        self._requests.show([it.requests_s for it in readings])
        self._first_token.show([it.first_token_s for it in readings])
        self._hit_rate.show([it.hit_rate for it in readings])
        self._l1.show([it.l1_usage_ratio for it in readings])
        for gpu in dict.fromkeys([*self._gpus, *newest.gpu_usage_ratios]):
            self._gpu_tile(gpu).show([it.gpu_usage_ratios.get(gpu) for it in readings])

    def _gpu_tile(self, gpu: str) -> Tile:
        """Made when that GPU is first heard of."""
        if gpu not in self._gpus:
            self._gpus[gpu] = _ratio_tile(f"GPU {gpu} memory")
            self._tiles.mount(self._gpus[gpu])
        return self._gpus[gpu]

    def _show_units(self, status: DeploymentStatus) -> None:
        names = [unit.name for unit in status.units]
        if [row.value for row in self._units.rows] != names:
            self._units.clear()
            for name in names:
                self._units.add_row(*("" for _ in _SHOWN), key=name)
        for unit in status.units:
            for column, cell in zip(COLUMNS, unit_row(unit), strict=True):
                if column in _SHOWN:
                    style = STATE_STYLE.get(unit.state, "yellow") if column == "state" else ""
                    self._units.update_cell(unit.name, column, Text(cell, style), update_width=True)

    @property
    def _chosen(self) -> str | None:
        """The unit under the cursor; None while none is known."""
        if not self._units.row_count:
            return None
        return self._units.coordinate_to_cell_key(self._units.cursor_coordinate).row_key.value

    def action_restart(self) -> None:
        if (unit := self._chosen) is not None:
            self.push_screen(Confirmation(f"Restart {unit}?"), partial(self._restart_if, unit))

    def _restart_if(self, unit: str, wanted: bool | None) -> None:
        if wanted:
            self.run_worker(self._told(partial(self._source.restart, unit), f"{unit}: restart asked for"))

    async def _told(self, ask: Callable[[], None], success: str) -> None:
        try:
            await asyncio.to_thread(ask)
        except DynkvError as error:
            self.notify(readable(error.what), severity="error", markup=False)
        else:
            self.notify(success, markup=False)

    def action_logs(self) -> None:
        if (unit := self._chosen) is not None:
            self.push_screen(LogScreen(unit, self._logs[unit]))

    def on_data_table_row_selected(self) -> None:
        """Enter, or a click on the row that has the cursor."""
        self.action_logs()


def _head(status: DeploymentStatus) -> Text:
    state = f"{status.state}" if status.supervisor is not None else f"{status.state}, without a supervisor"
    style = DEPLOYMENT_STYLE.get(status.state, "")
    model = in_full(status.model, status.model_aliases)
    served = readable(f"  {status.endpoint}  model {model}") if status.endpoint else ""
    return Text.assemble((status.name, "bold"), " is ", (state, style), served)


def _ratio_tile(title: str, identity: str | None = None) -> Tile:
    return Tile(title, lambda value: f"{value:.0%}", length=READINGS, ceiling=1.0, id=identity)
