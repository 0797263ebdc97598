"""The help text, made ahead: it takes every verb's file, and half a second, to make it anew."""

from __future__ import annotations

import os
import sys

from dynkv.cli.ink import Ink

MADE_AHEAD = os.path.join(os.path.dirname(__file__), "help.ansi")  # noqa: PTH118, PTH120 (pathlib takes 5 ms)
"""What typer prints in a terminal with colours. A test compares the two, and says how to make it."""
WIDTH = 80


def print_help() -> bool:
    """Whether it could: the text is for 80 columns or more."""
    ink = Ink(sys.stdout)
    is_asked_for_width = "COLUMNS" in os.environ and ink.width != WIDTH
    if is_asked_for_width or (ink.width or WIDTH) < WIDTH or sys.stdout.encoding.lower() != "utf-8":
        return False
    with open(MADE_AHEAD, encoding="utf-8") as file:  # noqa: PTH123
        text = file.read()
    print(text if ink.has_colour else without_colours(text), end="")  # noqa: T201
    return True


def without_colours(text: str) -> str:
    first, *parts = text.split("\x1b[")
    return first + "".join(part.partition("m")[2] for part in parts)
