"""The pages show the newest results."""

from __future__ import annotations

import json
from pathlib import Path

from .table import SHOWN, markdown, with_medians

HERE = Path(__file__).parent


def test_pages_and_results_are_of_one_run() -> None:
    parts = json.loads((HERE / "results.json").read_text())
    for name, chosen in SHOWN.items():
        page = (HERE.parents[1] / name).read_text()
        assert with_medians(page, parts, chosen) == page
    assert markdown(parts) == (HERE / "results.md").read_text()


def test_the_readme_shows_all_rows_that_it_names() -> None:
    parts = json.loads((HERE / "results.json").read_text())
    titles = {figure["title"] for part in parts.values() for figure in part["figures"]}
    for chosen in SHOWN.values():
        assert {*(chosen or ())} <= titles
