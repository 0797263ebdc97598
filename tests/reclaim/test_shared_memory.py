"""What is removed from /dev/shm, and what is not."""

from __future__ import annotations

import mmap
import os
import time
from pathlib import Path

import pytest

from dynkv.reclaim import shared_memory
from dynkv.reclaim.shared_memory import remove_of


@pytest.fixture(autouse=True)
def _whole_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "_is_whole_host", lambda: True)


DEAD = 2**22 + 5512
"""A pid above the maximum."""


@pytest.mark.parametrize("name", [f"torch_{DEAD}_293249024_0", f"cuda.shm.0.{DEAD:x}.1"])
def test_what_a_dead_process_left(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert remove_of({DEAD}, 0, tmp_path) == [name]
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
    assert remove_of({DEAD, os.getpid()}, 0, tmp_path) == []
    assert (tmp_path / name).exists()


def test_of_ranks_what_nobody_maps_any_more(tmp_path: Path) -> None:
    left, used = (f"vllm_dist_{number}-tp:0-[0-1]-cpushm_0" for number in "1d")
    (tmp_path / left).write_bytes(b"0")
    (tmp_path / used).write_bytes(b"0")
    (tmp_path / "vllm_dist_1").write_bytes(b"0")
    with (tmp_path / used).open("r+b") as file, mmap.mmap(file.fileno(), 0):
        assert remove_of({DEAD}, 0, tmp_path) == [left]
    assert {path.name for path in tmp_path.iterdir()} == {used, "vllm_dist_1"}


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    (tmp_path / f"torch_{DEAD}_1_0").touch()
    assert remove_of({DEAD}, time.time() + 60, tmp_path) == []


def test_in_a_container_nothing_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "_is_whole_host", lambda: False)
    (tmp_path / f"torch_{DEAD}_1_0").touch()
    assert remove_of({DEAD}, 0, tmp_path) == []


def test_without_such_a_directory_there_is_nothing(tmp_path: Path) -> None:
    assert remove_of({DEAD}, 0, tmp_path / "none") == []


def test_what_cannot_be_removed_keeps_nothing_else(tmp_path: Path) -> None:
    """A directory, and a FIFO without a writer."""
    (tmp_path / f"torch_{DEAD}_1_0").mkdir()
    os.mkfifo(tmp_path / f"torch_{DEAD}_2_0")
    (tmp_path / f"vllm_dist_1-tp:0-[0-1]-cpushm_{10**40}").mkdir()
    (tmp_path / f"torch_{'9' * 200}_3_0").touch()
    (tmp_path / f"torch_{DEAD}_4_0").touch()
    assert sorted(remove_of({DEAD}, 0, tmp_path)) == [f"torch_{DEAD}_2_0", f"torch_{DEAD}_4_0"]
