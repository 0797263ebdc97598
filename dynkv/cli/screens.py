"""What `dynkv top` shows over its table: a unit's log as it grows, and a question."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen
from textual.widgets import Footer, RichLog, Static

from dynkv.children.json_lines import in_text
from dynkv.children.lines import Line, LineReader
from dynkv.cli.log_files import Follower
from dynkv.cli.logs import LEVEL_STYLE, Wanted, last_lines
from dynkv.readable import readable

_POLL_S = 0.2
_LINES = 500
_KEPT = 10_000


class LogScreen(Screen[None]):
    """Its last lines, then what comes; also across rotation."""

    CSS = "LogScreen Static { height: auto; padding: 0 1; background: $panel; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,l", "dismiss", "Back")]

    def __init__(self, unit: str, path: Path) -> None:
        super().__init__()
        self._unit = unit
        self._path = path

    def compose(self) -> ComposeResult:
        yield Static(readable(f"{self._unit}  {self._path}"), markup=False)
        yield RichLog(max_lines=_KEPT, wrap=True)
        yield Footer()

    def on_mount(self) -> None:
        now = datetime.now().astimezone()
        self._follower = Follower(self._path)
        self._reader = LineReader(now)
        for line in last_lines(self._path, Wanted(), _LINES, now):
            self._write(line)
        self.query_one(RichLog).focus()
        self.set_interval(_POLL_S, self._go_on)

    def _go_on(self) -> None:
        for text in self._follower.new_lines():
            self._write(self._reader(text))

    def _write(self, line: Line) -> None:
        style = "" if line.level is None else LEVEL_STYLE.get(line.level, "")
        self.query_one(RichLog).write(Text(readable(in_text(line.text)), style))


class Confirmation(ModalScreen[bool]):
    """Dismissed with whether it was answered with yes."""

    CSS = """
    Confirmation { align: center middle; }
    Confirmation Static { width: auto; height: auto; padding: 1 3; border: round $accent; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "dismiss(True)", "Yes"),
        Binding("n,escape,q", "dismiss(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        yield Static(f"{self._question}  (y/n)", markup=False)
