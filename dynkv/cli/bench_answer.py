"""The result of a benchmark, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import count, product
from string import ascii_uppercase
from typing import Any

from rich.console import Console
from rich.table import Table

from dynkv.bench.answer import Answer, Row
from dynkv.cli.report import note, say
from dynkv.extras import missing

_NO_VALUE = "-"
_NOT_SHOWN = {"requests", "input_tokens", "output_tokens"}
"""Figures that are the same for all variants."""
_HEADING_MAX = 16
_GREAT = 1000
_POINT = ("KV cache",)
_CURVES_LINES, _CURVES_COLUMNS_MAX = 16, 100


def show_answer(found: Answer) -> None:
    console = Console(highlight=False)
    names = _headings(found.variants)
    for name, short in names.items():
        if short != name:
            say(f"{short}: {name}")
    console.print(_figures(found, names))
    if found.first_tokens:
        console.print(_first_tokens(found, names))
    if len(found.points) > 1 and console.is_terminal:
        _show_curves(found, names, console.width)
    for sentence in (*found.sentences, found.verdict):
        if sentence:
            say(sentence)


def _show_curves(found: Answer, names: Mapping[str, str], width: int) -> None:
    """Plot the time to first token by pressure; without plotext, say how to install it."""
    if find_spec("plotext") is None:
        note(f"as curves: {missing('a chart', 'plotext', 'bench').hint}")
        return
    figure: Any = import_module("plotext").figure
    figure.clear()
    figure.theme("colorless")
    figure.plot_size(min(width, _CURVES_COLUMNS_MAX), _CURVES_LINES)
    figure.title("median time to first token, s, by multiples of the GPU's KV cache")
    rows = [row for row in found.rows if row.figure == "ttft_p50_s"]
    for name in found.variants:
        points = [(float(row.point), row.values[name].median) for row in rows if name in row.values]
        curve = figure.signal(*zip(*points, strict=True), marker="braille")
        curve.lines()
        curve.label(names[name])
        figure.draw(curve)
    print(figure.build())  # noqa: T201


def _headings(variants: Sequence[str]) -> dict[str, str]:
    """Column headings: letters where the names are too long."""
    if max(map(len, variants)) <= _HEADING_MAX:
        return {name: name for name in variants}
    return dict(zip(variants, _letters(), strict=False))


def _letters() -> Iterator[str]:
    for length in count(1):
        yield from map("".join, product(ascii_uppercase, repeat=length))


def _table(title: str, words: Sequence[str], figures: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in words:
        table.add_column(column)
    for column in figures:
        table.add_column(column, justify="right")
    return table


def _figures(found: Answer, names: Mapping[str, str]) -> Table:
    first, *others = (names[it] for it in found.variants)
    words = [*_POINT[: found.points != ("",)], ""]
    table = _table(found.workload, words, [first, *others, *(f"{name} / {first}" for name in others)])
    for row in found.rows:
        if row.figure not in _NOT_SHOWN:
            table.add_row(*_point(row.point), *_cells(row, found))
    return table


def _point(point: str) -> list[str]:
    return [f"{point} x"] if point else []


def _cells(row: Row, found: Answer) -> list[str]:
    cells = [f"{row.words}{f', {row.unit}' if row.unit else ''}"]
    for name in found.variants:
        value = row.values.get(name)
        spread = "" if value is None or value.low == value.high else f" ({value.low:.3g} to {value.high:.3g})"
        cells.append(_NO_VALUE if value is None else f"{_shown(value.median)}{spread}")
    for name in found.variants[1:]:
        cells.append(row.against[name].words if name in row.against else "")
    return cells


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= _GREAT else f"{value:.3g}"


def _first_tokens(found: Answer, names: Mapping[str, str]) -> Table:
    words = [*_POINT[: found.points != ("",)], ""]
    table = _table("median time to first token, s", words, [names[it] for it in found.variants])
    for it in found.first_tokens:
        times = [f"{it.seconds[name]:.3g}" if name in it.seconds else _NO_VALUE for name in found.variants]
        table.add_row(*_point(it.point), it.label, *times)
    return table
