"""`make bench` works: all figures are measured, and none is absurd. Precise ones need a quiet machine."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .subjects import ALL

TIMES = ("start_3", "stop_3", "restart", "status")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("bench")
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--out", str(out)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (out / "results.md").read_text().startswith("# Measured")
    found: dict[str, Any] = json.loads((out / "results.json").read_text())
    return found


@pytest.fixture(scope="module")
def supervisors(results: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = results["supervisors"]
    return found


def test_every_answer_was_timed_beside_the_bare_interpreter(results: dict[str, Any]) -> None:
    answers = results["answers"]
    assert [subject for subject in answers["subjects"] if subject.startswith("dynkv")] == [
        "dynkv --version",
        "dynkv --help",
        "dynkv status",
        "dynkv down, first output",
    ]
    figures = {figure["key"]: figure["values"] for figure in answers["figures"]}
    assert set(figures["time"]) == set(figures["ratio"]) == set(answers["subjects"])
    assert figures["ratio"]["python -c pass"]["values"] == [1.0] * len(figures["ratio"]["python -c pass"]["values"])
    assert all(0.01 < value < 1000 for summary in figures["ratio"].values() for value in summary["values"])


def test_everyone_who_could_be_installed_has_all_figures(supervisors: dict[str, Any]) -> None:
    assert "dynkv" in supervisors["versions"]
    absent = [subject.name for subject in ALL if subject.name not in supervisors["versions"]]
    for name in absent:
        assert any(failure.startswith(f"{name} could not be installed") for failure in supervisors["failures"])
    assert len(supervisors["failures"]) == len(absent), supervisors["failures"]
    for figure in supervisors["figures"]:
        assert set(figure["values"]) == set(supervisors["versions"]), figure["title"]


def test_figures_are_numbers_and_their_ratios_sane(supervisors: dict[str, Any]) -> None:
    figures = {figure["key"]: figure["values"] for figure in supervisors["figures"]}
    every = [value for values in figures.values() for summary in values.values() for value in summary["values"]]
    assert all(math.isfinite(value) and value >= 0 for value in every)
    for key in (*TIMES, "pss_3", "flood_rate"):
        own = figures[key]["dynkv"]["median"]
        assert all(1e-4 < summary["median"] / own < 1e4 for summary in figures[key].values()), key


def test_dynkv_leaves_nothing_and_starts_nothing_twice(supervisors: dict[str, Any]) -> None:
    figures = {figure["key"]: figure["values"]["dynkv"]["median"] for figure in supervisors["figures"]}
    nothing = [key for key in figures if key.startswith(("orphans", "left", "duplicates"))]
    assert {key: figures[key] for key in nothing} == dict.fromkeys(nothing, 0)
    assert figures["survivors"] == 10
