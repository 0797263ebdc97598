"""The pages show the newest results."""

from __future__ import annotations

import json
from pathlib import Path

from .figures import Figure, Samples
from .table import SHOWN, markdown, part, with_medians

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


def test_figures_are_also_shown_as_multiples_of_the_reference() -> None:
    samples = Samples()
    for subject, values in {"mine": [2.0, 3.0, 4.0], "theirs": [6.0]}.items():
        for value in values:
            samples.add("up", subject, value)
    samples.add("cut", "mine", 0.0)
    samples.add("cut", "theirs", 0.0)
    machine = dict.fromkeys(("cpu", "memory", "kernel", "system", "python"), "")
    made = part(
        [Figure("up", "up, s", 1), Figure("cut", "cut", 0), Figure("none", "none")],
        ["mine", "theirs"],
        samples,
        date="",
        machine=machine,
        versions={},
        notes=[],
        reference="theirs",
    )
    said = markdown({"stack": made})
    assert "| up, s | 3.0 (2.0 to 4.0) = 0.50 x | 6.0 |" in said
    assert "| cut | 0 | 0 |" in said
    assert "| none | - | - |" in said
