"""Where a value was written, in words for people."""

from __future__ import annotations

from pathlib import Path

from dynkv.profile.load import load
from dynkv.profile.source import Mark


def test_an_excerpt_of_a_long_line_is_what_stands_around_the_place() -> None:
    text = "".join(f"[{number:04}]" for number in range(100))
    for column in (1, 20, 27, 100, 599, 600):
        line, caret = Mark("mine.yaml", 3, column, text).excerpt().splitlines()
        assert line[len(caret) - 1] == text[column - 1]
        assert len(line) <= 60
        assert line.startswith("    3 | …") == (column > 26)
        assert line.endswith("…") == (column < 575)


def test_an_excerpt_points_at_the_column(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("frontend:\n  port: 9000\n")
    mark = load(str(tmp_path / "mine.yaml")).where("frontend", "port")
    assert mark is not None
    assert mark.excerpt() == "    2 |   port: 9000\n          ^"
