"""The output of small programs that only process text."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from dynkv.bash.values import is_known

_SEQ_MAX = 1000


def told_by(words: list[str]) -> str | None:
    """The output; None for a program that would have to be run."""
    program = _PROGRAMS.get(words[0])
    given = [word for word in words[1:] if not word.startswith("-")]
    if program is None or not given or not all(map(is_known, given)):
        return None
    return program(given)


def _seq(given: list[str]) -> str | None:
    if len(given) > 2 or not all(re.fullmatch("-?[0-9]{1,9}", word) for word in given):
        return None
    first, last = (1, int(given[0])) if len(given) == 1 else map(int, given)
    return "\n".join(map(str, range(first, min(last, first + _SEQ_MAX) + 1)))


_PROGRAMS: dict[str, Callable[[list[str]], str | None]] = {
    "dirname": lambda given: str(PurePosixPath(given[0]).parent),
    "basename": lambda given: PurePosixPath(given[0]).name,
    "readlink": lambda given: given[0],
    "realpath": lambda given: given[0],
    "seq": _seq,
}
