"""A process's arguments, split into options with their words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct

from dynkv.bash.values import is_known, readable
from dynkv.profile.words import OptionTable

_SHOWN_MAX = 60
_FRACTION, _WHOLE = re.compile(r"[0-9]{0,9}\.[0-9]{1,9}"), re.compile(r"-?[0-9]{1,12}")
_NUMBER = re.compile(r"-\.?\d")


class Argument(Struct, frozen=True):
    name: str
    """The option's main spelling, or as written if no parser knows it."""
    words: tuple[str, ...]
    """The words as written in the command."""
    is_option_known: bool

    @property
    def value(self) -> str:
        """The value; empty for a flag."""
        _, equals, attached = self.words[0].partition("=")
        return attached if equals else " ".join(self.words[1:])

    @property
    def values(self) -> tuple[str, ...]:
        return (self.value,) if "=" in self.words[0] else self.words[1:]

    @property
    def is_known(self) -> bool:
        """Whether it is fully known without running the script."""
        return all(map(is_known, self.words))

    def shown(self) -> str:
        """The argument as written, shortened to one line for a message."""
        text = " ".join(readable(" ".join(self.words)).split())
        return text if len(text) <= _SHOWN_MAX else f"{text[: _SHOWN_MAX - 1]}…"

    @property
    def number(self) -> int | float | None:
        return float(self.value) if _FRACTION.fullmatch(self.value) else whole(self.value)

    @property
    def mapping(self) -> dict[str, Any]:
        """The value if it is a JSON object; else empty."""
        try:
            found = json.loads(self.value)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def whole(text: str) -> int | None:
    """A number that may be a port, a size or a count; None for anything else."""
    return int(text) if _WHOLE.fullmatch(text) else None


def arguments(words: Sequence[str], table: OptionTable | None = None) -> Iterator[Argument]:
    """The arguments in order. Words before the first option form an argument without a name."""
    group: list[str] = []
    for word in words:
        is_option = word.startswith("-") and word.strip("-") and not _NUMBER.match(word)
        if is_option and group:
            yield from _arguments(group, table)
            group = []
        group.append(word)
    if group:
        yield from _arguments(group, table)


def _arguments(words: list[str], table: OptionTable | None) -> Iterator[Argument]:
    """One argument, followed by a nameless one if a flag is followed by words."""
    flag = words[0].partition("=")[0]
    if not flag.startswith("-"):
        yield Argument("", ("", *words), False)
        return
    known = table.find(flag.partition(".")[0]) if table is not None else None
    own = 1 if known and not known[0].takes_value else len(words)
    yield Argument(known[0].name if known else flag, tuple(words[:own]), known is not None)
    if words[own:]:
        yield Argument("", ("", *words[own:]), False)
