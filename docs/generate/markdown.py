"""Pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. Cells may contain Markdown; only what would end a cell is escaped."""
    lines = [_row(columns), _row(["---"] * len(columns)), *map(_row, rows)]
    return "\n".join(lines) + "\n"


def code(text: object) -> str:
    """The text as inline code; empty for an empty text."""
    return f"`{text}`" if f"{text}" else ""


def one_line(text: str) -> str:
    return " ".join(text.split())


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop."""
    text = one_line(text)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", ":", "!")) else ".") if text else ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(one_line(cell).replace("|", "\\|") for cell in cells) + " |"
