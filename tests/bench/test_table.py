"""The README says what was measured last."""

from __future__ import annotations

import json
from pathlib import Path

from .table import markdown, with_medians

HERE = Path(__file__).parent


def test_readme_and_results_are_of_one_run() -> None:
    parts = json.loads((HERE / "results.json").read_text())
    readme = (HERE.parents[1] / "README.md").read_text()
    assert with_medians(readme, parts) == readme
    assert markdown(parts) == (HERE / "results.md").read_text()
