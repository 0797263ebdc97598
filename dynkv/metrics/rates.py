"""What happened between two looks at the same /metrics: increases and quantiles. Pure.

As Prometheus' increase() and histogram_quantile() have it, without their extrapolation. Source: Prometheus,
"Query functions".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

Labels = frozenset[tuple[str, str]]
Scrape = Mapping[str, Mapping[Labels, float]]
"""Samples by name and labels."""
_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def read(exposition: str) -> Scrape:
    """Prometheus' text format, 0.0.4; lines that are none of it are passed over, label values stay escaped."""
    found: dict[str, dict[Labels, float]] = {}
    for line in exposition.splitlines():
        if (match := _SAMPLE.match(line)) is None:
            continue
        name, labels, value = match.groups()
        try:
            found.setdefault(name, {})[frozenset(_LABEL.findall(labels or ""))] = float(value)
        except ValueError:
            continue
    return found


def increase(before: Scrape, after: Scrape, counter: str) -> float | None:
    """How much a counter grew, over all its labels; None where one of the two looks does not have it.

    A series that is smaller than before was reset, with its process, and one that was not there before began at 0.
    """
    old, new = before.get(counter), after.get(counter)
    if old is None or new is None:
        return None
    return sum(_grown(old.get(labels, 0.0), value) for labels, value in new.items())


def quantile(before: Scrape, after: Scrape, histogram: str, share: float) -> float | None:
    """The value that `share` of what was observed between the looks does not pass, over all labels but `le`.

    Linear within a bucket; in the last one, which has no upper bound, it is that one's lower bound. None where nothing
    was observed, or one of the looks does not have it.
    """
    buckets = _observed(before.get(f"{histogram}_bucket"), after.get(f"{histogram}_bucket"))
    observed = buckets[-1][1] if buckets else 0.0
    if observed <= 0:
        return None
    rank = share * observed
    lower, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below) if count > below else bound
        lower, below = bound, count
    return lower


def _observed(old: Mapping[Labels, float] | None, new: Mapping[Labels, float] | None) -> list[tuple[float, float]]:
    """Upper bounds in order, each with how many new observations are not greater."""
    if old is None or new is None:
        return []
    was_reset = {_without_bound(labels) for labels, value in new.items() if value < old.get(labels, 0.0)}
    counts: dict[float, float] = {}
    for labels, value in new.items():
        start = 0.0 if _without_bound(labels) in was_reset else old.get(labels, 0.0)
        bound = float(dict(labels).get("le", "nan"))
        counts[bound] = counts.get(bound, 0.0) + value - start
    return sorted(counts.items())


def _grown(old: float, new: float) -> float:
    return new - old if new >= old else new


def _without_bound(labels: Labels) -> Labels:
    return frozenset(label for label in labels if label[0] != "le")
