"""Plain command lines, understood without typer, whose import takes 35 ms; all others are left to it.

Plain is what has one meaning only: known options in full, each once unless it may be repeated, and values that do not
look like options. That typer would understand the same is what tests/cli/test_plain.py is for.
"""

from __future__ import annotations

import math

TYPE_CHECKING = False  # a quick verb does without the import of typing
if TYPE_CHECKING:
    from typing import Any

FLAG, TEXT, TEXTS, SECONDS = "flag", "text", "texts", "seconds"

UP = {
    "--gpus": ("gpus", TEXT),
    "--model": ("model", TEXT),
    "--engine": ("engine", TEXT),
    "--device": ("device", TEXT),
    "--name": ("name", TEXT),
    "--set": ("sets", TEXTS),
    "--no-lmcache": ("no_lmcache", FLAG),
    "--foreground": ("foreground", FLAG),
    "--timeout": ("timeout", SECONDS),
    "--no-wait": ("no_wait", FLAG),
    "--skip-checks": ("skip_checks", FLAG),
    "--replace": ("replace", FLAG),
    "--no-rollback": ("no_rollback", FLAG),
}
"""The parameter of each option of `up`, and what follows the option."""


def plainly(words: list[str], argument: str, options: dict[str, tuple[str, str]]) -> dict[str, Any] | None:
    """The parameters that the words give, with the only word that belongs to no option as `argument`; None unless they
    are plain."""
    given: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        parameter, kind = options.get(word, (argument, TEXT))
        if parameter in given and kind != TEXTS:
            return None
        value = True if kind == FLAG else _value(word if parameter == argument else next(rest, ""), kind)
        if value is None:
            return None
        given[parameter] = [*given.get(parameter, []), value] if kind == TEXTS else value
    return given if argument in given else None


def _value(word: str, kind: str) -> str | float | None:
    """What a word stands for; None if that is not plain."""
    if not word or word.startswith("-"):
        return None
    return seconds_in(word) if kind == SECONDS else word


def seconds_in(text: str | float) -> float | None:
    """A number of seconds, 0 or more, also infinitely many; None if it is none."""
    try:
        given = float(text)
    except ValueError:
        return None
    return None if math.isnan(given) or given < 0 else given
