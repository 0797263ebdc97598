"""The lower half of `dynkv top`: the units, the last events, and a log as it grows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from rich.text import Text
from textual.widgets import DataTable, RichLog

from dynkv.children.json_lines import in_text
from dynkv.children.lines import Line, LineReader
from dynkv.cli.log_files import Follower
from dynkv.cli.logs import LEVEL_STYLE, Wanted, last_lines
from dynkv.cli.status_text import COLUMNS, STATE_STYLE, unit_row
from dynkv.readable import readable
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import Event
from dynkv.supervisor.states import State
from dynkv.supervisor.status import UnitStatus

_POLL_S = 0.2
_LINES = 500
_KEPT = 10_000
_EVENTS_KEPT = 1000
_SHOWN = tuple(name for name in COLUMNS if name not in ("pid", "ports"))
_COPIED = 200
"""Lines to copy: terminals limit the size of what they take into their clipboard."""
_ORDERS: dict[str, Callable[[UnitStatus], float]] = {
    "state": lambda unit: unit.state in (State.READY, State.COMPLETED),
    "age": lambda unit: math.inf if unit.uptime_s is None else unit.uptime_s,
    "restarts": lambda unit: -unit.restarts,
    "memory": lambda unit: -(unit.rss_bytes or 0),
}
"""What to sort by: by state, those in trouble first; the youngest, those most often restarted, the largest."""
_KIND_STYLE = {EventKind.EXIT: "red", EventKind.FAULT: "red", EventKind.CUT: "yellow", EventKind.NOTIFY: "cyan"}


class UnitsTable(DataTable[Text | str]):
    """The units in the order in which they start, or sorted by a column."""

    def __init__(self) -> None:
        super().__init__(cursor_type="row", id="units")
        self._sorted_by = ""

    def on_mount(self) -> None:
        for name in _SHOWN:
            self.add_column(name, key=name)

    def show(self, units: Iterable[UnitStatus]) -> None:
        units = list(units)
        if self._sorted_by:
            units.sort(key=_ORDERS[self._sorted_by])
        names = [unit.name for unit in units]
        if [row.value for row in self.rows] != names:
            self._rebuild(names)
        for unit in units:
            for column, cell in zip(COLUMNS, unit_row(unit), strict=True):
                if column in _SHOWN:
                    style = STATE_STYLE.get(unit.state, "yellow") if column == "state" else ""
                    self.update_cell(unit.name, column, Text(cell, style), update_width=True)

    def sort_by(self, column: str) -> None:
        """Sort by a column of _ORDERS from the next show() on; by none with an empty name."""
        self._sorted_by = column if column in _ORDERS else ""
        for key, it in self.columns.items():
            it.label = Text(f"{key.value}{' ▾' if key.value == self._sorted_by else ''}")
        self.refresh()

    def sort_by_next(self) -> None:
        names = ["", *_ORDERS]
        self.sort_by(names[(names.index(self._sorted_by) + 1) % len(names)])

    @property
    def chosen(self) -> str | None:
        """The unit under the cursor; None while there are no units."""
        if not self.row_count:
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value

    def _rebuild(self, names: list[str]) -> None:
        """Make a row for each unit; the cursor stays on its unit if that is still there."""
        chosen = self.chosen
        self.clear()
        for name in names:
            self.add_row(*("" for _ in _SHOWN), key=name)
        if chosen in names:
            self.move_cursor(row=names.index(chosen))


class EventsPane(RichLog):
    """The last events, the newest at the end."""

    can_focus = False

    def __init__(self) -> None:
        super().__init__(max_lines=_EVENTS_KEPT, min_width=0, id="events")
        self.border_title = "events"
        self._events: list[Event] = []
        self._filter = ""

    def add(self, events: Iterable[Event]) -> None:
        new = list(events)
        self._events = [*self._events, *new][-_EVENTS_KEPT:]
        self._show(new)

    def filter(self, text: str) -> None:
        self._filter = text
        self.clear()
        self._show(self._events)

    def _show(self, events: Iterable[Event]) -> None:
        for event in events:
            line = readable(_line(event))
            if self._filter in line:
                self.write(Text(line, _KIND_STYLE.get(EventKind(event.kind), "") if event.kind in {*EventKind} else ""))


def _line(event: Event) -> str:
    took = f" in {event.duration_s:g} s" if event.duration_s is not None else ""
    cause = f" ({event.cause})" if event.cause else ""
    return f"{event.at[11:19]} {event.unit or 'deployment'}: {event.message}{took}{cause}"


class LogPane(RichLog):
    """The last lines of a log and its new ones, across rotation. Follows the end unless it is scrolled up."""

    def __init__(self, *, wrap: bool = False, id: str | None = None) -> None:
        super().__init__(max_lines=_KEPT, min_width=0, wrap=wrap, id=id)
        self._path: Path | None = None
        self._filter = ""

    def on_mount(self) -> None:
        self.set_interval(_POLL_S, self._go_on)

    def follow(self, path: Path, title: str = "") -> None:
        """Follow another log, or the same one from its end again."""
        now = datetime.now().astimezone()
        self.border_title, self._path = title, path
        self._follower, self._reader = Follower(path), LineReader(now)
        self.clear()
        for line in last_lines(path, Wanted(), _LINES, now):
            self._write(line, is_at_end=True)

    def filter(self, text: str) -> None:
        self._filter = text
        self._follow_again()

    def toggle_wrap(self) -> None:
        self.wrap = not self.wrap
        self._follow_again()

    def mark(self, words: str) -> None:
        """Write a line of our own, to find what comes after it."""
        self.write(Text(f"──── {words} ────", "bold cyan"), scroll_end=True)

    def shown(self) -> list[str]:
        """The last lines as the log has them, without those that are filtered out."""
        lines = [] if self._path is None else last_lines(self._path, Wanted(), _LINES, datetime.now().astimezone())
        texts = [readable(in_text(line.text)) for line in lines]
        return [text for text in texts if self._filter in text][-_COPIED:]

    def _follow_again(self) -> None:
        if self._path is not None:
            self.follow(self._path, str(self.border_title or ""))

    def _go_on(self) -> None:
        if self._path is not None:
            is_at_end = self.is_vertical_scroll_end
            for text in self._follower.new_lines():
                self._write(self._reader(text), is_at_end=is_at_end)

    def _write(self, line: Line, *, is_at_end: bool) -> None:
        shown = readable(in_text(line.text))
        if self._filter in shown:
            style = "" if line.level is None else LEVEL_STYLE.get(line.level, "")
            self.write(Text(shown, style), scroll_end=is_at_end)
