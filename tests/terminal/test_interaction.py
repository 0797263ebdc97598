"""Keys, resized windows, and output to other places."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dynkv.home import Place
from dynkv.host.processes import read_process
from dynkv.supervisor.journal import read_journal

from .screen import Terminal

SLOW = """\
topology: none
units:
  - {name: first, argv: [sleep, "1000"]}
  - name: never-ready
    argv: [sleep, "1000"]
    ports: {http: 18003}
    probes: {http_get: {port: http, path: /health}}
"""
QUICK = "topology: none\nunits:\n  - {name: first, argv: [sleep, '1000']}\n  - {name: second, argv: [sleep, '1000']}\n"


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with profiles; whatever runs in it is taken down at the end."""
    made = Path(tempfile.mkdtemp(prefix="me-", dir="/tmp"))
    (made / "slow.yaml").write_text(SLOW)
    (made / "quick.yaml").write_text(QUICK)
    yield made
    for name in ("slow", "quick"):
        if Place(made / "state", name).directory.exists():
            dynkv(made, "down", name)
    shutil.rmtree(made)


def env(directory: Path) -> dict[str, str]:
    return {"DYNKV_HOME": str(directory / "state"), "PYTHONPATH": str(Path(__file__).parents[2])}


def dynkv(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dynkv", *words],
        cwd=directory,
        env={**os.environ, **env(directory)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def running_in(directory: Path) -> list[str]:
    home = str(directory / "state")
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DYNKV_HOME") == home:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:  # it has exited, or is another user's
            continue
    return found


def test_ctrl_c_while_it_starts_leaves_nothing(directory: Path) -> None:
    with Terminal("up", "slow.yaml", env=env(directory), cwd=directory) as terminal:
        terminal.until(lambda text: "nothing listens yet" in text)
        terminal.child.sendintr()
        code, text = terminal.finish()
    assert code == 130
    assert "taking it down again" in text
    assert "Traceback" not in text
    assert running_in(directory) == []


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 4), ("", 4)])
def test_what_is_not_understood_is_asked_about(directory: Path, answer: str, code: int) -> None:
    assert dynkv(directory, "up", "quick.yaml").returncode == 0
    place = Place(directory / "state", "quick")
    journal = read_journal(place.journal)
    assert journal is not None
    os.kill(journal.supervisor_pid, signal.SIGKILL)
    place.journal.write_text("{")
    pids = [child.pid for child in journal.children.values()]
    with Terminal("up", "quick.yaml", env=env(directory), cwd=directory) as terminal:
        text = terminal.until(lambda text: "start quick again? [y/N]" in text)
        assert all(f"pid {pid} (sleep 1000" in text for pid in pids)
        terminal.child.sendline(answer)
        assert terminal.finish()[0] == code
    alive = [(process := read_process(pid)) is not None and process.is_alive for pid in pids]
    assert alive == [code != 0] * len(pids)
    assert place.has_supervisor() == (code == 0)


def test_a_window_that_changes_its_size(directory: Path) -> None:
    with Terminal("up", "slow.yaml", env=env(directory), cwd=directory, columns=100) as terminal:
        terminal.until(lambda text: "never-ready  starting" in text)
        terminal.resize(60, 15)
        terminal.until(lambda text: text.count("never-ready") == 1 and "starting" in text)
        terminal.resize(120, 40)
        text = terminal.until(lambda text: text.count("never-ready") == 1)
        assert "Traceback" not in text
        terminal.child.sendintr()
        assert terminal.finish()[0] == 130


def test_in_a_terminal_there_is_colour_unless_it_is_refused(directory: Path) -> None:
    assert dynkv(directory, "up", "quick.yaml").returncode == 0
    for more, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        with Terminal("status", env={**env(directory), **more}, cwd=directory) as terminal:
            code, text = terminal.finish()
            assert (code, terminal.has_colour) == (0, coloured), more
            assert "quick is ready" in text


HEADINGS = {"unit", "state", "gpu", "ports", "last", "exit"}
"""Headings of columns that are empty, or whose cells explain themselves."""


@pytest.mark.parametrize("words", [("status",), ("events",), ("plan", "quick.yaml"), ("profiles",), ("logs", "--help")])
def test_sixty_columns_hold_whole_words(directory: Path, words: tuple[str, ...]) -> None:
    """Everything that a wide window shows is in a narrow one, too."""
    assert dynkv(directory, "up", "quick.yaml").returncode == 0
    wide, narrow = (_words_of(directory, words, columns) for columns in (200, 60))
    assert wide - narrow <= HEADINGS


def _words_of(directory: Path, words: tuple[str, ...], columns: int) -> set[str]:
    with Terminal(*words, env=env(directory), cwd=directory, columns=columns, rows=200) as terminal:
        code, text = terminal.finish()
    assert code == 0, text
    assert all(len(line) <= columns for line in text.splitlines())
    return {word for word in re.findall(r"[\w-]{3,}", text) if not re.search(r"\d", word)}


def test_output_sent_to_a_file_is_plain_and_whole(directory: Path) -> None:
    target = directory / "out.txt"
    with target.open("w") as out:
        words = [sys.executable, "-m", "dynkv", "up", "quick.yaml"]
        subprocess.run(words, cwd=directory, env={**os.environ, **env(directory)}, stdout=out, check=True, timeout=60)
    text = target.read_text()
    assert "\x1b" not in text
    assert "\r" not in text
    assert "ready: 2 units" in text.splitlines()
    status = dynkv(directory, "status").stdout
    assert "\x1b" not in status
    assert [line.split()[0] for line in status.splitlines()] == ["quick", "unit", "first", "second"]
    assert "\x1b" not in dynkv(directory, "events").stdout + dynkv(directory, "doctor", "quick.yaml").stdout


def test_a_reader_that_goes_away_is_no_error(directory: Path) -> None:
    assert dynkv(directory, "up", "quick.yaml").returncode == 0
    piped = f"{sys.executable} -m dynkv events --json | head -n 1"
    done = subprocess.run(
        ["bash", "-c", piped], cwd=directory, env={**os.environ, **env(directory)}, capture_output=True, text=True
    )
    assert (done.stdout.count("\n"), done.stderr) == (1, "")
