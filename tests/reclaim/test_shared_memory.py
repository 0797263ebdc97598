"""What is removed from /dev/shm, and what is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dynkv.reclaim.shared_memory import remove_of

DEAD = 2**22 + 5512
"""Above every pid that there can be."""


@pytest.mark.parametrize("name", [f"torch_{DEAD}_293249024_0", f"cuda.shm.0.{DEAD:x}.1"])
def test_what_a_dead_process_left(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert remove_of({DEAD}, tmp_path) == [name]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        f"torch_{DEAD + 1}_1_0",
        f"cuda.shm.0.{DEAD}.1",
        f"psm_{DEAD}",
        f"lmcache_{DEAD}_0",
        f"torch_{os.getpid()}_1_0",
        f"cuda.shm.0.{os.getpid():x}.1",
    ],
)
def test_what_is_anothers_or_of_the_living_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert remove_of({DEAD, os.getpid()}, tmp_path) == []
    assert (tmp_path / name).exists()


def test_without_such_a_directory_there_is_nothing(tmp_path: Path) -> None:
    assert remove_of({DEAD}, tmp_path / "none") == []
