"""Finding supervisors by their command line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from apart import NOBODY, as_root
from lab import Lab

from dynkv.home import Place
from dynkv.supervisor.neighbours import has_supervisor, homes, is_supervisor, supervisor_of


def started(*words: str, cwd: Path | None = None, user: int = -1) -> subprocess.Popen[bytes]:
    """A running program with this command line: while the kernel is still starting it, it has none."""
    become = f"import os; os.setresuid({user}, {user}, {user})"  # -1 keeps the current one
    script = f"{become}; import sys; print(flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", script, *words], stdin=pipe, stdout=pipe, cwd=cwd)
    assert process.stdout is not None
    assert process.stdout.readline() == b"\n"
    return process


def test_where_living_supervisors_work(tmp_path: Path) -> None:
    """One started like `dynkv up` does, and two processes that only resemble it."""
    given = [["dynkv.daemon", "--home", f"{tmp_path}/a b"], ["dynkv.daemon", "--home"], ["--home", f"{tmp_path}/c"]]
    running = [started(*words) for words in given]
    try:
        assert {home for home in homes() if home.is_relative_to(tmp_path)} == {tmp_path / "a b"}
    finally:
        for process in running:
            process.communicate()
    assert not any(home.is_relative_to(tmp_path) for home in homes())


@pytest.mark.parametrize("becomes", ["as it was", "without its files", "removed", "moved"])
def test_the_supervisor_of_a_deployment(tmp_path: Path, becomes: str) -> None:
    """Recognised by its working directory, and by nothing that it keeps there."""
    place, other = Lab(tmp_path / "home").place, Lab(tmp_path / "home", "other").place
    (tmp_path / "link").symlink_to(tmp_path / "home")
    running = started("dynkv.daemon", "--home", str(place.home), cwd=place.directory)
    now = place
    try:
        if becomes == "without its files":
            shutil.rmtree(place.logs)
        elif becomes == "removed":
            shutil.rmtree(place.directory)
        elif becomes == "moved":
            now = Place(place.home, "moved")
            place.directory.rename(now.directory)
        for path in (now, Place(tmp_path / "link", now.name)):
            found = supervisor_of(path)
            assert found is not None
            assert found.pid == running.pid
            assert has_supervisor(path)
        assert supervisor_of(other) is None
    finally:
        running.communicate()
    assert supervisor_of(now) is None


@as_root
def test_what_another_user_runs_is_no_supervisor(tmp_path: Path) -> None:
    """Not for root either, who sees all processes."""
    place = Lab(tmp_path).place
    words = ["dynkv.daemon", "--home", str(tmp_path)]
    running = started(*words, cwd=place.directory, user=NOBODY)
    try:
        assert supervisor_of(place) is None
        assert tmp_path not in homes()
        assert not is_supervisor(running.pid)
    finally:
        running.communicate()
