"""A curve in block characters. Pure.

textual's own Sparkline puts the least value at the bottom, so that a memory that stays half full looks empty.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def bars(values: Sequence[float | None], width: int, height: int, ceiling: float | None = None) -> list[str]:
    """Lines of exactly `width` columns, 0 at the bottom, the newest value at the right.

    `ceiling` fills the height; without one, the highest column does. A column is the mean of the values that fall into
    it, blank where none is known; one of zero is the lowest bar, not blank.
    """
    columns = _columns(values, width)
    top = ceiling or max((column for column in columns if column is not None), default=0.0) or 1.0
    filled = [0 if it is None else max(1, round(min(max(it / top, 0.0), 1.0) * 8 * height)) for it in columns]
    return [
        "".join(_EIGHTHS[max(0, min(8, eighths - 8 * row))] for eighths in filled) for row in reversed(range(height))
    ]


def _columns(values: Sequence[float | None], width: int) -> list[float | None]:
    if len(values) < width:
        return [None] * (width - len(values)) + list(values)
    edges = [len(values) * number // max(1, width) for number in range(width + 1)]
    return [_mean(values[start:end]) for start, end in itertools.pairwise(edges)]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(value / len(known) for value in known) if known else None
