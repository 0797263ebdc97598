"""The figures of `dynkv top` as tiles: label, newest value and curve."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult, RenderResult
from textual.containers import ItemGrid, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from dynkv.cli.bars import bars
from dynkv.cli.gauges import Gauge


class Tiles(ItemGrid):
    """A tile for each gauge, created when the gauge first appears, in the order of the gauges."""

    def __init__(self, length: int) -> None:
        """Create an empty grid. `length` values fill the width of a tile; fewer are aligned right."""
        super().__init__(min_column_width=25, id="tiles")
        self._length = length
        self._tiles: dict[str, Tile] = {}

    def show(self, gauges: Sequence[Gauge]) -> None:
        for number, gauge in enumerate(gauges):
            if gauge.key not in self._tiles:
                self._tiles[gauge.key] = Tile(id=f"tile-{number}-{len(self._tiles)}")
                self.mount(self._tiles[gauge.key], before=number if number < len(self._tiles) - 1 else None)
            self._tiles[gauge.key].show(gauge, self._length)
        for key in self._tiles.keys() - {gauge.key for gauge in gauges}:
            self._tiles.pop(key).remove()


class Tile(Vertical):
    DEFAULT_CSS = """
    Tile { height: 100%; }
    Tile Static { height: 1; }
    Tile Curve { height: 1fr; color: $accent; }
    """

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._label = _Label("", markup=False)
        self._curve = Curve()

    def compose(self) -> ComposeResult:
        yield self._label
        yield self._curve

    def show(self, gauge: Gauge, length: int) -> None:
        self._label.say(f"{gauge.title} {gauge.words}", gauge.short)
        self._curve.show([*[None] * (length - len(gauge.curve)), *gauge.curve], gauge.ceiling)


class _Label(Static):
    """Text in one line, or a shorter one where it does not fit."""

    _forms = ("", "")

    def say(self, long: str, short: str) -> None:
        self._forms = (long, short or long)
        self._fit()

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        long, short = self._forms
        self.update(short if 0 < self.size.width < len(long) else long)


class Curve(Widget):
    def __init__(self) -> None:
        super().__init__()
        self._ceiling: float | None = None
        self._values: Sequence[float | None] = ()

    def show(self, values: Sequence[float | None], ceiling: float | None) -> None:
        self._values, self._ceiling = values, ceiling
        self.refresh()

    def render(self) -> RenderResult:
        return Content("\n".join(bars(self._values, self.size.width, self.size.height, self._ceiling)))
