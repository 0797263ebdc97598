"""One figure of `dynkv top`: what it is, its newest value, and how it went."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult, RenderResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from dynkv.cli.bars import bars


class Tile(Vertical):
    """`ceiling`: the value that fills the height; without one, the highest of those shown.

    `length`: so many values are as wide as the tile; fewer stand at its right.
    """

    DEFAULT_CSS = """
    Tile { height: 3; }
    Tile Static { height: 1; }
    Tile Curve { height: 2; color: $accent; }
    """

    def __init__(
        self,
        title: str,
        words: Callable[[float], str],
        *,
        length: int,
        ceiling: float | None = None,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._title = title
        self._words = words
        self._length = length
        self._label = Static(f"{title} -", markup=False)
        self._curve = Curve(ceiling)

    def compose(self) -> ComposeResult:
        yield self._label
        yield self._curve

    def show(self, values: Sequence[float | None]) -> None:
        """Values in the order of time; where one is not known there is nothing to see."""
        newest = values[-1] if values else None
        self._label.update(f"{self._title} {'-' if newest is None else self._words(newest)}")
        self._curve.show([*[None] * (self._length - len(values)), *values])


class Curve(Widget):
    def __init__(self, ceiling: float | None) -> None:
        super().__init__()
        self._ceiling = ceiling
        self._values: Sequence[float | None] = ()

    def show(self, values: Sequence[float | None]) -> None:
        self._values = values
        self.refresh()

    def render(self) -> RenderResult:
        return Content("\n".join(bars(self._values, self.size.width, self.size.height, self._ceiling)))
