"""The result of a benchmark as one document: medians, spreads, and what differs beyond noise. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

import msgspec

from dynkv.bench.compare import Verdict, difference
from dynkv.bench.diary import Failure, Notes, Round
from dynkv.bench.figures import FIGURES, Better


class Value(msgspec.Struct, frozen=True):
    median: float
    low: float
    high: float
    rounds: int


class Against(msgspec.Struct, frozen=True):
    """How a variant compares with the first one."""

    ratio: float
    low: float | None
    high: float | None
    """Bounds of the ratio, which hold for all ratios of the document together at 95 %; None if one round shows no
    noise."""
    verdict: str
    """`lower`, `higher`, `equal` or `unknown`."""
    is_better: bool | None
    """None if neither is better."""

    @property
    def words(self) -> str:
        interval = "" if self.low is None else f" ({self.low:.2f} to {self.high:.2f})"
        return f"{self.ratio:.2f}{interval} {self.verdict}"


class Row(msgspec.Struct, frozen=True):
    """One figure at one point."""

    figure: str
    words: str
    unit: str
    point: str
    values: dict[str, Value]
    """Values by variant."""
    against: dict[str, Against]


class FirstTokens(msgspec.Struct, frozen=True):
    """The median time to first token, by label, for example a chat's turn."""

    point: str
    label: str
    seconds: dict[str, float]


class Answer(msgspec.Struct, frozen=True):
    workload: str
    tool: str
    variants: tuple[str, ...]
    points: tuple[str, ...]
    """Multiples of the GPU's KV cache, or a single empty one."""
    rows: tuple[Row, ...]
    first_tokens: tuple[FirstTokens, ...]
    failures: tuple[Failure, ...]
    cache_tokens: int | None = None
    sentences: tuple[str, ...] = ()
    verdict: str = ""
    best: str = ""
    """The variant to use; empty if none is better than the first."""


def answer(notes: Notes, price_per_hour: float | None = None) -> Answer:
    """The result of the rounds so far, without sentences. The price is that of the whole machine, in any currency."""
    head = notes.head
    aims = [
        name for name, it in FIGURES.items() if it.better is not Better.NEITHER and _is_measured(name, notes.rounds)
    ]
    comparisons = len(aims) * len(head.points) * max(1, len(head.variants) - 1)
    rows = (_row(name, point, notes, comparisons) for point in head.points for name in FIGURES)
    return Answer(
        workload=head.workload,
        tool=head.tool,
        variants=head.variants,
        points=head.points,
        rows=tuple(row for row in _priced(rows, price_per_hour) if row.values),
        first_tokens=tuple(_first_tokens(notes)),
        failures=notes.failures,
        cache_tokens=notes.cache_tokens,
    )


def _priced(rows: Iterable[Row], price_per_hour: float | None) -> Iterable[Row]:
    for row in rows:
        yield row
        if row.figure == "output_tokens_per_s" and price_per_hour is not None:
            costs = {name: _cost(value, price_per_hour) for name, value in row.values.items() if value.low > 0}
            yield Row("cost_per_million_tokens", "cost of a million output tokens", "", row.point, costs, {})


def _cost(speed: Value, price_per_hour: float) -> Value:
    """The cost; the highest is that of the slowest round."""
    median, high, low = (price_per_hour / 3600 / it * 1e6 for it in (speed.median, speed.low, speed.high))
    return Value(median, low, high, speed.rounds)


def _is_measured(figure: str, rounds: Sequence[Round]) -> bool:
    return any(figure in it.figures for it in rounds)


def _row(figure: str, point: str, notes: Notes, comparisons: int) -> Row:
    kind, first = FIGURES[figure], notes.head.variants[0]
    by_round = {name: _by_round(figure, point, name, notes.rounds) for name in notes.head.variants}
    values = {name: _value(found.values()) for name, found in by_round.items() if found}
    against = {
        name: it
        for name, found in by_round.items()
        if name != first and kind.better is not Better.NEITHER
        if (it := _against(by_round[first], found, kind.better, comparisons)) is not None
    }
    return Row(figure, kind.words, kind.unit, point, values, against)


def _by_round(figure: str, point: str, variant: str, rounds: Iterable[Round]) -> dict[int, float]:
    chosen = (it for it in rounds if (it.point, it.variant) == (point, variant))
    return {it.round: it.figures[figure] for it in chosen if figure in it.figures}


def _value(found: Iterable[float]) -> Value:
    values = list(found)
    return Value(median(values), min(values), max(values), len(values))


def _against(base: Mapping[int, float], other: Mapping[int, float], better: Better, comparisons: int) -> Against | None:
    both = sorted(base.keys() & other.keys())
    found = difference([base[it] for it in both], [other[it] for it in both], comparisons)
    if found is None:
        return None
    is_known = found.verdict is not Verdict.UNKNOWN
    differs = found.verdict in (Verdict.LOWER, Verdict.HIGHER)
    return Against(
        ratio=found.ratio,
        low=found.low if is_known else None,
        high=found.high if is_known else None,
        verdict=str(found.verdict),
        is_better=str(found.verdict) == str(better) if differs else None,
    )


def _first_tokens(notes: Notes) -> Iterable[FirstTokens]:
    for point in notes.head.points:
        here = [it for it in notes.rounds if it.point == point]
        for label in dict.fromkeys(label for it in here for label in it.first_token_s):
            seconds = {
                name: median(found)
                for name in notes.head.variants
                if (
                    found := [
                        it.first_token_s[label] for it in here if it.variant == name and label in it.first_token_s
                    ]
                )
            }
            yield FirstTokens(point, label, seconds)
