"""The tables of measurements.md that `dynkv bench` made agree with its rounds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bench_pictures import DOCS, measured, table

PAGE = (DOCS / "explanation" / "measurements.md").read_text()


@pytest.mark.parametrize("file", sorted((DOCS / "measured").glob("*.jsonl")), ids=lambda file: file.stem)
def test_a_table_is_of_its_rounds(file: Path) -> None:
    before_picture = PAGE.partition(f"bench-{file.stem}-ttft.svg")[0].rpartition("| figure |")[2]
    rows = re.findall(r"^\| [\d.]+ \| .*\|$", before_picture, re.MULTILINE)
    assert rows
    assert [row for row in rows if row not in table(measured(file))] == []
