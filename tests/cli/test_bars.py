"""A curve in block characters."""

from __future__ import annotations

import pytest

from dynkv.cli.bars import bars

Values = list[float | None]


@pytest.mark.parametrize(
    ("values", "ceiling", "expected"),
    [
        ([0.0, 0.5, 1.0, None], 1.0, ["  █ ", "▁██ "]),
        ([0.25, 0.75], 1.0, ["   ▄", "  ▄█"]),
        ([2.0, 4.0, 3.0, 0.0], None, [" █▄ ", "███▁"]),
        ([0.0, 0.0, 0.0, 0.0], None, ["    ", "▁▁▁▁"]),
        ([5.0, 5.0, 5.0, 5.0], 1.0, ["████", "████"]),
        ([], None, ["    ", "    "]),
        ([1.0, 1.0, 0.5, 0.5, 0.0, 0.0, None, None], 1.0, ["█   ", "██▁ "]),
        ([1.0, None, 0.0, 1.0, 0.25, 0.25, 0.5, None], 1.0, ["█   ", "██▄█"]),
    ],
    ids=["ceiling", "few", "highest", "zero", "above", "none", "many", "mean of the known"],
)
def test_bars(values: Values, ceiling: float | None, expected: list[str]) -> None:
    assert bars(values, 4, 2, ceiling) == expected


@pytest.mark.parametrize("ceiling", [None, 1.0])
def test_no_value_is_too_great(ceiling: float | None) -> None:
    values: Values = [1e308, 1e308, 5e-324, -1e308] * 2
    assert [len(line) for line in bars(values, 4, 2, ceiling)] == [4, 4]


@pytest.mark.parametrize("width", [0, 1, 7, 30, 200])
@pytest.mark.parametrize("height", [1, 3])
def test_as_wide_and_high_as_asked(width: int, height: int) -> None:
    values: Values = [number / 120 for number in range(120)]
    assert [len(line) for line in bars(values, width, height)] == [width] * height
