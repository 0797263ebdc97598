"""Changes between two looks at the same /metrics: increases and quantiles. Pure.

Like Prometheus' increase() and histogram_quantile(), but without extrapolation. Source: Prometheus, "Query functions".
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from dynkv.probes.finite import finite, sum_of_known
from dynkv.probes.text import Labels, Samples, number


def increase(before: Samples, after: Samples, counter: str) -> float | None:
    """The increase of a counter over all its labels; None if it is missing in one of the looks.

    A series that is smaller than before was reset with its process, and one that is new began at 0.
    """
    old, new = before.get(counter), after.get(counter)
    if old is None or new is None:
        return None
    return sum_of_known(_grown(old.get(labels, 0.0), value) for labels, value in new.items())


def quantile(before: Samples, after: Samples, histogram: str, share: float) -> float | None:
    """The value that a `share` of the observations between the looks does not exceed, over all labels but `le`.

    Linear within a bucket; in the last one, which has no upper bound, its lower bound. None if nothing was observed, or
    the histogram is missing in one of the looks.
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
    """Upper bounds in order, each with the number of new observations up to it; buckets without any are left out."""
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
