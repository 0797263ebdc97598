"""What happened between two looks at the same /metrics: increases and quantiles. Pure.

As Prometheus' increase() and histogram_quantile() have it, without their extrapolation. Source: Prometheus,
"Query functions".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from dynkv.probes.finite import finite, sum_of_known
from dynkv.probes.text import Labels, Samples, number


def increase(before: Samples, after: Samples, counter: str) -> float | None:
    """How much a counter grew, over all its labels; None where one of the two looks does not have it.

    A series that is smaller than before was reset, with its process, and one that was not there before began at 0.
    """
    old, new = before.get(counter), after.get(counter)
    if old is None or new is None:
        return None
    return sum_of_known(_grown(old.get(labels, 0.0), value) for labels, value in new.items())


def quantile(before: Samples, after: Samples, histogram: str, share: float) -> float | None:
    """The value that `share` of what was observed between the looks does not pass, over all labels but `le`.

    Linear within a bucket; in the last one, which has no upper bound, it is that one's lower bound. None where nothing
    was observed, or one of the looks does not have it.
    """
    buckets = _observed(before.get(f"{histogram}_bucket"), after.get(f"{histogram}_bucket"))
    observed = buckets[-1][1] if buckets else 0.0
    if observed <= 0:
        return None
    return finite(_value_at(share * observed, buckets))


def _value_at(rank: float, buckets: Iterable[tuple[float, float]]) -> float:
    lower, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below) if count > below else bound
        lower, below = bound, count
    return lower


def _observed(old: Mapping[Labels, float] | None, new: Mapping[Labels, float] | None) -> list[tuple[float, float]]:
    """Upper bounds in order, each with how many new observations are not greater; a bucket without one is left out."""
    if old is None or new is None:
        return []
    was_reset = {_without_bound(labels) for labels, value in new.items() if value < old.get(labels, 0.0)}
    counts: dict[float, float] = {}
    for labels, value in new.items():
        bound = number(dict(labels).get("le", ""))
        if bound is None or math.isnan(bound):
            continue
        start = 0.0 if _without_bound(labels) in was_reset else old.get(labels, 0.0)
        counts[bound] = counts.get(bound, 0.0) + value - start
    return sorted(counts.items())


def _grown(old: float, new: float) -> float:
    return new - old if new >= old else new


def _without_bound(labels: Labels) -> Labels:
    return frozenset(label for label in labels if label[0] != "le")
