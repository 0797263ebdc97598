"""How an option parser reads a list of words: aliases, abbreviations, underscores, dotted keys.

Source: argparse of Python 3.11, and FlexibleArgumentParser of vllm 0.31.0, which is one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct


class Option(Struct, frozen=True):
    """An option. `name` is its first long spelling, which messages and tables use."""

    name: str
    spellings: tuple[str, ...]
    takes_value: bool = True
    is_exact: bool = False
    """Whether the option must be spelled in full: its parser accepts no abbreviations."""


class Given(Struct, frozen=True):
    """One option as given: `written` is the spelling, `keys` what follows after dots."""

    option: Option
    written: str
    value: Any
    keys: tuple[str, ...] = ()


class OptionTable(Struct, frozen=True):
    options: tuple[Option, ...]

    def find(self, flag: str) -> tuple[Option, str] | None:
        """The option for a word (without `=` and what follows), and the value attached to a short one (`-qfp8`).

        None for one that the parser refuses too: unknown or ambiguous.
        """
        flag = flag.replace("_", "-") if flag.startswith("--") else flag
        for option in self.options:
            if flag in option.spellings:
                return option, ""
        begun = {option.name: (option, "") for option in self.options if _begins(flag, option)}
        if not flag.startswith("--"):
            begun |= {o.name: (o, flag[2:]) for o in self.options if flag[:2] in o.spellings and not o.is_exact}
        return next(iter(begun.values())) if len(begun) == 1 else None


def _begins(flag: str, option: Option) -> bool:
    return len(flag) > 1 and not option.is_exact and any(spelling.startswith(flag) for spelling in option.spellings)


def option_table(text: str, *, is_exact: bool = False) -> OptionTable:
    """The table for names without dashes, `name|-alias`, each with a mark at its end: see dynkv/profile/options.py."""
    return OptionTable(tuple(_option(word, is_exact) for word in text.split()))


def _option(word: str, is_exact: bool) -> Option:
    plain = word.rstrip("!.+")
    mark = word[len(plain) :]
    spellings = [name if name.startswith("-") else f"--{name}" for name in plain.split("|")]
    negated = [f"--no-{name[2:]}" for name in spellings if name.startswith("--")] if mark == "!" else []
    return Option(spellings[0], (*spellings, *negated), mark not in ("!", "."), is_exact)


def read(words: Sequence[str], table: OptionTable) -> list[Given]:
    """The options of `table` among the words, in order; other words are skipped."""
    found = []
    for i, word in enumerate(words):
        flag, equals, value = word.partition("=")
        head, *keys = flag.split(".")
        known = table.find(head) if head.startswith("-") and head.strip("-") else None
        if known is None:
            continue
        option, attached = known
        if not option.takes_value:
            value = "false" if flag.startswith("--no") and not option.name.startswith("--no") else "true"
        elif not equals:
            value = attached or " ".join(_until_option(words[i + 1 :]))
        found.append(Given(option, head, _data(value), tuple(keys)))
    return found


def unknown(words: Sequence[str], table: OptionTable) -> list[str]:
    """Long options that are unknown to `table` or ambiguous."""
    flags = [word.partition("=")[0].partition(".")[0] for word in words if word.startswith("--")]
    return [flag for flag in flags if flag.strip("-") and table.find(flag) is None]


def _until_option(words: Iterable[str]) -> Iterable[str]:
    for word in words:
        if word.startswith("-"):
            return
        yield word


def _data(text: str) -> Any:
    """Parsed JSON if the text is an object, so that two spellings of one are equal; else the text."""
    try:
        return json.loads(text) if text.startswith("{") else text
    except ValueError:
        return text


def values(words: Sequence[str], table: OptionTable) -> dict[str, Any]:
    """The value of each option by its name: the last one counts, and dotted keys are combined."""
    given = read(words, table)
    plain = {one.option.name: one.value for one in given if not one.keys}
    dotted: dict[str, Any] = {}
    for one in given:
        if one.keys:
            _put(dotted.setdefault(one.option.name, {}), one.keys, one.value)
    return plain | dotted


def _put(into: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    *outer, last = keys
    for key in outer:
        inner = into.get(key)
        into[key] = into = inner if isinstance(inner, dict) else {}
    try:
        into[last] = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        into[last] = value
