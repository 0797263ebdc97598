"""Screens of `dynkv top` on top of its tables: a unit's log as it grows, a question, and the keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, Screen
from textual.widgets import Footer, Static

from dynkv.cli.panes import LogPane
from dynkv.readable import readable

_FRAME = "width: auto; height: auto; padding: 1 3; border: round $accent; background: $surface;"


class LogScreen(Screen[None]):
    """A log that fills the terminal."""

    CSS = "LogScreen Static { height: auto; padding: 0 1; background: $panel; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,l", "dismiss", "Back")]

    def __init__(self, unit: str, path: Path) -> None:
        super().__init__()
        self._unit = unit
        self._path = path

    def compose(self) -> ComposeResult:
        yield Static(readable(f"{self._unit}  {self._path}"), markup=False)
        yield LogPane(wrap=True)
        yield Footer()

    def on_mount(self) -> None:
        pane = self.query_one(LogPane)
        pane.follow(self._path)
        pane.focus()


class Confirmation(ModalScreen[bool]):
    """A yes-or-no question; dismissed with the answer."""

    CSS = f"Confirmation {{ align: center middle; }} Confirmation Static {{ {_FRAME} }}"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "dismiss(True)", "Yes"),
        Binding("n,escape,q", "dismiss(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        yield Static(f"{self._question}  (y/n)", markup=False)


class Help(ModalScreen[None]):
    """All keys, with what they do."""

    CSS = f"Help {{ align: center middle; }} Help Static {{ {_FRAME} }}"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", "Back")]

    def __init__(self, keys: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        yield Static("\n".join(f"{key:<9}{meaning}" for key, meaning in self._keys), markup=False)
