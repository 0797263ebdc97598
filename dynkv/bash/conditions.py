"""`[ … ]` and `[[ … ]]`: true, false, or None if only running the script would show.

Source: bash(1), "Conditional Expressions".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from msgspec import Struct

from dynkv.bash.arithmetic import Unknown
from dynkv.bash.values import is_known

_NUMBERS: dict[str, Callable[[int, int], bool]] = {
    "-eq": lambda a, b: a == b,
    "-ne": lambda a, b: a != b,
    "-lt": lambda a, b: a < b,
    "-le": lambda a, b: a <= b,
    "-gt": lambda a, b: a > b,
    "-ge": lambda a, b: a >= b,
}
_FILES = frozenset("-a -b -c -d -e -f -g -h -k -p -r -s -t -u -w -x -L -N -O -G -S".split())
_PATTERN_MAX = 200


class Part(Struct, frozen=True):
    """An expanded word, or an operator. A quoted word is not a pattern."""

    text: str
    is_quoted: bool = False


def judge(parts: Sequence[Part], number: Callable[[str], int], is_set: Callable[[str], bool]) -> bool | None:
    """The result. `number` computes an arithmetic expression, and raises Unknown; `is_set` takes a variable's name."""
    judging = _Judging(list(parts), number, is_set)
    return judging.either() if parts else False


def negated(found: bool | None) -> bool | None:
    return None if found is None else not found


class _Judging:
    def __init__(self, parts: list[Part], number: Callable[[str], int], is_set: Callable[[str], bool]) -> None:
        self._left = parts
        self._number = number
        self._is_set = is_set

    def either(self) -> bool | None:
        found = self._both()
        while self._starts_with("||", "-o"):
            self._left.pop(0)
            other = self._both()
            found = True if found or other else None if found is None or other is None else False
        return found

    def _both(self) -> bool | None:
        found = self._one()
        while self._starts_with("&&", "-a"):
            self._left.pop(0)
            other = self._one()
            found = False if found is False or other is False else None if found is None or other is None else True
        return found

    def _starts_with(self, *texts: str) -> bool:
        return bool(self._left) and not self._left[0].is_quoted and self._left[0].text in texts

    def _one(self) -> bool | None:
        if not self._left:
            return False
        if self._starts_with("!") and len(self._left) > 1:
            self._left.pop(0)
            return negated(self._one())
        if self._starts_with("("):
            self._left.pop(0)
            found = self.either()
            self._left = self._left[1:]
            return found
        return self._primary()

    def _primary(self) -> bool | None:
        first = self._left.pop(0)
        if len(self._left) > 1 and (self._left[0].text in _NUMBERS or self._left[0].text in _TEXTS):
            operator, other = self._left.pop(0), self._left.pop(0)
            return self._compared(first, operator.text, other)
        if not self._left or first.is_quoted or not re.fullmatch(r"-[a-zA-Z]", first.text):
            return bool(first.text) if is_known(first.text) else None
        operand = self._left.pop(0).text
        if first.text in ("-z", "-n"):
            return (bool(operand) == (first.text == "-n")) if is_known(operand) else None
        if first.text == "-v":
            return self._is_set(operand)
        return None if first.text in _FILES else False

    def _compared(self, first: Part, operator: str, other: Part) -> bool | None:
        if not (is_known(first.text) and is_known(other.text)):
            return None
        if operator in _NUMBERS:
            try:
                return _NUMBERS[operator](self._number(first.text), self._number(other.text))
            except Unknown:
                return None
        return _TEXTS[operator](first.text, other)


def _equal(text: str, other: Part) -> bool | None:
    return text == other.text if other.is_quoted else fnmatchcase(text, other.text)


def _matches(text: str, other: Part) -> bool | None:
    pattern = re.escape(other.text) if other.is_quoted else other.text.replace("[[:space:]]", r"\s")
    try:
        return None if len(pattern) > _PATTERN_MAX else re.search(pattern, text[:_PATTERN_MAX]) is not None
    except re.error:
        return None


_TEXTS: dict[str, Callable[[str, Part], bool | None]] = {
    "=": _equal,
    "==": _equal,
    "!=": lambda text, other: negated(_equal(text, other)),
    "=~": _matches,
    "<": lambda text, other: text < other.text,
    ">": lambda text, other: text > other.text,
}
