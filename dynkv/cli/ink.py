"""Colour and width of an output, without rich: for text that must appear at once."""

from __future__ import annotations

import os
import sys

from dynkv.readable import readable

TYPE_CHECKING = False  # mypy takes it as true; importing it would be half of what `--help` takes
if TYPE_CHECKING:
    from typing import TextIO

_DIGITS = 5
_CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
}


class Ink:
    """The abilities of a stream. NO_COLOR, FORCE_COLOR, COLUMNS and TERM mean the same as for rich."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream
        self.is_terminal = bool(os.environ.get("FORCE_COLOR")) or self._stream.isatty()
        dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
        self.has_colour = self.is_terminal and not dumb and not os.environ.get("NO_COLOR")

    @property
    def width(self) -> int | None:
        """Width in columns; None for a pipe, where lines stay whole for grep and friends."""
        given = os.environ.get("COLUMNS", "")
        if given.isascii() and given.isdecimal() and len(given) <= _DIGITS and int(given) > 0:
            return int(given)
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or None
        except OSError:
            return None

    def paint(self, text: str, style: str) -> str:
        """The text in `style`: bold, dim and a colour, separated by spaces. The text must have no style yet."""
        text = readable(text) if self.is_terminal else text
        if not (self.has_colour and style and text):
            return text
        return f"\x1b[{';'.join(_CODES[word] for word in style.split())}m{text}\x1b[0m"

    def fold(self, text: str, style: str = "", *, label: str = "", label_style: str = "") -> str:
        """The text broken between words at the terminal's width; its line breaks stay."""
        text = readable(text) if self.is_terminal else text
        lines = folded(label + text, self.width if self.is_terminal else None)
        first = self.paint(label, label_style) + self.paint(lines[0][len(label) :], style)
        return "\n".join([first, *(self.paint(line, style) for line in lines[1:])])


def folded(text: str, width: int | None) -> list[str]:
    """Lines of at most `width` columns; longer words are cut."""
    return [part for line in text.split("\n") for part in _fold_line(line, width)]


def _fold_line(line: str, width: int | None) -> list[str]:
    if width is None or len(line) <= width:
        return [line]
    import textwrap

    return textwrap.wrap(line, width, break_on_hyphens=False, replace_whitespace=False) or [""]
