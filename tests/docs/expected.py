"""Whether the output of a command is what the page shows."""

from __future__ import annotations

import re

_ANYTHING = "…"
_NOT_THE_SAME_TWICE = (
    (r"\b(\d+h)?(\d+m)?\d+s\b", "Ns"),  # an age
    (r"\d+(\.\d+)?", "N"),
    (r", with N warnings?$", ""),  # different on every host
    (r"[ \t]+", " "),
)
"""Replacements made on both sides before they are compared."""


def is_as_shown(output: str, shown: str) -> bool:
    """`…` alone stands for any lines, and at the end of a line for the rest of it."""
    return re.fullmatch("".join(map(_pattern, _neutral(shown))), "\n".join(_neutral(output)) + "\n") is not None


def _pattern(line: str) -> str:
    if line == _ANYTHING:
        return r"(?:.*\n)*?"
    return re.escape(line).replace(_ANYTHING, ".*") + r"\n"


def _neutral(text: str) -> list[str]:
    return [_neutral_line(line) for line in text.strip("\n").splitlines()]


def _neutral_line(line: str) -> str:
    for pattern, replacement in _NOT_THE_SAME_TWICE:
        line = re.sub(pattern, replacement, line)
    return line.strip()
