"""The one parser of Prometheus' text format as units write it. Pure; no text raises.

Lines that are not samples are skipped; timestamps, and OpenMetrics' exemplars, are ignored.
Source: Prometheus, "Exposition formats", 0.0.4.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from io import StringIO

from msgspec import Struct

from dynkv.probes.finite import sum_of_known

Labels = frozenset[tuple[str, str]]
Samples = Mapping[str, Mapping[Labels, float]]
"""Finite values by name and labels."""
_NUMBER_MAX_CHARACTERS = 400
"""Most characters of a number: the largest has 309 digits."""
_NAME = re.compile(r"[ \t]*+([a-zA-Z_:][a-zA-Z0-9_:]*+)([ \t]*+)")
_LABEL = re.compile(r'[ \t]*+([a-zA-Z_][a-zA-Z0-9_]*+)[ \t]*+=[ \t]*+"([^"\\]*+(?:\\.[^"\\]*+)*+)"[ \t]*+(,?)')
_CLOSED = re.compile(r"[ \t]*+\}[ \t]*+")
_NUMBER = r"[+-]?(?:(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:e[+-]?[0-9]++)?|inf|infinity|nan)"
_NUMBER_ALONE = re.compile(_NUMBER, re.ASCII | re.IGNORECASE)
_TIMESTAMP = r"(?:[ \t]++-?[0-9]++(?:\.[0-9]*+)?)?"
_EXEMPLAR = r"(?:[ \t]++#.*+)?"
_VALUE = re.compile(rf"({_NUMBER}){_TIMESTAMP}{_EXEMPLAR}[ \t\r\n]*+", re.ASCII | re.IGNORECASE)
_ESCAPED = re.compile(r'\\([\\"n])')


class Sample(Struct, frozen=True):
    """A sample. `value` may be infinite or not a number, as the format allows."""

    name: str
    labels: Mapping[str, str]
    """Labels in the given order, without escapes."""
    value: float


def samples(text: str, names: Collection[str] | None = None) -> Iterator[Sample]:
    """Each sample in order; only those with these names, if given."""
    for line in StringIO(text):
        name = _NAME.match(line)
        if name is None or (names is not None and name[1] not in names):
            continue
        if (found := _sample(line, name)) is not None:
            yield found


def read(text: str, names: Collection[str] | None = None) -> Samples:
    """Finite samples; of a repeated series the last counts."""
    found: dict[str, dict[Labels, float]] = {}
    for sample in samples(text, names):
        if math.isfinite(sample.value):
            found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


def total(figures: Samples, name: str) -> float | None:
    """The sum of a metric over all its labels; None if it is missing, or has no finite sum."""
    return sum_of_known(figures.get(name, {}).values())


def number(text: str) -> float | None:
    """A number as the format writes it, including `+Inf` and `NaN`; None if the text is not one."""
    if len(text) > _NUMBER_MAX_CHARACTERS or _NUMBER_ALONE.fullmatch(text) is None:
        return None
    return float(text)


def _sample(line: str, name: re.Match[str]) -> Sample | None:
    labels: dict[str, str] = {}
    at = name.end()
    if line.startswith("{", at):
        if (closed := _labels(line, at + 1, labels)) is None:
            return None
        at = closed
    elif not name[2]:
        return None  # nothing separates the name from a value
    rest = _VALUE.fullmatch(line, at)
    value = None if rest is None else number(rest[1])
    return None if value is None else Sample(name[1], labels, value)


def _labels(line: str, at: int, labels: dict[str, str]) -> int | None:
    """Where the label set that begins at `at` ends; None if it does not end, or repeats a label."""
    while (found := _LABEL.match(line, at)) is not None:
        name, value, comma = found.groups()
        if name in labels:
            return None
        labels[name] = _ESCAPED.sub(_unescaped, value) if "\\" in value else value
        at = found.end()
        if not comma:
            break
    closed = _CLOSED.match(line, at)
    return closed.end() if closed else None


def _unescaped(escaped: re.Match[str]) -> str:
    return "\n" if escaped[1] == "n" else escaped[1]
