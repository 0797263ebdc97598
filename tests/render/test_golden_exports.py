"""The output of each target for each shipped profile. `UPDATE_GOLDEN=1 pytest tests/render` writes it again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from exported import STACKS, TARGETS

from dynkv.profile.load import shipped

GOLDEN = Path(__file__).parent / "golden"
CASES = [(target, profile) for target in ("k8s", "compose") for profile in STACKS]
CASES += [(target, profile) for target in ("systemd", "shell") for profile in shipped()]


@pytest.mark.parametrize(("target", "profile"), CASES)
def test_a_shipped_profile(target: str, profile: str) -> None:
    text = "".join(f"== {path}\n{made}" for path, made in sorted(TARGETS[target](profile).items()))
    file = GOLDEN / f"{target}-{profile}.txt"
    if os.environ.get("UPDATE_GOLDEN") == "1":
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), "if this is meant: UPDATE_GOLDEN=1 pytest tests/render"


def test_no_golden_file_is_left_over() -> None:
    assert {file.stem for file in GOLDEN.glob("*.txt")} == {f"{target}-{profile}" for target, profile in CASES}


@pytest.mark.parametrize(("target", "profile"), CASES)
def test_each_has_a_readme_of_what_it_needs_and_what_was_lost(target: str, profile: str) -> None:
    text = TARGETS[target](profile)["README.md"]
    for part in ("## What it needs", "## Start it", "## What is lost"):
        assert f"\n{part}\n" in text
    assert max(map(len, text.splitlines())) <= 120 or "kubectl create secret" in text
