"""`top` and `status --watch`, on a deployment of two small programs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from .screen import Terminal

QUICK = """\
topology: none
units:
  - {name: first, argv: [sh, -c, "echo it begins; exec sleep 1000"]}
  - {name: second, argv: [sleep, "1000"]}
"""


class Running:
    """A deployment, and the command line for it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.env = {"DYNKV_HOME": str(directory / "state"), "PYTHONPATH": str(Path(__file__).parents[2])}

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dynkv", *words],
            cwd=self.directory,
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def in_terminal(self, *words: str, columns: int = 80) -> Terminal:
        return Terminal(*words, env=self.env, cwd=self.directory, columns=columns)

    def unit(self, name: str) -> dict[str, Any]:
        units: list[dict[str, Any]] = msgspec.json.decode(self("status", "--json").stdout)["units"]
        return next(unit for unit in units if unit["name"] == name)


@pytest.fixture(scope="module")
def quick() -> Iterator[Running]:
    directory = Path(tempfile.mkdtemp(prefix="me-", dir="/tmp"))
    (directory / "quick.yaml").write_text(QUICK)
    running = Running(directory)
    started = running("up", "quick.yaml")
    assert started.returncode == 0, started.stderr
    yield running
    assert running("down").returncode == 0
    shutil.rmtree(directory)


@pytest.mark.parametrize("columns", [80, 60])
def test_top_restarts_follows_and_quits(quick: Running, columns: int) -> None:
    before = quick.unit("first")
    with quick.in_terminal("top", columns=columns) as terminal:
        terminal.until(lambda text: "quick is ready" in text and "second" in text)
        terminal.child.send("l")
        terminal.until(lambda text: "it begins" in text and "first.log" in text)
        terminal.child.send("q")
        terminal.until(lambda text: "quick is ready" in text)
        terminal.child.send("r")
        terminal.until(lambda text: "Restart first?" in text)
        terminal.child.send("y")
        terminal.until(lambda text: re.search(rf"first .*ready .* {before['restarts'] + 1} ", text) is not None)
        terminal.child.send("q")
        code, text = terminal.finish()
    assert code == 0
    assert "Traceback" not in text
    assert quick.unit("first")["pid"] != before["pid"]


def test_top_is_for_a_terminal(quick: Running) -> None:
    refused = quick("top")
    assert refused.returncode == 2
    assert "top needs a terminal" in refused.stderr
    assert "dynkv status --watch" in refused.stderr


def test_a_status_is_watched_until_ctrl_c(quick: Running) -> None:
    restarts = quick.unit("second")["restarts"]
    with quick.in_terminal("status", "--watch") as terminal:
        terminal.until(lambda text: "quick is ready" in text)
        assert quick("restart", "second", "--wait").returncode == 0
        text = terminal.until(lambda text: re.search(rf"second .* {restarts + 1} ", text) is not None)
        assert text.count("quick is ready") == 1
        terminal.child.sendintr()
        code, text = terminal.finish()
    assert code == 130
    assert "quick is ready" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("words", [["--json"], []])
def test_a_pipe_gets_one_status_after_the_other(quick: Running, words: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "dynkv", "status", "-w", *words],
        cwd=quick.directory,
        env={**os.environ, **quick.env},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(2 if words else 6)]
        process.terminate()
    if words:
        assert [msgspec.json.decode(line)["state"] for line in seen] == ["ready", "ready"]
    else:
        assert [line.split()[0] if line.strip() else "" for line in seen] == [
            "quick", "unit", "first", "second", "", "quick",
        ]  # fmt: skip
