"""The full-screen live view of `dynkv top`, built with textual, which only this file and its screens import.

It reads everything from a Source in a thread, so that keys work while a supervisor does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import DataTable, Footer, Input, Static

from dynkv.cli.details import details
from dynkv.cli.gauges import gauges
from dynkv.cli.log_screen import LogScreen
from dynkv.cli.panes import EventsPane, LogPane, UnitsTable
from dynkv.cli.screens import Confirmation, Sheet
from dynkv.cli.status_text import DEPLOYMENT_STYLE, in_full
from dynkv.cli.tile import Tiles
from dynkv.errors import DynkvError
from dynkv.metrics.trend import Look, Trend
from dynkv.readable import readable
from dynkv.supervisor.events import Event
from dynkv.supervisor.status import DeploymentStatus, GpuStatus, UnitStatus

READINGS = 240
"""Number of readings kept for the curves."""
_CHANGING = ("ask", "scale")
"""Actions that change something."""
_CHANGING_KEYS = (
    ("r", "restart the chosen unit"),
    ("s", "start it"),
    ("x", "stop it"),
    ("+ -", "run one more, or one fewer, of its role"),
)
_OTHER_KEYS = (
    ("i", "all that is known of the chosen unit, and what to do after its last exit"),
    ("l, enter", "follow its log: / filters, w wraps, m marks, c copies, end follows again"),
    ("o", "sort by state, age, restarts, memory, or not"),
    ("/", "show only units, events and lines with a text; escape shows all"),
    ("?", "this"),
    ("q", "quit"),
)


class Source(Protocol):
    """Where the dashboard's data come from. All methods raise DynkvError with a message to show."""

    def look(self) -> Look: ...

    def new_events(self) -> Iterable[Event]:
        """The events since the last call; the first call returns the most recent ones."""
        ...

    def ask(self, unit: str, verb: str) -> None: ...

    def scale(self, role: str, count: int) -> None: ...


class Dashboard(App[None]):
    """The app, which refreshes every `interval_s` until q is pressed. If it is read-only, no key changes anything."""

    CSS_PATH = "dashboard.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (16, "-low"), (32, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "ask('restart')", "Restart"),
        Binding("s", "ask('start')", "Start"),
        Binding("x", "ask('stop')", "Stop"),
        Binding("plus", "scale(1)", "More", key_display="+"),
        Binding("minus", "scale(-1)", "Fewer", key_display="-"),
        Binding("i", "details", "Info"),
        Binding("l,enter", "logs", "Log"),
        Binding("o", "sort", show=False),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("escape", "show_all", show=False),
        Binding("q", "quit", "Quit"),
    ]
    TITLE = "dynkv top"
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, source: Source, interval_s: float, *, is_read_only: bool = False) -> None:
        super().__init__()
        self._is_read_only = is_read_only
        self._source = source
        self._interval_s = interval_s
        self._trend = Trend(READINGS)
        self._status: DeploymentStatus | None = None
        self._gpus: dict[str, GpuStatus] = {}
        self._wanted = ""
        # stored, because a query finds none of these while another screen is on top
        self._head = Static("looking …", id="head")
        self._detail = Static("", id="detail")
        self._tiles = Tiles(READINGS)
        self._units = UnitsTable()
        self._events = EventsPane()
        self._log_pane = LogPane(id="log")
        self._filter = Input(placeholder="only what has this text", id="filter", compact=True)

    def compose(self) -> ComposeResult:
        yield from (self._head, self._detail, self._tiles, self._units)
        yield Container(self._events, self._log_pane, id="below")
        yield from (self._filter, Footer(compact=True))

    def on_mount(self) -> None:
        self._filter.display = False
        self._units.focus()
        self.run_worker(self._look_forever())

    async def _look_forever(self) -> None:
        while True:
            try:
                self._show(await asyncio.to_thread(self._source.look))
                self._events.add(await asyncio.to_thread(self._source.new_events))
            except DynkvError as error:  # what was known before stays on the screen
                self._detail.update(Text(readable(f"{error.what}\n{error.hint}".rstrip())))
            await asyncio.sleep(self._interval_s)

    def _show(self, look: Look) -> None:
        self._status = status = look.status
        self._head.update(_head(status))
        self._detail.update(Text(readable(status.detail)))
        self._trend.take(look)
        self._tiles.display = bool(status.endpoint or status.gpus)
        self._gpus |= {gpu.id: gpu for gpu in status.gpus}
        self._tiles.show(gauges(self._trend.readings, list(self._gpus.values())))
        self._show_units()

    def _show_units(self) -> None:
        units = self._status.units if self._status else ()
        named = [unit for unit in units if self._wanted in unit.name]
        self._units.show(named or units)

    @property
    def _chosen(self) -> UnitStatus | None:
        name, units = self._units.chosen, self._status.units if self._status else ()
        return next((unit for unit in units if unit.name == name), None)

    def on_data_table_row_highlighted(self) -> None:
        if (unit := self._chosen) is not None:
            self._log_pane.follow(Path(unit.log), readable(f"log of {unit.name}"))

    def on_data_table_row_selected(self) -> None:
        """Follow the log on Enter, or on a click on the row with the cursor."""
        self.action_logs()

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        self._units.sort_by(event.column_key.value or "")
        self._show_units()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether the key is there at all; asked by textual."""
        return not (self._is_read_only and action in _CHANGING)

    def action_ask(self, verb: str) -> None:
        if (unit := self._chosen) is not None:
            does = partial(self._source.ask, unit.name, verb)
            self._do_if_wanted(f"{verb.capitalize()} {unit.name}?", does, f"{unit.name}: {verb} requested")

    def action_scale(self, by: int) -> None:
        unit = self._chosen
        if unit is None or self._status is None:
            return
        count = by + sum(other.role == unit.role and other.wanted for other in self._status.units)
        does = partial(self._source.scale, unit.role, count)
        self._do_if_wanted(f"Run {count} of role {unit.role}?", does, f"{unit.role}: {count} requested")

    def _do_if_wanted(self, question: str, does: Callable[[], None], success: str) -> None:
        def answered(is_wanted: bool | None) -> None:
            if is_wanted:
                self.run_worker(self._told(does, success))

        self.push_screen(Confirmation(question), answered)

    async def _told(self, ask: Callable[[], None], success: str) -> None:
        try:
            await asyncio.to_thread(ask)
        except DynkvError as error:
            self.notify(readable(error.what), severity="error", markup=False)
        else:
            self.notify(success, markup=False)

    def action_logs(self) -> None:
        if (unit := self._chosen) is not None:
            self.push_screen(LogScreen(unit.name, Path(unit.log)))

    def action_details(self) -> None:
        if (unit := self._chosen) is not None:
            self.push_screen(Sheet(details(unit)))

    def action_sort(self) -> None:
        self._units.sort_by_next()
        self._show_units()

    def action_help(self) -> None:
        self.push_screen(Sheet(_OTHER_KEYS if self._is_read_only else _CHANGING_KEYS + _OTHER_KEYS))

    def action_filter(self) -> None:
        self._filter.display = True
        self._filter.focus()

    def on_input_submitted(self) -> None:
        self._narrow(self._filter.value)

    def action_show_all(self) -> None:
        self._filter.value = ""
        self._narrow("")

    def _narrow(self, text: str) -> None:
        self._wanted = text
        self._filter.display = False
        self._units.focus()
        self._show_units()
        self._events.filter(text)
        self._log_pane.filter(text)


def _head(status: DeploymentStatus) -> Text:
    state = f"{status.state}" if status.supervisor is not None else f"{status.state}, without a supervisor"
    style = DEPLOYMENT_STYLE.get(status.state, "")
    model = in_full(status.model, status.model_aliases)
    served = readable(f"  {status.endpoint}  model {model}") if status.endpoint else ""
    return Text.assemble((status.name, "bold"), " is ", (state, style), served)
