"""A wheel as `make dist` builds it, and an empty environment, as on a machine without make or a checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_IN_A_RELEASE = "CHANGELOG.md LICENSE Makefile README.md hatch_build.py pyproject.toml dynkv docs profiles requirements"
_PROGRAMS = "bash cat env false getconf id ldconfig ls mkdir nproc ps rm sed sh sleep test true uname".split()
_DEADLINE_S = 300.0
Done = subprocess.CompletedProcess[str]


def own_uv() -> Path | None:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    return Path(found).absolute() if found else None


def made_dist(into: Path) -> Path:
    """What `make dist` leaves in dist/ in a copy of this checkout."""
    for name in _IN_A_RELEASE.split():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, into / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, into / name)
    installed = [f"{sys.prefix}/.installed-dynkv", f"{sys.prefix}/.installed-dev"]  # done already
    old = [word for stamp in installed for word in ("--old-file", stamp)]
    asked = ["make", "dist", "STACK=mocker", f"CPU_VENV={sys.prefix}", *old]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = run(asked, into, {**kept, "PYTHONPATH": str(into)})
    assert done.returncode == 0, done.stdout
    return into / "dist"


def run(command: Sequence[str], cwd: Path, env: dict[str, str]) -> Done:
    """Run a command; stdout contains stderr too, as in a terminal."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_DEADLINE_S,
    )


@dataclass
class Machine:
    """A user's machine: a home, a few programs, uv with the packages in its cache, and dist/."""

    directory: Path
    uv: Path

    def __post_init__(self) -> None:
        for folder in (self.programs, self.commands, self.home):
            folder.mkdir(parents=True)
        for name in _PROGRAMS:
            if found := shutil.which(name):
                (self.programs / name).symlink_to(found)
        (self.programs / "uv").symlink_to(self.uv)

    @property
    def programs(self) -> Path:
        return self.directory / "programs"

    @property
    def commands(self) -> Path:
        return self.directory / "commands"

    @property
    def home(self) -> Path:
        return self.directory / "state"

    @property
    def tool(self) -> Path:
        """The environment that uv makes for dynkv."""
        return self.directory / "tools" / "dynkv"

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_", "HOME", "SSL_"))}
        cache = subprocess.run([self.uv, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
        return {
            **kept,
            "PATH": f"{self.commands}:{self.programs}",
            "DYNKV_HOME": str(self.home),
            "UV_CACHE_DIR": cache,
            "UV_TOOL_DIR": str(self.tool.parent),
            "UV_TOOL_BIN_DIR": str(self.commands),
            "UV_PYTHON": getattr(sys, "_base_executable", sys.executable),
            "UV_PYTHON_DOWNLOADS": "never",
        }

    def types(self, text: str) -> Done:
        """Type this into a shell that stops at the first failure.

        Packages come from uv's cache, and from the index only if some are missing; without them and without a network
        the test is skipped.
        """
        command = ["bash", "-euo", "pipefail", "-c", text]
        done = run(command, self.directory, {**self.env, "UV_OFFLINE": "1"})
        if done.returncode and re.search("network .*disabled", done.stdout, re.IGNORECASE):
            done = run(command, self.directory, self.env)
            if done.returncode and any(it in done.stdout for it in ("dns error", "error sending request", "Connect")):
                pytest.skip("packages are neither in uv's cache nor can they be asked for")
        return done
