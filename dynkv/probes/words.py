"""Text from a unit, made safe to show and store. Pure."""

from __future__ import annotations

_MAX_CHARACTERS = 300
_LOOKED_AT_CHARACTERS = 4 * _MAX_CHARACTERS


def in_words(text: str) -> str:
    """A single, short line for any terminal and any JSON, without control or surrogate characters."""
    shown = "".join(it if it.isprintable() else " " for it in text[:_LOOKED_AT_CHARACTERS])
    line = " ".join(shown.split())
    return line if len(line) <= _MAX_CHARACTERS else f"{line[:_MAX_CHARACTERS]}…"
