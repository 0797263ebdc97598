"""Programs that read a Compose file; none of them needs a container engine for that."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest


def podman_compose(directory: Path) -> str:
    """The file as podman-compose reads it; it is in the development list, and needs no podman to read a file."""
    pytest.importorskip("podman_compose", reason="requirements/dev.txt has it")
    return _config(sys.executable, "-m", "podman_compose", "--dry-run", directory=directory)


def docker_compose(directory: Path) -> str:
    """The file as docker compose reads it, or Debian's docker-compose."""
    if (words := docker_compose_words()) is None:
        pytest.skip("docker compose is not here, and cannot be installed")
    return _config(*words, directory=directory)


@cache
def docker_compose_words() -> tuple[str, ...] | None:
    """The command for it on this host; Debian's is installed if it is missing and available."""
    if shutil.which("docker") and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0:
        return ("docker", "compose")
    if shutil.which("docker-compose") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for words in (["update"], ["install", "--yes", "--no-install-recommends", "docker-compose"]):
            subprocess.run(["apt-get", *words], capture_output=True, timeout=300, check=False)
    return ("docker-compose",) if shutil.which("docker-compose") else None


def _config(*words: str, directory: Path) -> str:
    done = subprocess.run(
        [*words, "--file", "compose.yaml", "config"], cwd=directory, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "variable is not set" not in done.stderr
    return done.stdout
