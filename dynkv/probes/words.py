"""What a unit says in words, made fit to be shown and kept. Pure."""

from __future__ import annotations

_MAX_CHARACTERS = 300
_LOOKED_AT_CHARACTERS = 4 * _MAX_CHARACTERS


def in_words(text: str) -> str:
    """One line for any terminal and any JSON: nothing that a terminal obeys, no half characters, and not long."""
    shown = "".join(it if it.isprintable() else " " for it in text[:_LOOKED_AT_CHARACTERS])
    line = " ".join(shown.split())
    return line if len(line) <= _MAX_CHARACTERS else f"{line[:_MAX_CHARACTERS]}…"
