"""A unit's log in the whole terminal, as it grows: the screen of `dynkv top` that `l` opens."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer, Input, Static

from dynkv.cli.panes import LogPane
from dynkv.readable import readable


class LogScreen(Screen[None]):
    """A log that fills the terminal. It follows the log's end unless it is scrolled away from it."""

    CSS = "LogScreen Static { height: auto; padding: 0 1; background: $panel; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("q,l", "dismiss", show=False),
        Binding("end", "follow", "Follow"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("w", "wrap", "Wrap"),
        Binding("m", "mark", "Mark"),
        Binding("c", "copy", "Copy"),
    ]

    def __init__(self, unit: str, path: Path) -> None:
        super().__init__()
        self._unit = unit
        self._path = path
        self._pane = LogPane(wrap=True)
        self._filter = Input(placeholder="only lines with this text", compact=True)

    def compose(self) -> ComposeResult:
        yield Static(readable(f"{self._unit}  {self._path}"), markup=False)
        yield from (self._pane, self._filter, Footer())

    def on_mount(self) -> None:
        self._filter.display = False
        self._pane.follow(self._path)
        self._pane.focus()

    def action_back(self) -> None:
        """Show all lines again if they are filtered, else go back."""
        if self._filter.display or self._filter.value:
            self._filter.value = ""
            self._narrow()
        else:
            self.dismiss()

    def action_follow(self) -> None:
        self._pane.scroll_end(animate=False)

    def action_filter(self) -> None:
        self._filter.display = True
        self._filter.focus()

    def on_input_submitted(self) -> None:
        self._narrow()

    def action_wrap(self) -> None:
        self._pane.toggle_wrap()

    def action_mark(self) -> None:
        self._pane.mark(f"{datetime.now():%H:%M:%S}")

    def action_copy(self) -> None:
        lines = self._pane.shown()
        self.app.copy_to_clipboard("".join(f"{line}\n" for line in lines))
        self.notify(f"{len(lines)} lines copied, if the terminal has a clipboard")

    def _narrow(self) -> None:
        self._filter.display = False
        self._pane.focus()
        self._pane.filter(self._filter.value)
