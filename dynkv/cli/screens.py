"""Screens of `dynkv top` on top of its tables: a question, and a sheet of names with their meanings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Static

from dynkv.readable import readable

_FRAME = "width: auto; height: auto; padding: 1 3; border: round $accent; background: $surface;"


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


class Sheet(ModalScreen[None]):
    """Names and their meanings, such as all keys with what they do."""

    CSS = f"Sheet {{ align: center middle; }} Sheet Static {{ max-width: 100%; max-height: 100%; {_FRAME} }}"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,i,enter", "dismiss", "Back")]

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._pairs = pairs

    def compose(self) -> ComposeResult:
        table = Table.grid(padding=(0, 2))
        for name, meaning in self._pairs:
            table.add_row(Text(name, style="bold"), Text(readable(meaning), overflow="fold"))
        yield Static(table)
