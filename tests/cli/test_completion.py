"""The candidates that a shell offers after Tab, requested as each shell does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from dynkv.home import Place
from dynkv.plan.model import Plan
from dynkv.supervisor.journal import VERSION, Journal, JournalFile, boot_id

SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one deployment that has run, with two workers."""
    home = tmp_path_factory.mktemp("home")
    words = ("plan", "agg", "--engine", "mocker", "--model", "tiny", "--set", "workers.replicas=2", "--json")
    plan = msgspec.json.decode(run(home, *words), type=Plan)
    place = Place(home, "agg")
    place.create()
    (place.logs / "supervisor.log").touch()
    (place.logs / "worker-0.log").touch()
    Journal(place.journal, JournalFile(VERSION, boot_id(), 1, 1, "2026-01-01T00:00:00+00:00", "/s", plan))
    return home


def run(home: Path, *words: str, cwd: Path | None = None, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dynkv", *words],
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
        env={**os.environ, "DYNKV_HOME": str(home), **environ},
    )
    return done.stdout


def offered(home: Path, shell: str, line: str, cwd: Path | None = None) -> set[str]:
    """The candidates for the last word of the line."""
    environ = {"_DYNKV_COMPLETE": f"complete_{shell}"}
    if shell == "bash":
        environ |= {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    else:
        environ |= {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    out = run(home, cwd=cwd, **environ)
    if shell == "zsh":
        return set(out.split('"')[1::2])
    return {item.split("\t")[0] for item in out.split("\n") if item}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "items"),
    [
        ("dynkv down ", {"agg"}),
        ("dynkv status x", set()),
        ("dynkv restart work", {"worker-0", "worker-1"}),
        ("dynkv restart worker-0 work", {"worker-1"}),
        ("dynkv logs ", {"supervisor", "worker-0"}),
        ("dynkv scale w", {"worker=1", "worker=2"}),
        ("dynkv up agg-r", {"agg-router"}),
        ("dynkv logs --name ", {"agg"}),
    ],
)
def test_what_is_offered(home: Path, shell: str, line: str, items: set[str]) -> None:
    assert offered(home, shell, line) == items


def test_profiles_are_files_too(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "mine.txt").touch()
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "other.yml").touch()
    assert offered(home, "fish", "dynkv up m", tmp_path) == {"mine.yaml", "more/"}
    assert offered(home, "fish", "dynkv up more/", tmp_path) == {"more/other.yml"}
    assert offered(home, "fish", "dynkv up missing/", tmp_path) == set()
    assert offered(home, "fish", f"dynkv up {tmp_path}/mi", tmp_path) == {f"{tmp_path}/mine.yaml"}


def test_bash_offers_it_after_the_script(home: Path, tmp_path: Path) -> None:
    """As `complete -F` calls it. The command is found on PATH."""
    command = tmp_path / "dynkv"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m dynkv "$@"\n')
    command.chmod(0o755)
    script = run(home, "completion", "bash")
    asked = 'COMP_WORDS=(dynkv restart work) COMP_CWORD=2; _dynkv_completion dynkv; echo "${COMPREPLY[@]}"'
    env = {**os.environ, "DYNKV_HOME": str(home), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-euc", f"{script}\n{asked}"], capture_output=True, text=True, check=True, env=env)
    assert done.stdout == "worker-0 worker-1\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_each_shell_asks_dynkv(home: Path, shell: str) -> None:
    script = run(home, "completion", shell)
    assert f"_DYNKV_COMPLETE=complete_{shell}" in script
    assert "dynkv" in script.split("_DYNKV_COMPLETE")[0]


def test_without_a_deployment_there_is_nothing(tmp_path: Path) -> None:
    for verb in ("restart", "logs", "scale", "down"):
        assert offered(tmp_path, "fish", f"dynkv {verb} ") == set()
